//! Measures by the features of trained networks: [`lpips()`] of pairs of images and [`fid()`] of sets of them.
//!
//! The networks are burn's. Their weights are read from PyTorch's own files, which the caller fetches: [`load_lpips`]
//! and [`load_inception`] say which. Nothing here opens a connection.
//!
//! ```no_run
//! use burn::tensor::{Device, Tensor};
//! use tweedie_metrics::perceptual::{LpipsNet, fid, load_inception, load_lpips, lpips};
//!
//! # fn main() -> Result<(), tweedie_metrics::perceptual::PerceptualError> {
//! let device = Device::flex();
//! let (images, references) = (
//!     Tensor::<4>::full([8, 3, 64, 64], 0.4, &device),
//!     Tensor::<4>::full([8, 3, 64, 64], 0.5, &device),
//! );
//! let network = load_lpips(LpipsNet::Alex, "alexnet-owt-4df8aa71.pth", "alex.pth", &device)?;
//! let distances = lpips(&network, images.clone(), references.clone());
//! assert_eq!(distances.dims(), [8]);
//!
//! let network = load_inception("pt-inception-2015-12-05-6726825d.pth", &device)?;
//! let distance = fid(&network, images, references);
//! assert!(distance >= 0.0);
//! # Ok(())
//! # }
//! ```

mod fid;
mod lpips;
mod weights;

use burn::tensor::Tensor;

pub use self::fid::{INCEPTION_FEATURES, fid, inception_features};
pub use self::lpips::lpips;
pub use self::weights::{PerceptualError, load_inception, load_lpips};
pub use burn_train::metric::vision::{
    InceptionV3FeatureExtractor, Lpips, LpipsConfig, LpipsNet, get_backbone_weights_url,
    get_lpips_weights_url,
};

/// The three channels that the networks take: a grey image has three equal ones.
fn colour(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    assert!(
        channels == 1 || channels == 3,
        "images must have 1 or 3 channels, found {channels}"
    );
    images.expand([batch, 3, height, width])
}
