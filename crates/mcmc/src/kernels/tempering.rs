//! Parallel tempering: one chain for each of a ladder of targets `exp(-U_k)`, and swaps of neighbours.
//!
//! Each step moves every level by its own kernel, then offers `x_k <-> x_{k+1}` with probability `min(1, e^r)`,
//!
//! `r = U_k(x_k) + U_{k+1}(x_{k+1}) - U_k(x_{k+1}) - U_{k+1}(x_k)`
//!
//! for the pairs with even `k` in one step and with odd `k` in the next. Geyer 1991, "Markov chain Monte Carlo maximum
//! likelihood"; Earl & Deem 2005, <https://doi.org/10.1039/B509983H>. A swap leaves the product of all `exp(-U_k)` invariant,
//! so the level of the target, the first, has its law as exactly as the kernels have theirs. Alternating pairs in a fixed order
//! carry a state up or down the ladder in a number of swaps of the order of its levels (Syed et al. 2022,
//! <https://doi.org/10.1111/rssb.12464>).
//!
//! The ladder goes from the target to one whose modes have merged: a posterior with the prior smoothed at rising `sigma`
//! ([`ScorePrior`](tweedie_fidelity::ScorePrior) of an analytic prior), or with the data's noise raised. Levels are close enough
//! where about a quarter of the swaps and more are taken. All potentials need values: a network's score has none, and is refused
//! when this is compiled.
//!
//! - Needs: values and gradients of all potentials; not for networks.
//! - Cost: the steps of all levels, four values a pair, and a gradient a level for kernels that keep one.
//! - Gaussian prior: as its kernel: exact for one with a Metropolis test.
//! - Use: modes far apart, which other kernels do not leave.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::DataFidelity;

use super::metropolis;
use crate::{ChainError, ChainState, Info, MarkovKernel, StepSize, error::require};

/// One kernel a level, with swaps of neighbours; the draws are those of the first level.
///
/// [`Info::acceptance`] is the mean of the probabilities of the swaps that a step tried, half of the pairs, and
/// [`Info::energy`] that of the first level. A kernel that adapts does so at its level. What swaps is the position; a kernel that
/// keeps a gradient evaluates it anew.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianMixture, Rng};
/// use tweedie_fidelity::ScorePrior;
/// use tweedie_mcmc::{ChainState, MarkovKernel, ParallelTempering, Ula};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let means = Tensor::<2>::from_floats([[-3.0, 0.0], [3.0, 0.0]], &device);
/// let prior = GaussianMixture::new(&[0.3, 0.7], means.clone(), &[0.01, 0.01])?;
/// let targets = [0.1, 0.3, 1.0, 3.0].map(|sigma| ScorePrior::new(prior.clone(), sigma, 1.0));
/// let targets = targets.into_iter().collect::<Result<Vec<_>, _>>()?;
/// let kernel = ParallelTempering::new(targets, |_, target| Ula::at_bound(target))?;
/// let (state, info) = kernel.step(kernel.init(means), &mut Rng::seeded(0, &device));
/// assert_eq!(state.levels().len(), 4);
/// assert_eq!(info.acceptance.unwrap().dims(), [2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ParallelTempering<T, K> {
    levels: Vec<Level<T, K>>,
}

#[derive(Clone, Debug)]
struct Level<T, K> {
    target: T,
    kernel: K,
}

/// The states of all levels, and which pairs are next.
#[derive(Clone, Debug)]
pub struct Ladder<S> {
    levels: Vec<S>,
    odd: bool,
}

impl<S> Ladder<S> {
    /// One for each level, that of the target first.
    pub fn levels(&self) -> &[S] {
        &self.levels
    }
}

impl<const D: usize, S: ChainState<D>> ChainState<D> for Ladder<S> {
    fn position(&self) -> &Tensor<D> {
        self.levels[0].position()
    }

    /// Those of all levels in order, and 0 or 1, for each chain, where even or odd pairs are next.
    fn parts(&self) -> Vec<Tensor<D>> {
        let position = self.position();
        let mut shape = [1; D];
        shape[0] = position.dims()[0];
        let kind = (&position.device(), position.dtype());
        let next = Tensor::full(shape, u8::from(self.odd), kind);
        let levels = self.levels.iter().flat_map(ChainState::parts);
        levels.chain([next]).collect()
    }
}

impl<T: Clone, K> ParallelTempering<T, K> {
    /// For the potentials `targets`, of which the first is sampled, and the kernel that `kernel(level, target)` makes for each.
    ///
    /// # Errors
    /// Unless there are two targets or more; those of `kernel`.
    pub fn new(
        targets: Vec<T>,
        mut kernel: impl FnMut(usize, T) -> Result<K, ChainError>,
    ) -> Result<Self, ChainError> {
        let count = targets.len();
        require("levels", count as f64, count >= 2, "at least 2")?;
        let levels = targets.into_iter().enumerate().map(|(index, target)| {
            let kernel = kernel(index, target.clone())?;
            Ok(Level { target, kernel })
        });
        Ok(Self {
            levels: levels.collect::<Result<_, ChainError>>()?,
        })
    }
}

/// What became of a pair.
struct Swap {
    /// With which probability it swapped, `[chains]`.
    probability: Tensor<1>,
    /// The potential of the lower level where it is now, `[chains]`.
    energy: Tensor<1>,
}

impl<T, K> ParallelTempering<T, K> {
    /// The lower levels of the pairs; two levels are always a pair.
    fn pairs(&self, odd: bool) -> impl Iterator<Item = usize> {
        let count = self.levels.len();
        let first = usize::from(odd && count > 2);
        (first..count - 1).step_by(2)
    }

    fn swap<const D: usize>(
        &self,
        states: &mut [K::State],
        low: usize,
        noise: &mut dyn Noise<D>,
    ) -> Swap
    where
        T: DataFidelity<D>,
        K: MarkovKernel<D>,
    {
        let [below, above] = [low, low + 1].map(|level| &self.levels[level]);
        let [x, z] = [low, low + 1].map(|level| states[level].position().clone());
        let [stayed, crossed] = [&x, &z].map(|x| below.target.value(x.clone()));
        let [arrived, left] = [&x, &z].map(|x| above.target.value(x.clone()));
        let log_ratio = (stayed.clone() - crossed.clone()) + (left - arrived.clone());
        let offered = crossed.clone() + arrived;
        let log_ratio = metropolis::refuse_infinite(log_ratio, &offered);
        let verdict = metropolis::test(log_ratio, noise);
        let replaced = [verdict.choose(z.clone(), x.clone()), verdict.choose(x, z)];
        for (level, position) in (low..).zip(replaced) {
            let mut parts = states[level].parts();
            parts[0] = position;
            states[level] = self.levels[level]
                .kernel
                .restore(parts)
                .expect("a kernel takes the parts of its own state");
        }
        Swap {
            energy: verdict.choose(crossed, stayed),
            probability: verdict.probability,
        }
    }

    fn map<S, R>(&self, states: Vec<S>, f: impl FnMut((&Level<T, K>, S)) -> R) -> Vec<R> {
        self.levels.iter().zip(states).map(f).collect()
    }
}

impl<const D: usize, T: DataFidelity<D>, K: MarkovKernel<D>> MarkovKernel<D>
    for ParallelTempering<T, K>
{
    type State = Ladder<K::State>;

    fn init(&self, position: Tensor<D>) -> Self::State {
        let start = |level: &Level<T, K>| level.kernel.init(position.clone());
        Ladder {
            levels: self.levels.iter().map(start).collect(),
            odd: false,
        }
    }

    fn step(&self, state: Self::State, noise: &mut dyn Noise<D>) -> (Self::State, Info) {
        let Ladder { levels, odd } = state;
        let mut levels = self.map(levels, |(level, state)| level.kernel.step(state, noise).0);
        let swaps: Vec<(usize, Swap)> = self
            .pairs(odd)
            .map(|low| (low, self.swap(&mut levels, low, noise)))
            .collect();
        let energy = match &swaps[0] {
            (0, swap) => swap.energy.clone(),
            _ => self.levels[0].target.value(levels[0].position().clone()),
        };
        let tried = swaps.len() as f64;
        let rates = swaps.into_iter().map(|(_, swap)| swap.probability);
        let acceptance = rates.reduce(|sum, rate| sum + rate);
        let info = Info {
            acceptance: acceptance.map(|sum| sum.mul_scalar(tried.recip())),
            energy: Some(energy),
        };
        (Ladder { levels, odd: !odd }, info)
    }

    fn restore(&self, mut parts: Vec<Tensor<D>>) -> Option<Self::State> {
        let next = parts.pop()?.try_to_vec_as::<f64>().ok()?;
        let odd = *next.first()? == 1.0;
        let count = self.levels.len();
        let each = parts.len() / count;
        if each == 0 || !parts.len().is_multiple_of(count) {
            return None;
        }
        let chunks = parts.chunks(each).map(<[_]>::to_vec).collect();
        let levels = self.map(chunks, |(level, parts)| level.kernel.restore(parts));
        Some(Ladder {
            levels: levels.into_iter().collect::<Option<_>>()?,
            odd,
        })
    }

    fn freeze(&self, Ladder { levels, odd }: Self::State) -> Self::State {
        let levels = self.map(levels, |(level, state)| level.kernel.freeze(state));
        Ladder { levels, odd }
    }

    /// The mean of two steps, the gradients that kernels keep and swaps change included.
    fn gradients(&self) -> usize {
        let steps: usize = self
            .levels
            .iter()
            .map(|level| level.kernel.gradients())
            .sum();
        let starts = self
            .levels
            .iter()
            .map(|level| level.kernel.gradients_to_start());
        let most = starts.max().unwrap_or(0);
        let swapped = match self.levels.len() {
            2 => 2,
            count => count - 1,
        };
        steps + most * swapped
    }

    fn gradients_to_start(&self) -> usize {
        let starts = self
            .levels
            .iter()
            .map(|level| level.kernel.gradients_to_start());
        starts.sum()
    }

    /// That of the level that is nearest to its bound, or furthest above.
    fn step_size(&self) -> Option<StepSize> {
        let steps = self
            .levels
            .iter()
            .filter_map(|level| level.kernel.step_size());
        StepSize::tightest(steps)
    }

    fn describe(&self) -> String {
        let levels: Vec<String> = self
            .levels
            .iter()
            .map(|level| level.kernel.describe())
            .collect();
        format!(
            "parallel-tempering, levels {}: {}",
            levels.len(),
            levels.join("; ")
        )
    }
}
