//! The last step of the chain as a law of pixels of 256 values: the normal law's mass on the bin of each,
//! `p(x_0 | x_1) = prod_i int_(bin of x_0^i) N(x; mu_i, v_i) dx`, whose first and last bins have no end.
//!
//! Ho et al. 2020, eq. (13), <https://arxiv.org/abs/2006.11239>.

use std::f64::consts::{FRAC_2_PI, SQRT_2, TAU};

use burn::tensor::{Tensor, activation::log_sigmoid};

/// Number of values of a pixel.
pub(crate) const VALUES: u32 = 256;

/// The bins of pixels between two values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bins {
    low: f64,
    high: f64,
}

impl Bins {
    /// Of pixels from `low` to `high`.
    pub(crate) fn new((low, high): (f64, f64)) -> Self {
        Self { low, high }
    }

    /// Half the width of a bin.
    fn half(self) -> f64 {
        0.5 * (self.high - self.low) / f64::from(VALUES - 1)
    }

    /// `ln p` of one pixel.
    pub(crate) fn log_mass(self, pixel: f64, mean: f64, variance: f64) -> f64 {
        let deviation = variance.sqrt();
        let end = |at: f64| (at - mean) / deviation;
        let below = if pixel < self.low + self.half() {
            f64::NEG_INFINITY
        } else {
            end(pixel - self.half())
        };
        let above = if pixel > self.high - self.half() {
            f64::INFINITY
        } else {
            end(pixel + self.half())
        };
        normal_log_mass(below, above)
    }

    /// `ln p` of each pixel, to be differentiated: `error` is the pixel less the mean.
    ///
    /// With `Phi(z) = sigmoid(y(z))`, `y = sqrt(8/pi) z (1 + 0.044715 z^2)` (Page 1977, <https://doi.org/10.2307/2346872>), off by less
    /// than 2e-4, a mass is `sigmoid(b) sigmoid(-a) (1 - exp(a - b))`, of which each factor has a logarithm that does not overflow.
    pub(crate) fn smooth_log_mass<const D: usize>(
        self,
        pixel: Tensor<D>,
        error: Tensor<D>,
        log_variance: Tensor<D>,
    ) -> Tensor<D> {
        let scale = log_variance.mul_scalar(-0.5).exp();
        let end = |shift: f64| {
            let z = error.clone().add_scalar(shift) * scale.clone();
            let cubic = z.clone().square().mul_scalar(0.044_715).add_scalar(1.0);
            (z * cubic).mul_scalar(2.0 * FRAC_2_PI.sqrt())
        };
        let (above, below) = (end(self.half()), end(-self.half()));
        let is_first = pixel.clone().lower_elem(self.low + self.half());
        let is_last = pixel.greater_elem(self.high - self.half());
        let width = above.clone() - below.clone();
        let inner = (-(-width).exp()).log1p();
        log_sigmoid(above).mask_fill(is_last.clone(), 0.0)
            + log_sigmoid(-below).mask_fill(is_first.clone(), 0.0)
            + inner.mask_fill(is_first.bool_or(is_last), 0.0)
    }
}

/// `ln(Phi(b) - Phi(a))`, `a < b`, either of which may be infinite.
fn normal_log_mass(a: f64, b: f64) -> f64 {
    // Both in the upper tail, where no digits are lost.
    let (a, b) = if a + b < 0.0 { (-b, -a) } else { (a, b) };
    let (upper, beyond) = (log_tail(a), log_tail(b));
    upper + (-(beyond - upper).exp_m1()).ln()
}

/// `ln(1 - Phi(z))`.
fn log_tail(z: f64) -> f64 {
    if z < 30.0 {
        return (0.5 * libm::erfc(z / SQRT_2)).ln();
    }
    // The next term, -15/z^6, is below 3e-8.
    let squared = z * z;
    -0.5 * squared - (z * TAU.sqrt()).ln() + (-1.0 / squared + 3.0 / (squared * squared)).ln_1p()
}
