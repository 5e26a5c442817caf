//! The way up and down of an image, and the denoisers that lead it.

use std::sync::Arc;

use tweedie::{
    burn::tensor::{Device, Tensor},
    core::{ClassifierFree, Denoiser, Rng, Schedule, ScheduleConfig, TimeGrid},
    fidelity::{ClassLikelihood, Posterior},
    samplers::{Counterfactual, SampleError},
    solvers::Step,
};

use super::arguments::Arguments;
use crate::{
    classes,
    failure::{Failure, Outcome},
    method::RHO,
    model::Model,
};

/// The level at which an image is taken to be: one grey level of 256.
const LEAST_SIGMA: f64 = 1.0 / 255.0;

/// What leads images, and along which path.
pub(super) struct Way {
    model: Model,
    path: Counterfactual<Arc<dyn Schedule>>,
    own: Box<dyn Denoiser>,
    other: Box<dyn Denoiser>,
}

/// Images led to the healthy class, and led nowhere.
pub(super) struct Led {
    pub(super) counterfactual: Tensor<4>,
    pub(super) reconstruction: Tensor<4>,
}

impl Way {
    pub(super) fn open(arguments: &Arguments, device: &Device) -> Outcome<Self> {
        let model = arguments.model.open(device)?;
        let schedule = model.schedule()?;
        let grid = grid(&model.config().schedule, schedule.as_ref(), arguments.steps)?;
        let level = arguments.level() as usize;
        let path = Counterfactual::new(schedule, &grid, level, arguments.ascent.into())
            .map_err(Failure::usage)?;
        let own = || model.given(None);
        let (healthy, scale) = ([arguments.healthy], arguments.guidance);
        let other: Box<dyn Denoiser> = match &arguments.classifier {
            Some(folder) => {
                let classifier = classes::classifier_of(&model, folder, device)?;
                Box::new(Posterior {
                    prior: own()?,
                    guidance: ClassLikelihood::new(classifier, &healthy, scale)
                        .map_err(Failure::usage)?,
                })
            }
            None => Box::new(ClassifierFree::new(
                model.given(Some(&healthy))?,
                own()?,
                scale,
            )),
        };
        Ok(Self {
            own: own()?,
            other,
            path,
            model,
        })
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    /// The noise level at the top.
    pub(super) fn top(&self) -> f64 {
        self.path.top()
    }

    /// How many steps [`lead`](Self::lead) makes.
    pub(super) fn steps(&self) -> usize {
        self.path.ascending() + 2 * self.path.descending()
    }

    /// Leads a batch; `step` is told of each step.
    pub(super) fn lead(
        &self,
        images: Tensor<4>,
        rng: &mut Rng,
        step: &mut dyn FnMut(),
    ) -> Result<Led, SampleError> {
        let mut observe = |_: Step<'_>| step();
        let top = self
            .path
            .ascend(images, self.own.as_ref(), rng, &mut observe)?;
        // Both come down by the same noise, so that they differ by the guidance alone.
        let mut same = rng.clone();
        Ok(Led {
            counterfactual: self.path.descend(
                top.clone(),
                self.other.as_ref(),
                rng,
                &mut observe,
            )?,
            reconstruction: self
                .path
                .descend(top, self.own.as_ref(), &mut same, &mut observe)?,
        })
    }
}

/// Steps from the horizon to where noise cannot be seen, of equal time; of a schedule whose time is the noise level, after Karras et al.
/// 2022: most of its time is beyond what an image has.
fn grid(config: &ScheduleConfig, schedule: &dyn Schedule, steps: u32) -> Outcome<TimeGrid> {
    let (horizon, steps) = (schedule.horizon(), steps as usize);
    if let ScheduleConfig::Karras { .. } = config {
        let highest = schedule.sigma(horizon);
        return Ok(TimeGrid::karras(
            schedule,
            highest,
            LEAST_SIGMA,
            RHO,
            steps,
        )?);
    }
    let least = if schedule.sigma(0.0) < LEAST_SIGMA {
        schedule.time_at(LEAST_SIGMA)
    } else {
        0.0
    };
    Ok(TimeGrid::uniform(horizon, least, steps)?)
}
