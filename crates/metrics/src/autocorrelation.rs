//! Autocorrelation of Markov chains that arrive draw by draw, in constant memory.
//!
//! `rho_k = c_k / c_0`, `c_k = (1/n) sum_{t > k} (x_t - m)(x_{t-k} - m)` with the mean `m` of the chain's `n` draws,
//! which is known at the end only. In terms of the differences `y` from the first draw, and of their mean,
//!
//! `n c_k = sum_{t > k} y_t y_{t-k} - m (2 S - F_k - L_k) + (n - k) m^2`
//!
//! where `S`, `F_k` and `L_k` are the sums of all, of the first `k` and of the last `k` of them: an identity, not an
//! approximation. Only the last `k` states are held for it.

use std::collections::VecDeque;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::record::{RecordError, data, require, tensor, tensor_like};

/// Streaming autocorrelation at chosen lags, elementwise, each chain around its own mean.
///
/// Chains are pooled by their autocovariances, `rho_k = sum c_k / sum c_0`, so that one that hardly moved does not
/// count as much as the others. Lags are in draws as they come: of thinned chains, in thinned ones.
///
/// Holds as many tensors of the size of one draw of all chains as the largest lag, and two a lag, and three. An update
/// takes four elementwise passes over the draws and two a lag, and nothing is read back from the device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_metrics::Autocorrelation;
///
/// let mut found = Autocorrelation::<2>::new(&[1, 2]);
/// for value in [1.0, 2.0, 1.0, 2.0] {
///     found.update(Tensor::from_data([[value]], &Device::flex()));
/// }
/// let found = found.autocorrelation().expect("four draws were counted");
/// assert_eq!(found.into_data().to_vec::<f32>().unwrap(), [-0.75, 0.5]);
/// ```
#[derive(Clone, Debug)]
pub struct Autocorrelation<const D: usize = 4> {
    lags: Vec<usize>,
    counted: Option<Counted<D>>,
}

/// Of differences from the first draw; all of its shape.
#[derive(Clone, Debug)]
struct Counted<const D: usize> {
    count: u64,
    origin: Tensor<D>,
    sum: Tensor<D>,
    squares: Tensor<D>,
    /// The latest, up to the largest lag, the oldest first.
    latest: VecDeque<Tensor<D>>,
    /// In the order of the lags.
    of_lags: Vec<OfLag<D>>,
}

#[derive(Clone, Debug)]
struct OfLag<const D: usize> {
    /// Sum of the products with the difference `lag` draws before.
    products: Tensor<D>,
    /// Sum of the first `lag` differences.
    first: Tensor<D>,
}

impl<const D: usize> Autocorrelation<D> {
    /// No draws yet.
    ///
    /// # Panics
    ///
    /// Panics if there are no lags or one is 0.
    pub fn new(lags: &[usize]) -> Self {
        assert!(are_lags(lags), "lags must be at least 1, found {lags:?}");
        Self {
            lags: lags.to_vec(),
            counted: None,
        }
    }

    /// The lags, in the order in which they were given.
    pub fn lags(&self) -> &[usize] {
        &self.lags
    }

    /// Counts one draw of each chain, `[chains, ...]`.
    ///
    /// # Panics
    ///
    /// Panics if there is no chain, or if the shape differs from that of earlier draws.
    pub fn update(&mut self, draws: Tensor<D>) {
        assert!(draws.dims()[0] > 0, "at least one chain is needed");
        let counted = match self.counted.take() {
            Some(counted) => counted,
            None => Counted::at(draws.clone(), self.lags.len()),
        };
        self.counted = Some(counted.add(draws, &self.lags));
    }

    /// Draws of each chain so far.
    pub fn draws(&self) -> u64 {
        self.counted.as_ref().map_or(0, |counted| counted.count)
    }

    /// `rho_k` of each lag, `[lags, ...]`; `None` until there are more draws than the largest lag. 0 for a pixel that
    /// never moved in any chain.
    pub fn autocorrelation(&self) -> Option<Tensor<D>> {
        let counted = self.counted.as_ref()?;
        (counted.count > largest(&self.lags) as u64).then(|| counted.autocorrelation(&self.lags))
    }

    /// Its state, from which [`AutocorrelationRecord::restore`] continues bit for bit.
    ///
    /// # Panics
    ///
    /// Panics if the state cannot be read from its device.
    pub fn record(&self) -> AutocorrelationRecord {
        AutocorrelationRecord {
            lags: self.lags.clone(),
            counted: self.counted.as_ref().map(Counted::record),
        }
    }
}

impl<const D: usize> Counted<D> {
    fn at(origin: Tensor<D>, lags: usize) -> Self {
        let zeros = origin.zeros_like();
        let of_lag = OfLag {
            products: zeros.clone(),
            first: zeros.clone(),
        };
        Self {
            count: 0,
            origin,
            sum: zeros.clone(),
            squares: zeros,
            latest: VecDeque::new(),
            of_lags: vec![of_lag; lags],
        }
    }

    fn add(mut self, draws: Tensor<D>, lags: &[usize]) -> Self {
        assert_eq!(
            self.origin.dims(),
            draws.dims(),
            "draws must have one shape"
        );
        let difference = draws - self.origin.clone();
        let (count, latest) = (self.count, &self.latest);
        let add = |(of_lag, lag): (OfLag<D>, &usize)| {
            if count < *lag as u64 {
                OfLag {
                    first: of_lag.first + difference.clone(),
                    ..of_lag
                }
            } else {
                let earlier = latest[latest.len() - lag].clone();
                OfLag {
                    products: of_lag.products + earlier * difference.clone(),
                    ..of_lag
                }
            }
        };
        self.of_lags = self.of_lags.into_iter().zip(lags).map(add).collect();
        if self.latest.len() == largest(lags) {
            self.latest.pop_front();
        }
        self.latest.push_back(difference.clone());
        self.sum = self.sum + difference.clone();
        self.squares = self.squares + difference.square();
        self.count += 1;
        self
    }

    fn autocorrelation(&self, lags: &[usize]) -> Tensor<D> {
        let mean = self.sum.clone() / self.count as f64;
        let of_chains = self.squares.clone() - self.sum.clone() * mean.clone();
        let variance = of_chains.sum_dim(0);
        let still = variance.clone().equal_elem(0.0);
        let of_lag = |(of_lag, lag): (&OfLag<D>, &usize)| {
            let last = self.latest.iter().rev().take(*lag).cloned();
            let ends = last.fold(of_lag.first.clone(), |sum, difference| sum + difference);
            let inner =
                self.sum.clone() * 2.0 - ends - mean.clone() * (self.count as f64 - *lag as f64);
            let of_chains = of_lag.products.clone() - mean.clone() * inner;
            (of_chains.sum_dim(0) / variance.clone()).mask_fill(still.clone(), 0.0)
        };
        Tensor::cat(self.of_lags.iter().zip(lags).map(of_lag).collect(), 0)
    }

    fn record(&self) -> CountedRecord {
        CountedRecord {
            count: self.count,
            origin: data(&self.origin),
            sum: data(&self.sum),
            squares: data(&self.squares),
            latest: self.latest.iter().map(data).collect(),
            products: self.of_lags.iter().map(|l| data(&l.products)).collect(),
            first: self.of_lags.iter().map(|l| data(&l.first)).collect(),
        }
    }
}

fn are_lags(lags: &[usize]) -> bool {
    !lags.is_empty() && !lags.contains(&0)
}

fn largest(lags: &[usize]) -> usize {
    lags.iter().copied().fold(0, usize::max)
}

/// The state of an [`Autocorrelation`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutocorrelationRecord {
    /// The lags, in the order in which they were given.
    pub lags: Vec<usize>,
    /// Of the draws so far; none before the first.
    pub counted: Option<CountedRecord>,
}

/// Sums of the differences of draws from the first of them; each tensor is `[chains, ...]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedRecord {
    /// Number of draws of each chain.
    pub count: u64,
    /// The first draw.
    pub origin: TensorData,
    /// Sum of all differences.
    pub sum: TensorData,
    /// Sum of their squares.
    pub squares: TensorData,
    /// The latest of them, up to the largest lag, the oldest first.
    pub latest: Vec<TensorData>,
    /// Of each lag, the sum of products of differences so far apart.
    pub products: Vec<TensorData>,
    /// Of each lag, the sum of as many of the first differences.
    pub first: Vec<TensorData>,
}

impl AutocorrelationRecord {
    /// The statistic whose record this is.
    ///
    /// # Errors
    ///
    /// If the record is of draws of another rank or type, or damaged.
    pub fn restore<const D: usize>(
        self,
        device: &Device,
    ) -> Result<Autocorrelation<D>, RecordError> {
        require(are_lags(&self.lags), "lags", "at least 1")?;
        let counted = self.counted.map(|c| c.restore(&self.lags, device));
        Ok(Autocorrelation {
            counted: counted.transpose()?,
            lags: self.lags,
        })
    }
}

impl CountedRecord {
    fn restore<const D: usize>(
        self,
        lags: &[usize],
        device: &Device,
    ) -> Result<Counted<D>, RecordError> {
        let valid = (1..=1 << 53).contains(&self.count);
        require(valid, "count", "from 1 to 2^53")?;
        let held = self.count.min(largest(lags) as u64);
        let valid = self.latest.len() as u64 == held;
        require(valid, "latest", "as many draws as the largest lag")?;
        for (name, tensors) in [("products", &self.products), ("first", &self.first)] {
            require(tensors.len() == lags.len(), name, "one tensor a lag")?;
        }
        let origin: Tensor<D> = tensor("origin", self.origin, device)?;
        let latest = self.latest.into_iter();
        let latest = latest.map(|data| tensor_like("latest", data, &origin));
        let of_lags = self.products.into_iter().zip(self.first);
        let of_lags = of_lags.map(|(products, first)| {
            Ok(OfLag {
                products: tensor_like("products", products, &origin)?,
                first: tensor_like("first", first, &origin)?,
            })
        });
        Ok(Counted {
            count: self.count,
            sum: tensor_like("sum", self.sum, &origin)?,
            squares: tensor_like("squares", self.squares, &origin)?,
            latest: latest.collect::<Result<_, _>>()?,
            of_lags: of_lags.collect::<Result<_, _>>()?,
            origin: origin.clone(),
        })
    }
}
