//! From a list of images to a tensor, for burn's data loader.

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::{Device, Tensor};

use crate::Image;

/// Stacks images of one shape into a tensor `[batch, channels, height, width]`.
///
/// Every dataset of this crate yields images of one shape.
///
/// ```
/// use burn::data::dataloader::batcher::Batcher;
/// use burn::tensor::Device;
/// use tweedie_data::{ImageBatcher, Phantoms};
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let phantoms = Phantoms::new(0, 2, 32, 32)?;
/// let batch = ImageBatcher.batch(vec![phantoms.image(0), phantoms.image(1)], &Device::flex());
/// assert_eq!(batch.dims(), [2, 1, 32, 32]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// `batch` panics if it is given no images, or images of different shapes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImageBatcher;

impl Batcher<Image, Tensor<4>> for ImageBatcher {
    fn batch(&self, items: Vec<Image>, device: &Device) -> Tensor<4> {
        Image::batch(&items, device).unwrap_or_else(|error| panic!("{error}"))
    }
}
