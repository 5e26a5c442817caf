//! SGS, the split Gibbs sampler: the data and the prior draw in turn, coupled by `|x - z|^2 / (2 rho^2)`.
//!
//! `z ~ exp(-g(z)) N(z; x, rho^2 I)`, then `x ~ exp(-f(x)) N(x; z, rho^2 I)`
//!
//! Vono, Dobigeon & Chainais 2019, <https://doi.org/10.1109/TSP.2019.2894825>. The two are Gibbs steps of `exp(-f(x) - g(z) -
//! |x - z|^2/(2 rho^2))`, and the draws are its `x`: the posterior of the prior that the coupling has smoothed, `exp(-f(x)) int
//! exp(-g(z)) N(x; z, rho^2 I) dz`. For a Gaussian prior of covariance `C` it is the posterior of one of `C + rho^2 I`.
//!
//! The choice of `rho` trades that bias for speed. In a direction where `f` has the curvature `p` and `g` the curvature `q` the
//! chain keeps `1/((1 + rho^2 p)(1 + rho^2 q))` of its deviation in a step, so that it forgets in about `1/(rho^2 (p + q))`
//! steps where that is long; the prior's variance there, `1/q`, is too large by `1 + rho^2 q`. So `rho^2` is to be the largest
//! one that is well below the prior variances that matter: no draw of the slowest direction, that with the least `p + q`, comes
//! cheaper.
//!
//! Each half is a [`SplitDraw`]: exact for a [`ConditionalDraw`], which are `L2` of a linear operator (perturb-and-optimise) and
//! Tikhonov's priors, and [`LangevinDraw`] for other potentials, such as the score of a denoiser or a Moreau envelope.
//!
//! - Needs: a term with exact draws, such as a linear measurement; of the other one at least the gradient.
//! - Cost: a linear system a step, and the steps of an inexact half.
//! - Gaussian prior: exact for the prior smoothed by `rho`, of covariance `C + rho^2 I`, if both halves are.
//! - Use: operators that are ill-conditioned but easy to invert: the data set no bound on the step.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::{ConditionalDraw, Gradient, Nearby, Smooth};

use crate::{
    ChainError, ChainState, Info, MarkovKernel, StepSize,
    error::{require, require_positive},
};

/// Draws from `exp(-h(u)) N(u; centre, spread^2 I)`, exactly or by steps: one half of [`SplitGibbs`].
///
/// Every [`ConditionalDraw`] is one.
pub trait SplitDraw<const D: usize = 4> {
    /// One draw for each row; `last` is the draw of the step before, where one by steps starts.
    fn draw(&self, last: Tensor<D>, near: Nearby<D>, noise: &mut dyn Noise<D>) -> Tensor<D>;

    /// How many gradients a draw evaluates.
    fn gradients(&self) -> usize {
        0
    }

    /// The step of a draw by steps, and its bound.
    fn step_size(&self) -> Option<StepSize> {
        None
    }

    /// Its name and all settings.
    fn describe(&self) -> String {
        "exact".into()
    }
}

impl<const D: usize, T: ConditionalDraw<D>> SplitDraw<D> for T {
    fn draw(&self, _: Tensor<D>, near: Nearby<D>, noise: &mut dyn Noise<D>) -> Tensor<D> {
        self.draw_near(near, noise)
    }
}

/// Steps of Langevin's equation, whose linear part is solved exactly: [`Nearby::langevin`].
///
/// They are stable for a step below `2/L`, whatever the spread, `L` the Lipschitz constant of the gradient; admissible up to
/// `1/L`, as for [`Ula`](crate::Ula). The variances are too large by less than those of ULA with that step.
#[derive(Clone, Debug)]
pub struct LangevinDraw<T> {
    potential: T,
    steps: usize,
    step: StepSize,
}

impl<T: Smooth> LangevinDraw<T> {
    /// For the term `potential`, `steps` of them a draw, of length `step_size`, in squared units of `x`.
    ///
    /// # Errors
    /// Unless `steps` is at least 1 and `step_size` finite and above 0.
    pub fn new(potential: T, steps: usize, step_size: f64) -> Result<Self, ChainError> {
        let step = StepSize::new(step_size, StepSize::euler_bound(&potential))?;
        Self::with(potential, steps, step)
    }

    /// With the largest admissible step, `1/L`.
    ///
    /// # Errors
    /// Unless `steps` is at least 1; [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not known.
    pub fn at_bound(potential: T, steps: usize) -> Result<Self, ChainError> {
        let step = StepSize::at_bound(StepSize::euler_bound(&potential))?;
        Self::with(potential, steps, step)
    }

    fn with(potential: T, steps: usize, step: StepSize) -> Result<Self, ChainError> {
        require("steps", steps as f64, steps >= 1, "at least 1")?;
        Ok(Self {
            potential,
            steps,
            step,
        })
    }
}

impl<const D: usize, T: Gradient<D>> SplitDraw<D> for LangevinDraw<T> {
    fn draw(&self, last: Tensor<D>, near: Nearby<D>, noise: &mut dyn Noise<D>) -> Tensor<D> {
        (0..self.steps).fold(last, |u, _| {
            near.langevin(&self.potential, u, self.step.value, noise)
        })
    }

    fn gradients(&self) -> usize {
        self.steps
    }

    fn step_size(&self) -> Option<StepSize> {
        Some(self.step)
    }

    fn describe(&self) -> String {
        let (steps, h) = (self.steps, self.step.value);
        format!("langevin of {steps} steps {h:e}")
    }
}

/// Gibbs steps of `exp(-f(x) - g(z) - |x - z|^2 / (2 rho^2))`; the draws are `x`.
///
/// With a diffusion run backwards as the prior's half it is `PnpDm` of the samplers.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::{L2, Tikhonov, TotalVariation};
/// use tweedie_mcmc::{ChainState, LangevinDraw, MarkovKernel, SplitGibbs};
/// use tweedie_physics::Identity;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let y = Tensor::<4>::full([1, 1, 8, 8], 0.7, &device);
/// let data = L2::new(Identity, y.clone(), 0.1)?;
/// let exact = SplitGibbs::new(&data, Tikhonov::differences(100.0)?, 0.03)?;
/// let (state, _) = exact.step(exact.init(y.repeat_dim(0, 5)), &mut Rng::seeded(0, &device));
/// assert_eq!(state.position().dims(), [5, 1, 8, 8]);
///
/// let smooth = TotalVariation::isotropic(5.0)?.with_epsilon(0.05)?;
/// let nearly = SplitGibbs::new(&data, LangevinDraw::at_bound(smooth, 10)?, 0.03)?;
/// assert_eq!(MarkovKernel::<4>::gradients(&nearly), 10);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SplitGibbs<F, G> {
    fidelity: F,
    prior: G,
    rho: f64,
}

/// `x`, the position, and `z`.
#[derive(Clone, Debug)]
pub struct Split<const D: usize = 4> {
    x: Tensor<D>,
    z: Tensor<D>,
}

impl<const D: usize> ChainState<D> for Split<D> {
    fn position(&self) -> &Tensor<D> {
        &self.x
    }

    fn parts(&self) -> Vec<Tensor<D>> {
        vec![self.x.clone(), self.z.clone()]
    }
}

impl<F, G> SplitGibbs<F, G> {
    /// For `f = fidelity`, `g = prior` and the coupling `rho`, in the units of `x`.
    ///
    /// # Errors
    /// Unless `rho` is finite and above 0.
    pub fn new(fidelity: F, prior: G, rho: f64) -> Result<Self, ChainError> {
        require_positive("rho", rho)?;
        Ok(Self {
            fidelity,
            prior,
            rho,
        })
    }
}

impl<const D: usize, F: SplitDraw<D>, G: SplitDraw<D>> MarkovKernel<D> for SplitGibbs<F, G> {
    type State = Split<D>;

    fn init(&self, position: Tensor<D>) -> Split<D> {
        Split {
            x: position.clone(),
            z: position,
        }
    }

    fn step(&self, Split { x, z }: Split<D>, noise: &mut dyn Noise<D>) -> (Split<D>, Info) {
        let near = |centre: &Tensor<D>| Nearby {
            centre: centre.clone(),
            spread: self.rho,
        };
        let z = self.prior.draw(z, near(&x), noise);
        let x = self.fidelity.draw(x, near(&z), noise);
        (Split { x, z }, Info::default())
    }

    fn restore(&self, parts: Vec<Tensor<D>>) -> Option<Split<D>> {
        let [x, z]: [Tensor<D>; 2] = parts.try_into().ok()?;
        Some(Split { x, z })
    }

    fn moved(&self, Split { z, .. }: Split<D>, x: Tensor<D>) -> Option<Split<D>> {
        Some(Split { x, z })
    }

    fn gradients(&self) -> usize {
        self.fidelity.gradients() + self.prior.gradients()
    }

    fn step_size(&self) -> Option<StepSize> {
        let halves = [self.fidelity.step_size(), self.prior.step_size()];
        StepSize::tightest(halves.into_iter().flatten())
    }

    fn describe(&self) -> String {
        let [data, prior] = [self.fidelity.describe(), self.prior.describe()];
        format!(
            "split-gibbs, rho {:e}, data {data}, prior {prior}",
            self.rho
        )
    }
}
