//! Energy score of whole images.
//!
//! `ES = E||X - y|| - E||X - X'||/2`, estimated without bias from `k` draws by
//!
//! `(1/k) sum_i ||x_i - y|| - 1/(2 k (k - 1)) sum_ij ||x_i - x_j||`.
//!
//! Gneiting & Raftery 2007, eq. (22) with `beta = 1`, <https://doi.org/10.1198/016214506000001437>.

use burn::tensor::Tensor;

use crate::draws::{assert_one_truth, read, rows};

/// Fair energy score of the draws `[draws, ...]` for the truth `[1, ...]`, with the Euclidean norm over
/// all that is not the first axis. Smaller is better.
///
/// A proper score: its mean over truths is smallest for draws from their own law. On one pixel it is
/// the [`crps`](crate::crps()). Takes `draws^2 / 2` distances, in `f64` on the host.
///
/// # Panics
///
/// Panics if there are fewer than 2 draws, the truth has not the shape of one draw, or the tensors
/// cannot be read from their device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let draws = Tensor::<2>::from_data([[3.0, 0.0], [0.0, 4.0]], &device);
/// let truth = Tensor::<2>::from_data([[0.0, 0.0]], &device);
/// // (3 + 4)/2 - 5/2
/// assert_eq!(tweedie_metrics::energy_score(truth, draws), 1.0);
/// ```
pub fn energy_score<const D: usize>(truth: Tensor<D>, draws: Tensor<D>) -> f64 {
    assert_one_truth(&truth, &draws);
    let (count, pixels) = rows(&draws);
    assert!(
        count >= 2,
        "the score needs at least 2 draws, found {count}"
    );
    let (truth, draws) = (read(&truth), read(&draws));
    let draw = |i: usize| &draws[i * pixels..(i + 1) * pixels];
    let (mut error, mut spread) = (0.0, 0.0);
    for i in 0..count {
        error += distance(draw(i), &truth);
        spread += (0..i).map(|j| distance(draw(i), draw(j))).sum::<f64>();
    }
    let k = count as f64;
    error / k - spread / (k * (k - 1.0))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f64>().sqrt()
}
