//! `tweedie reproduce gaussian-w2`: how far solvers end from a Gaussian, exactly.
//!
//! Pierret & Galerne 2025, section 4, <https://arxiv.org/abs/2405.14250>: the variance-preserving process with beta from 0.1 to
//! 20, `N` times in equal steps from 1 to `eps`, started at `N(0, I)`, with the exact score of a centred Gaussian. The
//! figure is the Wasserstein distance between the law of the output and the prior.

mod law;
mod published;
mod schemes;
mod spectrum;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tweedie::core::TimeGrid;

use self::{
    law::{Law, wasserstein},
    published::{POINTS, Published, Scheme, TABLE},
    schemes::{OURS, Problem},
};
use crate::{failure::Outcome, quality::save_report};

/// Distance of every solver from a Gaussian prior, beside the table of Pierret & Galerne (ICML 2025)
///
/// Exact: the schemes are linear, so their output variances are computed, not sampled. The published figures are those of the
/// spectrum of CIFAR-10; with another spectrum there is nothing to compare with.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Variances of the prior, a NumPy file of one axis. The default is a power law of 3072 modes.
    #[arg(long, value_name = "FILE.npy")]
    spectrum: Option<PathBuf>,
    /// Also write the rows here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Row {
    scheme: String,
    eps: f64,
    points: usize,
    nfe: usize,
    w2: f64,
    published: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let variances = match &arguments.spectrum {
        Some(path) => spectrum::read(path)?,
        None => spectrum::power_law(),
    };
    let problem = Problem::new(&variances)?;
    let is_cifar = is_cifar(&variances);
    let total: f64 = variances.iter().sum();
    println!("{} modes, total variance {total:.2}", variances.len());
    let mut rows = Vec::new();
    print_head("published schemes, uniform times; found (published)", "N");
    for published in TABLE {
        rows.extend(published_row(&problem, published, &variances, is_cifar)?);
    }
    print_head("ours, Karras noise levels down to 1e-3 and zero", "NFE");
    for ours in OURS {
        let mut line = Vec::new();
        for evaluations in POINTS {
            let (grid, law) = problem.ours(ours, evaluations)?;
            line.push(row(ours.name.to_owned(), &grid, law, &variances, None));
        }
        print_line(ours.name, None, &line);
        rows.extend(line);
    }
    if let Some(path) = &arguments.json {
        save_report(&rows, path)?;
    }
    Ok(())
}

/// Whether these are the variances of the published table, by their number and their sum.
fn is_cifar(variances: &[f64]) -> bool {
    let total: f64 = variances.iter().sum();
    variances.len() == 3072 && (total - 761.62).abs() < 0.005
}

fn published_row(
    problem: &Problem<'_>,
    published: &Published,
    spectrum: &[f64],
    is_cifar: bool,
) -> Outcome<Vec<Row>> {
    let name = published.scheme.name();
    let mut line = Vec::new();
    for (points, w2) in POINTS.into_iter().zip(published.w2) {
        let points = published.scheme.points(points);
        let grid = TimeGrid::uniform(1.0, published.eps, points - 1)?;
        let law = problem.published(published.scheme, &grid);
        let expected = is_cifar.then_some(w2);
        line.push(row(name.to_owned(), &grid, law, spectrum, expected));
    }
    print_line(name, Some(published.eps), &line);
    Ok(line)
}

fn row(scheme: String, grid: &TimeGrid, law: Law, spectrum: &[f64], published: Option<f64>) -> Row {
    Row {
        scheme,
        eps: grid.end(),
        points: grid.times().len(),
        nfe: law.evaluations,
        w2: wasserstein(&law.variances, spectrum),
        published,
    }
}

fn print_head(title: &str, columns: &str) {
    println!("\n{title}");
    print!("{:<22}{:>8}", "", "eps");
    for points in POINTS {
        print!("{:>17}", format!("{columns} = {points}"));
    }
    println!();
}

fn print_line(name: &str, eps: Option<f64>, line: &[Row]) {
    let eps = eps.map(|eps| eps.to_string()).unwrap_or_default();
    print!("{name:<22}{eps:>8}");
    for row in line {
        let cell = match row.published {
            Some(published) => format!("{:.2} ({published:.2})", row.w2),
            None => format!("{:.4}", row.w2),
        };
        print!("{cell:>17}");
    }
    println!();
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::EulerMaruyama => "Euler-Maruyama",
            Self::ExponentialEuler => "exponential Euler",
            Self::Ddpm => "DDPM (ancestral)",
            Self::Euler => "Euler (flow)",
            Self::Heun => "Heun (flow)",
            Self::Rk4 => "RK4 (flow)",
        }
    }

    /// How many grid points a column of the table stands for.
    fn points(self, column: usize) -> usize {
        match self {
            Self::Rk4 => column / 4,
            _ => column,
        }
    }
}
