//! From the name of a kernel to the kernel.

use clap::ValueEnum;
use serde::{Deserialize, de::DeserializeOwned};
use tweedie::{
    burn::tensor::Tensor,
    fidelity::{DataFidelity, Gradient, L2, MoreauEnvelope},
    mcmc::{
        Adaptive, ChainError, Hmc, LangevinDraw, Mala, MarkovKernel, PixelBox, PnpUla,
        PosteriorDensity, ProjectedUla, ReflectedUla, SkRock, SpectralPreconditioner, SplitGibbs,
        StepSize, Tunable, Ula, Underdamped,
    },
    physics::Svd,
};

use super::{
    arguments::{Arguments, KernelName},
    target::{Data, Prior},
};
use crate::{
    failure::{Failure, Outcome},
    problem::Problem,
};

/// What is done with a kernel, whatever its type.
pub(crate) trait Job {
    fn run<K: MarkovKernel>(self, kernel: K) -> Outcome;
}

/// A kernel does not fit the arguments.
#[derive(Debug, thiserror::Error)]
enum KernelError {
    /// It has a Metropolis test and the prior has no value.
    #[error(
        "--kernel {kernel} needs the value of the prior, which --prior model has not: take ula, sk-rock, pnp-ula, \
         projected-ula, reflected-ula, underdamped or split-gibbs"
    )]
    NoValue { kernel: String },
    /// It is made for a denoiser.
    #[error("--kernel pnp-ula is for --prior model; take projected-ula, or ula with --clip")]
    NotAModel,
    /// The operator has no singular value decomposition.
    #[error(
        "--kernel {kernel} needs an operator with a singular value decomposition: inpainting, denoising, blur or super-resolution"
    )]
    NoSvd { kernel: String },
    /// The operator is not linear.
    #[error("--kernel {kernel} needs a linear operator, which saturation is not")]
    NotLinear { kernel: String },
    /// The settings are not those of the kernel.
    #[error("--settings of {kernel}: {source}")]
    Settings {
        kernel: String,
        source: serde_json::Error,
    },
}

/// Settings of a kernel without any.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NoSettings {}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SkRockSettings {
    stages: usize,
    eta: f64,
    share: f64,
}

impl Default for SkRockSettings {
    /// Pereyra et al. 2020, for deblurring.
    fn default() -> Self {
        Self {
            stages: 10,
            eta: 0.05,
            share: 0.5,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MalaSettings {
    adapt: bool,
}

impl Default for MalaSettings {
    fn default() -> Self {
        Self { adapt: true }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HmcSettings {
    leapfrog_steps: usize,
    adapt: bool,
}

impl Default for HmcSettings {
    fn default() -> Self {
        Self {
            leapfrog_steps: 10,
            adapt: true,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PreconditionerSettings {
    /// The curvature of the prior, as the standard deviation of a Gaussian; the steepest one unless given.
    prior_std: Option<f64>,
    adapt: bool,
}

impl Default for PreconditionerSettings {
    fn default() -> Self {
        Self {
            prior_std: None,
            adapt: true,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PnpSettings {
    box_lambda: f64,
}

impl Default for PnpSettings {
    fn default() -> Self {
        Self { box_lambda: 1e-3 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct UnderdampedSettings {
    friction: f64,
}

impl Default for UnderdampedSettings {
    /// The reciprocal of the spread of pixels that is to be crossed.
    fn default() -> Self {
        Self { friction: 20.0 }
    }
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SplitSettings {
    rho: f64,
    prior_steps: usize,
}

impl Default for SplitSettings {
    fn default() -> Self {
        Self {
            rho: 0.02,
            prior_steps: 10,
        }
    }
}

/// What a kernel is made of.
pub(crate) struct Recipe<'a> {
    pub(crate) arguments: &'a Arguments,
    pub(crate) problem: &'a Problem,
    pub(crate) data: &'a Data<'a>,
    pub(crate) prior: &'a Prior<'a>,
}

/// A potential with gradient alone, and one with a value.
type Scored<'a> = PosteriorDensity<&'a Data<'a>, &'a (dyn Gradient + 'a)>;
type Spectral<'a> = SpectralPreconditioner<&'a dyn Svd>;
type Valued<'a> = PosteriorDensity<&'a Data<'a>, &'a (dyn DataFidelity + 'a)>;

impl<'a> Recipe<'a> {
    /// Does the job with the kernel that was asked for.
    pub(crate) fn dispatch(&self, job: impl Job) -> Outcome {
        let (target, step) = (self.scored(), self.arguments.step_size);
        match self.arguments.kernel {
            KernelName::Ula => {
                self.settings::<NoSettings>()?;
                job.run(match step {
                    Some(step) => Ula::new(target, step)?,
                    None => Ula::at_bound(target)?,
                })
            }
            KernelName::SkRock => {
                let set: SkRockSettings = self.settings()?;
                job.run(match step {
                    Some(step) => SkRock::new(target, set.stages, set.eta, step)?,
                    None => SkRock::at_share(target, set.stages, set.share)?,
                })
            }
            KernelName::ProjectedUla => {
                self.settings::<NoSettings>()?;
                job.run(match step {
                    Some(step) => ProjectedUla::new(target, PixelBox::UNIT, step)?,
                    None => ProjectedUla::at_bound(target, PixelBox::UNIT)?,
                })
            }
            KernelName::ReflectedUla => {
                self.settings::<NoSettings>()?;
                job.run(match step {
                    Some(step) => ReflectedUla::new(target, PixelBox::UNIT, step)?,
                    None => ReflectedUla::at_bound(target, PixelBox::UNIT)?,
                })
            }
            KernelName::Underdamped => {
                let UnderdampedSettings { friction } = self.settings()?;
                job.run(match step {
                    Some(step) => Underdamped::new(target, step, friction)?,
                    None => Underdamped::at_bound(target, friction)?,
                })
            }
            KernelName::PnpUla => self.pnp_ula(job),
            KernelName::PreconditionedUla => {
                let set: PreconditionerSettings = self.settings()?;
                let (preconditioner, step) = self.preconditioner(set.prior_std)?;
                job.run(Ula::preconditioned(target, preconditioner, step)?)
            }
            KernelName::Mala => {
                let MalaSettings { adapt } = self.settings()?;
                let target = self.valued()?;
                let kernel = match step {
                    Some(step) => Mala::new(target, step)?,
                    None => Mala::at_bound(target)?,
                };
                adapted(job, kernel, adapt)
            }
            KernelName::PreconditionedMala => {
                let set: PreconditionerSettings = self.settings()?;
                let (preconditioner, step) = self.preconditioner(set.prior_std)?;
                let kernel = Mala::preconditioned(self.valued()?, preconditioner, step)?;
                adapted(job, kernel, set.adapt)
            }
            KernelName::Hmc => {
                let set: HmcSettings = self.settings()?;
                let target = self.valued()?;
                let kernel = match step {
                    Some(step) => Hmc::new(target, step, set.leapfrog_steps)?,
                    None => Hmc::at_bound(target, set.leapfrog_steps)?,
                };
                adapted(job, kernel, set.adapt)
            }
            KernelName::SplitGibbs => self.split_gibbs(job),
        }
    }
}

impl<'a> Recipe<'a> {
    fn scored(&self) -> Scored<'a> {
        PosteriorDensity {
            fidelity: self.data,
            prior: self.prior.gradient(),
        }
    }

    fn valued(&self) -> Outcome<Valued<'a>> {
        match self.prior {
            Prior::Valued(prior) => Ok(PosteriorDensity {
                fidelity: self.data,
                prior: prior.as_ref(),
            }),
            Prior::Score(_) => Err(self.refused(|kernel| KernelError::NoValue { kernel })),
        }
    }

    fn pnp_ula(&self, job: impl Job) -> Outcome {
        let PnpSettings { box_lambda } = self.settings()?;
        let Prior::Score(prior) = self.prior else {
            return Err(Failure::usage(KernelError::NotAModel));
        };
        let walls = MoreauEnvelope::new(PixelBox::UNIT, box_lambda)?;
        job.run(match self.arguments.step_size {
            Some(step) => PnpUla::new(self.data, prior.clone(), walls, step)?,
            None => PnpUla::at_bound(self.data, prior.clone(), walls)?,
        })
    }

    fn split_gibbs(&self, job: impl Job) -> Outcome {
        let SplitSettings { rho, prior_steps } = self.settings()?;
        let Some(operator) = self.problem.operator.linear() else {
            return Err(self.refused(|kernel| KernelError::NotLinear { kernel }));
        };
        let y = self.problem.measurement.clone();
        let exact = L2::new(operator, y, self.arguments.problem.noise_std)?;
        let prior = self.prior.gradient();
        let steps = match self.arguments.step_size {
            Some(step) => LangevinDraw::new(prior, prior_steps, step)?,
            None => LangevinDraw::at_bound(prior, prior_steps)?,
        };
        job.run(SplitGibbs::new(exact, steps, rho)?)
    }

    /// The posterior covariance of a Gaussian prior of standard deviation `prior_std`, and the step: in its units the data term
    /// has a curvature of at most 1, and the prior one of at most `prior_std^2` times its own.
    fn preconditioner(&self, prior_std: Option<f64>) -> Outcome<(Spectral<'a>, StepSize)> {
        let Some(operator) = self.problem.operator.svd() else {
            return Err(self.refused(|kernel| KernelError::NoSvd { kernel }));
        };
        let curvature = self.prior.gradient().lipschitz();
        let steepest = curvature.map(|curvature| curvature.sqrt().recip());
        let prior_std = prior_std.or(steepest).ok_or(ChainError::NoBound)?;
        let like = Tensor::ones(self.problem.image_shape, &self.problem.measurement.device());
        let noise_std = self.arguments.problem.noise_std;
        let preconditioner = SpectralPreconditioner::new(operator, &like, noise_std, prior_std)?;
        let bound = curvature.map(|curvature| (1.0 + curvature * prior_std * prior_std).recip());
        let step = match self.arguments.step_size {
            Some(step) => StepSize::new(step, bound)?,
            None => StepSize::at_bound(bound)?,
        };
        Ok((preconditioner, step))
    }

    fn settings<S: DeserializeOwned>(&self) -> Outcome<S> {
        let text = self.arguments.settings.as_deref().unwrap_or("{}");
        serde_json::from_str(text)
            .map_err(|source| self.refused(|kernel| KernelError::Settings { kernel, source }))
    }

    fn refused(&self, error: impl FnOnce(String) -> KernelError) -> Failure {
        let name = self.arguments.kernel.to_possible_value();
        let name = name.map_or_else(String::new, |name| name.get_name().to_owned());
        Failure::usage(error(name))
    }
}

/// With steps of a length that the burn-in finds, or as they are.
fn adapted<K: Tunable>(job: impl Job, kernel: K, adapt: bool) -> Outcome {
    if adapt {
        job.run(Adaptive::new(kernel))
    } else {
        job.run(kernel)
    }
}
