//! `tweedie mcmc`: Markov chains on the posterior of an image, and whether they have converged.

mod arguments;
mod directions;
mod job;
mod kernel;
mod report;
mod target;
mod traces;

use tweedie::{burn::tensor::Device, fidelity::Smooth};

pub(crate) use arguments::Arguments;
use arguments::Classical;
use job::Run;
use kernel::Recipe;
use report::Setting;

use crate::{
    device::DeviceName, failure::Outcome, model::Model, problem::Problem, sheet::make_folder,
};

/// Height and width of a phantom where no model says otherwise.
const PHANTOM: [usize; 2] = [64, 64];

/// What is known of images.
enum Known {
    Classical(Classical),
    Learnt(Box<Model>),
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    let device_name = device.name();
    let device = device.open()?;
    let known = match arguments.prior.classical() {
        Some(kind) => Known::Classical(kind),
        None => {
            let model = arguments.model.open(&device)?;
            model.check_level(arguments.sigma)?;
            model.check_without_class()?;
            Known::Learnt(Box::new(model))
        }
    };
    let problem = pose(arguments, &known, &device)?;
    let data = target::data(&problem, arguments, &device)?;
    let lambda = data.lipschitz().map(f64::recip);
    let (prior, model) = match &known {
        Known::Classical(kind) => {
            let prior = target::classical(*kind, arguments, problem.image_shape, lambda)?;
            (prior, None)
        }
        Known::Learnt(model) => (
            target::learnt(arguments, model.denoiser())?,
            Some(model.name.clone()),
        ),
    };
    make_folder(&arguments.out)?;
    let run = Run {
        arguments,
        problem: &problem,
        setting: Setting {
            device: device_name,
            model,
            lambda,
        },
        device: &device,
    };
    let recipe = Recipe {
        arguments,
        problem: &problem,
        data: &data,
        prior: &prior,
    };
    recipe.dispatch(run)
}

fn pose(arguments: &Arguments, known: &Known, device: &Device) -> Outcome<Problem> {
    let posed = &arguments.problem;
    match known {
        Known::Classical(_) => Problem::pose(posed, PHANTOM, |_| Ok(()), device),
        Known::Learnt(model) => {
            let config = model.config();
            let fits = |[channels, height, width]: [usize; 3]| {
                Ok(config.check_image(channels, height, width)?)
            };
            Problem::pose(posed, config.image_size, fits, device)
        }
    }
}
