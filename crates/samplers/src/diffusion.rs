//! A reverse diffusion as a sampler: any schedule, denoiser, solver and grid.
//!
//! With a prior denoiser it draws from the prior; with a [`Posterior`](tweedie_fidelity::Posterior), the denoiser that
//! guidance makes of a prior, it draws from the posterior. By Bayes' rule the score of the noisy posterior is that of
//! the noisy prior plus that of the likelihood (Song et al. 2021, eq. (14), <https://arxiv.org/abs/2011.13456>), so
//! nothing else changes.
//!
//! - Needs: a denoiser, of the prior or of the posterior.
//! - Cost: what the solver and the guidance take.
//! - Gaussian prior: exact in the limit of steps, where the guidance is.
//! - Use: draws from the prior, or every part of a posterior sampler chosen by hand.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Rng, Schedule, TimeGrid};
use tweedie_sde::{Diffusion, Process, Reverse, pure_noise};
use tweedie_solvers::{Solver, Step, integrate};

use crate::{PosteriorSampler, SampleError};

/// A reverse process, what solves it, and at which times. Each draw starts from noise at the first time of the grid.
#[derive(Clone, Debug)]
pub struct DiffusionSampler<S, P, M> {
    process: Reverse<S, P>,
    solver: M,
    grid: TimeGrid,
    denoise_last: bool,
}

impl<S, P, M> DiffusionSampler<S, P, M> {
    /// The last time of `grid` is 0 for a noiseless image.
    pub fn new(process: Reverse<S, P>, solver: M, grid: TimeGrid) -> Self {
        Self {
            process,
            solver,
            grid,
            denoise_last: false,
        }
    }

    /// Ends each run with the denoised image `E[x_0 | x_t]` of its last state, for one more evaluation; nothing changes
    /// where the grid ends without noise.
    ///
    /// For a grid that stops at a small noise level, which the eye would see (Jolicoeur-Martineau et al. 2021,
    /// <https://arxiv.org/abs/2009.05475>). The image is a posterior mean, so its spread is less than that of a sample,
    /// by the variance of `x_0` given `x_t`: negligible only at a noise level that is.
    pub fn denoise_last(mut self) -> Self {
        self.denoise_last = true;
        self
    }
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
    ) -> Result<Tensor<D>, SampleError> {
        let schedule = Diffusion::<D>::schedule(&self.process);
        let end = self.grid.end();
        let start = pure_noise(schedule, shape, self.grid.start(), rng);
        let last = integrate(&self.process, &self.solver, start, &self.grid, rng, observe)?;
        if self.denoise_last && self.process.is_defined_at(end) {
            return Ok(self.process.denoised(last, end));
        }
        Ok(last.div_scalar(schedule.scale(end)))
    }
}
