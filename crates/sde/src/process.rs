//! What a solver may know of a process.

use burn::tensor::Tensor;
use tweedie_core::Schedule;

/// `dx = drift(x, t) dt + diffusion(t) dw`, run from large `t` to small.
pub trait Sde<const D: usize = 4> {
    /// The drift, of the shape of `x`.
    fn drift(&self, x: Tensor<D>, t: f64) -> Tensor<D>;

    /// The diffusion coefficient, `>= 0`.
    fn diffusion(&self, t: f64) -> f64;

    /// Whether drift and diffusion exist at `t`. A noiseless state has no score, so a method that evaluates the end of a
    /// step asks first.
    fn is_defined_at(&self, t: f64) -> bool;
}

/// A reverse diffusion known through its schedule and its denoiser: the semilinear structure that exponential integrators use.
pub trait Diffusion<const D: usize = 4> {
    /// The perturbation kernel.
    fn schedule(&self) -> &dyn Schedule;

    /// `E[x_0 | x_t = x]`, of the shape of `x`.
    fn denoised(&self, x: Tensor<D>, t: f64) -> Tensor<D>;
}
