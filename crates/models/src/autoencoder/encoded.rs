//! What an encoder says of an image: a normal law of its latents, and its divergence from the standard one.

use burn::tensor::Tensor;
use tweedie_core::Rng;

/// `q(z | x) = N(mean, exp(log_variance))`, independent entries; both are `[batch, channels, height, width]`.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The mean of the latents.
    pub mean: Tensor<4>,
    /// The logarithm of their variance.
    pub log_variance: Tensor<4>,
}

impl Encoded {
    /// One draw, `mean + exp(log_variance / 2) n` (Kingma & Welling 2014, section 2.4, <https://arxiv.org/abs/1312.6114>); row
    /// `i` reads row `i` of `rng`.
    pub fn sample(&self, rng: &mut Rng) -> Tensor<4> {
        let deviation = self.log_variance.clone().mul_scalar(0.5).exp();
        self.mean.clone() + deviation * rng.normal(self.mean.dims())
    }

    /// `KL(q(z | x) || N(0, I)) = 1/2 sum (mean^2 + variance - 1 - log variance)` in nats, `[batch]` (Kingma & Welling 2014,
    /// appendix B).
    pub fn divergence(&self) -> Tensor<1> {
        let (mean, log_variance) = (self.mean.clone(), self.log_variance.clone());
        let batch = mean.dims()[0];
        let each = mean.clone() * mean + log_variance.clone().exp() - log_variance;
        each.sub_scalar(1.0)
            .mul_scalar(0.5)
            .reshape([batch as i32, -1])
            .sum_dim(1)
            .reshape([batch])
    }

    /// The law of `scale z`.
    pub fn scaled(self, scale: f64) -> Self {
        Self {
            mean: self.mean.mul_scalar(scale),
            log_variance: self.log_variance.add_scalar(2.0 * scale.ln()),
        }
    }
}
