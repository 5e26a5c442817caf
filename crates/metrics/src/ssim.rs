//! Structural similarity.
//!
//! `SSIM = (2 m_x m_y + C1)(2 s_xy + C2) / ((m_x^2 + m_y^2 + C1)(s_x^2 + s_y^2 + C2))`, with means,
//! variances and covariance weighted by a Gaussian window around each pixel.
//!
//! Wang, Bovik, Sheikh & Simoncelli 2004, eqs. (13)-(17), <https://doi.org/10.1109/TIP.2003.819861>.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};

/// Side of the window of [`ssim`] in pixels: the smallest height and width that it takes.
pub const SSIM_WINDOW: usize = 11;

/// Standard deviation of the window, in pixels.
const WINDOW_STD: f64 = 1.5;
/// `(K1 L)^2` with `K1 = 0.01` and data range `L = 1`.
const C1: f64 = 1e-4;
/// `(K2 L)^2` with `K2 = 0.03` and data range `L = 1`.
const C2: f64 = 9e-4;

/// Mean structural similarity of each sample, at most 1, and 1 where the two images are equal.
///
/// As in the paper: a circular Gaussian window of 11 x 11 pixels and standard deviation 1.5, weights
/// that sum to 1, `K1 = 0.01`, `K2 = 0.03`, data range 1 for pixels in [0, 1], weighted moments
/// without Bessel's correction, and the mean over all windows that lie inside the image. Channels are
/// compared one by one and averaged.
///
/// Both images `[batch, channels, height, width]`; the result `[batch]`.
///
/// # Panics
///
/// Panics if the shapes differ, or if height or width is below [`SSIM_WINDOW`]: no window would lie
/// inside the image.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let image = Tensor::<4>::full([1, 3, 16, 16], 0.5, &Device::flex());
/// let similarity = tweedie_metrics::ssim(image.clone(), image).into_scalar::<f32>();
/// assert!((similarity - 1.0).abs() < 1e-6);
/// ```
pub fn ssim(estimate: Tensor<4>, reference: Tensor<4>) -> Tensor<1> {
    let [batch, channels, height, width] = estimate.dims();
    assert_eq!(
        estimate.dims(),
        reference.dims(),
        "estimate and reference must have one shape"
    );
    assert!(
        height >= SSIM_WINDOW && width >= SSIM_WINDOW,
        "images of {height} x {width} are smaller than the window of {SSIM_WINDOW} x {SSIM_WINDOW}"
    );
    // Second moments are taken around the mean of each plane, so that the differences below do not
    // cancel the digits of a small variance.
    let planes = |image: Tensor<4>| {
        let planes = image.reshape([batch * channels, 1, height, width]);
        let level = planes.clone().mean_dims(&[2, 3]);
        (planes - level.clone(), level)
    };
    let (x, x_level) = planes(estimate);
    let (y, y_level) = planes(reference);
    let moments = weighted_means(Tensor::cat(
        vec![
            x.clone(),
            y.clone(),
            x.clone().square(),
            y.clone().square(),
            x * y,
        ],
        1,
    ));
    let moment = |i: usize| moments.clone().narrow(1, i, 1);

    let variance_x = moment(2) - moment(0).square();
    let variance_y = moment(3) - moment(1).square();
    let covariance = moment(4) - moment(0) * moment(1);
    let mean_x = moment(0) + x_level;
    let mean_y = moment(1) + y_level;

    let numerator = (mean_x.clone() * mean_y.clone() * 2.0 + C1) * (covariance * 2.0 + C2);
    let denominator = (mean_x.square() + mean_y.square() + C1) * (variance_x + variance_y + C2);
    let map = numerator / denominator;
    let per_plane: Tensor<2> = map.flatten::<2>(1, 3).mean_dim(1);
    per_plane
        .reshape([batch, channels])
        .mean_dim(1)
        .squeeze_dim(1)
}

/// Means over the window around each pixel that has a whole one, for each channel by itself.
fn weighted_means(x: Tensor<4>) -> Tensor<4> {
    let [_, channels, _, _] = x.dims();
    let weights = gaussian_weights().repeat(channels);
    let options = || ConvOptions::new([1, 1], [0, 0], [1, 1], channels);
    let kernel = |shape: [usize; 4]| {
        Tensor::from_data(
            TensorData::new(weights.clone(), shape),
            (&x.device(), x.dtype()),
        )
    };
    let (vertical, horizontal) = (
        kernel([channels, 1, SSIM_WINDOW, 1]),
        kernel([channels, 1, 1, SSIM_WINDOW]),
    );
    conv2d(
        conv2d(x, vertical, None, options()),
        horizontal,
        None,
        options(),
    )
}

/// One axis of the window, which is the product of its axes.
fn gaussian_weights() -> Vec<f64> {
    let centre = (SSIM_WINDOW / 2) as f64;
    let weights = (0..SSIM_WINDOW).map(|i| {
        let distance = (i as f64 - centre) / WINDOW_STD;
        (-0.5 * distance * distance).exp()
    });
    let sum: f64 = weights.clone().sum();
    weights.map(|weight| weight / sum).collect()
}
