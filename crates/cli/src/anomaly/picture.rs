//! The sheet of a search: image, counterfactual, map, and the lesion's mask where it is known.

use std::path::Path;

use tweedie::{
    burn::tensor::Tensor,
    data::{Image, magma},
};

use crate::{
    failure::Outcome,
    overview::{coloured, enlarged},
    sheet::save_sheet,
};

/// Images shown.
const ROWS: usize = 6;

/// Writes one row for each of the first images. All maps have one scale: pale yellow is the largest value of those shown.
pub(super) fn save(
    images: &Tensor<4>,
    counterfactuals: &Tensor<4>,
    maps: &Tensor<4>,
    masks: Option<&Tensor<4>>,
    path: &Path,
) -> Outcome<()> {
    let rows = images.dims()[0].min(ROWS);
    let shown = |batch: &Tensor<4>| batch.clone().narrow(0, 0, rows);
    let maps = Image::unbatch(shown(maps))?;
    let largest = maps.iter().map(Image::maximum).fold(0.0, f32::max);
    let mut cells = Vec::new();
    for (row, map) in maps.iter().enumerate() {
        let cell = |batch: &Tensor<4>| coloured(batch.clone().narrow(0, row, 1));
        cells.push(cell(images));
        cells.push(cell(counterfactuals));
        cells.push(magma(map, largest).to_tensor(&images.device()));
        cells.extend(masks.map(cell));
    }
    let columns = cells.len() / rows;
    save_sheet(enlarged(Tensor::cat(cells, 0)), columns, path)
}
