//! Noise schedules: the two numbers `s(t)` and `sigma(t)` of the perturbation kernel `x_t = s(t) (x_0 + sigma(t) n)`.
//!
//! The notation is that of Karras et al. 2022, appendix B, <https://arxiv.org/abs/2206.00364>: `sigma` is the noise
//! level of the image itself, before scaling. The forward process is `dx = f(t) x dt + g(t) dw` with `f = s'/s` and
//! `g^2 = 2 s^2 sigma sigma'`. Time runs from 0 (data) to the schedule's horizon (noise).
//!
//! Schedules hold no tensors: all arithmetic is `f64` on the host.

use std::sync::Arc;

mod beta;
mod coefficients;
mod config;
mod cosine;
mod custom;
mod ddpm;
mod error;
mod exploding;
mod flow_matching;
mod inverse;
mod karras;
mod preserving;
mod scaled;
mod scaled_linear;
mod sigmoid;
mod sub_preserving;

pub use coefficients::FromCoefficients;
pub use config::ScheduleConfig;
pub use cosine::Cosine;
pub use custom::Custom;
pub use ddpm::DdpmTable;
pub use error::ScheduleError;
pub use exploding::VarianceExploding;
pub use flow_matching::FlowMatching;
pub use karras::Karras;
pub use preserving::VariancePreserving;
pub use scaled::Scaled;
pub use scaled_linear::ScaledLinear;
pub use sigmoid::Sigmoid;
pub use sub_preserving::SubVariancePreserving;

/// Perturbation kernel `x_t = s(t) (x_0 + sigma(t) n)`, `n ~ N(0, I)`.
///
/// `sigma` is continuous and strictly increasing on `[0, horizon]`, `s` is positive there and `s(0) = 1`.
///
/// Two ends can be singular. At `t = 0`, `sigma'` of a variance-preserving process is infinite, while `f` and `g^2`
/// have their finite limits. Where `sigma` diverges at `t = 1` (cosine, sigmoid, flow matching) the horizon lies
/// before; at `t = 1` itself the functions return their limits, `s = 0` and `sigma` infinite. No time is ever clamped.
///
/// ```
/// use tweedie_core::{Schedule, VarianceExploding};
///
/// let schedule = VarianceExploding::new(0.01, 50.0).unwrap();
/// assert!((schedule.time_at(schedule.sigma(0.4)) - 0.4).abs() < 1e-12);
/// ```
pub trait Schedule: Send + Sync {
    /// `s(t)`.
    fn scale(&self, t: f64) -> f64;

    /// `sigma(t)`, the noise level relative to the unscaled image.
    fn sigma(&self, t: f64) -> f64;

    /// `(s'(t), sigma'(t))`. Either may be infinite at `t = 0`, where `sigma` of a variance-preserving process starts
    /// like a square root; [`drift_rate`](Self::drift_rate) and [`diffusion_sq`](Self::diffusion_sq) are finite there.
    fn rates(&self, t: f64) -> (f64, f64);

    /// The time at which the noise level is `sigma`: the inverse of [`sigma`](Self::sigma), to `1e-12` on
    /// `[0, horizon]`.
    ///
    /// A level that the process does not have gives a time outside `[0, horizon]`, or NaN; time grids refuse both.
    fn time_at(&self, sigma: f64) -> f64;

    /// The time of the noisiest state.
    fn horizon(&self) -> f64 {
        1.0
    }

    /// `f(t) = s'/s`.
    fn drift_rate(&self, t: f64) -> f64 {
        self.rates(t).0 / self.scale(t)
    }

    /// `g(t)^2 = 2 s^2 sigma sigma'`.
    fn diffusion_sq(&self, t: f64) -> f64 {
        let s = self.scale(t);
        2.0 * s * s * self.sigma(t) * self.rates(t).1
    }
}

macro_rules! forward_schedule {
    ($($pointer:ty),*) => {$(
        impl<T: Schedule + ?Sized> Schedule for $pointer {
            fn scale(&self, t: f64) -> f64 {
                (**self).scale(t)
            }
            fn sigma(&self, t: f64) -> f64 {
                (**self).sigma(t)
            }
            fn rates(&self, t: f64) -> (f64, f64) {
                (**self).rates(t)
            }
            fn time_at(&self, sigma: f64) -> f64 {
                (**self).time_at(sigma)
            }
            fn horizon(&self) -> f64 {
                (**self).horizon()
            }
            fn drift_rate(&self, t: f64) -> f64 {
                (**self).drift_rate(t)
            }
            fn diffusion_sq(&self, t: f64) -> f64 {
                (**self).diffusion_sq(t)
            }
        }
    )*};
}
forward_schedule!(&T, Arc<T>);
