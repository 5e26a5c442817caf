//! Continuous ranked probability score, pixel by pixel.
//!
//! `CRPS = E|X - y| - E|X - X'|/2`, estimated without bias from `k` draws by
//!
//! `(1/k) sum_i |x_i - y| - 1/(2 k (k - 1)) sum_ij |x_i - x_j|`.
//!
//! Gneiting & Raftery 2007, eq. (21), <https://doi.org/10.1198/016214506000001437>; the fair form of Ferro 2014,
//! <https://doi.org/10.1002/qj.2270>.

use burn::tensor::Tensor;

use crate::draws::{SortedDraws, assert_one_truth, read};

/// Mean over all pixels of the fair CRPS of the draws `[draws, ...]` for the truth `[1, ...]`, in the
/// unit of the pixels. Smaller is better.
///
/// A proper score: its mean over truths is smallest for draws from their own law, whatever the number
/// of draws, so that samplers with unequal numbers can be compared. Of one truth alone it may be
/// negative. Each pixel is judged by itself; [`energy_score`](crate::energy_score()) sees how they go together.
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
/// let draws = Tensor::<2>::from_data([[0.0], [2.0]], &device);
/// let truth = Tensor::<2>::from_data([[3.0]], &device);
/// // (3 + 1)/2 - 2/2
/// assert_eq!(tweedie_metrics::crps(truth, draws), 1.0);
/// ```
pub fn crps<const D: usize>(truth: Tensor<D>, draws: Tensor<D>) -> f64 {
    assert_one_truth(&truth, &draws);
    let count = draws.dims()[0];
    assert!(
        count >= 2,
        "the score needs at least 2 draws, found {count}"
    );
    let truth = read(&truth);
    let sorted = SortedDraws::read(draws);
    let k = count as f64;
    let scores = sorted.pixels().zip(&truth).map(|(pixel, truth)| {
        let (mut error, mut spread) = (0.0, 0.0);
        for (i, draw) in pixel.iter().enumerate() {
            let difference = draw - truth;
            error += difference.abs();
            // Of all pairs, draw i is the larger one in i and the smaller one in k - 1 - i.
            spread += (2.0 * i as f64 - (k - 1.0)) * difference;
        }
        error / k - spread / (k * (k - 1.0))
    });
    scores.sum::<f64>() / truth.len() as f64
}
