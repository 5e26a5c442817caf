//! A trained classifier of noisy images, and its folder.

use std::{path::Path, sync::Arc};

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};
use tweedie_core::{
    Conditioning, NoiseLabel, NoisyClassifier, Parametrisation, Preconditioning, ScheduleConfig,
    enlarged,
};

use super::{Classifier, ClassifierConfig};
use crate::{ModelError, checks, folder, load_weights};

/// Name of the file with the [`ClassifierModel`] in the folder of a classifier.
pub const CLASSIFIER_FILE: &str = "classifier.json";

/// Version of the format of [`CLASSIFIER_FILE`].
const FORMAT: u32 = 1;

/// All that is needed of a classifier beside the weights.
///
/// The network sees images in [-1, 1] with noise, `(x_0 + sigma n)/sqrt(1 + sigma^2)`, and is told the label of the time of `sigma` in
/// its schedule: what a network that predicts noise sees and is told, so the two can be trained alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierModel {
    format: u32,
    /// The network.
    pub architecture: ClassifierConfig,
    /// The schedule of its training, for images in [-1, 1].
    pub schedule: ScheduleConfig,
    /// How noise levels are told to it.
    pub label: NoiseLabel,
    /// Height and width of the images of its training, in pixels.
    pub image_size: [usize; 2],
}

impl ClassifierModel {
    /// `image_size` is `[height, width]`.
    pub fn new(
        architecture: ClassifierConfig,
        schedule: ScheduleConfig,
        label: NoiseLabel,
        image_size: [usize; 2],
    ) -> Self {
        Self {
            format: FORMAT,
            architecture,
            schedule,
            label,
            image_size,
        }
    }

    /// Refuses what no classifier can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::format(self.format, FORMAT)?;
        self.architecture.validate()?;
        self.schedule.build()?;
        checks::label(self.label)?;
        let [height, width] = self.image_size;
        self.architecture.encoder.check_size(height, width)
    }

    /// Of the noisy images that it sees: `input` and `noise` of these coefficients.
    ///
    /// # Errors
    /// [`ModelError::Schedule`] when a parameter of the schedule is out of range.
    pub fn preconditioning(&self) -> Result<Arc<dyn Preconditioning>, ModelError> {
        Ok(Parametrisation::Epsilon.preconditioning(self.schedule.build()?, self.label))
    }

    /// Reads [`CLASSIFIER_FILE`] in `folder`.
    ///
    /// # Errors
    /// [`ModelError`] when the folder or the file is missing or unreadable, or its content is not a valid configuration.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let model: Self = folder::read(folder, CLASSIFIER_FILE, FORMAT)?;
        model.validate()?;
        Ok(model)
    }

    /// Writes [`CLASSIFIER_FILE`] into `folder`, which is made if it does not exist; a file there is replaced in one step.
    ///
    /// # Errors
    /// [`ModelError::Write`] when the folder or the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        folder::write(self, folder, CLASSIFIER_FILE)
    }
}

/// A trained classifier on a device, of noisy images in [0, 1].
///
/// ```no_run
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::NoisyClassifier;
/// use tweedie_models::PretrainedClassifier;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let device = Device::flex();
/// let classifier = PretrainedClassifier::open("runs/classifier".as_ref(), &device)?;
/// let found = classifier.log_probabilities(Tensor::zeros([1, 1, 28, 28], &device), 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PretrainedClassifier {
    model: ClassifierModel,
    network: Classifier,
    preconditioning: Arc<dyn Preconditioning>,
}

impl PretrainedClassifier {
    /// Reads the folder of a classifier: [`CLASSIFIER_FILE`], and [`EMA_FILE`](crate::EMA_FILE) or else
    /// [`WEIGHTS_FILE`](crate::WEIGHTS_FILE).
    ///
    /// # Errors
    /// [`ModelError`], naming the file, when one is missing, unreadable, damaged, or does not fit the other.
    pub fn open(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let model = ClassifierModel::open(folder)?;
        let weights = folder::weights(folder)?;
        let mut network = model.architecture.init(0, device)?;
        load_weights(&mut network, &weights)?;
        Self::from_network(model, network)
    }

    /// A network as a classifier; its weights are frozen.
    ///
    /// # Errors
    /// When `model` is invalid.
    ///
    /// # Panics
    /// If the network is of another architecture than `model`.
    pub fn from_network(model: ClassifierModel, network: Classifier) -> Result<Self, ModelError> {
        model.validate()?;
        assert_eq!(&model.architecture, network.config(), "architecture");
        Ok(Self {
            preconditioning: model.preconditioning()?,
            network: network.valid(),
            model,
        })
    }

    /// What [`CLASSIFIER_FILE`] says.
    pub fn model(&self) -> &ClassifierModel {
        &self.model
    }

    /// The numbers that it tells the classes by, `[batch, features]`, of images in [0, 1] with noise of level `sigma` in their units:
    /// see [`Classifier::features`].
    ///
    /// # Panics
    /// If the images have another number of channels.
    pub fn features(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<2> {
        let (x, labels) = self.seen(noisy, sigma);
        self.network.features(x, labels)
    }

    /// What the network sees of images of any height and width, padded by repeating the edge where it needs it, and is told.
    fn seen(&self, noisy: Tensor<4>, sigma: f64) -> (Tensor<4>, Tensor<1>) {
        // In [-1, 1] the noise is twice as large.
        let c = self.preconditioning.at(2.0 * sigma);
        let x = enlarged(noisy, self.model.architecture.encoder.multiple())
            .mul_scalar(2.0 * c.input)
            .sub_scalar(c.input);
        let labels = Conditioning::<4>::uniform(c.noise, &x).noise;
        (x, labels)
    }
}

impl NoisyClassifier for PretrainedClassifier {
    fn classes(&self) -> usize {
        self.model.architecture.classes
    }

    /// Of images of any height and width, padded by repeating the edge where the network needs it.
    ///
    /// # Panics
    /// If the images have another number of channels.
    fn log_probabilities(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<2> {
        let (x, labels) = self.seen(noisy, sigma);
        self.network.forward(x, labels)
    }
}
