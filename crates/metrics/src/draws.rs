//! Draws on the host, pixel by pixel.

use burn::tensor::Tensor;

/// All values of a tensor in `f64`, in row-major order.
pub(crate) fn read<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor
        .try_to_vec_as::<f64>()
        .expect("the values can be read from their device")
}

/// The draws of each pixel in ascending order; not a number comes first or last, by its sign.
pub(crate) struct SortedDraws {
    count: usize,
    /// Pixel after pixel, `count` values each.
    values: Vec<f64>,
}

impl SortedDraws {
    /// Reads `[draws, ...]` back once.
    pub(crate) fn read<const D: usize>(draws: Tensor<D>) -> Self {
        let (count, pixels) = rows(&draws);
        Self::sort(count, read(&draws.reshape([count, pixels]).transpose()))
    }

    /// Of `count` draws that lie one after another.
    pub(crate) fn of_rows(count: usize, draws: &[f64]) -> Self {
        let pixels = draws.len() / count;
        let across = |pixel| draws.iter().skip(pixel).step_by(pixels).copied();
        Self::sort(count, (0..pixels).flat_map(across).collect())
    }

    fn sort(count: usize, mut values: Vec<f64>) -> Self {
        for pixel in values.chunks_exact_mut(count) {
            pixel.sort_unstable_by(f64::total_cmp);
        }
        Self { count, values }
    }

    /// Draws of each pixel.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The value of each pixel at a 1-based place, linear between neighbours; not a number if one of the draws is not.
    pub(crate) fn at(&self, place: f64) -> impl Iterator<Item = f64> {
        self.pixels().map(move |pixel| {
            if pixel[0].is_nan() || pixel[pixel.len() - 1].is_nan() {
                f64::NAN
            } else {
                order_statistic(pixel, place)
            }
        })
    }

    /// Pixel by pixel, in row-major order.
    pub(crate) fn pixels(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.count)
    }
}

/// Number of rows and length of each.
///
/// # Panics
///
/// Panics if either is 0.
pub(crate) fn rows<const D: usize>(tensor: &Tensor<D>) -> (usize, usize) {
    let shape = tensor.dims();
    let (count, len) = (shape[0], shape[1..].iter().product());
    assert!(
        count > 0 && len > 0,
        "expected values to compare, found the shape {shape:?}"
    );
    (count, len)
}

/// # Panics
///
/// Panics unless `truth` is `[1, ...]` for draws `[draws, ...]`.
pub(crate) fn assert_one_truth<const D: usize>(truth: &Tensor<D>, draws: &Tensor<D>) {
    let mut expected = draws.dims();
    expected[0] = 1;
    assert_eq!(
        truth.dims(),
        expected,
        "the truth must have the shape of one draw"
    );
}

/// The value at the 1-based place `place` of sorted values, linear between neighbours.
pub(crate) fn order_statistic(sorted: &[f64], place: f64) -> f64 {
    let below = place.floor();
    let (index, fraction) = (below as usize - 1, place - below);
    if fraction == 0.0 {
        sorted[index]
    } else {
        sorted[index] + fraction * (sorted[index + 1] - sorted[index])
    }
}

/// `20 (1 - 0.9) / 2` is 1, but not in floating point.
pub(crate) fn whole_if_close(x: f64) -> f64 {
    let whole = x.round();
    if (x - whole).abs() <= 1e-9 * whole {
        whole
    } else {
        x
    }
}
