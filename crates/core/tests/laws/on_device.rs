//! What depends on the backend: uploads, tapes and padding.

use tweedie_core::{Denoiser, GaussianPrior, Padded, Rng, UnitRange, value_and_vjp};
use tweedie_testkit::{device, exact, values};

#[test]
fn random_numbers_are_the_same_on_every_device() {
    // The first numbers of stream (11, 0), as drawn on the host in f64 and rounded to f32.
    let got = Rng::seeded(11, &device()).normal([1, 2, 2]);
    let host = Rng::seeded(11, &device())
        .with_dtype(burn::tensor::DType::F64)
        .normal([1, 2, 2]);
    let host: Vec<f64> = values(&host).iter().map(|z| f64::from(*z as f32)).collect();
    assert_eq!(values(&got), host);
}

#[test]
fn gradient_of_a_wrapped_denoiser() {
    let prior = GaussianPrior::new(exact::<4>(&[0.1], [1, 1, 1, 1]), 0.5);
    let denoiser = Padded {
        inner: UnitRange(prior),
        multiple: 4,
    };
    let x = exact(&[0.1, 0.5, 0.9, 0.2, 0.4, 0.6], [1, 1, 2, 3]);
    let (_, gradient) = value_and_vjp(x, |x| denoiser.denoise(x, 0.25), |y| y.ones_like());
    // In symmetric units: variance 0.5, noise level 0.5; the edge is not seen through the crop.
    for slope in values(&gradient) {
        assert!((slope - 0.5 / 0.75).abs() < 1e-12, "{slope}");
    }
}
