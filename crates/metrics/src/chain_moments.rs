//! Moments of Markov chains that arrive draw by draw, and what they tell of convergence, in constant memory.
//!
//! Of each of `m` chains the `n` draws so far are kept as at most a fixed number of consecutive batches of `b` draws,
//! with their means and sums of squared deviations. When all are full, neighbours merge and `b` doubles.
//!
//! - Split R-hat: `R^2 = (h - 1)/h + V/W` over the `2 m` half chains of `h` draws, `W` the mean of their variances and
//!   `V` the variance of their means. Gelman et al., Bayesian Data Analysis, 3rd ed., 2013, section 11.4; without the
//!   ranks of Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021, <https://doi.org/10.1214/20-BA1221>.
//! - Error of the mean of all draws: `e^2 = max(b V_b / n, V_m) / m` with the variance `V_b` of batch means around the
//!   mean of their chain, `m (a - 1)` degrees of freedom for `a` batches a chain, and the variance `V_m` of the means
//!   of the `m` chains. The first is the method of batch means, Flegal & Jones 2010,
//!   <https://doi.org/10.1214/09-AOS735>, and sees what decorrelates within a batch; the second sees chains that stand
//!   in different places. Batch means around a mean of all chains would see this too, but count each batch
//!   as an independent draw of where chains stand: chains that never meet would be worth at least `m a` draws.
//! - `ESS = s^2 / e^2` with the variance `s^2` of all draws.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::{
    moments::{Moments, MomentsRecord},
    record::{RecordError, data, require, tensor, tensor_like},
};

/// Batches of [`ChainMoments::default`].
const BATCHES: usize = 32;
/// Batches a chain that the method of batch means is given at least.
const LEAST: usize = 4;
/// Draws a chain from which on there is an effective sample size: [`LEAST`] batches as long as there are of them.
const LEAST_DRAWS: u64 = (LEAST * LEAST) as u64;

/// Streaming moments of Markov chains, elementwise, with split R-hat and effective sample size.
///
/// Holds at most `2 batches + 3` tensors of the size of one draw of all chains, however many draws there are, two more
/// while it is updated, and up to half as many as there are batches more while a result is computed. An update takes
/// four elementwise passes over the draws, and nothing is read back from the device.
///
/// All results are `[1, ...]`. A pixel that never moved has R-hat 1, as many effective draws as draws, and an error
/// of 0; chains that never moved but stand at different values have an infinite R-hat and no more effective draws than
/// there are chains.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_metrics::ChainMoments;
///
/// let mut rng = Rng::seeded(0, &Device::flex());
/// let mut chains = ChainMoments::<2>::default();
/// for _ in 0..500 {
///     chains.update(rng.normal([4, 10]));
/// }
/// assert_eq!((chains.chains(), chains.draws()), (4, 500));
/// let r_hat = chains.split_rhat().unwrap();
/// assert_eq!(r_hat.dims(), [1, 10]);
/// assert!(r_hat.max().into_scalar::<f32>() < 1.02);
/// assert!(chains.ess().unwrap().min().into_scalar::<f32>() > 400.0);
/// ```
#[derive(Clone, Debug)]
pub struct ChainMoments<const D: usize = 4> {
    /// Even.
    batches: usize,
    /// Draws of a full batch, a power of two.
    length: u64,
    /// Fewer than `batches`.
    full: Vec<Moments<D>>,
    open: Option<Sums<D>>,
}

/// Sums of the differences of draws from the first of them, of one shape.
#[derive(Clone, Debug)]
struct Sums<const D: usize> {
    count: u64,
    origin: Tensor<D>,
    sum: Tensor<D>,
    squares: Tensor<D>,
}

impl<const D: usize> Default for ChainMoments<D> {
    fn default() -> Self {
        Self::new(BATCHES)
    }
}

impl<const D: usize> ChainMoments<D> {
    /// No draws yet, and room for `batches` batches; [`default`](Self::default) has 32. From that many draws on, at
    /// least half of them are full: fewer take less memory, more make the error of the mean more certain.
    ///
    /// # Panics
    ///
    /// Panics unless `batches` is even and at least 8.
    pub fn new(batches: usize) -> Self {
        assert!(
            is_room(batches),
            "the number of batches must be even and at least {}, found {batches}",
            2 * LEAST
        );
        Self {
            batches,
            length: 1,
            full: Vec::new(),
            open: None,
        }
    }

    /// Counts one draw of each chain, `[chains, ...]`.
    ///
    /// # Panics
    ///
    /// Panics if there is no chain, or if the shape differs from that of earlier draws.
    pub fn update(&mut self, draws: Tensor<D>) {
        let shape = draws.dims();
        assert!(shape[0] > 0, "at least one chain is needed");
        if let Some(earlier) = self.like() {
            assert_eq!(earlier.dims(), shape, "draws must have one shape");
        }
        let open = match self.open.take() {
            Some(sums) => sums.add(draws),
            None => Sums::of(draws),
        };
        if open.count < self.length {
            self.open = Some(open);
            return;
        }
        self.full.push(open.moments());
        if self.full.len() == self.batches {
            self.full = in_pairs(std::mem::take(&mut self.full), Moments::merge);
            self.length *= 2;
        }
    }

    /// Number of chains; 0 before the first draw.
    pub fn chains(&self) -> usize {
        self.like().map_or(0, |draws| draws.dims()[0])
    }

    /// Draws of each chain so far.
    pub fn draws(&self) -> u64 {
        self.full.len() as u64 * self.length + self.open.as_ref().map_or(0, |sums| sums.count)
    }

    /// Mean over all chains and draws; `None` before the first.
    pub fn mean(&self) -> Option<Tensor<D>> {
        Some(self.of_chains()?.pool().mean)
    }

    /// Variance of all draws of all chains around the mean of all, `S / (N - 1)`; `None` before there are two.
    pub fn variance(&self) -> Option<Tensor<D>> {
        let pooled = self.of_chains()?.pool();
        (pooled.count > 1).then(|| pooled.variance())
    }

    /// Square root of [`variance`](Self::variance).
    pub fn std(&self) -> Option<Tensor<D>> {
        self.variance().map(Tensor::sqrt)
    }

    /// Split R-hat: the first and the last half of the full batches of each chain. Close to 1 where all agree; above
    /// 1.01 they should not be trusted. `None` before the fourth draw.
    ///
    /// The middle batch of an odd number, and the last one until it is full, are left out. With room for 32 batches
    /// each draw is a batch up to draw 31, each pair up to draw 63, and so on: less than one draw in nine is left out.
    pub fn split_rhat(&self) -> Option<Tensor<D>> {
        let half = self.full.len() / 2;
        if half as u64 * self.length < 2 {
            return None;
        }
        let first = merged(&self.full[..half])?;
        let last = merged(&self.full[self.full.len() - half..])?;
        let within = Tensor::cat(vec![first.variance(), last.variance()], 0).mean_dim(0);
        let between = Moments::of(Tensor::cat(vec![first.mean, last.mean], 0)).variance();
        let still = within.clone().equal_elem(0.0);
        let equal = between.clone().equal_elem(0.0);
        let rest = 1.0 - 1.0 / first.count as f64;
        let rhat = (between / within + rest).sqrt();
        Some(
            rhat.mask_fill(still.clone(), f64::INFINITY)
                .mask_fill(still.bool_and(equal), 1.0),
        )
    }

    /// Effective sample size of the mean: how many independent draws would tell as much; at most `N log10 N` of `N`
    /// draws of all chains, the cap of Vehtari et al. for chains that are better than independent draws. `None` before
    /// draw 16.
    ///
    /// Batches are merged until they are at least `sqrt(n)` draws long, or fewer than 8 are left. A chain must be many
    /// times as long as its autocorrelation time before any estimate from it can know that time: batches that are
    /// shorter than the time promise too much. Of chains that agree, the larger one of two estimates of the error tells
    /// of an eighth too few effective draws on average.
    pub fn ess(&self) -> Option<Tensor<D>> {
        self.spread_and_ess().map(|(_, ess)| ess)
    }

    /// Monte Carlo standard error of the mean, `s / sqrt(ESS)`; `None` before draw 16.
    pub fn mcse(&self) -> Option<Tensor<D>> {
        let (variance, ess) = self.spread_and_ess()?;
        Some((variance / ess).sqrt())
    }

    /// Its state, from which [`ChainMomentsRecord::restore`] continues bit for bit.
    ///
    /// # Panics
    ///
    /// Panics if the state cannot be read from its device.
    pub fn record(&self) -> ChainMomentsRecord {
        ChainMomentsRecord {
            batches: self.batches,
            length: self.length,
            full: self.full.iter().map(Moments::record).collect(),
            open: self.open.as_ref().map(Sums::record),
        }
    }

    /// A tensor like the draws.
    fn like(&self) -> Option<&Tensor<D>> {
        let open = self.open.as_ref().map(|sums| &sums.origin);
        open.or_else(|| self.full.first().map(|moments| &moments.mean))
    }

    /// Of all draws of each chain, `[chains, ...]`.
    fn of_chains(&self) -> Option<Moments<D>> {
        let open = self.open.clone().map(Sums::moments);
        match (merged(&self.full), open) {
            (Some(full), Some(open)) => Some(full.merge(open)),
            (full, open) => full.or(open),
        }
    }

    /// The variance of all draws, and how many independent ones tell as much of the mean.
    fn spread_and_ess(&self) -> Option<(Tensor<D>, Tensor<D>)> {
        let draws = self.draws();
        if draws < LEAST_DRAWS {
            return None;
        }
        let of_chains = self.of_chains()?;
        let chains = Moments::of(of_chains.mean.clone());
        let mut error = self.error_within()?;
        if chains.count > 1 {
            error = error.max_pair(chains.variance());
        }
        let error = error / chains.count as f64;
        let pooled = of_chains.pool();
        let (count, variance) = (pooled.count as f64, pooled.variance());
        let still = variance.clone().equal_elem(0.0);
        let cap = count * count.log10();
        let ess = variance.clone() / error.max_pair(variance.clone() / cap);
        Some((variance, ess.mask_fill(still, count)))
    }

    /// Variance of the mean of a chain by batch means, `b V_b / n`.
    fn error_within(&self) -> Option<Tensor<D>> {
        let draws = self.draws();
        let mut length = self.length;
        let mut means: Vec<_> = self.full.iter().map(|batch| batch.mean.clone()).collect();
        while (length as f64).powi(2) < draws as f64 && means.len() >= 2 * LEAST {
            means = in_pairs(means, |a, b| a.clone() + (b - a) * 0.5);
            length *= 2;
        }
        let mut means = means.into_iter();
        let first = Sums::of(means.next()?);
        let batches = means.fold(first, Sums::add).moments();
        Some(batches.variance().mean_dim(0) * (length as f64 / draws as f64))
    }
}

impl<const D: usize> Sums<D> {
    fn of(draws: Tensor<D>) -> Self {
        let zeros = draws.zeros_like();
        Self {
            count: 1,
            sum: zeros.clone(),
            squares: zeros,
            origin: draws,
        }
    }

    fn add(self, draws: Tensor<D>) -> Self {
        let difference = draws - self.origin.clone();
        Self {
            count: self.count + 1,
            origin: self.origin,
            sum: self.sum + difference.clone(),
            squares: self.squares + difference.square(),
        }
    }

    fn moments(self) -> Moments<D> {
        if self.count == 1 {
            return Moments {
                count: 1,
                mean: self.origin,
                squares: self.squares,
            };
        }
        let shift = self.sum.clone() / self.count as f64;
        // Of draws that are almost equal the difference may be below 0 by rounding.
        let squares = (self.squares - self.sum * shift.clone()).clamp_min(0.0);
        Moments {
            count: self.count,
            mean: self.origin + shift,
            squares,
        }
    }

    fn record(&self) -> SumsRecord {
        SumsRecord {
            count: self.count,
            origin: data(&self.origin),
            sum: data(&self.sum),
            squares: data(&self.squares),
        }
    }
}

/// The first and the second merged, the third and the fourth, and so on; an odd last one is dropped.
fn in_pairs<T>(items: Vec<T>, merge: impl Fn(T, T) -> T) -> Vec<T> {
    let mut items = items.into_iter();
    let mut pairs = Vec::with_capacity(items.len() / 2);
    while let (Some(a), Some(b)) = (items.next(), items.next()) {
        pairs.push(merge(a, b));
    }
    pairs
}

fn merged<const D: usize>(batches: &[Moments<D>]) -> Option<Moments<D>> {
    batches.iter().cloned().reduce(Moments::merge)
}

fn is_room(batches: usize) -> bool {
    batches >= 2 * LEAST && batches.is_multiple_of(2)
}

/// The state of [`ChainMoments`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainMomentsRecord {
    /// How many batches there is room for: even, and at least 8.
    pub batches: usize,
    /// Draws of a full batch, a power of two.
    pub length: u64,
    /// The full batches, in the order of time, each `[chains, ...]`.
    pub full: Vec<MomentsRecord>,
    /// The batch that is not full, if it has a draw.
    pub open: Option<SumsRecord>,
}

/// Sums of the differences of draws from the first of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumsRecord {
    /// Number of draws, the first included.
    pub count: u64,
    /// The first draw.
    pub origin: TensorData,
    /// Sum of the differences from it.
    pub sum: TensorData,
    /// Sum of their squares.
    pub squares: TensorData,
}

impl ChainMomentsRecord {
    /// The statistic whose record this is.
    ///
    /// # Errors
    ///
    /// If the record is of draws of another rank or type, or damaged.
    pub fn restore<const D: usize>(self, device: &Device) -> Result<ChainMoments<D>, RecordError> {
        let Self {
            batches,
            length,
            full,
            open,
        } = self;
        require(is_room(batches), "batches", "even and at least 8")?;
        let valid = length.is_power_of_two() && length <= 1 << 32;
        require(valid, "length", "a power of two up to 2^32")?;
        let least = if length == 1 { 0 } else { batches / 2 };
        let valid = (least..batches).contains(&full.len());
        require(valid, "full", "as many batches as their length tells")?;
        let full = full.into_iter().map(|batch| batch.restore(device));
        let full = full.collect::<Result<Vec<Moments<D>>, _>>()?;
        let open = open.map(|sums| sums.restore(device)).transpose()?;
        let restored = ChainMoments {
            batches,
            length,
            full,
            open,
        };
        restored.require_consistency()?;
        Ok(restored)
    }
}

impl<const D: usize> ChainMoments<D> {
    fn require_consistency(&self) -> Result<(), RecordError> {
        let Some(like) = self.like() else {
            return Ok(());
        };
        let like = (like.dims(), like.dtype());
        for batch in &self.full {
            require(batch.count == self.length, "count", "that of a full batch")?;
            let alike = (batch.mean.dims(), batch.mean.dtype()) == like;
            require(alike, "full", "batches of one shape and type")?;
        }
        let open = self.open.as_ref().map_or(0, |sums| sums.count);
        require(open < self.length, "open", "a batch that is not full")
    }
}

impl SumsRecord {
    fn restore<const D: usize>(self, device: &Device) -> Result<Sums<D>, RecordError> {
        require(self.count > 0, "count", "above 0")?;
        let origin: Tensor<D> = tensor("origin", self.origin, device)?;
        Ok(Sums {
            count: self.count,
            sum: tensor_like("sum", self.sum, &origin)?,
            squares: tensor_like("squares", self.squares, &origin)?,
            origin,
        })
    }
}
