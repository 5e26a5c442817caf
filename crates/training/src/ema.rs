//! Exponential moving average of the weights, with warm-up: `w <- d_k w + (1 - d_k) theta`, `d_k = min(d, (1 + k)/(10 + k))`.
//!
//! Averaged weights sample better than the last ones (Ho et al. 2020, appendix B, <https://arxiv.org/abs/2006.11239>, with
//! `d = 0.9999`). The warm-up lets a short run forget its start: it is that of TensorFlow's `ExponentialMovingAverage`.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::GradientsParams,
    tensor::Tensor,
};
use tweedie_kernels::blended;

/// The decay after `step` updates, counted from 1.
pub fn decay_at(limit: f64, step: u64) -> f64 {
    let step = step as f64;
    limit.min((1.0 + step) / (10.0 + step))
}

/// `decay average + (1 - decay) weights`, parameter by parameter. Both modules have the same parameters, by identity.
///
/// # Panics
/// If `weights` lacks a parameter of `average`.
pub fn averaged<M: Module>(average: M, weights: &M, decay: f64) -> M {
    let mut collected = Collected(GradientsParams::new());
    weights.visit(&mut collected);
    average.map(&mut Blend {
        weights: collected,
        decay,
    })
}

/// `a one + b other`, parameter by parameter. Both modules have the same parameters, by identity.
pub(crate) fn combined<M: Module>(one: M, other: &M, a: f64, b: f64) -> M {
    let mut collected = Collected(GradientsParams::new());
    other.visit(&mut collected);
    one.map(&mut Combine {
        weights: collected,
        a,
        b,
    })
}

/// burn's map from parameters to tensors, here holding weights.
struct Collected(GradientsParams);

impl Collected {
    /// The weight of a parameter.
    fn take<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Tensor<D> {
        self.0
            .remove::<D>(param.id)
            .expect("the two modules have the same parameters")
    }
}

impl ModuleVisitor for Collected {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val().without_autodiff());
    }
}

struct Blend {
    weights: Collected,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let weight = self.weights.take(&param);
        param.map(|average| blended(average, weight, self.decay))
    }
}

struct Combine {
    weights: Collected,
    a: f64,
    b: f64,
}

impl ModuleMapper for Combine {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let weight = self.weights.take(&param);
        param.map(|one| one.mul_scalar(self.a) + weight.mul_scalar(self.b))
    }
}
