//! What `tweedie evaluate` can be told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use tweedie::training::ReverseVariance;

use crate::{model, train::HeldOutArguments};

/// Measure how likely images are under a model, in bits per dimension.
///
/// Two numbers, both of images that `train` holds out, with their standard errors. The variational bound of the chain of steps
/// (Ho et al. 2020, eq. 5), in its three terms, of images rounded to 256 values: for models that are told steps of a
/// variance-preserving table. And the likelihood of the probability flow (Song et al. 2021, section 4.3) of the same images with
/// uniform noise between their values, which bounds the bits of the images from above too.
///
/// The bound is of the network as it is, without tiles and symmetries.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) model: model::Arguments,
    #[command(flatten)]
    pub(super) data: HeldOutArguments,
    /// How many images; 2 or more, so that there is a standard error.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(super) images: u32,
    /// How many images at a time.
    #[arg(long, default_value_t = 16, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) batch_size: u32,
    /// Variance of the reverse steps in the bound [default: learned where the network has one, else posterior]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) variance: Option<VarianceName>,
    /// Of the denoising terms, compute one in each of so many ranges of steps, drawn anew for each image; as many as there are
    /// steps, or more, are all of them.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) ranges: u32,
    /// Steps of the probability flow, of fourth order, equally long in the logarithm of the noise level; 0 leaves it out.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(super) ode_steps: u32,
    /// Random vectors for the divergence of the flow, at each of its evaluations.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) probes: u32,
    /// Seed of all random numbers.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(super) seed: u64,
    /// Also write all numbers into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

/// A variance by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VarianceName {
    /// That of the forward step.
    Beta,
    /// That of the reverse step of a single image; at step 1 that of step 2.
    Posterior,
    /// What the network has learnt.
    Learned,
}

impl From<VarianceName> for ReverseVariance {
    fn from(name: VarianceName) -> Self {
        match name {
            VarianceName::Beta => Self::Beta,
            VarianceName::Posterior => Self::Posterior,
            VarianceName::Learned => Self::Learned,
        }
    }
}
