//! `tweedie reproduce`: published experiments, run again with the solvers of this program.

mod gaussian_w2;
mod law;
mod published;
mod schemes;
mod spectrum;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Outcome;

/// Run a published experiment again
///
/// Prints our figures beside the published ones. Everything is computed on the CPU in double precision.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Debug, Subcommand)]
enum Experiment {
    #[command(name = "gaussian-w2")]
    GaussianW2(gaussian_w2::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.experiment {
        Experiment::GaussianW2(arguments) => gaussian_w2::run(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
