//! Sliced Wasserstein distances between two sets of samples.
//!
//! On a line, the optimal coupling is the one in order of size, so that
//! `W_p(x, y)^p = int_0^1 |Q_x(u) - Q_y(u)|^p du` with the empirical quantile functions. Over unit directions `theta`,
//!
//! `SW_p^p = E_theta W_p(theta . x, theta . y)^p`, `max-SW_p = max_theta W_p(theta . x, theta . y)`.
//!
//! Bonneel, Rabin, Peyre & Pfister 2015, <https://doi.org/10.1007/s10851-014-0506-3>; Deshpande et al. 2019,
//! <https://arxiv.org/abs/1904.05877>.

use burn::tensor::Tensor;
use tweedie_core::Rng;

use crate::draws::{read, rows};

/// Sliced Wasserstein distance of order `order` (1, 2, ..), the average over `directions` random unit
/// directions.
///
/// Samples `[n, ...]` and `[m, ...]`, each with weight `1/n` or `1/m`; `n` and `m` may differ. Direction
/// `i` comes from the stream of row `i`: more directions keep those of fewer. Both sets are read back
/// once, and everything is in `f64` on the host: `directions (n + m)(d + log(n + m))` operations.
///
/// Two sets from one law are not at distance 0, but at about `n^{-1/2}` times their spread: compare
/// with two exact sets of the same sizes.
///
/// # Panics
///
/// Panics if a set is empty, the shapes of the samples differ, `order` or `directions` is 0, or the
/// tensors cannot be read from their device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_metrics::sliced_wasserstein;
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_data([[0.0], [1.0]], &device);
/// let y = Tensor::<2>::from_data([[4.0], [2.0], [3.0]], &device);
/// let distance = sliced_wasserstein(x, y, 1, 8, &mut Rng::seeded(1, &device));
/// assert!((distance - 2.5).abs() < 1e-6);
/// ```
pub fn sliced_wasserstein<const D: usize>(
    x: Tensor<D>,
    y: Tensor<D>,
    order: u32,
    directions: usize,
    rng: &mut Rng,
) -> f64 {
    let pair = Pair::read(x, y, order);
    let costs = pair.random_directions(directions, rng);
    let costs = costs.map(|direction| pair.couple(&direction, |_, _, _, _| ()));
    pair.root(costs.sum::<f64>() / directions as f64)
}

/// Max-sliced Wasserstein distance of order `order` (1, 2, ..): a lower bound of the maximum over all
/// directions, reached by climbing from the best of `directions` random ones.
///
/// A step goes to the unit vector along the gradient, `sum_ij w_ij |d_ij|^{p-1} sign(d_ij) (x_i - y_j)` with
/// `d_ij = theta . (x_i - y_j)` and the coupling `w` of this direction, as long as the distance grows. The end is a
/// local maximum, or a corner near one where two couplings meet; more random directions make the global one likelier.
/// Never below the average that [`sliced_wasserstein`] takes over the same directions. Samples, reading and order as
/// there.
///
/// # Panics
///
/// As [`sliced_wasserstein`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_metrics::max_sliced_wasserstein;
///
/// let mut rng = Rng::seeded(1, &Device::flex());
/// let x: Tensor<2> = rng.normal([50, 16]);
/// // A shift of every sample by 0.5 in each of 16 coordinates has the length 2.
/// let distance = max_sliced_wasserstein(x.clone() + 0.5, x, 2, 4, &mut rng);
/// assert!((distance - 2.0).abs() < 1e-5);
/// ```
pub fn max_sliced_wasserstein<const D: usize>(
    x: Tensor<D>,
    y: Tensor<D>,
    order: u32,
    directions: usize,
    rng: &mut Rng,
) -> f64 {
    let pair = Pair::read(x, y, order);
    let mut best = (f64::NEG_INFINITY, Vec::new());
    for direction in pair.random_directions(directions, rng) {
        let cost = pair.couple(&direction, |_, _, _, _| ());
        // A cost that is not a number stays: it is found here or it is found in no direction.
        if cost.is_nan() {
            return cost;
        }
        if cost > best.0 {
            best = (cost, direction);
        }
    }
    while let Some(direction) = pair.uphill(&best.1) {
        let cost = pair.couple(&direction, |_, _, _, _| ());
        // Below this growth the rest is rounding, and the loop would not end.
        if cost <= best.0 * (1.0 + 1e-12) {
            break;
        }
        best = (cost, direction);
    }
    pair.root(best.0)
}

/// Two sets of samples of one dimension.
struct Pair {
    x: Vec<f64>,
    y: Vec<f64>,
    dimension: usize,
    order: i32,
}

impl Pair {
    fn read<const D: usize>(x: Tensor<D>, y: Tensor<D>, order: u32) -> Self {
        assert_eq!(
            x.dims()[1..],
            y.dims()[1..],
            "samples of both sets must have one shape"
        );
        assert!(order >= 1, "the order must be at least 1, found {order}");
        let (_, dimension) = rows(&x);
        rows(&y);
        Self {
            x: read(&x),
            y: read(&y),
            dimension,
            order: order as i32,
        }
    }

    /// Uniform on the unit sphere.
    fn random_directions(
        &self,
        directions: usize,
        rng: &mut Rng,
    ) -> impl Iterator<Item = Vec<f64>> + use<> {
        assert!(directions > 0, "at least one direction is needed");
        let dimension = self.dimension;
        let normal = read(&rng.normal([directions, dimension]));
        (0..directions).map(move |i| {
            let direction = normal[i * dimension..(i + 1) * dimension].to_vec();
            normalised(direction).expect("normal numbers are not all zero")
        })
    }

    /// `W_p^p` along a direction. `visit` sees each pair of coupled samples: the rows of both, the
    /// difference of their projections, and their weight.
    fn couple(&self, direction: &[f64], mut visit: impl FnMut(usize, usize, f64, f64)) -> f64 {
        let (x, y) = (projected(&self.x, direction), projected(&self.y, direction));
        // In units of 1/(n m) all ends of weights are whole numbers.
        let (n, m) = (x.len(), y.len());
        let (mut i, mut j, mut start) = (0, 0, 0);
        let mut cost = 0.0;
        while i < n && j < m {
            let (end_x, end_y) = ((i + 1) * m, (j + 1) * n);
            let end = end_x.min(end_y);
            let weight = (end - start) as f64 / (n * m) as f64;
            let ((x, row_x), (y, row_y)) = (x[i], y[j]);
            cost += weight * (x - y).abs().powi(self.order);
            visit(row_x, row_y, x - y, weight);
            start = end;
            i += usize::from(end == end_x);
            j += usize::from(end == end_y);
        }
        cost
    }

    /// Unit vector along the gradient of `W_p^p`; `None` where it vanishes.
    fn uphill(&self, direction: &[f64]) -> Option<Vec<f64>> {
        let mut gradient = vec![0.0; self.dimension];
        self.couple(direction, |i, j, difference, weight| {
            if difference == 0.0 {
                return;
            }
            let factor = weight * difference.abs().powi(self.order - 1) * difference.signum();
            let x = &self.x[i * self.dimension..(i + 1) * self.dimension];
            let y = &self.y[j * self.dimension..(j + 1) * self.dimension];
            for ((slope, x), y) in gradient.iter_mut().zip(x).zip(y) {
                *slope += factor * (x - y);
            }
        });
        normalised(gradient)
    }

    fn root(&self, cost: f64) -> f64 {
        cost.powf(1.0 / f64::from(self.order))
    }
}

/// Projections of all rows with their row numbers, in ascending order.
fn projected(rows: &[f64], direction: &[f64]) -> Vec<(f64, usize)> {
    let mut projections: Vec<(f64, usize)> = rows
        .chunks_exact(direction.len())
        .map(|row| row.iter().zip(direction).map(|(a, b)| a * b).sum())
        .zip(0..)
        .collect();
    projections.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    projections
}

fn normalised(mut vector: Vec<f64>) -> Option<Vec<f64>> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    if !(length > 0.0 && length.is_finite()) {
        return None;
    }
    vector.iter_mut().for_each(|value| *value /= length);
    Some(vector)
}
