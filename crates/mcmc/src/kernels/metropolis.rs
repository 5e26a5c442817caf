//! The Metropolis-Hastings test: a proposal is taken with probability `min(1, e^r)`.
//!
//! Hastings 1970, <https://doi.org/10.1093/biomet/57.1.97>. The test is `r >= -e` with `e` exponential of mean 1, which is
//! `(n_1^2 + n_2^2)/2` of two normal numbers: so a kernel asks for normal numbers alone, and reads nothing back.

use burn::tensor::{Bool, Tensor};
use tweedie_core::Noise;

/// The outcome for each chain.
pub(crate) struct Verdict {
    /// Whether the proposal is taken, `[chains]`.
    pub(crate) taken: Tensor<1, Bool>,
    /// `min(1, e^r)`, `[chains]`; 0 where `r` is not a number.
    pub(crate) probability: Tensor<1>,
}

/// Tests proposals of log ratio `r`, `[chains]`. One that is not a number is refused.
pub(crate) fn test<const D: usize>(log_ratio: Tensor<1>, noise: &mut dyn Noise<D>) -> Verdict {
    let [chains] = log_ratio.dims();
    let mut shape = [1; D];
    shape[0] = chains;
    shape[D - 1] *= 2;
    let pairs = noise.normal(shape).reshape([chains, 2]);
    let exponential = pairs.square().sum_dim(1).mul_scalar(0.5).reshape([chains]);
    let undefined = log_ratio.clone().is_nan();
    Verdict {
        taken: log_ratio.clone().greater_equal(exponential.neg()),
        probability: log_ratio.clamp_max(0.0).exp().mask_fill(undefined, 0.0),
    }
}

/// The log ratio, minus infinity where the potential `energy` of the proposal is not finite, be it minus infinity.
pub(crate) fn refuse_infinite(log_ratio: Tensor<1>, energy: &Tensor<1>) -> Tensor<1> {
    let outside = energy.clone().is_finite().bool_not();
    log_ratio.mask_fill(outside, f64::NEG_INFINITY)
}

impl Verdict {
    /// Row by row, `proposal` where it is taken and `old` where not.
    pub(crate) fn choose<const D: usize>(&self, proposal: Tensor<D>, old: Tensor<D>) -> Tensor<D> {
        let mut shape = [1; D];
        shape[0] = old.dims()[0];
        let taken = self.taken.clone().reshape(shape).expand(old.dims());
        old.mask_where(taken, proposal)
    }
}
