//! What happens beside training: numbers on the screen, sheets of samples, and the wish to stop.

use std::path::{Path, PathBuf};

use tweedie::{
    burn::tensor::Device,
    core::{Clipped, Rng},
    models::{ModelConfig, UNet},
    training::{Event, Flow},
};

use super::{monitor::Monitor, settings::Settings};
use crate::{
    failure::{Failure, Outcome},
    interrupt::Interrupt,
    method::{GridName, Method, SolverName},
    sheet::{columns, save_sheet},
};

/// Images of a sheet.
const IMAGES: usize = 16;

/// How a sheet is drawn.
const METHOD: Method = Method {
    solver: SolverName::Ddim,
    eta: 0.0,
    steps: 50,
    grid: GridName::Uniform,
};

/// Keeps the random numbers of the sheets apart from those of the training.
const PURPOSE: u64 = u64::from_be_bytes(*b"samples\0");

/// Sees every event of a run.
pub(super) struct Observer<'a> {
    settings: &'a Settings,
    folder: &'a Path,
    device: &'a Device,
    monitor: Box<dyn Monitor>,
    interrupt: Interrupt,
    flow: Flow,
    /// The trainer knows no errors of its observer, so one waits here.
    failure: Option<Failure>,
    seen: Seen,
}

/// What there was to see last.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) validation_loss: Option<f64>,
    pub(super) sheet: Option<PathBuf>,
}

impl<'a> Observer<'a> {
    pub(super) fn new(
        settings: &'a Settings,
        folder: &'a Path,
        device: &'a Device,
        monitor: Box<dyn Monitor>,
        interrupt: Interrupt,
    ) -> Self {
        Self {
            settings,
            folder,
            device,
            monitor,
            interrupt,
            flow: Flow::Continue,
            failure: None,
            seen: Seen::default(),
        }
    }

    /// To be handed every event; tells whether training goes on.
    pub(super) fn observe(&mut self, event: Event<'_>) -> Flow {
        match event {
            Event::Step(record) => {
                self.monitor.step(&record);
                self.decide();
            }
            Event::Validation(record) => {
                self.monitor.validation(&record);
                self.seen.validation_loss = Some(record.loss);
            }
            // Who has asked to stop does not wait for pictures.
            Event::Samples { step, network } if self.flow == Flow::Continue => {
                let path = self.folder.join(format!("samples/step-{step:08}.png"));
                match self.draw(network, &path) {
                    Ok(()) => self.seen.sheet = Some(path),
                    Err(failure) => self.failure = Some(failure),
                }
            }
            _ => {}
        }
        self.flow
    }

    /// Leaves the screen; the first error, if there was one.
    pub(super) fn finish(self) -> Outcome<Seen> {
        drop(self.monitor);
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.seen),
        }
    }

    fn decide(&mut self) {
        let asked = self.interrupt.is_asked() || self.monitor.asks_to_stop();
        if asked {
            self.monitor.note("stopping: writing a checkpoint");
        }
        if asked || self.failure.is_some() {
            self.flow = Flow::Stop;
        }
    }

    /// The same noise each time, so that sheets can be compared.
    fn draw(&self, network: &UNet, path: &Path) -> Outcome<()> {
        let model: &ModelConfig = &self.settings.model;
        let mut rng = Rng::seeded(self.settings.training.seed, self.device).fork(PURPOSE);
        let [channels, height, width] = self.settings.shape();
        let denoiser = Clipped::unit(model.denoiser(network)?);
        let sampler = METHOD.sampler(model.unit_range_schedule()?, Box::new(denoiser))?;
        let shape = [IMAGES, channels, height, width];
        let batch = sampler.sample(shape, &mut rng, &mut |_| ())?;
        save_sheet(batch, columns(IMAGES), path)
    }
}
