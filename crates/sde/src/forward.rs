//! The forward process, which is known in closed form: `x_t = s(t) (x_0 + sigma(t) n)`.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Schedule};

/// A draw of `x_t` given `x_0 = clean`, of the shape of `clean`.
pub fn perturb<const D: usize>(
    schedule: &dyn Schedule,
    clean: Tensor<D>,
    t: f64,
    noise: &mut dyn Noise<D>,
) -> Tensor<D> {
    let fresh = noise.normal(clean.dims()).mul_scalar(schedule.sigma(t));
    (clean + fresh).mul_scalar(schedule.scale(t))
}

/// The usual start of a reverse run: `x_t` for an image that is zero, `N(0, s^2 sigma^2 I)`.
///
/// It differs from the true law of `x_t` by a mean of `s(t) E[x_0]`, small beside the noise where `sigma(t)` is large.
pub fn pure_noise<const D: usize>(
    schedule: &dyn Schedule,
    shape: [usize; D],
    t: f64,
    noise: &mut dyn Noise<D>,
) -> Tensor<D> {
    noise
        .normal(shape)
        .mul_scalar(schedule.scale(t) * schedule.sigma(t))
}
