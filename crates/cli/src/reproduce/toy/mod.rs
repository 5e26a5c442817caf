//! `tweedie reproduce toy`: how far each posterior sampler ends from an exact posterior.
//!
//! Two images of 64 pixels under a Gaussian prior, one with half of its pixels missing and one blurred. The denoiser is exact,
//! so what is left is the error of the method. A Gaussian is fitted to the draws and compared with the posterior.

mod builders;
pub(super) mod gaussian;
mod methods;
mod peer;
pub(super) mod problem;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tweedie::{
    burn::tensor::{DType, Device},
    core::{FullGaussian, Rng},
};

use self::{
    gaussian::Gaussian,
    methods::{METHODS, Method},
    problem::{PIXELS, Problem, batch},
};
use super::probe::Probe;
use super::selection::select;
use crate::{failure::Outcome, quality::save_report};

/// Draws of each method.
const DRAWS: usize = 2000;

/// What a method without any error scores is a chi variable; above this a method has an error of its own.
const EXACT: f64 = 0.075;

/// Distance of every posterior sampler from the exact posterior of two Gaussian problems, beside deepinv's figures
///
/// An exact denoiser, two images of 64 pixels, one masked and one blurred, 2000 draws. Mean error: root mean square over the pixels,
/// in posterior standard deviations. Spread: mean ratio of the standard deviations. W2: Wasserstein distance between the fitted
/// Gaussian and the posterior, over the square root of the posterior's total variance. A star marks what cannot be told from
/// exact draws.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Run only the methods whose name contains this.
    #[arg(long, value_name = "TEXT")]
    method: Option<String>,
    /// Also write the rows here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Row {
    problem: &'static str,
    method: &'static str,
    calls: usize,
    vjps: usize,
    mean_error: f64,
    std_ratio: f64,
    w2: f64,
    deepinv_w2: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let chosen = select(METHODS, |method| method.name, arguments.method.as_deref())?;
    let mut rows = Vec::new();
    for problem in [Problem::inpainting()?, Problem::blur()?] {
        print_head(&problem);
        for method in &chosen {
            if let Some(row) = score(&problem, method)? {
                print_line(&row);
                rows.push(row);
            }
        }
    }
    if let Some(path) = &arguments.json {
        save_report(&rows, path)?;
    }
    Ok(())
}

/// Draws with a method, unless it does not fit the problem.
fn score(problem: &Problem, method: &Method) -> Outcome<Option<Row>> {
    let prior: Probe<&FullGaussian> = Probe::new(&problem.prior);
    let Some(sampler) = (method.build)(problem, &prior)? else {
        return Ok(None);
    };
    let mut rng = Rng::seeded(0, &Device::flex()).with_dtype(DType::F64);
    let draws = sampler.sample(batch(DRAWS), &mut rng, &mut |_| ())?;
    let found = Gaussian::fit(&draws.try_to_vec_as::<f64>()?, PIXELS);
    let errors = problem.posterior.errors_of(&found);
    let calls = prior.calls(DRAWS);
    let peer = method.peer;
    Ok(Some(Row {
        problem: problem.name,
        method: method.name,
        calls,
        vjps: prior.vjps(DRAWS),
        mean_error: errors.mean_error,
        std_ratio: errors.std_ratio,
        w2: errors.w2,
        deepinv_w2: peer.and_then(|peer| peer::best(peer, problem.name, calls)),
    }))
}

fn print_head(problem: &Problem) {
    println!("\n{}, {DRAWS} draws", problem.name);
    println!(
        "{:<52}{:>7}{:>7}{:>12}{:>9}{:>9} {:>9}",
        "", "calls", "vjps", "mean error", "spread", "W2", "deepinv"
    );
}

fn print_line(row: &Row) {
    let peer = row.deepinv_w2.map(|w2| format!("{w2:.2}"));
    println!(
        "{:<52}{:>7}{:>7}{:>12.3}{:>9.3}{:>9.3}{}{:>9}",
        row.method,
        row.calls,
        row.vjps,
        row.mean_error,
        row.std_ratio,
        row.w2,
        if row.w2 <= EXACT { '*' } else { ' ' },
        peer.unwrap_or_default(),
    );
}
