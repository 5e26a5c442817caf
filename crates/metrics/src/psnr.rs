//! Mean squared error and peak signal-to-noise ratio.

use burn::tensor::Tensor;

/// Mean squared error of each sample, `mean((estimate - reference)^2)` over channels and pixels.
///
/// Both images `[batch, channels, height, width]`; the result `[batch]`.
///
/// # Panics
///
/// Panics if the shapes differ.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let black = Tensor::<4>::zeros([2, 3, 8, 8], &device);
/// let error = tweedie_metrics::mse(black.clone() + 0.5, black);
/// assert_eq!(error.into_data().to_vec::<f32>().unwrap(), [0.25, 0.25]);
/// ```
pub fn mse(estimate: Tensor<4>, reference: Tensor<4>) -> Tensor<1> {
    assert_eq!(
        estimate.dims(),
        reference.dims(),
        "estimate and reference must have one shape"
    );
    let squares: Tensor<2> = (estimate - reference).square().flatten(1, 3);
    squares.mean_dim(1).squeeze_dim(1)
}

/// Peak signal-to-noise ratio of each sample in decibels, `10 log10(data_range^2 / mse)`.
///
/// Both images `[batch, channels, height, width]`; the result `[batch]`, infinite where the two are
/// equal. `data_range` is the largest possible value minus the smallest: 1 for pixels in [0, 1].
///
/// # Panics
///
/// Panics if the shapes differ or `data_range` is not positive.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let black = Tensor::<4>::zeros([1, 1, 8, 8], &device);
/// let decibels = tweedie_metrics::psnr(black.clone() + 0.1, black, 1.0).into_scalar::<f32>();
/// assert!((decibels - 20.0).abs() < 1e-4);
/// ```
pub fn psnr(estimate: Tensor<4>, reference: Tensor<4>, data_range: f64) -> Tensor<1> {
    assert!(
        data_range > 0.0,
        "the data range must be positive, found {data_range}"
    );
    let decibels_per_nat = 10.0 / std::f64::consts::LN_10;
    mse(estimate, reference).log() * -decibels_per_nat + 20.0 * data_range.log10()
}
