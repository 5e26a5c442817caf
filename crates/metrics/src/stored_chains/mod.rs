//! Convergence and error of Markov chains whose draws of one number were kept.
//!
//! Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021, Rank-normalization, folding, and localization: an improved
//! R-hat for assessing convergence of MCMC, <https://doi.org/10.1214/20-BA1221>. The numbers are those of ArviZ.

mod autocovariance;
mod geyer;
mod ranks;

use self::{
    autocovariance::autocovariance,
    geyer::effective_sample_size,
    ranks::{folded, normal_scores},
};
use crate::draws::order_statistic;

/// Draws a chain must have at least: two in each half.
const LEAST_DRAWS: usize = 4;

/// Chains of one number, of equal length, with what they tell of convergence.
///
/// Chains are split in halves before anything else, the middle draw of an odd number left out: so one chain can be
/// judged too, though several from different starts should be. Where nothing ever moved, R-hat is 1 and the effective
/// sample size is the number of draws; R-hat is infinite where chains stand still at different values.
///
/// ```
/// use tweedie_metrics::StoredChains;
///
/// # fn main() -> Result<(), tweedie_metrics::ChainsError> {
/// // Two chains that turn around zero, and one that does it elsewhere.
/// let chain = |offset: f64| (0..100).map(|t| offset + (f64::from(t) * 2.4).sin()).collect();
/// let chains: [Vec<f64>; 3] = [chain(0.0), chain(0.01), chain(5.0)];
/// assert!(StoredChains::new(&chains[..2])?.rank_rhat() < 1.01);
/// assert!(StoredChains::new(&chains)?.rank_rhat() > 1.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoredChains<'a> {
    chains: Vec<&'a [f64]>,
}

/// Why draws are no chains that can be judged.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainsError {
    /// There is no chain.
    #[error("expected at least one chain, found none")]
    None,
    /// The chains are too short.
    #[error("chains must have at least {expected} draws, found {found}")]
    TooShort {
        /// Draws that are needed of each.
        expected: usize,
        /// Draws of each.
        found: usize,
    },
    /// A chain has another length than the first.
    #[error(
        "chains must be of one length: the first has {expected} draws, chain {chain} has {found}"
    )]
    Length {
        /// Its index.
        chain: usize,
        /// Draws of the first.
        expected: usize,
        /// Its draws.
        found: usize,
    },
    /// A draw is not a finite number.
    #[error("draws must be finite, found {found} at draw {draw} of chain {chain}")]
    NotFinite {
        /// The index of its chain.
        chain: usize,
        /// Its index there.
        draw: usize,
        /// Its value.
        found: f64,
    },
}

impl<'a> StoredChains<'a> {
    /// Of the draws of each chain, in the order in which they came.
    ///
    /// # Errors
    ///
    /// If there is no chain, they are of different lengths or shorter than 4 draws, or a draw is not finite.
    pub fn new<C: AsRef<[f64]>>(chains: &'a [C]) -> Result<Self, ChainsError> {
        let chains: Vec<&[f64]> = chains.iter().map(AsRef::as_ref).collect();
        let expected = chains.first().ok_or(ChainsError::None)?.len();
        if expected < LEAST_DRAWS {
            return Err(ChainsError::TooShort {
                expected: LEAST_DRAWS,
                found: expected,
            });
        }
        for (chain, draws) in chains.iter().enumerate() {
            if draws.len() != expected {
                return Err(ChainsError::Length {
                    chain,
                    expected,
                    found: draws.len(),
                });
            }
            if let Some(draw) = draws.iter().position(|value| !value.is_finite()) {
                return Err(ChainsError::NotFinite {
                    chain,
                    draw,
                    found: draws[draw],
                });
            }
        }
        Ok(Self { chains })
    }

    /// R-hat of the half chains without ranks, `R^2 = (h - 1)/h + V/W`: `V` the variance of their means, `W` the mean
    /// of their variances, `h` their length. Needs a law with a variance.
    pub fn split_rhat(&self) -> f64 {
        rhat(&self.halves(&self.values()), self.half())
    }

    /// Rank-normalised split R-hat: the larger one of that of the normal scores of the ranks, which tells of places,
    /// and that of the distances from the median, which tells of scales. Should be at most 1.01.
    pub fn rank_rhat(&self) -> f64 {
        let halves = self.halves(&self.values());
        let place = rhat(&normal_scores(&halves), self.half());
        let distances = folded(&halves);
        if is_constant(&distances) {
            return place;
        }
        place.max(rhat(&normal_scores(&distances), self.half()))
    }

    /// Effective sample size of the mean, by Geyer's initial monotone sequence; at most `N log10 N` of `N` draws.
    pub fn ess(&self) -> f64 {
        self.ess_of(&self.values())
    }

    /// Effective sample size of the normal scores of the ranks: how well the bulk is known, whatever the law. Should be
    /// at least 100 a chain.
    pub fn bulk_ess(&self) -> f64 {
        effective_sample_size(&normal_scores(&self.halves(&self.values())), self.half())
    }

    /// The smaller one of the effective sample sizes of the chances to lie below the 5 % and the 95 % quantile.
    pub fn tail_ess(&self) -> f64 {
        let values = self.values();
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let below = |level: f64| {
            // Hyndman & Fan's definition 7.
            let place = 1.0 + level * (values.len() - 1) as f64;
            let quantile = order_statistic(&sorted, place);
            let indicators: Vec<f64> = values
                .iter()
                .map(|value| f64::from(u8::from(*value <= quantile)))
                .collect();
            self.ess_of(&indicators)
        };
        below(0.05).min(below(0.95))
    }

    /// Monte Carlo standard error of the mean, `s / sqrt(ESS)` with the standard deviation `s` of all draws.
    pub fn mcse(&self) -> f64 {
        let (_, variance) = moments(&self.values());
        (variance / self.ess()).sqrt()
    }

    /// Autocorrelation `c_k / c_0` at lags `0 .. n - 1` of chains of `n` draws, each whole chain around its own mean,
    /// `c_k = (1/n) sum_{t > k} (x_t - m)(x_{t-k} - m)` averaged over the chains. 0 beyond lag 0 where no chain ever
    /// moved.
    pub fn autocorrelation(&self) -> Vec<f64> {
        let covariance = autocovariance(&self.values(), self.chains[0].len());
        let variance = covariance[0];
        let rho = |(lag, covariance)| match lag {
            0 => 1.0,
            _ if variance == 0.0 => 0.0,
            _ => covariance / variance,
        };
        covariance.into_iter().enumerate().map(rho).collect()
    }

    /// All draws, chain after chain.
    fn values(&self) -> Vec<f64> {
        self.chains.concat()
    }

    /// Length of a half chain.
    fn half(&self) -> usize {
        self.chains[0].len() / 2
    }

    /// The halves of each chain, one after another, of values that lie chain after chain.
    fn halves(&self, values: &[f64]) -> Vec<f64> {
        let (length, half) = (self.chains[0].len(), self.half());
        let chains = values.chunks_exact(length);
        chains
            .flat_map(|chain| [&chain[..half], &chain[length - half..]])
            .flatten()
            .copied()
            .collect()
    }

    fn ess_of(&self, values: &[f64]) -> f64 {
        effective_sample_size(&self.halves(values), self.half())
    }
}

/// Of chains of `length` draws, one after another.
fn rhat(values: &[f64], length: usize) -> f64 {
    if is_constant(values) {
        return 1.0;
    }
    let chains = values.chunks_exact(length).map(moments);
    let (means, variances): (Vec<f64>, Vec<f64>) = chains.unzip();
    let within = variances.iter().sum::<f64>() / variances.len() as f64;
    let (_, between) = moments(&means);
    (between / within + 1.0 - 1.0 / length as f64).sqrt()
}

/// Mean and unbiased variance; of values that are all the same, exactly.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let origin = values[0];
    let shift = values.iter().map(|value| value - origin).sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - origin - shift).powi(2));
    (origin + shift, squares.sum::<f64>() / (count - 1.0))
}

fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|value| *value == values[0])
}
