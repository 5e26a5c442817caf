//! A schedule in other pixel units: `sigma -> factor sigma`, same `s`.
//!
//! If `x` follows a schedule and `u = factor x + shift`, then `u_t = s(t) (u_0 + factor sigma(t) n)`.

use super::Schedule;

/// The schedule of an image whose pixels are stretched by `factor`.
///
/// A network trained on pixels in [-1, 1] with a schedule `S` is sampled in [0, 1] with `Scaled::new(S, 0.5)`: at the times of
/// its own table it then sees exactly the noise levels it was trained with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled<S> {
    inner: S,
    factor: f64,
}

impl<S: Schedule> Scaled<S> {
    /// `factor` is new pixel units per old one.
    ///
    /// # Panics
    /// Unless `factor` is finite and above 0.
    pub fn new(inner: S, factor: f64) -> Self {
        assert!(
            factor > 0.0 && factor.is_finite(),
            "factor must be finite and above 0, got {factor}"
        );
        Self { inner, factor }
    }
}

impl<S: Schedule> Schedule for Scaled<S> {
    fn scale(&self, t: f64) -> f64 {
        self.inner.scale(t)
    }

    fn sigma(&self, t: f64) -> f64 {
        self.factor * self.inner.sigma(t)
    }

    fn rates(&self, t: f64) -> (f64, f64) {
        let (scale_rate, sigma_rate) = self.inner.rates(t);
        (scale_rate, self.factor * sigma_rate)
    }

    fn time_at(&self, sigma: f64) -> f64 {
        self.inner.time_at(sigma / self.factor)
    }

    fn horizon(&self) -> f64 {
        self.inner.horizon()
    }

    fn drift_rate(&self, t: f64) -> f64 {
        self.inner.drift_rate(t)
    }

    fn diffusion_sq(&self, t: f64) -> f64 {
        self.factor * self.factor * self.inner.diffusion_sq(t)
    }
}
