//! `tweedie reproduce`: experiments whose answer is known or published, run again with the methods of this program.

mod chains;
mod denoising;
mod digits;
mod digits_by_class;
mod gaussian_w2;
mod gmm;
mod levy;
mod mnist_ddpm;
mod objectives;
mod probe;
mod selection;
mod toy;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::Outcome;

/// Run an experiment again whose answer is known or published
///
/// Prints our figures beside those of others where there are any. Everything is computed on the CPU; where there is an exact
/// denoiser, in double precision.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    experiment: Experiment,
}

#[derive(Debug, Subcommand)]
enum Experiment {
    Deblur(chains::deblur::Arguments),
    Denoising(denoising::Arguments),
    Digits(digits::Arguments),
    #[command(name = "digits-by-class")]
    DigitsByClass(digits_by_class::Arguments),
    #[command(name = "gaussian-w2")]
    GaussianW2(gaussian_w2::Arguments),
    Levy(levy::Arguments),
    #[command(name = "gmm-posterior")]
    Gmm(gmm::Arguments),
    #[command(name = "mcmc-toy")]
    ChainsToy(chains::toy::Arguments),
    #[command(name = "mnist-ddpm")]
    MnistDdpm(mnist_ddpm::Arguments),
    Objectives(objectives::Arguments),
    #[command(name = "sk-rock")]
    SkRock(chains::sk_rock::Arguments),
    Toy(toy::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.experiment {
        Experiment::Deblur(arguments) => chains::deblur::run(arguments)?,
        Experiment::Denoising(arguments) => denoising::run(arguments)?,
        Experiment::Digits(arguments) => digits::run(arguments)?,
        Experiment::DigitsByClass(arguments) => digits_by_class::run(arguments)?,
        Experiment::GaussianW2(arguments) => gaussian_w2::run(arguments)?,
        Experiment::Levy(arguments) => levy::run(arguments)?,
        Experiment::Gmm(arguments) => gmm::run(arguments)?,
        Experiment::ChainsToy(arguments) => chains::toy::run(arguments)?,
        Experiment::MnistDdpm(arguments) => mnist_ddpm::run(arguments)?,
        Experiment::Objectives(arguments) => objectives::run(arguments)?,
        Experiment::SkRock(arguments) => chains::sk_rock::run(arguments)?,
        Experiment::Toy(arguments) => toy::run(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
