//! The loop.

use std::{path::Path, time::Instant};

use burn::{
    data::dataset::Dataset,
    module::{Module, ModuleMapper, Param, ParamId},
    optim::{GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor},
};
use rand::Rng as _;
use tweedie_core::{Parametrisation, Rng, seed_dropout, stream};
use tweedie_kernels::AdamW;
use tweedie_models::{Architecture, ModelConfig, Pixels, UNet, UNetConfig};

use crate::{
    CHECKPOINTS_FOLDER, Checkpoint, DenoisingObjective, StepRecord, TrainingConfig, TrainingError,
    ValidationRecord, averaged,
    checkpoint::{self, Contents, State},
    clipping, decay_at,
    log::Log,
    order::{Images, Order},
};

/// Purposes of the random numbers of a run.
#[derive(Clone, Copy)]
enum Purpose {
    Training = 0,
    Validation = 1,
}

/// What the caller is told while training runs.
#[non_exhaustive]
pub enum Event<'a> {
    /// A step was made.
    Step(StepRecord),
    /// The averaged weights were validated.
    Validation(ValidationRecord),
    /// It is time for a sample grid.
    Samples {
        /// The number of steps so far.
        step: u64,
        /// The averaged network.
        network: &'a UNet,
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
}

/// A run in memory: network, average, optimiser, data.
pub struct Trainer {
    config: TrainingConfig,
    model: ModelConfig,
    objective: DenoisingObjective,
    network: Held,
    average: Held,
    optimiser: ModuleOptimizer,
    order: Order,
    validation: Images,
    device: Device,
    step: u64,
}

/// A network whose weights can be updated in their own memory: nothing else holds them then. Empty during an update only.
struct Held(Option<UNet>);

impl Held {
    fn get(&self) -> &UNet {
        self.0.as_ref().expect("no update is under way")
    }

    fn get_mut(&mut self) -> &mut UNet {
        self.0.as_mut().expect("no update is under way")
    }

    fn replace(&mut self, update: impl FnOnce(UNet) -> UNet) {
        self.0 = self.0.take().map(update);
    }
}

impl Trainer {
    /// A new run. `images` and `validation` hold images in [0, 1] of the model's shape; `device` is a plain one.
    ///
    /// # Errors
    /// When a setting, the model or the data are not fit for training.
    pub fn new(
        config: TrainingConfig,
        model: ModelConfig,
        images: Images,
        validation: Images,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        config.validate()?;
        model.validate()?;
        check_images("training", &images, config.batch_size, &model)?;
        check_images("validation", &validation, 1, &model)?;
        let network = numbered(unet(&model)?.init(config.seed, &device.clone().autodiff())?);
        let optimiser = AdamW::new(0.9, 0.999, 1e-8, config.weight_decay as f32).into();
        Ok(Self {
            objective: DenoisingObjective::new(&model, config.loss)?,
            average: Held(Some(network.valid())),
            network: Held(Some(network)),
            optimiser,
            order: Order::new(images, config.batch_size, config.seed, device.clone()),
            validation,
            device: device.clone(),
            step: 0,
            config,
            model,
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
        model: ModelConfig,
        images: Images,
        validation: Images,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        if checkpoint.model()? != model {
            return Err(TrainingError::OtherModel {
                path: checkpoint.folder().into(),
            });
        }
        let state = checkpoint.state()?;
        let mut trainer = Self::new(config, model, images, validation, device)?;
        trainer.optimiser = checkpoint.load_into(
            trainer.network.get_mut(),
            trainer.average.get_mut(),
            trainer.optimiser,
        )?;
        trainer.step = state.step;
        Ok(trainer)
    }

    /// The number of steps made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The moving average of the network: what samples.
    pub fn average(&self) -> &UNet {
        self.average.get()
    }

    /// Makes the steps that are left and writes metrics and checkpoints into `folder`. `observe` is told of all of it, and
    /// may stop the run; a last checkpoint is written then, as at the end.
    ///
    /// # Errors
    /// When a file cannot be written, an image cannot be read, or the loss is not finite; the checkpoints on disk remain.
    pub fn run(
        &mut self,
        folder: &Path,
        mut observe: impl FnMut(Event<'_>) -> Flow,
    ) -> Result<Outcome, TrainingError> {
        let checkpoints = folder.join(CHECKPOINTS_FOLDER);
        if self.step == 0 && !checkpoint::all(&checkpoints)?.is_empty() {
            return Err(TrainingError::Occupied {
                folder: folder.into(),
            });
        }
        std::fs::create_dir_all(folder).map_err(|source| TrainingError::Write {
            path: folder.into(),
            source,
        })?;
        let mut steps = Log::continued::<StepRecord>(folder.join("steps.csv"), self.step)?;
        let mut validations =
            Log::continued::<ValidationRecord>(folder.join("validation.csv"), self.step)?;
        let mut saved = None;
        let mut stop = false;
        while self.step < self.config.steps && !stop {
            let epoch = self.order.rest_of_epoch(self.step);
            for batch in epoch.iter() {
                let batch = batch.map_err(|error| TrainingError::Data {
                    message: error.to_string(),
                })?;
                let record = self.advance(batch)?;
                steps.push(&record)?;
                stop |= observe(Event::Step(record)) == Flow::Stop;
                let end = self.step == self.config.steps;
                let due = |every: u64| end || (every > 0 && self.step.is_multiple_of(every));
                // Before the checkpoint: it must not be written where the loss is no number.
                if due(self.config.validate_every) {
                    let record = self.validate()?;
                    validations.push(&record)?;
                    stop |= observe(Event::Validation(record)) == Flow::Stop;
                }
                if due(self.config.sample_every) {
                    let (step, network) = (self.step, self.average.get());
                    stop |= observe(Event::Samples { step, network }) == Flow::Stop;
                }
                if due(self.config.checkpoint_every) || stop {
                    let written = Checkpoint::write(&checkpoints, &self.contents())?;
                    stop |= observe(Event::Checkpoint(&written)) == Flow::Stop;
                    saved = Some(written);
                }
                if end || stop {
                    break;
                }
            }
        }
        let checkpoint = match saved {
            Some(checkpoint) => checkpoint,
            None => Checkpoint::latest(&checkpoints)?,
        };
        Ok(Outcome {
            checkpoint,
            finished: self.step >= self.config.steps,
        })
    }

    /// One step of the optimiser on a batch of images in [0, 1].
    ///
    /// # Errors
    /// [`TrainingError::NonFiniteLoss`] or [`TrainingError::NonFiniteGradient`]; network and optimiser are then as before.
    pub fn advance(&mut self, images: Tensor<4>) -> Result<StepRecord, TrainingError> {
        let start = Instant::now();
        let step = self.step + 1;
        let mut rng = self.rng(Purpose::Training).fork(step);
        if unet(&self.model)?.dropout > 0.0 {
            let seed = stream(self.config.seed, step).next_u64();
            seed_dropout(&self.device, seed);
        }
        let noisy = self.objective.perturb(images, &mut rng);
        let (loss, gradients) = self.loss_and_gradients(noisy);
        let norm = clipping::norm(self.network.get(), &gradients, &self.device);
        // The one read-back of a step.
        let numbers = Tensor::cat(vec![loss, norm.clone()], 0)
            .try_into_vec_as::<f64>()
            .map_err(|error| TrainingError::Device {
                step,
                message: error.to_string(),
            })?;
        let (loss, gradient_norm) = (numbers[0], numbers[1]);
        if !loss.is_finite() {
            return Err(TrainingError::NonFiniteLoss { step, loss });
        }
        if !gradient_norm.is_finite() {
            return Err(TrainingError::NonFiniteGradient {
                step,
                norm: gradient_norm,
            });
        }
        let gradients = if self.config.clip_norm > 0.0 {
            clipping::clipped(self.network.get(), gradients, norm, self.config.clip_norm)
        } else {
            gradients
        };
        let learning_rate = self.config.learning_rate_at(step);
        self.network
            .replace(|network| self.optimiser.step(learning_rate, network, gradients));
        let decay = decay_at(self.config.ema_decay, step);
        let network = self.network.get();
        self.average
            .replace(|average| averaged(average, network, decay));
        self.step = step;
        Ok(StepRecord {
            step,
            loss,
            gradient_norm,
            learning_rate,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// The loss of the averaged network over the validation set, at the same noise levels and with the same noise each time.
    ///
    /// # Errors
    /// When an image cannot be read, or [`TrainingError::NonFiniteValidation`].
    pub fn validate(&self) -> Result<ValidationRecord, TrainingError> {
        let batch_size = self.config.batch_size.min(self.validation.len());
        let order = Order::new(
            self.validation.clone(),
            batch_size,
            self.config.seed,
            self.device.clone(),
        );
        let rng = self.rng(Purpose::Validation);
        let (mut total, mut batches) = (0.0, 0u64);
        for images in order.rest_of_epoch(0).iter() {
            let images = images.map_err(|error| TrainingError::Data {
                message: error.to_string(),
            })?;
            let noisy = self.objective.perturb(images, &mut rng.fork(batches));
            total += self
                .objective
                .loss(self.average.get(), noisy)
                .into_scalar::<f64>();
            batches += 1;
        }
        let (step, loss) = (self.step, total / batches as f64);
        if !loss.is_finite() {
            return Err(TrainingError::NonFiniteValidation { step, loss });
        }
        Ok(ValidationRecord { step, loss })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where gradients of weights are taken"
    )]
    fn loss_and_gradients(&self, batch: crate::NoisyBatch) -> (Tensor<1>, GradientsParams) {
        let loss = self.objective.loss(self.network.get(), batch);
        let gradients = GradientsParams::from_grads(loss.backward(), self.network.get());
        (loss.without_autodiff(), gradients)
    }

    fn rng(&self, purpose: Purpose) -> Rng {
        Rng::seeded(self.config.seed, &self.device).fork(purpose as u64)
    }

    fn contents(&self) -> Contents<UNet> {
        Contents {
            state: State {
                step: self.step,
                config: self.config.clone(),
            },
            model: self.model.clone(),
            weights: self.network.get().valid(),
            average: self.average.get().clone(),
            optimiser: self.optimiser.clone(),
        }
    }
}

fn check_images(
    set: &'static str,
    images: &Images,
    batch_size: usize,
    model: &ModelConfig,
) -> Result<(), TrainingError> {
    if images.len() < batch_size {
        return Err(TrainingError::TooFewImages {
            set,
            found: images.len(),
            batch_size,
        });
    }
    let first = images.get(0).map_err(|error| TrainingError::Data {
        message: error.to_string(),
    })?;
    let [height, width] = model.image_size;
    let expected = [model.architecture.channels(), height, width];
    if first.shape() != expected {
        return Err(TrainingError::ImageShape {
            expected,
            found: first.shape(),
        });
    }
    Ok(model.architecture.check_size(height, width)?)
}

/// The network's shape; the objective, too, knows images in [-1, 1] and predictions of a diffusion alone.
fn unet(model: &ModelConfig) -> Result<&UNetConfig, TrainingError> {
    let diffusion = matches!(
        model.parametrisation,
        Parametrisation::Epsilon
            | Parametrisation::X0
            | Parametrisation::V
            | Parametrisation::Edm { .. }
    );
    match &model.architecture {
        Architecture::UNet(unet) if diffusion && model.pixels == Pixels::Symmetric => Ok(unet),
        _ => Err(TrainingError::Untrainable),
    }
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
