//! What a solver may know of a process.

use burn::tensor::Tensor;
use tweedie_core::{Schedule, combine};

/// What every process has: a span of times.
pub trait Process {
    /// The latest time, that of the noisiest state.
    fn horizon(&self) -> f64;

    /// Whether drift and score exist at `t`. A noiseless state has no score, so a method that evaluates the end of a step
    /// asks first.
    fn is_defined_at(&self, t: f64) -> bool;
}

/// `dx = drift(x, t) dt + diffusion(t) dw`, run from large `t` to small.
pub trait Sde<const D: usize = 4>: Process {
    /// The drift, of the shape of `x`.
    fn drift(&self, x: Tensor<D>, t: f64) -> Tensor<D>;

    /// The diffusion coefficient, `>= 0`.
    fn diffusion(&self, t: f64) -> f64;

    /// `x + step drift(x, t)`: Euler's step, which a process may have in a cheaper form than the sum.
    fn advance(&self, x: Tensor<D>, t: f64, step: f64) -> Tensor<D> {
        let drift = self.drift(x.clone(), t);
        combine([(1.0, x), (step, drift)])
    }
}

/// A reverse diffusion known through its schedule and its denoiser: the semilinear structure that exponential integrators use.
pub trait Diffusion<const D: usize = 4>: Process {
    /// The perturbation kernel.
    fn schedule(&self) -> &dyn Schedule;

    /// `E[x_0 | x_t = x]`, of the shape of `x`.
    fn denoised(&self, x: Tensor<D>, t: f64) -> Tensor<D>;

    /// The same, and where it is learnt the variance of the reverse step: see [`Denoiser`](tweedie_core::Denoiser::denoise_with_variance).
    fn denoised_with_variance(&self, x: Tensor<D>, t: f64) -> (Tensor<D>, Option<Tensor<D>>) {
        (self.denoised(x, t), None)
    }
}
