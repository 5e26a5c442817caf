//! The colour map *magma*, for standard-deviation and error maps.
//!
//! Smith & van der Walt 2015 (public domain, CC0), <https://bids.github.io/colormap/>. Here: 17 of
//! its 256 entries, joined by straight lines; no entry is off by more than 3 of 255 levels.

use crate::Image;

const ANCHORS: [[u8; 3]; 17] = [
    [0, 0, 4],
    [10, 8, 34],
    [29, 17, 71],
    [54, 16, 107],
    [81, 18, 124],
    [106, 28, 129],
    [131, 38, 129],
    [156, 46, 127],
    [183, 55, 121],
    [207, 64, 112],
    [229, 80, 100],
    [244, 105, 92],
    [251, 135, 97],
    [254, 165, 113],
    [254, 194, 135],
    [253, 224, 161],
    [252, 253, 191],
];

/// Paints a map of non-negative values in colours: 0 is black, `maximum` and above pale yellow.
///
/// In the colour map *magma* lightness rises evenly from black over purple and orange to pale yellow,
/// so equal steps of the value look equal, also in grey print and to colour-blind readers.
///
/// A map of several channels is first reduced to the root of the mean square over its channels, which
/// for standard deviations is the root of the mean variance. Pass [`Image::maximum`] to use the
/// whole scale, or one number for several maps to make them comparable; the picture alone does not
/// show the scale, so state `maximum` beside it. If `maximum` is not positive, the picture is black.
///
/// ```
/// use tweedie_data::{Image, magma};
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let deviation = Image::new(1, 1, 3, vec![0.0, 0.1, 0.2])?;
/// let picture = magma(&deviation, deviation.maximum());
/// assert_eq!(picture.shape(), [3, 1, 3]);
/// # Ok(())
/// # }
/// ```
pub fn magma(map: &Image, maximum: f32) -> Image {
    let plane = map.height() * map.width();
    let mut pixels = vec![0.0; 3 * plane];
    for position in 0..plane {
        let values = map.pixels().iter().skip(position).step_by(plane);
        let mean_square = values.map(|value| value * value).sum::<f32>() / map.channels() as f32;
        for (channel, value) in color(mean_square.sqrt(), maximum).into_iter().enumerate() {
            pixels[channel * plane + position] = value;
        }
    }
    Image::trusted([3, map.height(), map.width()], pixels)
}

fn color(value: f32, maximum: f32) -> [f32; 3] {
    let share = if maximum > 0.0 {
        (value / maximum).clamp(0.0, 1.0)
    } else {
        0.0
    };
    let place = share * (ANCHORS.len() - 1) as f32;
    let below = (place as usize).min(ANCHORS.len() - 2);
    let weight = place - below as f32;
    std::array::from_fn(|channel| {
        let [low, high] = [below, below + 1].map(|i| f32::from(ANCHORS[i][channel]));
        (low + weight * (high - low)) / 255.0
    })
}
