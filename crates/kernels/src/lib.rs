//! Fast CPU kernels for the layers of networks, as a backend extension of burn.
//!
//! A network calls the functions of this crate in the place of burn's layers. On the flex device, in single and half
//! precision, they run on kernels for AVX-512, AVX2 or what the compiler's own vectors give, on all of rayon's threads, with
//! gradients on burn's tape; on any other device and in any other type they are burn's operations. [`set_mode`] switches them for
//! the process. In half precision norms and softmax are computed in single precision everywhere.
//!
//! | on tensors | on slices |
//! |---|---|
//! | [`conv2d`], [`conv_transpose2d`], for modules [`convolved`], [`convolved_plus`], [`transpose_convolved`] | [`conv`] |
//! | [`group_norm`], for modules [`normalised`] | [`norm`] |
//! | [`attention`](fn@attention) | [`attention`](mod@attention) |
//! | [`silu`], [`relu`], [`doubled`] | [`elementwise`] |
//! | [`AdamW`], [`blended`] | [`optim`] |
//! | all, in half precision | [`half`] |
//!
//! Results equal those of burn to rounding; an image's do not depend on its batch, nor on the number of threads.
//!
//! ```
//! use burn::nn::conv::Conv2dConfig;
//! use burn::tensor::{Device, Tensor};
//! use tweedie_kernels::{convolved, silu};
//!
//! let device = Device::flex();
//! let layer = Conv2dConfig::new([3, 8], [3, 3]).init(&device);
//! let y = silu(convolved(&layer, Tensor::ones([2, 3, 9, 9], &device)));
//! assert_eq!(y.dims(), [2, 8, 7, 7]);
//! ```

pub mod attention;
pub mod conv;
pub mod elementwise;
#[cfg(feature = "flex")]
mod extension;
mod gemm;
pub mod half;
mod layers;
mod mode;
mod modules;
pub mod norm;
pub mod optim;
mod optimiser;
mod scratch;
mod shared;
mod simd;

pub use layers::{attention, conv_transpose2d, conv2d, doubled, group_norm, relu, silu};
pub use mode::{Mode, mode, set_mode};
pub use modules::{convolved, convolved_plus, normalised, transpose_convolved};
pub use optimiser::{AdamW, blended};
pub use simd::Level;
