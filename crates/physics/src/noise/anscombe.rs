//! Anscombe's transform of Poisson counts, `f(k) = 2 sqrt(k + 3/8)`, and its inverse in the mean.
//!
//! Anscombe 1948, <https://doi.org/10.1093/biomet/35.3-4.246>: `f(k)` has variance `1 + O(1/rate^2)`. The inverse is
//! the closed form of Makitalo & Foi 2011, <https://doi.org/10.1109/TIP.2011.2121085>: with `D = E f(k)`, the mean of
//! `k` is `D^2/4 + sqrt(3/2)/(4 D) - 11/(8 D^2) + 5 sqrt(3/2)/(8 D^3) - 1/8` within 0.02, which is 0 at `f(0) =
//! sqrt(3/2)`.

use burn::tensor::Tensor;

/// `2 sqrt(counts + 3/8 + offset)`, 0 where the root has no value.
pub(super) fn transform<const Y: usize>(counts: Tensor<Y>, offset: f64) -> Tensor<Y> {
    counts
        .add_scalar(0.375 + offset)
        .clamp_min(0.0)
        .sqrt()
        .mul_scalar(2.0)
}

/// The mean number of counts for which `f` has mean `mean`.
pub(super) fn mean_counts<const Y: usize>(mean: Tensor<Y>) -> Tensor<Y> {
    let root = 1.5_f64.sqrt();
    let mean = mean.clamp_min(root);
    let inverse = mean.clone().recip();
    let falling = inverse
        .clone()
        .mul_scalar(0.625 * root)
        .sub_scalar(1.375)
        .mul(inverse.clone())
        .add_scalar(0.25 * root)
        .mul(inverse);
    (mean.square().mul_scalar(0.25) + falling).sub_scalar(0.125)
}
