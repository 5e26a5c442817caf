//! What can go wrong in training.

use std::{io, path::PathBuf};

use burn::{data::dataset::DatasetError, store::RecordError};
use tweedie_core::{NoiseLabel, ScheduleError};
use tweedie_models::{ModelError, Precision};

use crate::LevelDistribution;

/// Why training cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A setting is out of its range.
    #[error("training setting {field} must be {expected}, found {found}")]
    Setting {
        /// Its name.
        field: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// The data set is smaller than one batch.
    #[error("the {set} set has {found} images, fewer than a batch of {batch_size}")]
    TooFewImages {
        /// Which of the two: training or validation.
        set: &'static str,
        /// How many images it has.
        found: usize,
        /// How many one batch needs.
        batch_size: usize,
    },
    /// The images do not fit the network.
    #[error(
        "the network takes images of {expected:?} (channels, height, width), the data set has {found:?}"
    )]
    ImageShape {
        /// What the model's configuration says.
        expected: [usize; 3],
        /// What the data set holds.
        found: [usize; 3],
    },
    /// A network with classes meets images without.
    #[error("the network is told {classes} classes, and the data set has none")]
    NoLabels {
        /// Classes of the network.
        classes: usize,
    },
    /// A network without classes meets images with.
    #[error("the data set has classes, and the network is told none")]
    UnusedLabels,
    /// A class is out of range.
    #[error(
        "the network is told {classes} classes, counted from 0, and the data set has class {found}"
    )]
    Label {
        /// Class of an image.
        found: usize,
        /// Classes of the network.
        classes: usize,
    },
    /// A network that sees an image beside its input is given none, or the reverse.
    #[error(
        "the network sees an image of {channels} channel(s) beside its input (0: none), and measurements are {}made",
        if *channels == 0 { "" } else { "not " }
    )]
    Measurement {
        /// Channels of that image.
        channels: usize,
    },
    /// Training is not possible in this precision.
    #[error("{found} cannot be trained in: expected f32, or bf16 where the task has it")]
    Precision {
        /// The one that was asked for.
        found: Precision,
    },
    /// The loss is infinite or not a number.
    #[error(
        "the loss of step {step} is {loss}, in its worst row {row_loss} at noise level {sigma}; the gradient has norm \
         {gradient_norm}; {}",
        unharmed(checkpoint)
    )]
    NonFiniteLoss {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// The loss of the worst row of the batch: one that is no number, or else the largest.
        row_loss: f64,
        /// Its noise level, in the network's own pixel units.
        sigma: f64,
        /// The norm of the gradient.
        gradient_norm: f64,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
    },
    /// The gradient is infinite or not a number, or too large for its norm to be formed in single precision.
    #[error(
        "the gradient of step {step} has norm {norm}; the loss is {loss}, in its worst row {row_loss} at noise level {sigma}; \
         {}",
        unharmed(checkpoint)
    )]
    NonFiniteGradient {
        /// The step, from 1.
        step: u64,
        /// The norm.
        norm: f64,
        /// The loss.
        loss: f64,
        /// The largest loss of a row of the batch.
        row_loss: f64,
        /// Its noise level, in the network's own pixel units.
        sigma: f64,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
    },
    /// The validation loss is infinite or not a number.
    #[error(
        "the validation loss after step {step} is {loss}, in its worst row {row_loss} at noise level {sigma}; {}",
        unharmed(checkpoint)
    )]
    NonFiniteValidation {
        /// The number of steps before it.
        step: u64,
        /// The loss.
        loss: f64,
        /// The loss of the worst image held out: one that is no number, or else the largest.
        row_loss: f64,
        /// Its noise level, in the network's own pixel units.
        sigma: f64,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
    },
    /// The device failed.
    #[error("the device failed at step {step}: {message}")]
    Device {
        /// The step, from 1.
        step: u64,
        /// What it says.
        message: String,
    },
    /// An image cannot be read.
    #[error("cannot read a training image: {message}")]
    Data {
        /// What the data set says.
        message: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A JSON file has another form, such as that of a version with other settings.
    #[error("{} is not a training state of this version, which cannot resume it: {source}", path.display())]
    Json {
        /// Where.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A metrics file has another form.
    #[error("{} is not a metrics file: {source}", path.display())]
    Csv {
        /// Where.
        path: PathBuf,
        /// Why.
        source: csv::Error,
    },
    /// The optimiser's state has another form.
    #[error("{} is not the state of an optimiser: {source}", path.display())]
    Optimiser {
        /// Where.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// There is nothing to resume.
    #[error("no checkpoint in {}: expected folders named step-NNNNNNNN", folder.display())]
    NoCheckpoint {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A run kept no averages from which others could be made.
    #[error(
        "{} has no snapshots of averages: expected files named step-NNNNNNNN-width-W.safetensors, as a run with `post_hoc` keeps",
        folder.display()
    )]
    NoSnapshots {
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A new run would overwrite another one.
    #[error(
        "{} already holds the checkpoints of another run: resume it or choose another folder",
        folder.display()
    )]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A checkpoint belongs to another network.
    #[error("the checkpoint {} was made for another model configuration", path.display())]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
    },
    /// The steps of a chain were asked of a network that is told none.
    #[error(
        "a chain of steps needs a network that is told steps: expected the noise label step or nearest_step, found {found:?}"
    )]
    NoSteps {
        /// How the network is told its noise levels.
        found: NoiseLabel,
    },
    /// The variances of a chain were asked of a schedule that has others.
    #[error(
        "the chain's variances are those of a variance-preserving schedule, s^2 (1 + sigma^2) = 1: found {found} at step {step}"
    )]
    NotPreserving {
        /// The step.
        step: usize,
        /// The total variance there.
        found: f64,
    },
    /// A variance was asked of a network that has none.
    #[error(
        "the variance of the reverse step was asked for, and the network has none: expected a unet with learned_sigma = true"
    )]
    NoVariance,
    /// A network has a variance that the objective does not train.
    #[error(
        "the network has a variance of the reverse step, which this objective does not train: expected the objective hybrid, or \
         learned_sigma = false"
    )]
    UntrainedVariance,
    /// The hybrid objective was asked for other pixels than its own.
    #[error("the hybrid objective takes pixels from -1 to 1, found {found:?}")]
    HybridPixels {
        /// Black and white.
        found: (f64, f64),
    },
    /// The hybrid objective was asked for latents.
    #[error(
        "the hybrid objective is of pixels with 256 levels of grey: expected another objective for latents"
    )]
    HybridLatents,
    /// The hybrid objective was asked for levels between the steps.
    #[error(
        "the hybrid objective takes the levels of steps: expected the distribution uniform, importance or logit_normal, found {found:?}"
    )]
    OffTable {
        /// The distribution of levels.
        found: LevelDistribution,
    },
    /// A model of one noise level is to be trained at others, or one that does not say so at one.
    #[error(
        "the levels are {found:?} and the model's only_sigma is {only:?}: expected the distribution one with that sigma where the \
         model has only_sigma, and another one where it has none"
    )]
    OnlyLevel {
        /// The one level of the model.
        only: Option<f64>,
        /// The distribution of levels.
        found: LevelDistribution,
    },
    /// The device failed while a bound was computed.
    #[error("the device failed in the variational bound: {message}")]
    BoundDevice {
        /// What it says.
        message: String,
    },
    /// The schedule is invalid.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The network or its weights are invalid.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl TrainingError {
    pub(crate) fn from_dataset(error: DatasetError) -> Self {
        Self::Data {
            message: error.to_string(),
        }
    }
}

/// What is left of a run that cannot go on.
fn unharmed(checkpoint: &Option<PathBuf>) -> String {
    match checkpoint {
        Some(path) => format!("the last checkpoint, {}, is unharmed", path.display()),
        None => "there is no checkpoint yet".to_owned(),
    }
}
