//! Draws from `exp(-f(x)) N(x; centre, spread^2 I)`: the half-step of a sampler that sees the data and not the prior.
//!
//! For `f = |A x - y|^2 / (2 noise_std^2)` with a linear `A` it is a Gaussian, and perturb-and-optimise draws from it
//! exactly (Papandreou & Yuille 2010): [`LinearGaussian`]. For any other `f` with a gradient there are steps of
//! Langevin's equation, whose linear part is solved exactly: [`Nearby::langevin`]. No `spread` makes them unstable, but a
//! large step `h` does: `f` must be no more curved than `2/h`. The bias is of order `h`.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_core::Noise;
use tweedie_fidelity::{ConditionalDraw, Gradient, LinearGaussian, Nearby};
use tweedie_physics::{ConjugateGradient, LinearOperator};

use crate::{
    Measurement, SampleError,
    error::{require, require_positive, require_some},
    walk::DAMAGED,
};

/// What a draw is asked for.
#[derive(Clone, Debug)]
pub struct Near<const D: usize = 4> {
    /// Where the sampler is: the start of a draw that takes steps.
    pub state: Tensor<D>,
    /// Mean of the Gaussian factor, of the shape of the images.
    pub centre: Tensor<D>,
    /// Its standard deviation, above 0.
    pub spread: f64,
    /// How much of the run is left, from 1 in its first round down to one part in the number of rounds.
    pub remaining: f64,
}

impl<const D: usize> Near<D> {
    fn factor(self) -> Nearby<D> {
        Nearby {
            centre: self.centre,
            spread: self.spread,
        }
    }
}

/// Draws from `exp(-f(x)) N(x; centre, spread^2 I)`, exactly or nearly, `f = -log p(y | x)`.
///
/// A [`Measurement`] with a linear operator does it exactly, in one solution of its normal equations (closed or by the
/// default [`ConjugateGradient`]) and for `noise_std = 0` too, where the result meets the measurement; [`Langevin`] in
/// steps, for any other data term.
pub trait LikelihoodStep<const D: usize = 4> {
    /// Fails unless images of shape `image` have the measurement.
    ///
    /// # Errors
    /// [`SampleError::Mismatch`] from a step that can tell, [`SampleError::Parameter`] for a noise that is none.
    fn require_shape(&self, image: [usize; D]) -> Result<(), SampleError> {
        let _ = image;
        Ok(())
    }

    /// One draw for each row.
    fn draw(&self, near: Near<D>, noise: &mut dyn Noise<D>) -> Tensor<D>;

    /// What may help when draws are not finite.
    fn advice(&self) -> &'static str {
        DAMAGED
    }
}

impl<const X: usize, const Y: usize, A: LinearOperator<X, Y>> LikelihoodStep<X>
    for Measurement<A, Y>
{
    fn require_shape(&self, image: [usize; X]) -> Result<(), SampleError> {
        self.require_noise()?;
        Measurement::require_shape(self, image)
    }

    fn draw(&self, near: Near<X>, noise: &mut dyn Noise<X>) -> Tensor<X> {
        let data = LinearGaussian {
            operator: &self.operator,
            y: &self.y,
            noise_std: self.noise_std,
            cg: ConjugateGradient::default(),
        };
        data.draw_near(near.factor(), noise)
    }
}

/// Settings of [`Langevin`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LangevinConfig {
    /// Steps of a draw, at least 1; each is one gradient of the data term.
    pub steps: usize,
    /// Length `h` of a step in the first round, above 0, in squared units of pixels in [0, 1]. For `L2` and an operator
    /// of norm 1 it is stable below `2 noise_std^2`.
    pub step_size: f64,
    /// What `h` has fallen to, linearly, after the last round, relative to the first: in (0, 1]. Where the chain should
    /// converge at each level, as for [`PnpDm`](crate::PnpDm), it is 1.
    pub delta: f64,
}

impl Default for LangevinConfig {
    /// 100 steps of `1e-4`, for noise of standard deviation 0.01 and more.
    fn default() -> Self {
        Self {
            steps: 100,
            step_size: 1e-4,
            delta: 1.0,
        }
    }
}

/// Unadjusted Langevin steps towards a data term with a gradient; its operator need not be linear.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_fidelity::L2;
/// use tweedie_physics::Saturation;
/// use tweedie_samplers::{Langevin, LangevinConfig, LikelihoodStep, Near};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let y = Tensor::<4>::full([1, 1, 2, 2], 0.9, &device);
/// let data = L2::new(Saturation::smooth(2.0, 1.0, 8.0)?, y, 0.05)?;
/// let step = Langevin::new(data, LangevinConfig::default())?;
/// let centre = Tensor::<4>::full([3, 1, 2, 2], 0.4, &device);
/// let near = Near { state: centre.clone(), centre, spread: 0.1, remaining: 1.0 };
/// assert_eq!(step.draw(near, &mut Rng::seeded(0, &device)).dims(), [3, 1, 2, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Langevin<F> {
    data: F,
    config: LangevinConfig,
}

impl<F> Langevin<F> {
    /// For the data term `f = -log p(y | x)`.
    ///
    /// # Errors
    /// Unless `steps` is at least 1, `step_size` finite and above 0, and `delta` in (0, 1].
    pub fn new(data: F, config: LangevinConfig) -> Result<Self, SampleError> {
        let LangevinConfig {
            steps,
            step_size,
            delta,
        } = config;
        require_some("steps", steps)?;
        require_positive("step_size", step_size)?;
        require("delta", delta, delta > 0.0 && delta <= 1.0, "in (0, 1]")?;
        Ok(Self { data, config })
    }
}

impl<const D: usize, F: Gradient<D>> LikelihoodStep<D> for Langevin<F> {
    fn draw(&self, near: Near<D>, noise: &mut dyn Noise<D>) -> Tensor<D> {
        let LangevinConfig {
            steps,
            step_size,
            delta,
        } = self.config;
        let h = step_size * (delta + near.remaining * (1.0 - delta));
        let start = near.state.clone();
        let factor = near.factor();
        (0..steps).fold(start, |x, _| factor.langevin(&self.data, x, h, noise))
    }

    fn advice(&self) -> &'static str {
        "a smaller step_size may help"
    }
}
