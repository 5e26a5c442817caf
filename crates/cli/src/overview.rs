//! One picture of a restoration: clean image, pseudo-inverse of the measurement, mean, standard deviation, samples.

use std::path::Path;

use tweedie::{
    burn::tensor::Tensor,
    data::{Image, magma},
};

use crate::{failure::Outcome, problem::Problem, sheet::save_sheet};

/// Samples shown.
const SAMPLES: usize = 4;

/// Least height of a cell in pixels: small images are enlarged to it.
const HEIGHT: usize = 128;

/// Writes the picture.
pub(crate) fn save(
    problem: &Problem,
    samples: &Tensor<4>,
    mean: &Tensor<4>,
    std: Option<Image>,
    path: &Path,
) -> Outcome<()> {
    let mut cells = Vec::new();
    cells.extend(problem.clean.clone().map(coloured));
    cells.push(coloured(problem.back_projection()));
    cells.push(coloured(mean.clone()));
    cells.extend(std.map(|picture| picture.to_tensor(&samples.device())));
    for row in 0..samples.dims()[0].min(SAMPLES) {
        cells.push(coloured(samples.clone().slice(row..row + 1)));
    }
    let count = cells.len();
    save_sheet(enlarged(Tensor::cat(cells, 0)), count, path)
}

/// A map in colours from black for 0 to pale yellow for its largest value.
pub(crate) fn painted(map: &Tensor<4>) -> Outcome<Image> {
    let shape = map.dims();
    let map = Image::new(shape[1], shape[2], shape[3], map.try_to_vec_as::<f32>()?)?;
    Ok(magma(&map, map.maximum()))
}

/// Grey as red, green and blue.
pub(crate) fn coloured(image: Tensor<4>) -> Tensor<4> {
    match image.dims()[1] {
        1 => image.repeat_dim(1, 3),
        _ => image,
    }
}

/// Each pixel as a square of pixels.
pub(crate) fn enlarged(images: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let factor = HEIGHT.div_ceil(height);
    images
        .reshape([batch, channels, height, 1, width, 1])
        .repeat_dim(3, factor)
        .repeat_dim(5, factor)
        .reshape([batch, channels, height * factor, width * factor])
}
