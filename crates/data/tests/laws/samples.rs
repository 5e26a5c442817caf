//! Small images with known pixels.

use tweedie_data::Image;

/// An image whose pixel at channel `c`, row `i`, column `j` is `value(c, i, j)`.
pub(crate) fn image_of(shape: [usize; 3], value: impl Fn(usize, usize, usize) -> f32) -> Image {
    let [channels, height, width] = shape;
    let mut pixels = Vec::new();
    for channel in 0..channels {
        for row in 0..height {
            pixels.extend((0..width).map(|column| value(channel, row, column)));
        }
    }
    Image::new(channels, height, width, pixels).unwrap()
}

/// An image in which every pixel differs from its neighbours, with values that 8 bits hold exactly.
pub(crate) fn ramp(shape: [usize; 3]) -> Image {
    let [_, height, width] = shape;
    image_of(shape, |c, i, j| {
        ((c * height + i) * width + j) as f32 % 256.0 / 255.0
    })
}
