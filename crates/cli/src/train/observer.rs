//! What happens beside training: numbers on the screen, sheets of samples, the report, and the wish to stop.

use std::path::{Path, PathBuf};

use tweedie::{
    burn::tensor::Device,
    core::Rng,
    training::{Event, Flow},
};

use super::{monitor::Monitor, report::Report, score::Score, show::Show};
use crate::{
    failure::{Failure, Outcome},
    interrupt::Interrupt,
    sheet::{columns, save_sheet},
};

/// Images of a sheet.
const IMAGES: usize = 16;

/// Keep the random numbers of the sheets and of the scores apart from those of the training.
const SHEETS: u64 = u64::from_be_bytes(*b"samples\0");
const SCORES: u64 = u64::from_be_bytes(*b"scores\0\0");

/// What an observer works with.
pub(super) struct Scene<'a, N> {
    /// Folder of the run.
    pub(super) folder: &'a Path,
    pub(super) seed: u64,
    pub(super) device: &'a Device,
    pub(super) show: &'a dyn Show<N>,
    pub(super) score: Option<Score>,
    pub(super) report: Report,
}

/// Sees every event of a run.
pub(super) struct Observer<'a, N> {
    scene: Scene<'a, N>,
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

impl<'a, N> Observer<'a, N> {
    pub(super) fn new(
        scene: Scene<'a, N>,
        monitor: Box<dyn Monitor>,
        interrupt: Interrupt,
    ) -> Self {
        Self {
            scene,
            monitor,
            interrupt,
            flow: Flow::Continue,
            failure: None,
            seen: Seen::default(),
        }
    }

    /// To be handed every event; tells whether training goes on.
    pub(super) fn observe(&mut self, event: Event<'_, N>) -> Flow {
        match event {
            Event::Step(record) => {
                self.monitor.step(&record);
                self.decide();
            }
            Event::Validation { record, .. } => {
                self.monitor.validation(&record);
                self.seen.validation_loss = Some(record.loss);
                let written = self.scene.report.write();
                self.keep(written);
            }
            // Who has asked to stop does not wait for pictures.
            Event::Samples { step, network } if self.flow == Flow::Continue => {
                let drawn = self.draw(step, network);
                self.keep(drawn);
            }
            _ => {}
        }
        self.flow
    }

    /// Leaves the screen and writes the last report; the first error, if there was one.
    pub(super) fn finish(self) -> Outcome<Seen> {
        drop(self.monitor);
        match self.failure {
            Some(failure) => Err(failure),
            None => {
                self.scene.report.write()?;
                Ok(self.seen)
            }
        }
    }

    fn keep(&mut self, outcome: Outcome<()>) {
        if let Err(failure) = outcome {
            self.failure.get_or_insert(failure);
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

    fn draw(&mut self, step: u64, network: &N) -> Outcome<()> {
        let Scene {
            folder,
            seed,
            device,
            show,
            score,
            ..
        } = &self.scene;
        let rng = Rng::seeded(*seed, device);
        if let Some(images) = show.images(network, 0..IMAGES, rng.fork(SHEETS))? {
            let path = folder.join(format!("samples/step-{step:08}.png"));
            let count = images.dims()[0];
            save_sheet(images, columns(count), &path)?;
            self.seen.sheet = Some(path);
        }
        if let Some(score) = score {
            let distance = score.after(step, |rows| {
                let rng = rng.fork(SCORES).starting_at(rows.start as u64);
                show.images(network, rows, rng)
            })?;
            self.monitor
                .note(&format!("step {step}  Fréchet distance {distance:.2}"));
        }
        Ok(())
    }
}
