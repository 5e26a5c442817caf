//! How the output is cut into tiles of 4 x 4 pixels, and the tiles into blocks that one thread works on.

use super::transform::OUT;
use crate::conv::Convolution;
use crate::gemm::balanced;

/// A rectangle of tiles, of one image or of several whole ones: tile `t` is that of column `t % columns`, row
/// `t / columns % rows`, image `t / columns / rows`, all counted from the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) image: usize,
    pub(super) images: usize,
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) column: usize,
    pub(super) columns: usize,
}

impl Block {
    pub(super) fn tiles(&self) -> usize {
        self.images * self.rows * self.columns
    }
}

/// The most columns of a block: its pixels, 66 with the border, are a few whole vectors.
const COLUMNS: usize = 16;

/// The output of `c` in blocks of at most `most` tiles, a few more where rows are short.
pub(super) fn blocks(c: &Convolution, most: usize) -> Vec<Block> {
    let [rows, columns] = c.output_size().map(|len| len.div_ceil(OUT));
    let most_columns = if columns <= COLUMNS + COLUMNS / 4 {
        columns
    } else {
        COLUMNS
    };
    let widest = most_columns.min(most).max(1);
    let most_rows = (most / widest).max(1);
    let whole = columns <= widest && rows <= most_rows;
    let most_images = if whole {
        (most / (rows * columns)).max(1)
    } else {
        1
    };
    let mut all = Vec::new();
    for (image, images) in balanced(c.batch, most_images) {
        for (row, rows) in balanced(rows, most_rows) {
            for (column, columns) in balanced(columns, widest) {
                all.push(Block {
                    image,
                    images,
                    row,
                    rows,
                    column,
                    columns,
                });
            }
        }
    }
    all
}
