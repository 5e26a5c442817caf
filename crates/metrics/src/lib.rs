//! Image quality and sample quality measures.
//!
//! [`mse`], [`psnr`] and [`ssim`] compare batches of images with their references, one number per
//! sample. [`Welford`] keeps the pixelwise mean and variance of draws that arrive in batches.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_metrics::{Welford, psnr, ssim};
//!
//! let device = Device::flex();
//! let reference = Tensor::<4>::full([1, 1, 16, 16], 0.5, &device);
//! let mut draws = Welford::default();
//! draws.update(Tensor::full([3, 1, 16, 16], 0.4, &device));
//! draws.update(Tensor::full([3, 1, 16, 16], 0.6, &device));
//! let mean = draws.mean().expect("six draws were counted");
//! assert!(psnr(mean.clone(), reference.clone(), 1.0).into_scalar::<f32>() > 60.0);
//! assert!(ssim(mean, reference).into_scalar::<f32>() > 0.999);
//! ```

mod psnr;
mod ssim;
mod welford;

pub use psnr::{mse, psnr};
pub use ssim::{SSIM_WINDOW, ssim};
pub use welford::Welford;
