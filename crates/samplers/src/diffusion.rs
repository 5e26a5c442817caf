//! A reverse diffusion as a sampler: any schedule, denoiser, solver and grid.
//!
//! With a prior denoiser it draws from the prior; with a [`Posterior`](tweedie_fidelity::Posterior), the denoiser that
//! guidance makes of a prior, it draws from the posterior. By Bayes' rule the score of the noisy posterior is that of the
//! noisy prior plus that of the likelihood (Song et al. 2021, eq. (14), <https://arxiv.org/abs/2011.13456>), so nothing else
//! changes.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Rng, Schedule, TimeGrid};
use tweedie_sde::{Diffusion, Reverse, pure_noise};
use tweedie_solvers::{Solver, Step, integrate};

use crate::PosteriorSampler;

/// A reverse process, what solves it, and at which times. Each draw starts from noise at the first time of the grid.
#[derive(Clone, Debug)]
pub struct DiffusionSampler<S, P, M> {
    /// Schedule and denoiser.
    pub process: Reverse<S, P>,
    /// The method of the steps.
    pub solver: M,
    /// The times visited; the last is 0 for a noiseless image.
    pub grid: TimeGrid,
}

impl<const D: usize, S, P, M> PosteriorSampler<D> for DiffusionSampler<S, P, M>
where
    S: Schedule,
    P: Denoiser<D>,
    M: Solver<Reverse<S, P>, D>,
{
    fn sample(
        &self,
        shape: [usize; D],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Tensor<D> {
        let schedule = Diffusion::<D>::schedule(&self.process);
        let start = pure_noise(schedule, shape, self.grid.start(), rng);
        let end = integrate(&self.process, &self.solver, start, &self.grid, rng, observe);
        end.div_scalar(schedule.scale(self.grid.end()))
    }
}
