//! Images in and out, datasets and procedural phantoms.
//!
//! An [`Image`] is one sample: channels, height, width, and `f32` pixels in [0, 1]. It comes from a
//! PNG or JPEG file ([`Image::load`]), from a tensor ([`Image::unbatch`]) or from a dataset:
//!
//! | dataset | what it holds |
//! |---|---|
//! | [`Phantoms`] | endless random-ellipse head phantoms of any size, drawn from a seed |
//! | [`LesionPhantoms`] | endless head phantoms of two classes: healthy, and with a lesion whose place is known |
//! | [`Idx`] | MNIST, Fashion-MNIST and others in IDX files |
//! | [`Cifar10`] | CIFAR-10 in its binary batches |
//! | [`ImageFolder`] | a folder of PNG and JPEG files, resized, cropped and flipped |
//!
//! Every dataset implements burn's [`Dataset`](burn::data::dataset::Dataset), is a function of its
//! files, its seed and the index alone, and reads its files when it is opened: a damaged file is an
//! error by name before training starts. With [`ImageBatcher`], burn's own data loader does the rest. What is trained on is an
//! [`Example`]: an image, with its class where it has one.
//!
//! ```
//! use burn::data::dataloader::DataLoaderBuilder;
//! use burn::tensor::Device;
//! use tweedie_data::{ImageBatcher, Phantoms};
//!
//! # fn main() -> Result<(), tweedie_data::DataError> {
//! let loader = DataLoaderBuilder::new(ImageBatcher)
//!     .batch_size(4)
//!     .shuffle(0)
//!     .set_device(Device::flex())
//!     .build(Phantoms::new(0, 10, 32, 32)?);
//! let sizes: Vec<usize> = loader.iter().map(|batch| batch.unwrap().dims()[0]).collect();
//! assert_eq!(sizes, [4, 4, 2]);
//! # Ok(())
//! # }
//! ```

mod batcher;
mod bytes;
mod cifar10;
mod ellipse;
mod error;
mod example;
mod file;
mod folder;
mod grid;
mod idx;
mod image;
mod jpeg;
mod lesions;
mod magma;
mod phantoms;

pub use batcher::ImageBatcher;
pub use bytes::Split;
pub use cifar10::Cifar10;
pub use error::DataError;
pub use example::{Example, ExampleBatch, ExampleBatcher, Labelled, Unlabelled};
pub use file::Channels;
pub use folder::{Crop, ImageFolder, ImageFolderConfig, Resize};
pub use grid::grid;
pub use idx::Idx;
pub use image::Image;
pub use lesions::{LesionPhantoms, Planted};
pub use magma::magma;
pub use phantoms::Phantoms;
