//! The layers of a network on tensors of any device.
//!
//! On the flex device, in single and half precision, they run on the kernels of this crate, unless
//! [`Mode::Off`](crate::Mode::Off) is set; elsewhere on burn's own operations, whose results, gradients and refusals they share. Norms
//! and softmax of half precision are computed in single precision on every device.

mod attention;
mod convolution;
mod norm;
mod pixelwise;

use burn::tensor::{DType, Tensor};

pub use attention::attention;
pub use convolution::{conv_transpose2d, conv2d};
pub use norm::group_norm;
pub use pixelwise::{doubled, relu, silu};

/// The type, if it is one of half precision.
fn half(x: DType) -> Option<DType> {
    [DType::F16, DType::BF16].contains(&x).then_some(x)
}

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
