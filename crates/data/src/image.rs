//! One image on the host, and its way to tensors and back.

use burn::tensor::{Device, Tensor, TensorData};

use crate::DataError;

/// One image: `channels x height x width` finite values, row-major, black 0 to white 1.
///
/// Values outside [0, 1] are allowed, since samples and estimates have them; they are clamped when
/// the image is saved.
///
/// ```
/// use burn::tensor::Device;
/// use tweedie_data::Image;
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let image = Image::new(1, 2, 3, vec![0.0, 0.1, 0.2, 0.3, 0.4, 0.5])?;
/// let tensor = image.to_tensor(&Device::flex());
/// assert_eq!(tensor.dims(), [1, 1, 2, 3]);
/// assert_eq!(Image::unbatch(tensor)?, [image]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    shape: [usize; 3],
    pixels: Vec<f32>,
}

impl Image {
    /// An image from its values in channel, row, column order.
    ///
    /// # Errors
    ///
    /// A size of zero, a number of values that does not fit, a value that is not finite.
    pub fn new(
        channels: usize,
        height: usize,
        width: usize,
        pixels: Vec<f32>,
    ) -> Result<Self, DataError> {
        if channels == 0 || height == 0 || width == 0 {
            return Err(DataError::EmptyImage {
                channels,
                height,
                width,
            });
        }
        let count = channels
            .checked_mul(height)
            .and_then(|rows| rows.checked_mul(width));
        if count != Some(pixels.len()) {
            let found = pixels.len();
            return Err(DataError::PixelCount {
                channels,
                height,
                width,
                found,
            });
        }
        if let Some(position) = pixels.iter().position(|value| !value.is_finite()) {
            return Err(DataError::NotFinite {
                value: pixels[position],
                channel: position / (height * width),
                row: position / width % height,
                column: position % width,
            });
        }
        Ok(Self {
            shape: [channels, height, width],
            pixels,
        })
    }

    /// An image whose size is known to fit and whose values are known to be finite.
    pub(crate) fn trusted(shape: [usize; 3], pixels: Vec<f32>) -> Self {
        debug_assert_eq!(pixels.len(), shape.iter().product::<usize>());
        Self { shape, pixels }
    }

    /// An image from 8-bit values, 0 to 255, in channel, row, column order.
    pub(crate) fn from_bytes(shape: [usize; 3], bytes: &[u8]) -> Self {
        Self::trusted(
            shape,
            bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect(),
        )
    }

    /// The nearest 8-bit values, clamped to [0, 255], in channel, row, column order.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.pixels
            .iter()
            .map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
            .collect()
    }

    /// Number of channels: 1 for grey, 3 for red, green and blue.
    pub fn channels(&self) -> usize {
        self.shape[0]
    }

    /// Number of rows.
    pub fn height(&self) -> usize {
        self.shape[1]
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.shape[2]
    }

    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// All values in channel, row, column order.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// The largest value.
    pub fn maximum(&self) -> f32 {
        self.pixels
            .iter()
            .copied()
            .fold(f32::NEG_INFINITY, f32::max)
    }

    /// The image as a batch of one, `[1, channels, height, width]`, in the device's float type.
    pub fn to_tensor(&self, device: &Device) -> Tensor<4> {
        let [channels, height, width] = self.shape;
        let data = TensorData::new(self.pixels.clone(), [1, channels, height, width]);
        Tensor::from_data(data, device)
    }

    /// Images of one shape as a batch, `[images, channels, height, width]`.
    ///
    /// # Errors
    ///
    /// No images, or images of different shapes.
    pub fn batch(images: &[Self], device: &Device) -> Result<Tensor<4>, DataError> {
        let [channels, height, width] = common_shape(images)?;
        let mut values = Vec::with_capacity(images.len() * channels * height * width);
        for image in images {
            values.extend_from_slice(&image.pixels);
        }
        let data = TensorData::new(values, [images.len(), channels, height, width]);
        Ok(Tensor::from_data(data, device))
    }

    /// The images of a batch `[batch, channels, height, width]`, read back to the host.
    ///
    /// # Errors
    ///
    /// A value that is not finite, or an empty batch or image.
    pub fn unbatch(batch: Tensor<4>) -> Result<Vec<Self>, DataError> {
        let [count, channels, height, width] = batch.dims();
        if count == 0 {
            return Err(DataError::NoImages);
        }
        let values: Vec<f32> = batch.into_data().iter().collect();
        let size = channels * height * width;
        (0..count)
            .map(|i| {
                Self::new(
                    channels,
                    height,
                    width,
                    values[i * size..(i + 1) * size].to_vec(),
                )
            })
            .collect()
    }

    /// The part of `height x width` pixels whose upper left corner is at `(top, left)`.
    pub(crate) fn crop(&self, top: usize, left: usize, height: usize, width: usize) -> Self {
        let [channels, full_height, full_width] = self.shape;
        let mut pixels = Vec::with_capacity(channels * height * width);
        for channel in 0..channels {
            for row in top..top + height {
                let start = (channel * full_height + row) * full_width + left;
                pixels.extend_from_slice(&self.pixels[start..start + width]);
            }
        }
        Self::trusted([channels, height, width], pixels)
    }

    /// The mirror image: left becomes right.
    pub(crate) fn flip(mut self) -> Self {
        let width = self.width();
        self.pixels
            .chunks_exact_mut(width)
            .for_each(<[f32]>::reverse);
        self
    }
}

/// The shape that all images share.
pub(crate) fn common_shape(images: &[Image]) -> Result<[usize; 3], DataError> {
    let expected = images.first().ok_or(DataError::NoImages)?.shape;
    match images.iter().position(|image| image.shape != expected) {
        Some(index) => Err(DataError::ShapeMismatch {
            index,
            found: images[index].shape,
            expected,
        }),
        None => Ok(expected),
    }
}
