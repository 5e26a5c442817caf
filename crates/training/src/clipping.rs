//! Gradient clipping by the norm of all gradients together: `g <- g min(1, c/|g|)`.
//!
//! Pascanu, Mikolov & Bengio 2013, algorithm 1, <https://arxiv.org/abs/1211.5063>. burn's own clipping bounds each tensor by
//! itself, which changes the direction of the step.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::{Device, Tensor},
};

/// The Euclidean norm of all gradients of `module`, a tensor of one number on `device`; zero where there is none.
pub(crate) fn norm<M: Module>(
    module: &M,
    gradients: &GradientsParams,
    device: &Device,
) -> Tensor<1> {
    let mut squares = Squares {
        gradients,
        terms: Vec::new(),
    };
    module.visit(&mut squares);
    if squares.terms.is_empty() {
        return Tensor::zeros([1], device);
    }
    Tensor::cat(squares.terms, 0).sum().sqrt()
}

/// The gradients scaled down to norm `bound`, given their norm; unchanged below it.
pub(crate) fn clipped<M: Module>(
    module: &M,
    gradients: GradientsParams,
    norm: Tensor<1>,
    bound: f64,
) -> GradientsParams {
    let factor = (norm.add_scalar(f64::from(f32::MIN_POSITIVE)).recip() * bound).clamp_max(1.0);
    let mut scaled = Scaled { gradients, factor };
    module.visit(&mut scaled);
    scaled.gradients
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    terms: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.terms.push((gradient.clone() * gradient).sum());
        }
    }
}

struct Scaled {
    gradients: GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scaled {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let factor = self.factor.clone().reshape([1; D]);
            self.gradients.register(param.id, gradient * factor);
        }
    }
}
