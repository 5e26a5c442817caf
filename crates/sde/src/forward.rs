//! The forward process, which is known in closed form: `x_t = s(t) (x_0 + sigma(t) n)`.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Schedule, combine};

/// A draw of `x_t` given `x_0 = clean`, of the shape of `clean`.
pub fn perturb<const D: usize>(
    schedule: &dyn Schedule,
    clean: Tensor<D>,
    t: f64,
    noise: &mut dyn Noise<D>,
) -> Tensor<D> {
    let s = schedule.scale(t);
    let fresh = noise.normal(clean.dims());
    combine([(s, clean), (s * schedule.sigma(t), fresh)])
}

/// A draw of `x_to` given `x_from = x`, `from <= to`, by the exact transition of the forward process:
/// `x_to = s_to (x/s_from + sqrt(sigma_to^2 - sigma_from^2) n)`.
///
/// Repeated, it simulates a path of the forward process without discretisation error. Between the times `(k-1)/T` and `k/T`
/// of a table of betas it is the chain of DDPM, `sqrt(1 - beta_k) x + sqrt(beta_k) n`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Rng, VariancePreserving};
/// use tweedie_sde::transition;
///
/// let device = Device::flex();
/// let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
/// let mut rng = Rng::seeded(0, &device);
/// let mut x = Tensor::<4>::ones([1, 1, 4, 4], &device);
/// for k in 0..10 {
///     let t = f64::from(k) / 10.0;
///     x = transition(&schedule, x, t, t + 0.1, &mut rng);
/// }
/// ```
///
/// # Panics
/// If `to < from`.
pub fn transition<const D: usize>(
    schedule: &dyn Schedule,
    x: Tensor<D>,
    from: f64,
    to: f64,
    noise: &mut dyn Noise<D>,
) -> Tensor<D> {
    assert!(
        from <= to,
        "the forward process runs from {from} to {to}: back in time"
    );
    let s = schedule.scale(to);
    let (sigma_from, sigma_to) = (schedule.sigma(from), schedule.sigma(to));
    let added = ((sigma_to - sigma_from) * (sigma_to + sigma_from)).sqrt();
    let fresh = noise.normal_over(x.dims(), from, to);
    combine([(s / schedule.scale(from), x), (s * added, fresh)])
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
