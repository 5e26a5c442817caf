//! `tweedie reproduce gmm-posterior`: how far each posterior sampler ends from an exact posterior of many modes.
//!
//! The protocol of Cardoso et al. 2024, section 4, <https://arxiv.org/abs/2308.07983>. Random measurements of a mixture of 25
//! Gaussians, whose posterior is a mixture too. The figure is the sliced Wasserstein distance of order 1 over 100 random
//! directions between draws of a method and as many of the posterior.

mod methods;
mod plot;
mod problem;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tweedie::{
    burn::tensor::{DType, Device, Tensor},
    core::Rng,
    metrics::sliced_wasserstein,
    samplers::SampleError,
};

use self::{
    methods::{METHODS, Method, Steps, Walk},
    problem::Problem,
};
use super::selection::select;
use crate::{
    failure::{Failure, Outcome},
    quality::save_report,
};

/// Random directions of a distance.
const DIRECTIONS: usize = 100;

/// What the random numbers of an instance are for.
#[derive(Clone, Copy)]
enum Purpose {
    Problem,
    Posterior,
    Method,
    Directions,
}

/// Distance of every posterior sampler from the exact posterior of mixtures of 25 Gaussians, after Cardoso et al. (ICLR 2024)
///
/// An exact denoiser and random problems. Each figure is the mean over the problems of the sliced Wasserstein distance, beside 1.96
/// standard errors. Exact draws show what their number allows.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Pixels of an image.
    #[arg(long, value_name = "D", value_delimiter = ',', default_value = "8,80,800", value_parser = even)]
    dims: Vec<usize>,
    /// Measurements.
    #[arg(long, value_name = "DY", value_delimiter = ',', default_value = "1,2,4", value_parser = clap::value_parser!(u16).range(1..))]
    measured: Vec<u16>,
    /// Problems of each size.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..))]
    seeds: u64,
    /// Steps of a method that has no number of its own: 20 or 100.
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "20,100", value_parser = protocol)]
    steps: Vec<Steps>,
    /// Draws of each method and of the posterior.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    draws: u32,
    /// Run only the methods whose name contains this.
    #[arg(long, value_name = "TEXT")]
    method: Option<String>,
    /// Also write the rows here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draw the figures of the most steps here.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

fn even(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(value) if value >= 2 && value % 2 == 0 => Ok(value),
        Ok(value) => Err(format!(
            "expected an even number, at least 2, found {value}"
        )),
        Err(error) => Err(error.to_string()),
    }
}

fn protocol(text: &str) -> Result<Steps, String> {
    let known = Steps::PROTOCOL
        .into_iter()
        .find(|steps| steps.count.to_string() == text);
    known.ok_or_else(|| format!("expected 20 or 100, found {text}"))
}

/// More measurements than pixels.
#[derive(Debug, thiserror::Error)]
#[error("expected at most as many measurements as pixels, found {measured} of {pixels}")]
struct Overdetermined {
    measured: usize,
    pixels: usize,
}

/// One figure; none where a run diverged.
#[derive(Debug, Serialize)]
struct Row {
    d: usize,
    dy: usize,
    method: &'static str,
    steps: usize,
    sw: Option<f64>,
    half_width: Option<f64>,
}

/// A random problem, and draws of its posterior.
struct Instance {
    problem: Problem,
    exact: Tensor<4>,
    rng: Rng,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let chosen = select(METHODS, |method| method.name, arguments.method.as_deref())?;
    let mut rows = Vec::new();
    for &d in &arguments.dims {
        for &dy in &arguments.measured {
            let dy = usize::from(dy);
            let instances = (0..arguments.seeds)
                .map(|seed| Instance::draw([d, dy], seed, arguments.draws as usize))
                .collect::<Outcome<Vec<_>>>()?;
            println!(
                "\n{dy} measurements of {d} pixels, {} problems",
                arguments.seeds
            );
            println!("{:<32}{:>6}{:>20}", "", "steps", "sliced W1");
            for method in &chosen {
                for &steps in taken(method, &arguments.steps) {
                    let distances = instances
                        .iter()
                        .map(|instance| instance.distance(method, steps))
                        .collect::<Outcome<Vec<_>>>()?;
                    let row = Row::new([d, dy], method, steps, &distances);
                    print_line(&row, &distances);
                    rows.push(row);
                }
            }
        }
    }
    if let Some(path) = &arguments.json {
        save_report(&rows, path)?;
    }
    if let Some(path) = &arguments.plot {
        plot::save(&rows, path)?;
    }
    Ok(())
}

/// The steps that a method is run with: once, where it has its own.
fn taken<'a>(method: &Method, steps: &'a [Steps]) -> &'a [Steps] {
    match method.steps {
        Some(_) => &steps[..1],
        None => steps,
    }
}

impl Instance {
    fn draw([d, dy]: [usize; 2], seed: u64, draws: usize) -> Outcome<Self> {
        if dy > d {
            let (measured, pixels) = (dy, d);
            return Err(Failure::usage(Overdetermined { measured, pixels }));
        }
        let rng = Rng::seeded(seed, &Device::flex()).with_dtype(DType::F64);
        let rng = rng.fork(d as u64).fork(dy as u64);
        let problem = Problem::draw(d, dy, &mut rng.fork(Purpose::Problem as u64))?;
        let exact = problem.exact(draws, &mut rng.fork(Purpose::Posterior as u64));
        Ok(Self {
            problem,
            exact,
            rng,
        })
    }

    /// Of the draws of a method from those of the posterior; none where its run diverged.
    fn distance(&self, method: &Method, steps: Steps) -> Outcome<Option<f64>> {
        let problem = self.problem.in_unit(method.unit)?;
        let sampler = (method.build)(&problem, Walk::new(steps, method.unit)?)?;
        let mut rng = self.rng.fork(Purpose::Method as u64);
        let found = match sampler.sample(self.exact.dims(), &mut rng, &mut |_| ()) {
            Err(SampleError::Diverged { .. }) => return Ok(None),
            found => found?.div_scalar(method.unit),
        };
        let mut directions = self.rng.fork(Purpose::Directions as u64);
        let distance =
            sliced_wasserstein(found, self.exact.clone(), 1, DIRECTIONS, &mut directions);
        Ok(distance.is_finite().then_some(distance))
    }
}

impl Row {
    fn new([d, dy]: [usize; 2], method: &Method, steps: Steps, distances: &[Option<f64>]) -> Self {
        let all: Option<Vec<f64>> = distances.iter().copied().collect();
        let figure = all.map(|all| mean_and_half_width(&all));
        Self {
            d,
            dy,
            method: method.name,
            steps: method.steps.unwrap_or(steps.count),
            sw: figure.map(|(mean, _)| mean),
            half_width: figure.map(|(_, half_width)| half_width),
        }
    }
}

/// The mean of two or more values, and 1.96 of its standard errors.
fn mean_and_half_width(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, 1.96 * (squares / (count - 1.0) / count).sqrt())
}

fn print_line(row: &Row, distances: &[Option<f64>]) {
    let figure = match (row.sw, row.half_width) {
        (Some(sw), Some(half_width)) if sw < 1e4 => format!("{sw:.3} +- {half_width:.3}"),
        (Some(sw), Some(half_width)) => format!("{sw:.0e} +- {half_width:.0e}"),
        _ => {
            let diverged = distances
                .iter()
                .filter(|distance| distance.is_none())
                .count();
            format!("diverged ({diverged})")
        }
    };
    println!("{:<32}{:>6}{figure:>20}", row.method, row.steps);
}
