//! Halving and doubling of images with a smoothing filter.
//!
//! With taps `f` that sum to 1, `down(x) = F x F^T` and `up(x) = 4 F^T x F`, where row `i` of `F` holds `f` from column
//! `2 i - padding` on: a filter, every second pixel of its result, and the transpose of both. What lies outside of the image is zero.
//! Karras et al. 2020, section 2 (`[1, 3, 3, 1]/8`), <https://arxiv.org/abs/1912.04958>; `[1, 1]/2` is the mean of 2 x 2
//! pixels and its transpose.
//!
//! A product with a matrix for each axis: every device multiplies matrices fast, and few convolve channel by channel fast.

use burn::tensor::{DType, Device, Tensor, TensorData};

use super::NcsnppKind;

/// A filter and how far it reaches beyond the image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filter {
    taps: &'static [f64],
    padding: usize,
}

impl Filter {
    /// That which keeps the image in its place.
    pub(super) fn of(kind: NcsnppKind) -> Self {
        let taps: &[f64] = match kind {
            NcsnppKind::Ncsn => &[0.125, 0.375, 0.375, 0.125],
            NcsnppKind::Ddpm => &[0.5, 0.5],
        };
        Self {
            taps,
            padding: (taps.len() - 1) / 2,
        }
    }

    /// How many pixels on each side it reads, beyond those that it keeps in their place.
    pub(super) fn padding(self) -> usize {
        self.padding
    }

    /// The same for images that already have these further pixels on each side.
    pub(super) fn within(self) -> Self {
        Self { padding: 0, ..self }
    }

    /// `[batch, channels, height, width]` to half the height and half the width.
    pub(super) fn down(self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let at = (&x.device(), x.dtype());
        let rows = self.matrix(self.halved(height), height, 1.0, at);
        let columns = self.matrix(self.halved(width), width, 1.0, at);
        sandwiched(rows, x, columns.transpose())
    }

    /// `[batch, channels, height, width]` to twice the height and twice the width.
    pub(super) fn up(self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let at = (&x.device(), x.dtype());
        let rows = self.matrix(height, 2 * height, 2.0, at);
        let columns = self.matrix(width, 2 * width, 2.0, at);
        sandwiched(rows.transpose(), x, columns)
    }

    fn halved(self, size: usize) -> usize {
        (size + 2 * self.padding - self.taps.len()) / 2 + 1
    }

    /// `F` times `scale`.
    fn matrix(
        self,
        rows: usize,
        columns: usize,
        scale: f64,
        (device, dtype): (&Device, DType),
    ) -> Tensor<2> {
        let mut entries = vec![0.0; rows * columns];
        for row in 0..rows {
            for (tap, value) in self.taps.iter().enumerate() {
                let column = (2 * row + tap).checked_sub(self.padding);
                if let Some(column) = column.filter(|&column| column < columns) {
                    entries[row * columns + column] = scale * value;
                }
            }
        }
        Tensor::from_data(TensorData::new(entries, [rows, columns]), (device, dtype))
    }
}

/// `left x right` for each channel of each image.
fn sandwiched(left: Tensor<2>, x: Tensor<4>, right: Tensor<2>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let [rows, columns] = [left.dims()[0], right.dims()[1]];
    let wide = x.reshape([batch * channels * height, width]).matmul(right);
    let wide = wide.reshape([batch * channels, height, columns]);
    left.unsqueeze::<3>()
        .matmul(wide)
        .reshape([batch, channels, rows, columns])
}
