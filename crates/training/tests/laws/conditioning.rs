//! Classes, dropped classes, measurements beside the image, and the classifier of noisy images.

use std::sync::{Arc, Mutex};

use burn::{
    data::dataset::{Dataset, DatasetError},
    module::{Module, ModuleMapper, Param},
    tensor::{Int, Tensor},
};
use tempfile::tempdir;
use tweedie_core::{
    Backbone, Conditioning, Given, NoiseLabel, NoisyClassifier, Parametrisation, Rng,
    ScheduleConfig,
};
use tweedie_data::{ExampleBatch, Image, Labelled, Phantoms};
use tweedie_models::{ClassifierConfig, ClassifierModel, PretrainedClassifier, UNetConfig};
use tweedie_testkit::{assert_z, device, values};
use tweedie_training::{
    Classification, ClassificationConfig, Denoising, Diffusion, DiffusionConfig, Distance,
    Examples, Flow, Level, Measure, Objective, Prediction, Task, Trainer, TrainingConfig,
    TrainingError, Weighting,
};

use crate::support::{config, first_batch, held_out, images, model, small, weights};

/// Three classes, and an image of one channel beside the input where it is `seen`.
pub(crate) fn told(seen: usize) -> UNetConfig {
    UNetConfig {
        classes: 3,
        condition_channels: seen,
        ..small()
    }
}

fn task(unet: UNetConfig, label_dropout: f64) -> Result<Diffusion, TrainingError> {
    let config = DiffusionConfig {
        label_dropout,
        ..DiffusionConfig::default()
    };
    Diffusion::new(model(unet), config)
}

/// Phantoms with classes 0, 1, .., `classes - 1`, 0, ..
pub(crate) fn labelled(seed: u64, count: usize, classes: usize) -> Examples {
    let phantoms = Phantoms::new(seed, count, 8, 8).unwrap();
    let labels = (0..count).map(|index| index % classes).collect();
    Arc::new(Labelled::new(phantoms, labels, classes).unwrap())
}

const ROWS: usize = 512;

fn batch() -> ExampleBatch {
    ExampleBatch {
        images: Rng::seeded(8, &device()).uniform([ROWS, 1, 8, 8]),
        classes: Some((0..ROWS).map(|row| row % 3).collect()),
    }
}

/// Every weight moved a little: a new network is the zero function, whatever it is told.
pub(crate) fn disturbed<M: Module>(network: M) -> M {
    struct Disturb(u64);
    impl ModuleMapper for Disturb {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let mut rng = Rng::seeded(self.0, &device());
            param.map(|x| {
                let noise = rng.normal([1, x.shape().num_elements()]);
                x.clone() + noise.reshape(x.dims()).mul_scalar(0.1)
            })
        }
    }
    network.map(&mut Disturb(0))
}

/// The loss of each row of a part of [`batch`] with this dropout, the rest of it being the same.
fn losses(dropout: f64, first: usize, count: usize) -> Vec<f64> {
    let task = task(told(0), dropout).unwrap();
    let network = disturbed(task.init(0, &device()).unwrap());
    let level = Level {
        time: 0.3,
        sigma: 0.5,
        weight: 1.0,
    };
    let mut rng = Rng::seeded(5, &device()).starting_at(first as u64);
    let part = batch().part(first, count);
    values(&task.losses(&network, part, &vec![level; count], &mut rng))
}

#[test]
fn classes_are_dropped_as_often_as_asked() {
    let (with, without) = (losses(0.0, 0, ROWS), losses(1.0, 0, ROWS));
    assert!(with.iter().zip(&without).all(|(a, b)| a != b));
    let p = 0.2;
    let some = losses(p, 0, ROWS);
    let mut dropped = 0.0;
    for row in 0..ROWS {
        assert!(some[row] == with[row] || some[row] == without[row]);
        dropped += f64::from(some[row] == without[row]);
    }
    let n = ROWS as f64;
    assert_z(
        "dropped",
        &[dropped / n],
        &[p],
        &[(p * (1.0 - p) / n).sqrt()],
    );
}

#[test]
fn which_classes_are_dropped_depends_on_the_row_alone() {
    let all = losses(0.5, 0, ROWS);
    assert_eq!(losses(0.5, 100, 50), all[100..150]);
}

#[test]
fn classes_and_networks_must_fit() {
    let new = |task, examples: Examples| {
        Trainer::new(config(), task, examples.clone(), examples, &device())
            .err()
            .unwrap()
    };
    let error = new(task(told(0), 0.0).unwrap(), images());
    assert!(
        matches!(error, TrainingError::NoLabels { classes: 3 }),
        "{error}"
    );
    let error = new(task(small(), 0.0).unwrap(), labelled(0, 20, 3));
    assert!(matches!(error, TrainingError::UnusedLabels), "{error}");
    for dropout in [-0.1, 1.1, f64::NAN] {
        let error = task(told(0), dropout).err().unwrap();
        let field = "label_dropout";
        assert!(
            matches!(error, TrainingError::Setting { field: f, .. } if f == field),
            "{error}"
        );
    }
    let error = task(small(), 0.1).err().unwrap().to_string();
    assert_eq!(
        error,
        "training setting label_dropout must be 0 without classes, found 0.1"
    );
}

#[test]
fn a_class_out_of_range_is_refused_before_the_network_meets_it() {
    let task = task(told(0), 0.1).unwrap();
    let examples = labelled(0, 20, 4);
    let mut trainer = Trainer::new(
        config(),
        task,
        examples.clone(),
        labelled(1, 8, 3),
        &device(),
    )
    .unwrap();
    let batch = ExampleBatch {
        images: Tensor::zeros([4, 1, 8, 8], &device()),
        classes: Some(vec![0, 3, 1, 2]),
    };
    let error = trainer.advance(batch).unwrap_err();
    assert!(
        matches!(
            error,
            TrainingError::Label {
                found: 3,
                classes: 3
            }
        ),
        "{error}"
    );
    assert_eq!(trainer.step(), 0);
}

/// Half of the image and noise.
fn measure() -> Measure {
    Arc::new(|images: Tensor<4>, rng: &mut Rng| {
        images.clone().mul_scalar(0.5) + rng.normal(images.dims()).mul_scalar(0.1)
    })
}

#[test]
fn measurements_and_networks_must_fit() {
    let seeing = UNetConfig {
        condition_channels: 1,
        ..small()
    };
    let new = |task| Trainer::new(config(), task, images(), held_out(), &device());
    let error = new(task(seeing.clone(), 0.0).unwrap()).err().unwrap();
    assert!(
        matches!(error, TrainingError::Measurement { channels: 1 }),
        "{error}"
    );
    assert!(
        error.to_string().ends_with("measurements are not made"),
        "{error}"
    );
    let error = new(task(small(), 0.0).unwrap().measuring(measure()))
        .err()
        .unwrap();
    assert!(
        matches!(error, TrainingError::Measurement { channels: 0 }),
        "{error}"
    );
    assert!(
        error.to_string().ends_with("measurements are made"),
        "{error}"
    );
    assert!(new(task(seeing, 0.0).unwrap().measuring(measure())).is_ok());
}

/// A run with classes, half of them dropped, and measurements.
fn trainer(steps: u64) -> (Trainer<Diffusion>, tempfile::TempDir) {
    let task = task(told(1), 0.5).unwrap().measuring(measure());
    let config = TrainingConfig { steps, ..config() };
    let trainer = Trainer::new(
        config,
        task,
        labelled(0, 22, 3),
        labelled(1, 8, 3),
        &device(),
    );
    (trainer.unwrap(), tempdir().unwrap())
}

#[test]
fn a_run_with_classes_and_measurements_resumes_exactly() {
    let run = |trainer: &mut Trainer<Diffusion>, folder: &tempfile::TempDir| {
        let outcome = trainer.run(folder.path(), |_| Flow::Continue).unwrap();
        (weights(trainer.average()), outcome.checkpoint)
    };
    let (mut whole, folder) = trainer(9);
    let (expected, _) = run(&mut whole, &folder);
    let (mut first, folder) = trainer(4);
    let (halfway, checkpoint) = run(&mut first, &folder);
    assert_ne!(halfway, expected);
    let task = task(told(1), 0.5).unwrap().measuring(measure());
    let config = TrainingConfig {
        steps: 9,
        ..config()
    };
    let sets = (labelled(0, 22, 3), labelled(1, 8, 3));
    let mut rest = Trainer::resume(&checkpoint, config, task, sets.0, sets.1, &device()).unwrap();
    let (found, _) = run(&mut rest, &folder);
    assert_eq!(found, expected);
}

#[test]
fn each_step_measures_its_images_anew() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let recorded = seen.clone();
    let measure: Measure = Arc::new(move |images, rng| {
        let y = measure()(images.clone(), rng);
        recorded.lock().unwrap().push((values(&images), values(&y)));
        y
    });
    let seeing = UNetConfig {
        condition_channels: 1,
        ..small()
    };
    let task = task(seeing, 0.0).unwrap().measuring(measure);
    let mut trainer = Trainer::new(config(), task, images(), held_out(), &device()).unwrap();
    for _ in 0..2 {
        trainer.advance(first_batch()).unwrap();
    }
    let seen = seen.lock().unwrap();
    let [(images, first), (again, second)] = &seen[..] else {
        panic!("{} measurements", seen.len());
    };
    assert_eq!(images, &values(&first_batch().images));
    assert_eq!(images, again);
    assert_ne!(first, second);
}

/// `x_0 ~ N(m_c, v)` in each pixel, and `y = a x_0 + s n`.
const MEANS: [f64; 2] = [-0.4, 0.5];
const VARIANCE: f64 = 0.3;
const GAIN: f64 = 0.8;
const NOISE_STD: f64 = 0.4;
const SIGMA: f64 = 0.7;

/// The mean of `x_0` given the class, the noisy image and a measurement: one of `gain`, as the network believes.
struct Bayes {
    gain: f64,
    means: [f64; 2],
}

impl Backbone for Bayes {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        let given = conditioning.given;
        let rows = |class: Tensor<1, Int>| class.float().reshape([-1, 1, 1, 1]);
        let class = rows(given.class.expect("a class is told"));
        let mean = class
            .mul_scalar(self.means[1] - self.means[0])
            .add_scalar(self.means[0]);
        let y = given.image.expect("a measurement is shown");
        // The network is shown `x / sqrt(1 + sigma^2)`.
        let x = x.mul_scalar(SIGMA.hypot(1.0));
        let precision = precision(self.gain);
        (mean.div_scalar(VARIANCE)
            + x.div_scalar(SIGMA * SIGMA)
            + y.mul_scalar(self.gain / (NOISE_STD * NOISE_STD)))
        .div_scalar(precision)
    }
}

fn precision(gain: f64) -> f64 {
    1.0 / VARIANCE + 1.0 / (SIGMA * SIGMA) + (gain / NOISE_STD).powi(2)
}

/// The mean loss over rows, its standard error, and the variance that is left of `x_0`.
fn left_over(network: &Bayes) -> [f64; 3] {
    const ROWS: usize = 4096;
    const PIXELS: f64 = 4.0;
    let root = Rng::seeded(3, &device());
    let class: Vec<i64> = (0..ROWS as i64).map(|row| row % 2).collect();
    let class = Tensor::<1, Int>::from_data(class.as_slice(), &device());
    let means = class.clone().float().reshape([-1, 1, 1, 1]);
    let means = means.mul_scalar(MEANS[1] - MEANS[0]).add_scalar(MEANS[0]);
    let clean = root
        .fork(0)
        .normal([ROWS, 1, 2, 2])
        .mul_scalar(VARIANCE.sqrt())
        + means;
    let y =
        clean.clone().mul_scalar(GAIN) + root.fork(1).normal([ROWS, 1, 2, 2]).mul_scalar(NOISE_STD);
    let schedule = ScheduleConfig::DDPM.build().unwrap();
    let label = NoiseLabel::Step { steps: 1000 };
    let objective = Denoising {
        prediction: Prediction::new(schedule.clone(), label, Parametrisation::X0),
        weighting: Weighting::Output,
        distance: Distance::L2,
    };
    let level = Level {
        time: schedule.time_at(SIGMA),
        sigma: SIGMA,
        weight: 1.0,
    };
    let given = Given {
        class: Some(class),
        image: Some(y),
    };
    let losses = objective.losses(network, clean, given, &[level; ROWS], &mut root.fork(2));
    let losses = values(&losses);
    let expected = 1.0 / precision(GAIN);
    // A row's loss is `v chi^2_P / P`.
    let error = expected * (2.0 / (PIXELS * ROWS as f64)).sqrt();
    [losses.iter().sum::<f64>() / ROWS as f64, error, expected]
}

#[test]
fn the_least_loss_is_that_of_the_mean_given_class_and_measurement() {
    let bayes = Bayes {
        gain: GAIN,
        means: MEANS,
    };
    let [found, error, expected] = left_over(&bayes);
    assert_z("left over", &[found], &[expected], &[error]);
    let deaf = Bayes { gain: 0.0, ..bayes };
    let swapped = Bayes {
        means: [MEANS[1], MEANS[0]],
        ..bayes
    };
    let other = Bayes {
        gain: -GAIN,
        ..bayes
    };
    for network in [deaf, swapped, other] {
        let [found, error, expected] = left_over(&network);
        assert!(found > expected + 10.0 * error, "{found}, {expected}");
    }
}

/// The pixels of stripes, across or down.
fn stripes(class: usize) -> Vec<f32> {
    let light = |pixel: usize| [0.3, 0.7][[pixel / 8, pixel][class] % 2];
    (0..64).map(light).collect()
}

/// Images with stripes across and down.
#[derive(Clone)]
struct Stripes;

impl Dataset<Image> for Stripes {
    fn get(&self, index: usize) -> Result<Image, DatasetError> {
        Ok(Image::new(1, 8, 8, stripes(index % 2)).unwrap())
    }

    fn len(&self) -> usize {
        32
    }
}

/// Stripes across are class 0.
fn two_classes() -> Examples {
    let labels = (0..32).map(|index| index % 2).collect();
    Arc::new(Labelled::new(Stripes, labels, 2).unwrap())
}

/// Loss of a classifier in nats, and that of Bayes' rule, on the same noisy images.
fn cross_entropies(classifier: &PretrainedClassifier, sigma: f64) -> [f64; 2] {
    let rows = 512;
    let clean = [0, 1].map(|class| Tensor::<1>::from_floats(stripes(class).as_slice(), &device()));
    let clean = clean.map(|image| image.reshape([1, 1, 8, 8]));
    let noise = Rng::seeded(2, &device()).normal([rows, 1, 8, 8]);
    let both = Tensor::cat(clean.to_vec(), 0).repeat_dim(0, rows / 2);
    let noisy = noise.mul_scalar(sigma) + both;
    let found = values(&classifier.log_probabilities(noisy.clone(), sigma));
    let distances = clean.map(|image| {
        let residual = (noisy.clone() - image).flatten::<2>(1, 3);
        values(&(residual.clone() * residual).sum_dim(1))
    });
    let mut sums = [0.0; 2];
    for row in 0..rows {
        let class = row % 2;
        sums[0] -= found[2 * row + class];
        let odds = (distances[class][row] - distances[1 - class][row]) / (2.0 * sigma * sigma);
        sums[1] += odds.exp().ln_1p();
    }
    sums.map(|sum| sum / rows as f64)
}

fn classification() -> Classification {
    let architecture = ClassifierConfig {
        classes: 2,
        encoder: small(),
    };
    let label = NoiseLabel::Step { steps: 1000 };
    let model = ClassifierModel::new(architecture, ScheduleConfig::DDPM, label, [8, 8]);
    Classification::new(model, ClassificationConfig::default()).unwrap()
}

#[test]
fn a_classifier_comes_near_the_rule_of_bayes() {
    let config = TrainingConfig {
        steps: 500,
        batch_size: 32,
        learning_rate: 3e-3,
        ema_decays: vec![0.98],
        validate_every: 0,
        checkpoint_every: 0,
        ..config()
    };
    let task = classification();
    let model = task.model().clone();
    let mut trainer = Trainer::new(config, task, two_classes(), two_classes(), &device()).unwrap();
    let untrained = PretrainedClassifier::from_network(model, trainer.average().clone()).unwrap();
    let folder = tempdir().unwrap();
    let outcome = trainer.run(folder.path(), |_| Flow::Continue).unwrap();
    let trained = PretrainedClassifier::open(outcome.checkpoint.folder(), &device()).unwrap();
    for sigma in [0.3, 0.6] {
        let [before, bayes] = cross_entropies(&untrained, sigma);
        let [found, _] = cross_entropies(&trained, sigma);
        assert!((before - 2_f64.ln()).abs() < 1e-5);
        // It has learnt most of what there is to know.
        assert!(
            found - bayes < 0.5 * (before - bayes),
            "at {sigma}: {found}, {bayes}"
        );
    }
}

#[test]
fn a_classifier_needs_classes() {
    let error = Trainer::new(config(), classification(), images(), held_out(), &device());
    let error = error.err().unwrap();
    assert!(
        matches!(error, TrainingError::NoLabels { classes: 2 }),
        "{error}"
    );
    let error = Trainer::new(
        config(),
        classification(),
        labelled(0, 22, 3),
        two_classes(),
        &device(),
    );
    assert!(error.is_ok());
    let small =
        Arc::new(Labelled::new(Phantoms::new(0, 22, 12, 8).unwrap(), vec![0; 22], 2).unwrap());
    let error = Trainer::new(config(), classification(), small, two_classes(), &device());
    let error = error.err().unwrap();
    assert!(matches!(error, TrainingError::ImageShape { .. }), "{error}");
}
