//! The `tweedie` program: trains diffusion models and draws from them.
//!
//! Exit codes: 0 when the work was done, 1 when it failed, 2 when the arguments are wrong, 130 when it was interrupted (a
//! run that Ctrl-C stopped has written a checkpoint by then).

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its terminal"
)]

mod anomaly;
mod classes;
mod convert;
mod device;
mod evaluate;
mod failure;
mod interrupt;
mod judge;
mod kernels;
mod latent;
mod mcmc;
mod measurement;
mod method;
mod model;
mod overview;
mod panics;
mod posterior;
mod problem;
mod quality;
mod reproduce;
mod restore;
mod sample;
mod sheet;
mod steps;
mod train;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    device::DeviceName,
    failure::{FAILED, INTERRUPTED, Outcome},
    kernels::KernelsName,
};

/// Diffusion models and Bayesian posterior sampling for imaging.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    /// Where tensors live and are computed. wgpu (any graphics card) and cuda (NVIDIA) must have been compiled in, which
    /// `cargo xtask VERB --device NAME` sees to.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "NAME")]
    device: DeviceName,
    /// Kernels of the layers on the CPU: the fastest; without Winograd's convolutions, whose rounding errors are larger; or
    /// burn's own.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "NAME")]
    kernels: KernelsName,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Train(train::Arguments),
    Average(train::average::Arguments),
    Sample(sample::Arguments),
    Restore(restore::Arguments),
    Mcmc(mcmc::Arguments),
    Anomaly(anomaly::Arguments),
    Evaluate(evaluate::Arguments),
    Convert(convert::Arguments),
    Reproduce(reproduce::Arguments),
}

impl Verb {
    fn run(self, device: DeviceName) -> Outcome {
        match self {
            Self::Train(arguments) => train::run(&arguments, device),
            Self::Average(arguments) => train::average::run(&arguments, device),
            Self::Sample(arguments) => sample::run(&arguments, device),
            Self::Restore(arguments) => restore::run(&arguments, device),
            Self::Mcmc(arguments) => mcmc::run(&arguments, device),
            Self::Anomaly(arguments) => anomaly::run(&arguments, device),
            Self::Evaluate(arguments) => evaluate::run(&arguments, device),
            Self::Convert(arguments) => convert::run(&arguments),
            Self::Reproduce(arguments) => reproduce::run(&arguments),
        }
    }
}

fn main() -> ExitCode {
    panics::record();
    let Cli {
        device,
        kernels,
        verb,
    } = Cli::parse();
    kernels.set();
    match panics::caught(|| verb.run(device)) {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
        Err(Some(panic)) => {
            eprintln!("error: {panic}");
            ExitCode::from(FAILED)
        }
        // The dashboard's own way to kill the program, which it has announced itself.
        Err(None) => ExitCode::from(INTERRUPTED),
    }
}
