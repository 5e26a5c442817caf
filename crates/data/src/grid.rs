//! Several images in one, for sample grids and trajectory strips.

use crate::image::common_shape;
use crate::{DataError, Image};

/// Value of the lines between images and of empty cells: white, which stands out from the black
/// background of digits and phantoms.
const PADDING: f32 = 1.0;

/// Lays images of one shape out in rows of `columns`, `padding` white pixels apart.
///
/// Image `i` is in row `i / columns`, column `i % columns`. There is no outer border; cells that the
/// last row leaves empty are white. `columns >= images.len()` gives a single strip.
///
/// # Errors
///
/// No images, images of different shapes, or no columns.
///
/// ```
/// use tweedie_data::{Image, grid};
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let dark = Image::new(1, 8, 8, vec![0.0; 64])?;
/// let sheet = grid(&vec![dark; 5], 3, 2)?;
/// assert_eq!(sheet.shape(), [1, 8 + 2 + 8, 8 + 2 + 8 + 2 + 8]);
/// # Ok(())
/// # }
/// ```
pub fn grid(images: &[Image], columns: usize, padding: usize) -> Result<Image, DataError> {
    let [channels, height, width] = common_shape(images)?;
    if columns == 0 {
        return Err(DataError::ZeroSetting { setting: "columns" });
    }
    let columns = columns.min(images.len());
    let rows = images.len().div_ceil(columns);
    let full_height = rows * height + (rows - 1) * padding;
    let full_width = columns * width + (columns - 1) * padding;

    let mut pixels = vec![PADDING; channels * full_height * full_width];
    for (i, image) in images.iter().enumerate() {
        let top = i / columns * (height + padding);
        let left = i % columns * (width + padding);
        for (line, source) in image.pixels().chunks_exact(width).enumerate() {
            let (channel, row) = (line / height, line % height);
            let start = (channel * full_height + top + row) * full_width + left;
            pixels[start..start + width].copy_from_slice(source);
        }
    }
    Ok(Image::trusted([channels, full_height, full_width], pixels))
}
