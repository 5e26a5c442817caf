//! The loop.

mod step;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use burn::{
    data::dataset::Dataset,
    module::{Module, ModuleMapper, Param, ParamId},
    optim::ModuleOptimizer,
    tensor::{Device, Tensor},
};
use tweedie_core::Rng;
use tweedie_kernels::AdamW;
use tweedie_models::{EMA_FILE, Precision, save_weights};

use crate::{
    CHECKPOINTS_FOLDER, Checkpoint, Examples, LevelRecord, StepRecord, Task, TrainingConfig,
    TrainingError, ValidationRecord,
    averages::{Averages, Held},
    checkpoint::{self, Contents, State},
    log::Logs,
    order::Order,
    patience::Progress,
    post_hoc,
    prefetch::Prefetch,
};

pub(crate) use step::{weighted_mean, worst};

/// Purposes of the random numbers of a run.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Training = 0,
    Validation = 1,
}

impl Purpose {
    /// The generator of a run on a device.
    pub(crate) fn rng(self, seed: u64, device: &Device) -> Rng {
        Rng::seeded(seed, device).fork(self as u64)
    }
}

/// Keeps the random numbers of the noise levels of a step apart from all others.
pub(crate) const LEVELS: u64 = u64::from_be_bytes(*b"levels\0\0");

/// What the caller is told while training runs.
#[non_exhaustive]
pub enum Event<'a, N> {
    /// A step was made.
    Step(StepRecord),
    /// The averaged weights were validated.
    Validation {
        /// The whole.
        record: ValidationRecord,
        /// By noise level.
        levels: &'a [LevelRecord],
    },
    /// It is time for a sample grid.
    Samples {
        /// The number of steps so far.
        step: u64,
        /// The averaged network.
        network: &'a N,
    },
    /// A checkpoint was written.
    Checkpoint(&'a Checkpoint),
}

/// Whether training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// Write a checkpoint and stop.
    Stop,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its last checkpoint.
    pub checkpoint: Checkpoint,
    /// Whether all steps were made.
    pub finished: bool,
    /// Whether it ended before that for want of patience: see [`TrainingConfig::patience`].
    pub stopped_early: bool,
    /// The best validation.
    pub best: Option<ValidationRecord>,
}

/// A run in memory: task, network, averages, optimiser, data.
pub struct Trainer<T: Task> {
    pub(crate) config: TrainingConfig,
    pub(crate) task: T,
    network: Held<T::Network>,
    averages: Averages<T::Network>,
    optimiser: ModuleOptimizer,
    order: Order,
    pub(crate) validation: Examples,
    /// The first holds everything.
    devices: Vec<Device>,
    step: u64,
    progress: Progress,
    /// Where the last checkpoint lies.
    pub(crate) saved: Option<PathBuf>,
}

impl<T: Task> Trainer<T> {
    /// A new run. `examples` and `validation` fit the task; `device` is a plain one.
    ///
    /// # Errors
    /// When a setting, the task or the data are not fit for training, or the device does not compute in the precision.
    pub fn new(
        config: TrainingConfig,
        task: T,
        examples: Examples,
        validation: Examples,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        config.validate()?;
        check_precision(&config, &task, device)?;
        check_examples("training", &examples, config.batch_size, &task)?;
        check_examples("validation", &validation, 1, &task)?;
        let network = numbered(task.init(config.seed, &device.clone().autodiff())?);
        let optimiser = AdamW::new(0.9, 0.999, 1e-8, config.weight_decay as f32).into();
        Ok(Self {
            averages: Averages::new(&config, &network.valid()),
            network: Held::new(network),
            optimiser,
            order: Order::new(examples, config.batch_size, config.seed, device.clone()),
            validation,
            devices: vec![device.clone()],
            step: 0,
            progress: Progress::default(),
            saved: None,
            config,
            task,
        })
    }

    /// Continues from a checkpoint. The run's settings may differ from the checkpoint's, as for a longer run; with the same
    /// settings and data the result is that of a run that never stopped.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the checkpoint is damaged or belongs to another model.
    pub fn resume(
        checkpoint: &Checkpoint,
        config: TrainingConfig,
        task: T,
        examples: Examples,
        validation: Examples,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        if !task.is_in(checkpoint.folder())? {
            return Err(TrainingError::OtherModel {
                path: checkpoint.folder().into(),
            });
        }
        let state = checkpoint.state()?;
        let mut trainer = Self::new(config, task, examples, validation, device)?;
        trainer.optimiser = checkpoint.load_into(
            trainer.network.get_mut(),
            &mut trainer.averages,
            trainer.optimiser,
        )?;
        trainer.step = state.step;
        trainer.progress = state.progress;
        trainer.saved = Some(checkpoint.folder().into());
        trainer.task.recall(state.memory);
        Ok(trainer)
    }

    /// The same run with its batches cut over `others` too: each gets a copy of the weights in every step, and gradients are
    /// added on the run's own device. All may be the same device, which then works on several parts at a time.
    ///
    /// # Errors
    /// When a batch has too few images, or a device does not compute in the precision.
    pub fn with_devices(mut self, others: &[Device]) -> Result<Self, TrainingError> {
        for device in others {
            check_precision(&self.config, &self.task, device)?;
        }
        self.devices.truncate(1);
        self.devices.extend_from_slice(others);
        self.config.check_parts(self.devices.len())?;
        Ok(self)
    }

    /// The number of steps made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The moving average of the network: what samples.
    pub fn average(&self) -> &T::Network {
        self.averages.first()
    }

    /// Writes a network of the run, such as another average, as a model folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save_network(&self, network: &T::Network, folder: &Path) -> Result<(), TrainingError> {
        make_folder(folder)?;
        self.task.save(folder)?;
        Ok(save_weights(network, &folder.join(EMA_FILE))?)
    }

    /// Makes the steps that are left and writes metrics and checkpoints into `folder`. `observe` is told of all of it, and
    /// may stop the run; a last checkpoint is written then, as at the end.
    ///
    /// # Errors
    /// When a file cannot be written, an image cannot be read, or the loss is not finite; the checkpoints on disk remain.
    ///
    /// # Panics
    /// If the data set does, or if its images differ in shape.
    pub fn run(
        &mut self,
        folder: &Path,
        mut observe: impl FnMut(Event<'_, T::Network>) -> Flow,
    ) -> Result<Outcome, TrainingError> {
        self.claim(folder)?;
        let mut logs = Logs::continued(folder, self.step)?;
        post_hoc::remove_after(folder, self.step)?;
        let mut batches = Prefetch::start(self.order.clone(), self.step..self.config.steps);
        let mut stop = self.is_over();
        while !stop {
            let start = Instant::now();
            let Some(batch) = batches.next().transpose()? else {
                break;
            };
            let data_seconds = start.elapsed().as_secs_f64();
            let record = StepRecord {
                data_seconds,
                ..self.advance(batch)?
            };
            logs.steps.push(&record)?;
            stop = observe(Event::Step(record)) == Flow::Stop;
            stop |= self.look(&mut logs, &mut observe)?;
            stop |= self.is_over();
            stop |= self.keep(folder, stop, &mut observe)?;
        }
        self.outcome(folder)
    }

    /// Makes the folder of the run, unless it is another run's.
    fn claim(&self, folder: &Path) -> Result<(), TrainingError> {
        if self.step == 0 && !checkpoint::all(&folder.join(CHECKPOINTS_FOLDER))?.is_empty() {
            return Err(TrainingError::Occupied {
                folder: folder.into(),
            });
        }
        make_folder(folder)
    }

    /// Whether all steps are made, or patience is at its end.
    fn is_over(&self) -> bool {
        self.step >= self.config.steps || self.progress.is_over(self.config.patience)
    }

    /// Whether what is done each so many steps is to be done now; 0 is at the end alone.
    fn is_due(&self, every: u64) -> bool {
        self.step == self.config.steps || (every > 0 && self.step.is_multiple_of(every))
    }

    /// Validation and sample grid, where they are due; whether the caller has enough. Before the checkpoint, which must not be
    /// written where the loss is no number.
    fn look(
        &mut self,
        logs: &mut Logs,
        observe: &mut impl FnMut(Event<'_, T::Network>) -> Flow,
    ) -> Result<bool, TrainingError> {
        let mut stop = false;
        if self.is_due(self.config.validate_every) {
            let found = self.validate()?;
            logs.validations.push(&found.record)?;
            for record in &found.levels {
                logs.levels.push(record)?;
            }
            self.progress.observe(found.record);
            let (record, levels) = (found.record, &found.levels);
            stop |= observe(Event::Validation { record, levels }) == Flow::Stop;
        }
        if self.is_due(self.config.sample_every) {
            let (step, network) = (self.step, self.average());
            stop |= observe(Event::Samples { step, network }) == Flow::Stop;
        }
        Ok(stop)
    }

    /// Snapshots and checkpoint, where they are due or the run ends; whether the caller has enough.
    fn keep(
        &mut self,
        folder: &Path,
        ends: bool,
        observe: &mut impl FnMut(Event<'_, T::Network>) -> Flow,
    ) -> Result<bool, TrainingError> {
        if let Some(config) = &self.config.post_hoc
            && (self.is_due(config.every) || self.is_over())
        {
            post_hoc::save(folder, self.step, self.averages.power())?;
        }
        if !ends && !self.is_due(self.config.checkpoint_every) {
            return Ok(false);
        }
        let written = Checkpoint::write(&folder.join(CHECKPOINTS_FOLDER), &self.contents())?;
        self.saved = Some(written.folder().into());
        Ok(observe(Event::Checkpoint(&written)) == Flow::Stop)
    }

    fn outcome(&self, folder: &Path) -> Result<Outcome, TrainingError> {
        let finished = self.step >= self.config.steps;
        Ok(Outcome {
            checkpoint: Checkpoint::latest(&folder.join(CHECKPOINTS_FOLDER))?,
            finished,
            stopped_early: !finished && self.progress.is_over(self.config.patience),
            best: self.progress.best,
        })
    }

    pub(crate) fn device(&self) -> &Device {
        &self.devices[0]
    }

    pub(crate) fn device_failure(&self, error: &impl ToString) -> TrainingError {
        TrainingError::Device {
            step: self.step + 1,
            message: error.to_string(),
        }
    }

    pub(crate) fn rng(&self, purpose: Purpose) -> Rng {
        purpose.rng(self.config.seed, self.device())
    }

    fn contents(&self) -> Contents<'_, T> {
        Contents {
            state: State {
                step: self.step,
                config: self.config.clone(),
                memory: self.task.memory(),
                progress: self.progress.clone(),
            },
            task: &self.task,
            weights: self.network.get().valid(),
            averages: &self.averages,
            optimiser: self.optimiser.clone(),
        }
    }
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), TrainingError> {
    std::fs::create_dir_all(folder).map_err(|source| TrainingError::Write {
        path: folder.into(),
        source,
    })
}

fn check_precision<T: Task>(
    config: &TrainingConfig,
    task: &T,
    device: &Device,
) -> Result<(), TrainingError> {
    if config.precision != Precision::F32 && !task.takes_half_precision() {
        return Err(TrainingError::Precision {
            found: config.precision,
        });
    }
    Ok(config.precision.check(device)?)
}

fn check_examples<T: Task>(
    set: &'static str,
    examples: &Examples,
    batch_size: usize,
    task: &T,
) -> Result<(), TrainingError> {
    if examples.len() < batch_size {
        return Err(TrainingError::TooFewImages {
            set,
            found: examples.len(),
            batch_size,
        });
    }
    let first = examples.get(0).map_err(TrainingError::from_dataset)?;
    task.check(&first)
}

/// The module with its parameters named 1, 2, 3, ... in order, so that the optimiser's state, which is kept by name, fits the
/// same network in another process.
fn numbered<M: Module>(module: M) -> M {
    struct Numbers(u64);
    impl ModuleMapper for Numbers {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (_, value, mapper) = param.consume();
            self.0 += 1;
            Param::from_mapped_value(ParamId::from(self.0), value, mapper)
        }
    }
    module.map(&mut Numbers(0))
}
