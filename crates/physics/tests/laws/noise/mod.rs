//! Noise models: their samples, densities, scores, transforms and refusals.

mod densities;
mod gaussian;
mod refusals;
mod sampling;
mod scores;
mod stabilising;

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    GammaNoise, GaussianNoise, LaplaceNoise, LikelihoodScore, LogPoissonNoise, NoiseModel,
    PerSampleGaussianNoise, PoissonGaussianNoise, PoissonNoise, SaltPepperNoise, UniformNoise,
};
use tweedie_testkit::{device, exact};

fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// One entry a row.
fn column(values: &[f64]) -> Tensor<2> {
    exact(values, [values.len(), 1])
}

/// The probabilities of 0, 1, .. counts, by the recursion `p_(k+1) = p_k rate / (k + 1)`, down to rounding.
fn poisson(rate: f64) -> Vec<f64> {
    let last = (rate + 40.0 * rate.sqrt() + 40.0) as usize;
    let mut probabilities = vec![(-rate).exp()];
    for k in 1..last {
        probabilities.push(probabilities[k - 1] * rate / k as f64);
    }
    probabilities
}

/// Every noise model with a score, for batches of two in double precision.
fn scored() -> Vec<(&'static str, Box<dyn LikelihoodScore<2>>)> {
    scored_in(DType::F64)
}

/// Every noise model with a score, for batches of two.
fn scored_in(dtype: DType) -> Vec<(&'static str, Box<dyn LikelihoodScore<2>>)> {
    let levels = exact(&[0.1, 0.4], [2]).cast(dtype);
    let levels = PerSampleGaussianNoise::new(levels).unwrap();
    vec![
        ("Gaussian", Box::new(GaussianNoise::new(0.2).unwrap())),
        ("per sample", Box::new(levels)),
        ("Poisson", Box::new(PoissonNoise::new(0.15).unwrap())),
        (
            "Poisson-Gaussian",
            Box::new(PoissonGaussianNoise::new(0.15, 0.1).unwrap()),
        ),
        ("Laplace", Box::new(LaplaceNoise::new(0.3).unwrap())),
        (
            "log-Poisson",
            Box::new(LogPoissonNoise::new(40.0, 0.7).unwrap()),
        ),
        ("Gamma", Box::new(GammaNoise::new(3.5).unwrap())),
        ("one look", Box::new(GammaNoise::new(1.0).unwrap())),
    ]
}

/// Every noise model, for batches of two.
fn all() -> Vec<(&'static str, Box<dyn NoiseModel<2>>)> {
    let mut models: Vec<(&'static str, Box<dyn NoiseModel<2>>)> = scored()
        .into_iter()
        .map(|(name, noise)| (name, noise as Box<dyn NoiseModel<2>>))
        .collect();
    models.push(("uniform", Box::new(UniformNoise::new(0.2).unwrap())));
    models.push((
        "salt and pepper",
        Box::new(SaltPepperNoise::new(0.2, 0.3).unwrap()),
    ));
    models
}

/// Clean measurements that suit every model.
fn clean() -> Tensor<2> {
    exact(&[0.3, 0.8, 1.4, 0.6, 0.2, 1.1], [2, 3])
}
