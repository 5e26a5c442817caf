//! PNG and JPEG files.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{
    DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader,
};
use serde::{Deserialize, Serialize};

use crate::{DataError, Image, jpeg};

/// The colours of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channels {
    /// One channel. Colour files are reduced by the luma of Rec. 601 on the stored values,
    /// `0.299 R + 0.587 G + 0.114 B`, as in the published grey-scale benchmarks.
    Grey,
    /// Three channels: red, green, blue. Grey files are repeated.
    Rgb,
}

impl Image {
    /// Reads a PNG or JPEG file of 8 or 16 bits per channel: value 0 becomes 0, the largest 1.
    ///
    /// The format is recognised by content, not by name. A camera's orientation tag is applied. An
    /// alpha channel that is opaque everywhere is dropped. With `channels: None` the image keeps the
    /// colours of the file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is no PNG or JPEG, is damaged or truncated, or has transparent
    /// pixels.
    ///
    /// ```no_run
    /// use tweedie_data::{Channels, Image};
    ///
    /// # fn main() -> Result<(), tweedie_data::DataError> {
    /// let photograph = Image::load("kodim01.png", Some(Channels::Grey))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn load(path: impl AsRef<Path>, channels: Option<Channels>) -> Result<Self, DataError> {
        Ok(planar(&decode(path.as_ref())?, channels))
    }

    /// Writes an 8-bit PNG file: values are clamped to [0, 1] and rounded to the nearest of 256.
    ///
    /// # Errors
    ///
    /// An image of neither 1 nor 3 channels, or a file that cannot be written. Folders are not
    /// created.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        let path = path.as_ref();
        let color = match self.channels() {
            1 => ExtendedColorType::L8,
            3 => ExtendedColorType::Rgb8,
            found => {
                let expected = "1 (grey) or 3 (red, green, blue) for a PNG file";
                return Err(DataError::ChannelCount { found, expected });
            }
        };
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(
                &interleaved(self),
                self.width() as u32,
                self.height() as u32,
                color,
            )
            .map_err(|source| DataError::Encode {
                path: path.into(),
                source,
            })?;
        fs::write(path, file).map_err(|source| DataError::Write {
            path: path.into(),
            source,
        })
    }
}

/// 8-bit values in row, column, channel order.
fn interleaved(image: &Image) -> Vec<u8> {
    let bytes = image.to_bytes();
    let plane = image.height() * image.width();
    (0..plane)
        .flat_map(|pixel| bytes.iter().skip(pixel).step_by(plane).copied())
        .collect()
}

/// The upright, opaque image in a file.
pub(crate) fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let file = fs::read(path).map_err(|source| DataError::Read {
        path: path.into(),
        source,
    })?;
    let format = match image::guess_format(&file) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => format,
        _ => return Err(DataError::NotAnImage { path: path.into() }),
    };
    if format == ImageFormat::Jpeg && !jpeg::is_complete(&file) {
        return Err(DataError::TruncatedJpeg {
            path: path.into(),
            bytes: file.len(),
        });
    }
    let image = decode_upright(&file, format).map_err(|source| DataError::Decode {
        path: path.into(),
        source,
    })?;
    if image.color().has_alpha() && image.to_rgba16().pixels().any(|pixel| pixel[3] != u16::MAX) {
        return Err(DataError::Transparent { path: path.into() });
    }
    Ok(image)
}

fn decode_upright(file: &[u8], format: ImageFormat) -> image::ImageResult<DynamicImage> {
    let mut decoder = ImageReader::with_format(Cursor::new(file), format).into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// A decoded image with one plane per channel.
pub(crate) fn planar(image: &DynamicImage, channels: Option<Channels>) -> Image {
    let coloured = image.color().has_color();
    let shape = |channels| [channels, image.height() as usize, image.width() as usize];
    match channels.unwrap_or(if coloured {
        Channels::Rgb
    } else {
        Channels::Grey
    }) {
        Channels::Grey if coloured => {
            let rgb = image.to_rgb32f();
            let luma = rgb
                .pixels()
                .map(|p| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]);
            Image::trusted(shape(1), luma.collect())
        }
        Channels::Grey => Image::trusted(shape(1), image.to_luma32f().into_raw()),
        Channels::Rgb if coloured => {
            let rgb = image.to_rgb32f();
            let planes = (0..3).flat_map(|channel| rgb.pixels().map(move |pixel| pixel[channel]));
            Image::trusted(shape(3), planes.collect())
        }
        Channels::Rgb => Image::trusted(shape(3), image.to_luma32f().into_raw().repeat(3)),
    }
}
