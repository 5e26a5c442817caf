//! Coverage of pixel-wise credible intervals.
//!
//! The central interval of level `q` of `k` sorted draws is `[x_(h), x_(k+1-h)]` with `h = (k + 1)(1 - q)/2`, linear
//! between neighbours where `h` is no integer. A truth that follows the law of the draws and is independent of them
//! falls into each of the `k + 1` gaps with the same chance, so the interval holds it with probability `q`, however few
//! draws there are: exactly so for integer `h`.
//!
//! Hyndman & Fan 1996, definition 6, <https://doi.org/10.1080/00031305.1996.10473566>.

use burn::tensor::Tensor;

use crate::draws::{SortedDraws, assert_one_truth, order_statistic, read, whole_if_close};

/// How many of a number of tests found the truth in its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// Nominal chance of each test, in (0, 1).
    pub level: f64,
    /// Truths inside their intervals.
    pub covered: u64,
    /// All truths, at least 1.
    pub tests: u64,
}

impl Coverage {
    /// Observed fraction, to be compared with the level: lower where the sampler is over-confident.
    pub fn fraction(&self) -> f64 {
        self.covered as f64 / self.tests as f64
    }

    /// Standard deviation of [`fraction`](Self::fraction) over *independent* tests of an exact sampler,
    /// `sqrt(q (1 - q) / tests)`.
    ///
    /// Pixels of one image are rarely independent, and the fraction then varies more. One pixel or
    /// summary from each of many measurements is.
    pub fn standard_error(&self) -> f64 {
        (self.level * (1.0 - self.level) / self.tests as f64).sqrt()
    }

    /// Counts the tests of both.
    ///
    /// # Panics
    ///
    /// Panics if the levels differ.
    pub fn merge(self, other: Self) -> Self {
        assert_eq!(self.level, other.level, "coverages must have one level");
        Self {
            level: self.level,
            covered: self.covered + other.covered,
            tests: self.tests + other.tests,
        }
    }
}

/// Counts the pixels of the truth `[1, ...]` inside the central credible intervals of level `level`
/// of the draws `[draws, ...]`, ends included.
///
/// The intervals are those that hold one further draw with probability `level`, a little wider than
/// the ones between two [`quantiles`](crate::quantiles()): 50 exact draws cover 90 % on average, not
/// the 86.5 % that those would. They end at the smallest and the largest draw at most, so at least
/// `(1 + level)/(1 - level)` draws are needed: 19 for 90 %, 39 for 95 %.
///
/// # Panics
///
/// Panics if `level` is outside (0, 1), the truth has not the shape of one draw, there are too few
/// draws, a value is not a number, or the tensors cannot be read from their device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_metrics::coverage;
///
/// let mut rng = Rng::seeded(1, &Device::flex());
/// let draws: Tensor<4> = rng.normal([39, 1, 32, 32]);
/// let truth: Tensor<4> = rng.normal([1, 1, 32, 32]);
/// let coverage = coverage(truth, draws, 0.9);
/// assert!((coverage.fraction() - 0.9).abs() < 5.0 * coverage.standard_error());
/// ```
pub fn coverage<const D: usize>(truth: Tensor<D>, draws: Tensor<D>, level: f64) -> Coverage {
    assert!(
        level > 0.0 && level < 1.0,
        "the level must lie in (0, 1), found {level}"
    );
    assert_one_truth(&truth, &draws);
    let count = draws.dims()[0];
    let place = whole_if_close((count + 1) as f64 * (1.0 - level) / 2.0);
    assert!(
        place >= 1.0,
        "intervals of level {level} need at least {} draws, found {count}",
        whole_if_close((1.0 + level) / (1.0 - level)).ceil()
    );

    let truth = read(&truth);
    let sorted = SortedDraws::read(draws);
    let opposite = (count + 1) as f64 - place;
    let covered = sorted.pixels().zip(&truth).filter(|(pixel, truth)| {
        assert!(
            !(truth.is_nan() || pixel[0].is_nan() || pixel[count - 1].is_nan()),
            "a value of the truth or of a draw is not a number"
        );
        let interval = order_statistic(pixel, place)..=order_statistic(pixel, opposite);
        interval.contains(truth)
    });
    Coverage {
        level,
        covered: covered.count() as u64,
        tests: truth.len() as u64,
    }
}
