//! Annealed Langevin: ULA on targets of falling noise level, some steps at each, that ends as ULA on the last.
//!
//! `x <- x - h_i grad U_i(x) + sqrt(2 h_i) n`, `h_i = h (sigma_i/sigma_last)^2`, `U_i` the potential at noise level
//! `sigma_i`
//!
//! Song & Ermon 2019, algorithm 1, <https://arxiv.org/abs/1907.05600>, whose `epsilon` is `2 h`. The steps at high
//! levels cross between modes that the last one keeps apart. With the score of a denoiser as the prior,
//! `U_i = f + g_{sigma_i}`. After `steps_per_level` steps at each level the chain stays at the last one for good: those
//! before it are burn-in. The solver of that name in `tweedie-solvers` draws from a diffusion prior along a grid of
//! times and stops at the end; this one goes on as a Markov chain.
//!
//! - Needs: the gradient of the potential at each noise level.
//! - Cost: one gradient a step.
//! - Gaussian prior: that of ULA at the last level.
//! - Use: targets with several modes, from a denoiser that knows many noise levels.

use burn::tensor::Tensor;
use tweedie_core::{Noise, combine};
use tweedie_fidelity::{Gradient, Smooth};

use crate::{ChainError, ChainState, Info, MarkovKernel, StepSize, error::require};

/// How far single precision counts.
const LARGEST_COUNT: usize = 1 << 24;

/// ULA on a falling sequence of noise levels.
///
/// The step is admissible up to the least of `(sigma_last/sigma_i)^2/L_i`, which a data term brings far below `1/L` of
/// the last level: at `sigma_i` its share of the gradient takes steps of the full `h_i`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::GaussianPrior;
/// use tweedie_fidelity::{FidelityError, L2, ScorePrior};
/// use tweedie_mcmc::{AnnealedLangevin, PosteriorDensity};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let y = Tensor::<4>::full([1, 1, 8, 8], 0.7, &Device::flex());
/// let fidelity = L2::new(Identity, y.clone(), 0.1)?.with_operator_norm(1.0)?;
/// let denoiser = GaussianPrior::new(y, 0.04);
/// let level = |sigma: f64| {
///     let prior = ScorePrior::new(&denoiser, sigma, 1.0)?;
///     Ok((sigma, PosteriorDensity { fidelity: fidelity.clone(), prior }))
/// };
/// let levels: Result<Vec<_>, FidelityError> = [0.5, 0.2, 0.05].map(level).into_iter().collect();
/// let kernel = AnnealedLangevin::at_bound(levels?, 100)?;
/// assert_eq!(kernel.annealing(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AnnealedLangevin<T> {
    levels: Vec<(f64, T)>,
    steps_per_level: usize,
    step: StepSize,
}

/// Where the chains are, and how many steps of the annealing they have behind them.
#[derive(Clone, Debug)]
pub struct Annealed<const D: usize = 4> {
    position: Tensor<D>,
    done: usize,
}

impl<const D: usize> ChainState<D> for Annealed<D> {
    fn position(&self) -> &Tensor<D> {
        &self.position
    }

    /// The position, and the number of steps done, once for each chain.
    fn parts(&self) -> Vec<Tensor<D>> {
        let mut shape = [1; D];
        shape[0] = self.position.dims()[0];
        let options = (&self.position.device(), self.position.dtype());
        let count = Tensor::full(shape, self.done as f64, options);
        vec![self.position.clone(), count]
    }
}

impl<T: Smooth> AnnealedLangevin<T> {
    /// Pairs of a noise level and its target, `steps_per_level` steps at each, and the step `h = step_size` of the last
    /// one in squared units of `x`.
    ///
    /// # Errors
    /// [`ChainError::NoLevels`] without a level; unless the noise levels fall, are finite and above 0,
    /// `steps_per_level` is at least 1 and their product at most `2^24`; unless `step_size` is finite and above 0.
    pub fn new(
        levels: Vec<(f64, T)>,
        steps_per_level: usize,
        step_size: f64,
    ) -> Result<Self, ChainError> {
        check(&levels, steps_per_level)?;
        let step = StepSize::new(step_size, bound(&levels))?;
        Ok(Self {
            levels,
            steps_per_level,
            step,
        })
    }

    /// With the largest admissible step.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`ChainError::NoBound`] where the Lipschitz constant of a gradient is not known.
    pub fn at_bound(levels: Vec<(f64, T)>, steps_per_level: usize) -> Result<Self, ChainError> {
        check(&levels, steps_per_level)?;
        let step = StepSize::at_bound(bound(&levels))?;
        Ok(Self {
            levels,
            steps_per_level,
            step,
        })
    }
}

impl<T> AnnealedLangevin<T> {
    /// How many steps there are before those at the last level: the least burn-in.
    pub fn annealing(&self) -> usize {
        (self.levels.len() - 1) * self.steps_per_level
    }
}

fn check<T>(levels: &[(f64, T)], steps_per_level: usize) -> Result<(), ChainError> {
    let mut above = f64::INFINITY;
    for &(sigma, _) in levels {
        let falls = sigma > 0.0 && sigma < above;
        require(
            "sigma",
            sigma,
            falls,
            "finite, above 0 and below the level before it",
        )?;
        above = sigma;
    }
    if levels.is_empty() {
        return Err(ChainError::NoLevels);
    }
    let most = LARGEST_COUNT / levels.len();
    let valid = (1..=most).contains(&steps_per_level);
    let expected = "at least 1, and at most 2^24 over the number of levels";
    require("steps_per_level", steps_per_level as f64, valid, expected)
}

/// The least of `(sigma_last/sigma_i)^2/L_i`.
fn bound<T: Smooth>(levels: &[(f64, T)]) -> Option<f64> {
    let (last, _) = levels.last()?;
    levels
        .iter()
        .try_fold(f64::INFINITY, |least, (sigma, target)| {
            let ratio = last / sigma;
            Some(least.min(ratio * ratio / target.lipschitz()?))
        })
}

impl<const D: usize, T: Gradient<D>> MarkovKernel<D> for AnnealedLangevin<T> {
    type State = Annealed<D>;

    fn init(&self, position: Tensor<D>) -> Annealed<D> {
        Annealed { position, done: 0 }
    }

    fn step(&self, state: Annealed<D>, noise: &mut dyn Noise<D>) -> (Annealed<D>, Info) {
        let Annealed { position: x, done } = state;
        let (sigma, target) = &self.levels[done / self.steps_per_level];
        let (last, _) = self.levels[self.levels.len() - 1];
        let h = self.step.value * (sigma / last).powi(2);
        let fresh = noise.normal(x.dims());
        let gradient = target.grad(x.clone());
        let position = combine([(1.0, x), (-h, gradient), ((2.0 * h).sqrt(), fresh)]);
        let done = (done + 1).min(self.annealing());
        (Annealed { position, done }, Info::default())
    }

    /// # Panics
    /// If the count cannot be read from its device.
    fn restore(&self, parts: Vec<Tensor<D>>) -> Option<Annealed<D>> {
        let [position, counts]: [Tensor<D>; 2] = parts.try_into().ok()?;
        let counts = counts
            .try_to_vec_as::<f64>()
            .expect("a count can be read from its device");
        let done = *counts.first()?;
        let counted = (0..=self.annealing()).contains(&(done as usize)) && done.fract() == 0.0;
        let agree = done >= 0.0 && counts.iter().all(|count| *count == done);
        (counted && agree).then_some(Annealed {
            position,
            done: done as usize,
        })
    }

    /// The chain goes to the last level, however far it has come.
    fn freeze(&self, state: Annealed<D>) -> Annealed<D> {
        let done = self.annealing();
        Annealed { done, ..state }
    }

    fn moved(&self, state: Annealed<D>, position: Tensor<D>) -> Option<Annealed<D>> {
        Some(Annealed { position, ..state })
    }

    fn gradients(&self) -> usize {
        1
    }

    fn step_size(&self) -> Option<StepSize> {
        Some(self.step)
    }

    fn describe(&self) -> String {
        let (per_level, h) = (self.steps_per_level, self.step.value);
        let sigmas: Vec<f64> = self.levels.iter().map(|(sigma, _)| *sigma).collect();
        format!(
            "annealed-langevin, sigmas {sigmas:?}, steps_per_level {per_level}, step_size {h:e}"
        )
    }
}
