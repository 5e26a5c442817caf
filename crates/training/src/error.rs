//! What can go wrong in training.

use std::{io, path::PathBuf};

use burn::store::RecordError;
use tweedie_core::ScheduleError;
use tweedie_models::ModelError;

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
    /// A network, a parametrisation or a range of pixels without an objective.
    #[error(
        "only a unet for pixels in [-1, 1] that predicts epsilon, x0, v or by edm can be trained"
    )]
    Untrainable,
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
    /// The loss is infinite or not a number.
    #[error("the loss of step {step} is {loss}; the last checkpoint is unharmed")]
    NonFiniteLoss {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
    },
    /// The gradient is infinite or not a number, or too large for its norm to be formed in single precision.
    #[error("the gradient of step {step} has norm {norm}; the last checkpoint is unharmed")]
    NonFiniteGradient {
        /// The step, from 1.
        step: u64,
        /// The norm.
        norm: f64,
    },
    /// The validation loss is infinite or not a number.
    #[error("the validation loss after step {step} is {loss}; the last checkpoint is unharmed")]
    NonFiniteValidation {
        /// The number of steps before it.
        step: u64,
        /// The loss.
        loss: f64,
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
    /// A JSON file has another form.
    #[error("{} is not a training state: {source}", path.display())]
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
    /// The schedule is invalid.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The network or its weights are invalid.
    #[error(transparent)]
    Model(#[from] ModelError),
}
