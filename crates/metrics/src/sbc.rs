//! Simulation-based calibration: are ranks of the truth among posterior draws uniform?
//!
//! For a truth from the prior, its measurement, and `L` independent draws from the posterior, the rank
//! `#{l : f(x_l) < f(truth)}` of any scalar summary `f` is uniform on `0..=L`.
//!
//! Talts, Betancourt, Simpson, Vehtari & Gelman 2018, theorem 1 and algorithm 1, <https://arxiv.org/abs/1804.06788>.

use burn::tensor::Tensor;

use crate::chi_square::ChiSquare;
use crate::draws::read;

/// Ranks of the truth among a fixed number of draws, counted over many tests.
///
/// A histogram that is high at both ends tells of draws that spread too little, high in the middle of
/// too much, and a slope of a bias. Draws of one test must be independent of each other, and tests
/// too: use one summary of each measurement (a pixel, a mean, an inner product). The summary must have
/// a continuous law, since ties have no uniform rank.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_metrics::SbcRanks;
///
/// let mut rng = Rng::seeded(1, &Device::flex());
/// let mut ranks = SbcRanks::new(19);
/// let all: Tensor<2> = rng.normal([1000, 20]);
/// ranks.update(all.clone().narrow(1, 0, 1).squeeze_dim(1), all.narrow(1, 1, 19));
/// assert_eq!(ranks.tests(), 1000);
/// assert!(ranks.uniformity(10).p_value() > 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SbcRanks {
    /// Of each rank from 0 to the number of draws.
    counts: Vec<u64>,
}

impl SbcRanks {
    /// No ranks yet, among `draws` draws a test.
    ///
    /// # Panics
    ///
    /// Panics if `draws` is 0.
    pub fn new(draws: usize) -> Self {
        assert!(draws > 0, "ranks need at least one draw a test");
        Self {
            counts: vec![0; draws + 1],
        }
    }

    /// Counts the summaries of the truths, `[tests]`, among those of their draws, `[tests, draws]`.
    ///
    /// # Panics
    ///
    /// Panics if the shapes are not these with the number of draws given to [`new`](Self::new), if a
    /// value is not a number, or if the tensors cannot be read from their device.
    pub fn update(&mut self, truth: Tensor<1>, draws: Tensor<2>) {
        let draws_per_test = self.counts.len() - 1;
        assert_eq!(
            draws.dims(),
            [truth.dims()[0], draws_per_test],
            "draws must be [tests, draws]"
        );
        let (truth, draws) = (read(&truth), read(&draws));
        assert!(
            truth.iter().chain(&draws).all(|value| !value.is_nan()),
            "a summary is not a number"
        );
        for (truth, draws) in truth.iter().zip(draws.chunks_exact(draws_per_test)) {
            let rank = draws.iter().filter(|draw| *draw < truth).count();
            self.counts[rank] += 1;
        }
    }

    /// How often each rank came, from 0 to the number of draws.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Number of tests so far.
    pub fn tests(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Counts in `bins` bins of equally many ranks.
    ///
    /// # Panics
    ///
    /// Panics unless `bins` divides the number of ranks, which is the number of draws plus 1.
    pub fn histogram(&self, bins: usize) -> Vec<u64> {
        let ranks = self.counts.len();
        assert!(
            bins > 0 && ranks.is_multiple_of(bins),
            "the number of bins must divide the {ranks} ranks, found {bins}"
        );
        self.counts
            .chunks_exact(ranks / bins)
            .map(|bin| bin.iter().sum())
            .collect()
    }

    /// Tests the [`histogram`](Self::histogram) for equal chances, with `bins - 1` degrees of freedom.
    ///
    /// The p-value holds for many tests: with 5 or more expected in each bin it is good.
    ///
    /// # Panics
    ///
    /// Panics if there is no test yet, `bins` is below 2, or it does not divide the number of ranks.
    pub fn uniformity(&self, bins: usize) -> ChiSquare {
        assert!(bins >= 2, "a histogram of {bins} bins is always uniform");
        assert!(self.tests() > 0, "no ranks were counted yet");
        ChiSquare::of_equal_chances(&self.histogram(bins))
    }
}
