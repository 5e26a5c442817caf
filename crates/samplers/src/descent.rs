//! From one noise level to none in a few steps: the inner runs of samplers that alternate.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Karras, Noise, Span};
use tweedie_sde::Reverse;
use tweedie_solvers::{DpmSolverPp2MSde, Solver};

use crate::{
    SampleError,
    error::{require_positive, require_some},
    fresh::Fresh,
};

/// SDE-DPM-Solver++(2M) over levels from `sigma` to `sigma_min`, equal in `sigma^(1/7)`, and to 0.
///
/// It needs no schedule, since the unscaled image follows the same equation under all, and reads nothing back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descent {
    levels: Karras,
    solver: DpmSolverPp2MSde,
    steps: usize,
    sigma_min: f64,
}

impl Descent {
    /// From levels up to `sigma_max`, `steps` evaluations each; `eta = 0` follows the flow, `eta = 1` the reverse
    /// equation.
    pub(crate) fn new(
        eta: f64,
        sigma_max: f64,
        sigma_min: f64,
        steps: usize,
        field: &'static str,
    ) -> Result<Self, SampleError> {
        require_some(field, steps)?;
        require_positive("sigma_min", sigma_min)?;
        let levels = Karras::new(sigma_max).map_err(|_| SampleError::Parameter {
            name: "sigma_max",
            expected: "finite and above 0",
            found: sigma_max,
        })?;
        Ok(Self {
            levels,
            solver: DpmSolverPp2MSde::new(eta)?,
            steps,
            sigma_min,
        })
    }

    /// The steps from level `sigma`; a single one where that is no more than `sigma_min`.
    fn spans(&self, sigma: f64) -> Vec<Span> {
        let gaps = if sigma > self.sigma_min {
            self.steps - 1
        } else {
            0
        };
        let (high, low) = (sigma.powf(1.0 / 7.0), self.sigma_min.powf(1.0 / 7.0));
        let inner = (1..=gaps).map(|k| {
            let fraction = k as f64 / gaps as f64;
            ((1.0 - fraction) * high + fraction * low).powi(7)
        });
        let levels: Vec<f64> = [sigma].into_iter().chain(inner).chain([0.0]).collect();
        levels
            .windows(2)
            .map(|pair| Span {
                from: pair[0],
                to: pair[1],
            })
            .collect()
    }

    /// The image at level 0 for `noisy` at level `sigma`.
    pub(crate) fn run<const D: usize>(
        &self,
        prior: &impl Denoiser<D>,
        noisy: Tensor<D>,
        sigma: f64,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let process = Reverse::sde(self.levels, prior);
        let mut memory = None;
        // A path in time would be the same in all runs.
        let mut fresh = Fresh(noise);
        self.spans(sigma).into_iter().fold(noisy, |state, span| {
            self.solver
                .step(&process, &mut memory, state, span, &mut fresh)
        })
    }
}
