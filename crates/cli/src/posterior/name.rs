//! Every method of posterior sampling by its name, with what it needs of the operator.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;
use tweedie::physics::AnyOperator;

/// A method by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MethodName {
    /// Guidance: the likelihood of the denoised image, with its uncertainty added to the noise.
    DpsAnnealed,
    /// Guidance: the same with the operator's correlations (the score of PiGDM).
    Pigdm,
    /// Guidance: the covariance of the denoised image from the network itself, by conjugate gradients: the most faithful, at
    /// five times the cost.
    Mmps,
    /// Guidance: its diagonal in the measurement alone, at twice the cost.
    Tmpd,
    /// Guidance: the likelihood of the noisy image itself, without back-propagation (annealed Langevin's).
    Ald,
    /// Guidance: the likelihood of the denoised image, with a share of the noise level added to the noise.
    Sda,
    /// Guidance: the denoised image pulled towards a measurement that is taken for exact.
    Reconstruction,
    /// Guidance: the likelihood averaged over random images around the denoised one.
    LgdMc,
    /// The general sampler with its own defaults: MMPS under UniPC.
    PosteriorDiffusion,
    /// Diffusion posterior sampling as published: a step of length zeta / |residual| beside each step of the prior.
    Dps,
    /// PiGDM as published: DDIM steps with a weighted pull.
    PigdmDdim,
    /// After each step the state is projected onto a noised measurement (ScoreSDE; with a stopping level, ILVR).
    #[value(alias = "ilvr")]
    ScoreSde,
    /// The step of DPS, then that projection.
    Mcg,
    /// Denoising diffusion restoration, in the singular basis of the operator.
    Ddrm,
    /// What the measurement sees is put right in each denoised image (DDNM+).
    Ddnm,
    /// Each step drawn given a noised measurement of its own (filtering).
    Fps,
    /// Inpainting by replacing what is seen, going back and forth.
    Repaint,
    /// A denoiser and a proximal data step in turn.
    Diffpir,
    /// Optimisation of one image against the data and the denoiser at all noise levels: a mode, no sample.
    RedDiff,
    /// Decoupled annealing: images drawn near the denoised one, noised again at a lower level.
    Daps,
    /// Split Gibbs sampling, a draw given the data and a draw given the prior in turn, with a falling coupling.
    PnpDm,
    /// The same with the coupling of its own paper.
    Dpnp,
    /// Particles, guided and weighted (twisted diffusion sampler); exact in the limit of many.
    Tds,
    /// Particles in the singular basis of the operator, without back-propagation; exact in the limit of many.
    McgDiff,
}

/// What a method asks of the operator, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Structure {
    Differentiable,
    Linear,
    Svd,
    Mask,
}

impl Structure {
    fn of(operator: &AnyOperator) -> Self {
        if operator.inpainting().is_some() {
            Self::Mask
        } else if operator.svd().is_some() {
            Self::Svd
        } else if operator.linear().is_some() {
            Self::Linear
        } else {
            Self::Differentiable
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Differentiable => "a differentiable operator",
            Self::Linear => "a linear operator",
            Self::Svd => "an operator with a singular value decomposition",
            Self::Mask => "inpainting",
        }
    }
}

/// A method cannot be run as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MethodError {
    /// The operator lacks the structure that the method needs.
    #[error("--method {method} needs {needs}, which {operator} is not; these methods work with it: {}", others.join(", "))]
    Operator {
        method: String,
        needs: &'static str,
        operator: &'static str,
        others: Vec<String>,
    },
    /// The settings are not those of the method.
    #[error("--settings of {method}: {source}")]
    Settings {
        method: String,
        source: serde_json::Error,
    },
    /// There are none.
    #[error("--method {method} has no settings of its own, found --settings {found}")]
    NoSettings { method: String, found: String },
}

impl MethodName {
    fn needs(self) -> Structure {
        match self {
            Self::DpsAnnealed
            | Self::Ald
            | Self::Sda
            | Self::Reconstruction
            | Self::LgdMc
            | Self::Dps
            | Self::RedDiff
            | Self::Daps
            | Self::PnpDm
            | Self::Dpnp
            | Self::Tds => Structure::Differentiable,
            Self::Pigdm
            | Self::Mmps
            | Self::Tmpd
            | Self::PosteriorDiffusion
            | Self::PigdmDdim
            | Self::ScoreSde
            | Self::Mcg
            | Self::Diffpir => Structure::Linear,
            Self::Ddrm | Self::Ddnm | Self::Fps | Self::McgDiff => Structure::Svd,
            Self::Repaint => Structure::Mask,
        }
    }

    /// The refusal of an operator, called `name`, that is not what the method needs.
    pub(super) fn refuse(self, operator: &AnyOperator, name: &'static str) -> MethodError {
        let found = Structure::of(operator);
        let others = Self::value_variants()
            .iter()
            .filter(|other| other.needs() <= found);
        MethodError::Operator {
            method: name_of(&self),
            needs: self.needs().name(),
            operator: name,
            others: others.map(name_of).collect(),
        }
    }
}

impl fmt::Display for MethodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name_of(self))
    }
}

/// The name of a value on the command line.
pub(crate) fn name_of(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
