//! A network that has learnt `p(x | y)` itself, shown the measurement.

use tweedie::core::Denoiser;

use super::Arguments;
use crate::{
    failure::{Failure, Outcome},
    measurement::seen,
    model::Model,
    problem::Problem,
    train,
};

/// The denoiser of the posterior. Another measurement than that of the training is refused, where there is a record of that.
pub(super) fn denoiser(
    arguments: &Arguments,
    model: &Model,
    problem: &Problem,
) -> Outcome<Box<dyn Denoiser>> {
    let folder = arguments.model.checkpoint();
    match folder
        .map(train::recorded_measurement)
        .transpose()?
        .flatten()
    {
        Some(recorded) => recorded
            .check(problem, arguments.problem.noise_std)
            .map_err(Failure::usage)?,
        None => eprintln!(
            "note: there is no run.toml that says on what measurements {} was trained",
            model.name
        ),
    }
    let image = problem.image_shape;
    model.seeing(seen(&problem.operator, problem.measurement.clone(), image))
}
