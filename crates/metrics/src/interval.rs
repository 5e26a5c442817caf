//! Pixel-wise credible intervals.

use burn::tensor::Tensor;

use crate::{Coverage, draws::read};

/// Levels of the two quantiles between which the central interval of level `level` lies,
/// `(1 - level)/2` and `(1 + level)/2`.
///
/// # Panics
///
/// Panics if `level` is outside (0, 1).
pub fn tails(level: f64) -> [f64; 2] {
    assert!(
        level > 0.0 && level < 1.0,
        "the level must lie in (0, 1), found {level}"
    );
    [0.5 - 0.5 * level, 0.5 + 0.5 * level]
}

/// A credible interval of each pixel.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_metrics::Interval;
///
/// let image = |level: f64| Tensor::<4>::full([1, 1, 2, 2], level, &Device::flex());
/// let interval = Interval { level: 0.9, lower: image(0.2), upper: image(0.6) };
/// assert_eq!(interval.coverage(image(0.3)).fraction(), 1.0);
/// assert_eq!(interval.coverage(image(0.7)).fraction(), 0.0);
/// ```
#[derive(Clone, Debug)]
pub struct Interval<const D: usize = 4> {
    /// Its nominal chance to hold the truth, in (0, 1).
    pub level: f64,
    /// Where it begins, `[1, ...]`.
    pub lower: Tensor<D>,
    /// Where it ends, of the same shape.
    pub upper: Tensor<D>,
}

impl<const D: usize> Interval<D> {
    /// `upper - lower`.
    pub fn width(&self) -> Tensor<D> {
        self.upper.clone() - self.lower.clone()
    }

    /// Counts the pixels of the truth `[1, ...]` inside, ends included.
    ///
    /// # Panics
    ///
    /// Panics if the shapes differ, a value is not a number, or the tensors cannot be read from their
    /// device.
    pub fn coverage(&self, truth: Tensor<D>) -> Coverage {
        for end in [&self.lower, &self.upper] {
            assert_eq!(
                truth.dims(),
                end.dims(),
                "the truth must have the shape of the interval"
            );
        }
        let [truth, lower, upper] = [&truth, &self.lower, &self.upper].map(read);
        let ends = lower.iter().zip(&upper);
        let covered = truth.iter().zip(ends).filter(|(truth, (lower, upper))| {
            assert!(
                !(truth.is_nan() || lower.is_nan() || upper.is_nan()),
                "a value of the truth or of the interval is not a number"
            );
            (*lower..=*upper).contains(truth)
        });
        Coverage {
            level: self.level,
            covered: covered.count() as u64,
            tests: truth.len() as u64,
        }
    }
}
