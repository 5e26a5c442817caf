//! Drives the workspace: runs the program, the tests and the checks. Run it as `cargo xtask VERB`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program talks to its terminal"
)]

mod ci;
mod families;
mod header;
mod layers;
mod methods;
mod outcome;
mod peer;
mod process;
mod program;
mod sources;
mod suite;
mod workspace;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use outcome::{Failure, Outcome};
use workspace::Workspace;

const HELP: &str = "\
Usage: cargo xtask VERB [ARGUMENTS]

The program (built with the Cargo feature that --device cpu|wgpu|cuda needs):
  train | average | sample | restore | mcmc | anomaly | evaluate | reproduce
                             every argument goes to `tweedie`; try `cargo xtask train --help`
  example NAME [ARGS]        one program of examples/src/bin

Tests and measurements:
  test [--backend flex|wgpu|cuda] [-p CRATE]... [-- ARGS]
  bench [ARGS]               every argument goes to the benchmarks
  bench --peer [--python PATH] [--json FILE] [--threads N,..] [--rounds N] [--cells NAME,.. | --write]
                             samplers and networks beside deepinv's and PyTorch's, see bench/peer/README.md;
                             --write: docs/performance.md
  bench --memory             peak memory of short and long runs

Checks:
  tidy                       layers, headers, sizes and forbidden words
  docs [--check]             writes (or compares) docs/methods.md
  ci [--skip STEP]...        fmt, tidy, docs, clippy, test, rustdoc, examples, deny
";

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let Some(verb) = arguments.next() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };
    match run(&verb.to_string_lossy(), arguments.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}

fn run(verb: &str, arguments: Vec<OsString>) -> Outcome {
    match verb {
        verb if program::VERBS.contains(&verb) => {
            program::run(&Workspace::load()?, verb, &arguments)
        }
        "example" => program::example(&Workspace::load()?, &arguments),
        "test" => suite::test(&process::text(arguments)?),
        "bench" => suite::bench(arguments),
        "tidy" => no_arguments(verb, &arguments).and_then(|()| tidy(&Workspace::load()?)),
        "docs" => methods::run(&Workspace::load()?, &process::text(arguments)?),
        "ci" => ci::run(&Workspace::load()?, &process::text(arguments)?),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(Failure::Usage(format!(
            "unknown verb `{unknown}`\n\n{HELP}"
        ))),
    }
}

/// Layers and sources: everything that is checked without a compiler.
fn tidy(workspace: &Workspace) -> Outcome {
    let mut findings = layers::check(workspace)?;
    findings.extend(sources::check(&workspace.root)?);
    outcome::none(findings)
}

fn no_arguments(verb: &str, arguments: &[OsString]) -> Outcome {
    match arguments.first() {
        None => Ok(()),
        Some(found) => {
            let found = found.to_string_lossy();
            Err(Failure::Usage(format!(
                "`{verb}` takes no arguments, found `{found}`"
            )))
        }
    }
}
