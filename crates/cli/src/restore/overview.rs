//! One picture of a restoration: clean image, pseudo-inverse of the measurement, mean, standard deviation, samples.

use std::path::Path;

use tweedie::{burn::tensor::Tensor, data::Image, samplers::Draws};

use super::problem::Problem;
use crate::{failure::Outcome, sheet::save_sheet};

/// Samples shown.
const SAMPLES: usize = 4;

/// Least height of a cell in pixels: small images are enlarged to it.
const HEIGHT: usize = 128;

/// Writes the picture.
pub(super) fn save(
    problem: &Problem,
    samples: &Tensor<4>,
    draws: &Draws,
    std: Option<Image>,
    path: &Path,
) -> Outcome<()> {
    let mut cells = Vec::new();
    cells.extend(problem.clean.clone().map(coloured));
    cells.push(coloured(problem.back_projection()));
    cells.push(coloured(draws.mean.clone()));
    cells.extend(std.map(|picture| picture.to_tensor(&samples.device())));
    for row in 0..samples.dims()[0].min(SAMPLES) {
        cells.push(coloured(samples.clone().slice(row..row + 1)));
    }
    let count = cells.len();
    save_sheet(enlarged(Tensor::cat(cells, 0)), count, path)
}

/// Grey as red, green and blue.
fn coloured(image: Tensor<4>) -> Tensor<4> {
    match image.dims()[1] {
        1 => image.repeat_dim(1, 3),
        _ => image,
    }
}

/// Each pixel as a square of pixels.
fn enlarged(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let factor = HEIGHT.div_ceil(height);
    images
        .reshape([batch, channels, height, 1, width, 1])
        .repeat_dim(3, factor)
        .repeat_dim(5, factor)
        .reshape([batch, channels, height * factor, width * factor])
}
