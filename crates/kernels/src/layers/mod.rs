//! The layers of a network on tensors of any device.
//!
//! On the flex device, in single precision, they run on the kernels of this crate, unless [`Mode::Off`](crate::Mode::Off) is
//! set; elsewhere on burn's own operations, whose results, gradients and refusals they share.

mod attention;
mod convolution;
mod norm;
mod pixelwise;

use burn::tensor::Tensor;

pub use attention::attention;
pub use convolution::{conv_transpose2d, conv2d};
pub use norm::group_norm;
pub use pixelwise::{doubled, relu, silu};

/// Refuses a tensor that holds not a number for each channel, the same for all images or one for each.
fn check_rows(name: &str, rows: Option<&Tensor<2>>, batch: usize, channels: usize) {
    if let Some(rows) = rows {
        let [rows, columns] = rows.dims();
        assert!(
            [1, batch].contains(&rows) && columns == channels,
            "a {name} of shape [{rows}, {columns}] for {batch} images of {channels} channels"
        );
    }
}
