//! From the name of a method to its sampler.

use std::{f64::consts::FRAC_1_SQRT_2, sync::Arc};

use serde::de::DeserializeOwned;
use tweedie::{
    burn::tensor::Tensor,
    core::{Clipped, Denoiser, GridError, Schedule, TimeGrid},
    fidelity::{
        Ald, Dps, FidelityError, Isotropic, L2, LgdMc, Mmps, NoisyFidelity, Pigdm, Posterior,
        ReconstructionGuidance, Sda, Tmpd,
    },
    physics::{AnyOperator, ForwardOperator, Inpainting, LinearOperator, Svd},
    samplers::{
        Daps, DdnmPlus, Ddrm, DiffPir, DiffusionSampler, Dpnp, DpsSampler, Fps, Langevin,
        LangevinConfig, LikelihoodStep, Mcg, McgDiff, Measurement, PigdmSampler, PnpDm,
        PosteriorDiffusion, PosteriorSampler, Projected, RedDiff, Repaint, Tds,
    },
    sde::Reverse,
    solvers::Ddpm,
};

use super::name::{MethodError, MethodName, name_of};
use crate::{
    failure::{Failure, Outcome},
    method::Method,
};

type Sampler<'a> = Box<dyn PosteriorSampler + 'a>;

/// Length of a Langevin step in units of `noise_std^2`: stable for operators of norm up to 4.
const LANGEVIN_STEP: f64 = 0.1;

/// What a method is made of.
#[derive(Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub(crate) method: MethodName,
    /// The method's own settings as JSON.
    pub(crate) settings: Option<&'a str>,
    pub(crate) steps: Method,
    pub(crate) schedule: &'a Arc<dyn Schedule>,
    pub(crate) prior: &'a dyn Denoiser,
    /// Variance of a pixel under the prior.
    pub(crate) prior_variance: f64,
    pub(crate) operator: &'a AnyOperator,
    pub(crate) operator_name: &'static str,
    pub(crate) y: &'a Tensor<4>,
    pub(crate) noise_std: f64,
    /// The range of what the prior denoises, to which it is clipped.
    pub(crate) range: (f64, f64),
    /// Shape of the images of one measurement, `[batch, channels, height, width]`.
    pub(crate) image: [usize; 4],
}

impl<'a> Recipe<'a> {
    /// The sampler of the method that was asked for.
    pub(crate) fn sampler(self) -> Outcome<Sampler<'a>> {
        let (y, noise_std) = (self.y.clone(), self.noise_std);
        match self.method {
            MethodName::DpsAnnealed => {
                let spread = self.spread()?;
                self.guided(Dps::annealed(self.forward(), y, noise_std, spread))
            }
            MethodName::Ald => self.guided(Ald::new(self.forward(), y, noise_std)),
            MethodName::Sda => self.guided(Sda::new(self.forward(), y, noise_std, 1.0)),
            MethodName::Reconstruction => {
                self.guided(ReconstructionGuidance::new(self.forward(), y, 1.0))
            }
            MethodName::LgdMc => {
                let spread = self.spread()?;
                self.guided(LgdMc::new(self.forward(), y, noise_std, spread))
            }
            MethodName::Pigdm => {
                let spread = self.spread()?;
                self.guided(Pigdm::new(self.linear()?, y, noise_std, spread))
            }
            MethodName::Mmps => self.guided(Mmps::new(self.linear()?, y, noise_std)),
            MethodName::Tmpd => self.guided(Tmpd::new(self.linear()?, y, noise_std)),
            _ => self.named(),
        }
    }

    /// The reverse diffusion of the model by itself.
    pub(crate) fn unguided(self) -> Outcome<Sampler<'a>> {
        let prior = Box::new(self.clipped());
        self.steps.sampler(self.schedule.clone(), prior)
    }

    /// A sampler with a step of its own.
    fn named(self) -> Outcome<Sampler<'a>> {
        let (schedule, prior, grid) = (self.schedule.clone(), self.clipped(), self.grid()?);
        Ok(match self.method {
            MethodName::Dps => {
                let (operator, y) = (self.forward(), self.y.clone());
                let settings = self.settings()?;
                Box::new(DpsSampler::new(
                    schedule, prior, operator, y, grid, settings,
                )?)
            }
            MethodName::RedDiff => {
                // Its paper weighs the data in the same way whatever their noise.
                let data = L2::new(self.forward(), self.y.clone(), FRAC_1_SQRT_2)?;
                let settings = self.settings()?;
                Box::new(RedDiff::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::Tds => {
                let (data, settings) = (self.measured(self.forward()), self.settings()?);
                Box::new(Tds::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::PigdmDdim => {
                let (data, settings) = (self.measured(self.linear()?), self.settings()?);
                Box::new(PigdmSampler::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::Mcg => {
                let (data, settings) = (self.measured(self.linear()?), self.settings()?);
                Box::new(Mcg::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::ScoreSde => {
                let (data, settings) = (self.measured(self.linear()?), self.settings()?);
                let solver = Projected::new(Ddpm, data, self.image, settings)?;
                let process = Reverse::sde(schedule, prior);
                Box::new(DiffusionSampler::new(process, solver, grid))
            }
            MethodName::Diffpir => {
                let (data, settings) = (self.l2(self.linear()?)?, self.settings()?);
                Box::new(DiffPir::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::Ddrm => {
                let (data, settings) = (self.measured(self.svd()?), self.settings()?);
                Box::new(Ddrm::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::Ddnm => {
                let (data, settings) = (self.measured(self.svd()?), self.settings()?);
                Box::new(DdnmPlus::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::Fps => {
                let (data, settings) = (self.measured(self.svd()?), self.settings()?);
                Box::new(Fps::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::McgDiff => {
                let (data, settings) = (self.measured(self.svd()?), self.settings()?);
                Box::new(McgDiff::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::Repaint => {
                let (data, settings) = (self.measured(self.mask()?), self.settings()?);
                Box::new(Repaint::new(schedule, prior, data, grid, settings)?)
            }
            MethodName::PosteriorDiffusion => {
                self.no_settings()?;
                let (operator, y) = (self.linear()?, self.y.clone());
                let sampler = PosteriorDiffusion::new(self.prior, operator, y, self.noise_std)?
                    .with_schedule(schedule)?
                    .with_steps(self.steps.steps as usize)?;
                Box::new(sampler)
            }
            _ => match self.operator.linear() {
                Some(operator) => self.alternating(self.measured(operator))?,
                None => self.alternating(self.langevin()?)?,
            },
        })
    }

    /// A sampler that draws given the data and given the prior in turn.
    fn alternating(self, likelihood: impl LikelihoodStep + 'a) -> Outcome<Sampler<'a>> {
        let prior = self.clipped();
        Ok(match self.method {
            MethodName::PnpDm => Box::new(PnpDm::new(prior, likelihood, self.settings()?)?),
            MethodName::Dpnp => Box::new(Dpnp::new(prior, likelihood, self.settings()?)?),
            _ => {
                let (schedule, grid, settings) =
                    (self.schedule.clone(), self.grid()?, self.settings()?);
                Box::new(Daps::new(schedule, prior, likelihood, grid, settings)?)
            }
        })
    }

    /// Langevin steps given data of an operator that is not linear.
    fn langevin(self) -> Outcome<Langevin<L2<&'a dyn ForwardOperator>>> {
        let config = LangevinConfig {
            step_size: LANGEVIN_STEP * self.noise_std * self.noise_std,
            ..LangevinConfig::default()
        };
        Ok(Langevin::new(self.l2(self.forward())?, config)?)
    }

    fn l2<A>(self, operator: A) -> Result<L2<A>, FidelityError> {
        L2::new(operator, self.y.clone(), self.noise_std)
    }

    fn measured<A>(self, operator: A) -> Measurement<A> {
        Measurement {
            operator,
            y: self.y.clone(),
            noise_std: self.noise_std,
        }
    }

    /// The reverse diffusion of the model, driven by the posterior that `guidance` makes of its denoiser.
    fn guided(
        self,
        guidance: Result<impl NoisyFidelity + 'a, FidelityError>,
    ) -> Outcome<Sampler<'a>> {
        self.no_settings()?;
        let posterior = self.clip(Posterior {
            prior: self.prior,
            guidance: guidance?,
        });
        self.steps
            .sampler(self.schedule.clone(), Box::new(posterior))
    }

    fn forward(self) -> &'a dyn ForwardOperator {
        self.operator.forward()
    }

    fn linear(self) -> Outcome<&'a dyn LinearOperator> {
        self.or_refuse(AnyOperator::linear)
    }

    fn svd(self) -> Outcome<&'a dyn Svd> {
        self.or_refuse(AnyOperator::svd)
    }

    fn mask(self) -> Outcome<Inpainting> {
        Ok(self.or_refuse(AnyOperator::inpainting)?.clone())
    }

    fn or_refuse<T>(self, seen_as: impl FnOnce(&'a AnyOperator) -> Option<T>) -> Outcome<T> {
        seen_as(self.operator)
            .ok_or_else(|| Failure::usage(self.method.refuse(self.operator, self.operator_name)))
    }

    fn clipped(self) -> Clipped<&'a dyn Denoiser> {
        self.clip(self.prior)
    }

    fn clip<T>(self, inner: T) -> Clipped<T> {
        let (low, high) = self.range;
        Clipped { inner, low, high }
    }

    fn spread(self) -> Result<Isotropic, FidelityError> {
        Isotropic::new(self.prior_variance)
    }

    fn grid(self) -> Result<TimeGrid, GridError> {
        self.steps.times(self.schedule)
    }

    /// The method's own settings: those that were given, the rest as its paper has them.
    fn settings<T: DeserializeOwned + Default>(self) -> Outcome<T> {
        let Some(text) = self.settings else {
            return Ok(T::default());
        };
        serde_json::from_str(text).map_err(|source| {
            let method = name_of(&self.method);
            Failure::usage(MethodError::Settings { method, source })
        })
    }

    fn no_settings(self) -> Outcome<()> {
        let Some(found) = self.settings.map(str::to_owned) else {
            return Ok(());
        };
        let method = name_of(&self.method);
        Err(Failure::usage(MethodError::NoSettings { method, found }))
    }
}
