//! What the procedural phantoms are made of: ellipses in the plane, and the pixels that see them.

use rand::RngExt;
use tweedie_core::Stream;

use crate::Image;

/// Points per pixel and axis.
const POINTS: usize = 4;

/// The points `centre + R(angle) diag(axes) u` with `|u| <= 1`.
pub(crate) struct Ellipse {
    centre: [f64; 2],
    axes: [f64; 2],
    cos: f64,
    sin: f64,
}

impl Ellipse {
    pub(crate) fn new(centre: [f64; 2], axes: [f64; 2], angle: f64) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self {
            centre,
            axes,
            cos,
            sin,
        }
    }

    pub(crate) fn contains(&self, x: f64, y: f64) -> bool {
        let [u, v] = self.inward(x, y);
        u * u + v * v <= 1.0
    }

    /// The `u` of a point.
    pub(crate) fn inward(&self, x: f64, y: f64) -> [f64; 2] {
        let [dx, dy] = [x - self.centre[0], y - self.centre[1]];
        [
            (self.cos * dx + self.sin * dy) / self.axes[0],
            (self.cos * dy - self.sin * dx) / self.axes[1],
        ]
    }

    /// The point whose `u` has this radius and direction.
    pub(crate) fn at(&self, radius: f64, direction: f64) -> [f64; 2] {
        let u = self.axes[0] * radius * direction.cos();
        let v = self.axes[1] * radius * direction.sin();
        [
            self.centre[0] + self.cos * u - self.sin * v,
            self.centre[1] + self.sin * u + self.cos * v,
        ]
    }
}

/// The image of `value_at(x, y)`, in [0, 1], with `x` to the right and `y` downwards, both in [-1, 1]: a pixel is the mean over 4 x 4
/// points spread evenly over it.
pub(crate) fn drawn(height: usize, width: usize, value_at: impl Fn(f64, f64) -> f64) -> Image {
    let place = |pixel: usize, point: usize, size: usize| {
        (2 * (pixel * POINTS + point) + 1) as f64 / (size * POINTS) as f64 - 1.0
    };
    let mut pixels = Vec::with_capacity(height * width);
    for row in 0..height {
        for column in 0..width {
            let mut sum = 0.0;
            for i in 0..POINTS {
                for j in 0..POINTS {
                    sum += value_at(place(column, j, width), place(row, i, height));
                }
            }
            pixels.push((sum / (POINTS * POINTS) as f64) as f32);
        }
    }
    Image::trusted([1, height, width], pixels)
}

pub(crate) fn uniform(rng: &mut Stream, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}
