//! Chains of known laws, draw by draw.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_metrics::ChainMoments;
use tweedie_testkit::{device, values};

/// Draws `[chains, pixels]` of independent stationary chains of unit variance,
/// `x_t = rho x_(t-1) + sqrt(1 - rho^2) z_t`.
pub(crate) fn autoregressive(
    draws: usize,
    [chains, pixels]: [usize; 2],
    rho: f64,
    seed: u64,
) -> Vec<Tensor<2>> {
    let mut rng = Rng::seeded(seed, &device()).with_dtype(DType::F64);
    let noise: Tensor<2> = rng.normal([draws * chains, pixels]);
    let mut noise = noise.split(chains, 0).into_iter();
    let mut x = noise.next().unwrap();
    let mut found = vec![x.clone()];
    for z in noise {
        x = x * rho + z * (1.0 - rho * rho).sqrt();
        found.push(x.clone());
    }
    found
}

/// The chains of one pixel.
pub(crate) fn of_pixel(draws: &[Tensor<2>], pixel: usize) -> Vec<Vec<f64>> {
    let [chains, pixels] = draws[0].dims();
    let draws: Vec<Vec<f64>> = draws.iter().map(values).collect();
    (0..chains)
        .map(|chain| {
            draws
                .iter()
                .map(|draw| draw[chain * pixels + pixel])
                .collect()
        })
        .collect()
}

pub(crate) fn counted(draws: &[Tensor<2>]) -> ChainMoments<2> {
    let mut found = ChainMoments::default();
    for draw in draws {
        found.update(draw.clone());
    }
    found
}

/// Of the mean of `draws` consecutive draws of [`autoregressive`].
pub(crate) fn variance_of_mean(draws: usize, rho: f64) -> f64 {
    let n = draws as f64;
    let lags = (1..draws).map(|lag| (1.0 - lag as f64 / n) * rho.powi(lag as i32));
    (1.0 + 2.0 * lags.sum::<f64>()) / n
}
