//! What variance-preserving schedules share: `s = exp(-B/2)`, `sigma = sqrt(exp(B) - 1)`, `f = -beta/2`, `g^2 = beta`,
//! `B = int_0^t beta`.
//!
//! Song et al. 2021, eqs. (11) and (29), <https://arxiv.org/abs/2011.13456>.

/// A rate `beta` and its integral. Each schedule with `s^2 (1 + sigma^2) = 1` is made of one, by `preserving!`.
pub(super) trait Beta {
    /// `beta(t)`.
    fn rate(&self, t: f64) -> f64;

    /// `B(t)`, accurate relative to itself down to `t = 0`.
    fn integral(&self, t: f64) -> f64;

    /// The time at which `B` has a value: the inverse of [`integral`](Self::integral).
    fn time_of_integral(&self, integral: f64) -> f64;

    /// `sigma'(0)`, infinite unless `beta(0) = 0`.
    fn first_slope(&self) -> f64 {
        f64::INFINITY
    }

    /// The horizon.
    fn last_time(&self) -> f64 {
        1.0
    }
}

/// Implements `Schedule` for types that implement `Beta`.
macro_rules! preserving {
    ($($name:ty),*) => {$(
        impl Schedule for $name {
            fn scale(&self, t: f64) -> f64 {
                (-0.5 * self.integral(t)).exp()
            }
            fn sigma(&self, t: f64) -> f64 {
                self.integral(t).exp_m1().sqrt()
            }
            fn rates(&self, t: f64) -> (f64, f64) {
                let half_rate = 0.5 * self.rate(t);
                let sigma = self.sigma(t);
                let slope = if t == 0.0 {
                    self.first_slope()
                } else {
                    half_rate * (1.0 + sigma * sigma) / sigma
                };
                (-half_rate * self.scale(t), slope)
            }
            fn time_at(&self, sigma: f64) -> f64 {
                self.time_of_integral((sigma * sigma).ln_1p())
            }
            fn horizon(&self) -> f64 {
                self.last_time()
            }
            fn drift_rate(&self, t: f64) -> f64 {
                -0.5 * self.rate(t)
            }
            fn diffusion_sq(&self, t: f64) -> f64 {
                self.rate(t)
            }
        }
    )*};
}
pub(super) use preserving;
