//! `tweedie reproduce levy`: posterior samplers on signals whose posterior is known.
//!
//! The Gaussian increments of the statistical benchmark of Zach, Haouchat & Unser 2026, <https://arxiv.org/abs/2509.12821>. There
//! denoisers are learned and the best estimate comes from a Gibbs sampler; here both are closed forms.

mod builders;
mod methods;
mod operators;
mod problem;
mod score;
mod search;

use std::path::PathBuf;

use clap::{Args, value_parser};
use serde::Serialize;

use self::{
    methods::{Build, METHODS, Method},
    operators::OPERATORS,
    problem::Problem,
    score::{LEVEL, exact_gap, score},
};
use super::selection::select;
use crate::{failure::Outcome, quality::save_report};

/// Standard errors within which a figure cannot be told from that of exact draws.
const WITHIN: f64 = 3.0;

/// MMSE gap and coverage of every posterior sampler on signals with Gaussian increments
///
/// Four operators, an exact denoiser. Gap: by how many decibels the mean of the draws misses the signal more than the posterior mean
/// does. Coverage: how often the set of highest posterior density that holds 90 % of the draws holds the signal; its error is that of an
/// exact sampler. A star marks what cannot be told from exact draws. The published gaps, which are quoted at second hand, are those
/// of a learned denoiser.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Signals; published are figures of 1000.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = value_parser!(u32).range(2..))]
    tests: u32,
    /// Draws for each signal; sets of 90 % need 9.
    #[arg(long, default_value_t = 50, value_name = "K", value_parser = value_parser!(u32).range(9..))]
    draws: u32,
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
    operator: &'static str,
    method: &'static str,
    calls: usize,
    gap_db: f64,
    gap_se: f64,
    coverage: f64,
    coverage_se: f64,
    published_gap_db: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let chosen = select(METHODS, |method| method.name, arguments.method.as_deref())?;
    let (tests, draws) = (arguments.tests as usize, arguments.draws as usize);
    let mut rows = Vec::new();
    for operator in &OPERATORS {
        let problem = Problem::new(operator, tests, search::SIGNALS)?;
        print_head(&problem, draws);
        for method in &chosen {
            rows.push(judge(&problem, method, draws)?);
        }
    }
    if let Some(path) = &arguments.json {
        save_report(&rows, path)?;
    }
    Ok(())
}

/// Draws with a method, and prints what they are worth.
fn judge(problem: &Problem, method: &Method, draws: usize) -> Outcome<Row> {
    let drawn = search::draw(problem, method.build, draws)?;
    let score = score(problem, &problem.tests, drawn.draws)?;
    let row = Row {
        operator: problem.name,
        method: method.name,
        calls: drawn.calls,
        gap_db: score.gap,
        gap_se: score.gap_se,
        coverage: score.coverage.fraction(),
        coverage_se: score.coverage.standard_error(),
        published_gap_db: method.published(problem.name),
    };
    print_line(&row, &name(method, drawn.setting), exact_gap(draws));
    Ok(row)
}

/// With the setting that was searched for.
fn name(method: &Method, setting: Option<f64>) -> String {
    match (method.build, setting) {
        (Build::Searched(values, _), Some(value)) => {
            format!("{}, {} {value:.2e}", method.name, values.setting)
        }
        _ => method.name.to_owned(),
    }
}

fn print_head(problem: &Problem, draws: usize) {
    println!(
        "\n{}, noise {:.3}: {} signals, {draws} draws for each; of exact draws the gap is {:.3} on average, the coverage {LEVEL}",
        problem.name,
        problem.noise_std,
        problem.tests.count(),
        exact_gap(draws),
    );
    println!(
        "{:<60}{:>6}{:>18}{:>18} {:>10}",
        "", "calls", "gap, dB", "coverage", "published"
    );
}

fn print_line(row: &Row, name: &str, exact_gap: f64) {
    let near = |found: f64, exact: f64, error: f64| (found - exact).abs() <= WITHIN * error;
    let exact =
        near(row.gap_db, exact_gap, row.gap_se) && near(row.coverage, LEVEL, row.coverage_se);
    let published = row.published_gap_db.map(|gap| format!("{gap:.2}"));
    println!(
        "{name:<60}{:>6}{:>9.3} +- {:.3}{:>10.3} +- {:.3}{}{:>10}",
        row.calls,
        row.gap_db,
        row.gap_se,
        row.coverage,
        row.coverage_se,
        if exact { '*' } else { ' ' },
        published.unwrap_or_default(),
    );
}
