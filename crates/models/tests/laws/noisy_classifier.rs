//! The classifier of noisy images.

use std::collections::BTreeMap;

use burn::{
    module::Module,
    tensor::{DType, Tensor},
};
use serde::Deserialize;
use tempfile::tempdir;
use tweedie_core::{Conditioning, NoiseLabel, NoisyClassifier, Rng, ScheduleConfig, value_and_vjp};
use tweedie_models::{
    CLASSIFIER_FILE, Classifier, ClassifierConfig, ClassifierModel, ModelError,
    PretrainedClassifier, TimeInjection, UNetConfig, WEIGHTS_FILE, load_weights, save_weights,
};
use tweedie_testkit::{assert_close, assert_vjp, device, golden, values};

use crate::{
    formula::{Formula, checkpoint, golden_path, image, single},
    support::{Refusal, disturbed, in_double, kinds, small, without_gradient},
};

fn config(encoder: UNetConfig) -> ClassifierConfig {
    ClassifierConfig {
        classes: 3,
        encoder: UNetConfig {
            learned_sigma: false,
            ..encoder
        },
    }
}

fn awake(encoder: UNetConfig) -> Classifier {
    disturbed(config(encoder).init(5, &device()).unwrap())
}

fn model() -> ClassifierModel {
    let label = NoiseLabel::Step { steps: 1000 };
    let architecture = config(small(TimeInjection::ScaleShift));
    ClassifierModel::new(architecture, ScheduleConfig::DDPM, label, [4, 4])
}

fn labels(labels: [f32; 2]) -> Tensor<1> {
    Tensor::from_floats(labels, &device())
}

#[derive(Deserialize)]
struct Golden {
    classifier: Case,
}

#[derive(Deserialize)]
struct Case {
    tensors: BTreeMap<String, Formula>,
    shape: [usize; 4],
    labels: Vec<f64>,
    features: Vec<f64>,
    logs: Vec<f64>,
}

mod on_device {
    use super::*;

    #[test]
    fn a_classifier_has_the_outputs_of_the_reference() {
        let case = golden::<Golden>(golden_path("own.json")).classifier;
        let folder = tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        checkpoint(&path, &case.tensors);
        let config = config(small(TimeInjection::ScaleShift));
        let mut network = config.init(0, &device()).unwrap();
        load_weights(&mut network, &path).unwrap();
        let (x, labels) = (image(1002, case.shape, 0.0, 1.0), single(&case.labels, [2]));
        // Twenty layers in a row, each with a relative rounding error of a few times 6e-8 in either program.
        let near = |name, found: Tensor<2>, expected: &[f64]| {
            assert_close(name, &values(&found), expected, 1e-5);
        };
        near(
            "features",
            network.features(x.clone(), labels.clone()),
            &case.features,
        );
        near("log p", network.forward(x, labels), &case.logs);
    }
}

/// Dropout ends with training, for the probabilities and for their gradient.
#[test]
fn a_pretrained_classifier_drops_nothing() {
    let found = |dropout: f64| {
        let mut model = model();
        model.architecture.encoder.dropout = dropout;
        let trained = model.architecture.init(5, &device().autodiff()).unwrap();
        let classifier = PretrainedClassifier::from_network(model, disturbed(trained)).unwrap();
        let noisy = Rng::seeded(3, &device()).normal::<4>([2, 2, 4, 4]);
        let logs = |x: Tensor<4>| classifier.log_probabilities(x, 0.3);
        let (found, back) = value_and_vjp(noisy.clone(), logs, |logs| logs.ones_like());
        (values(&logs(noisy)), values(&found), values(&back))
    };
    assert_eq!(found(0.5), found(0.0));
}

#[test]
fn at_first_all_classes_are_equally_likely() {
    for encoder in kinds() {
        let network = config(encoder).init(5, &device()).unwrap();
        let x = Rng::seeded(1, &device()).normal([2, 2, 4, 4]);
        let found = values(&network.forward(x, labels([3.0, 700.0])));
        assert_close("at first", &found, &[-3_f64.ln(); 6], 1e-6);
    }
}

#[test]
fn probabilities_of_a_row_are_its_own_and_sum_to_one() {
    for encoder in kinds() {
        let network = awake(encoder);
        let x = Rng::seeded(1, &device()).normal([2, 2, 4, 4]);
        let found = values(&network.forward(x.clone(), labels([3.0, 700.0])));
        for row in found.chunks(3) {
            let sum: f64 = row.iter().map(|log| log.exp()).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{row:?}");
        }
        let other = values(&network.forward(x, labels([3.0, 20.0])));
        assert_eq!(found[..3], other[..3]);
        assert_ne!(found[3..], other[3..]);
    }
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    for encoder in kinds() {
        let network = in_double(awake(encoder));
        let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
        let [x, direction] = [(); 2].map(|()| rng.normal([2, 2, 4, 6]));
        let v = rng.normal([2, 3]);
        let labels = labels([3.0, 700.0]).cast(DType::F64);
        let run = |x: Tensor<4>| network.forward(x, labels.clone());
        let (_, product) = value_and_vjp(x.clone(), run, |_| v.clone());
        assert_vjp("classifier", run, &x, &direction, &v, &product);
    }
}

#[test]
fn it_sees_what_a_network_that_predicts_noise_sees() {
    let network = disturbed(model().architecture.init(5, &device()).unwrap());
    let pretrained = PretrainedClassifier::from_network(model(), network.clone()).unwrap();
    assert_eq!(pretrained.classes(), 3);
    // An odd size, padded by its edge.
    let noisy = Rng::seeded(3, &device()).normal::<4>([2, 2, 5, 4]);
    let found = values(&pretrained.log_probabilities(noisy.clone(), 0.7));
    let padded = Tensor::cat(vec![noisy.clone(), noisy.narrow(2, 4, 1)], 2);
    // In pixels of [-1, 1] the noise level is 1.4.
    let x = padded
        .mul_scalar(2.0)
        .sub_scalar(1.0)
        .div_scalar(1.4_f64.hypot(1.0));
    let schedule = ScheduleConfig::DDPM.build().unwrap();
    let label = 1000.0 * schedule.time_at(1.4) - 1.0;
    let label = Conditioning::<4>::uniform(label, &x).noise;
    assert_close("log p", &found, &values(&network.forward(x, label)), 1e-5);
}

#[test]
fn a_folder_keeps_it() {
    let folder = tempdir().unwrap();
    let network = disturbed(model().architecture.init(5, &device()).unwrap());
    model().save(folder.path()).unwrap();
    save_weights(&network, &folder.path().join(WEIGHTS_FILE)).unwrap();
    let found = PretrainedClassifier::open(folder.path(), &device()).unwrap();
    assert_eq!(found.model(), &model());
    let noisy = Rng::seeded(3, &device()).normal::<4>([2, 2, 4, 4]);
    let kept = PretrainedClassifier::from_network(model(), network).unwrap();
    let [found, kept] = [found, kept].map(|c| values(&c.log_probabilities(noisy.clone(), 0.3)));
    assert_eq!(found, kept);
    std::fs::remove_file(folder.path().join(CLASSIFIER_FILE)).unwrap();
    let error = PretrainedClassifier::open(folder.path(), &device())
        .err()
        .unwrap();
    assert!(error.to_string().contains(CLASSIFIER_FILE), "{error}");
}

#[test]
fn what_no_classifier_can_be_is_refused() {
    let told = |change: fn(&mut ClassifierConfig)| {
        let mut config = config(small(TimeInjection::Add));
        change(&mut config);
        config.validate().unwrap_err()
    };
    let changes: [Refusal<ClassifierConfig>; 5] = [
        (
            |config| config.classes = 1,
            "classes must be at least 2, found 1",
        ),
        (|config| config.encoder.classes = 3, "encoder.classes"),
        (
            |config| config.encoder.condition_channels = 1,
            "encoder.condition_channels",
        ),
        (
            |config| config.encoder.learned_sigma = true,
            "encoder.learned_sigma",
        ),
        (|config| config.encoder.groups = 0, "groups"),
    ];
    for (change, word) in changes {
        let error = told(change).to_string();
        assert!(error.contains(word), "{error}");
    }
    let (mut odd, mut untold) = (model(), model());
    odd.image_size = [5, 4];
    let error = odd.validate();
    assert!(matches!(error, Err(ModelError::Size { .. })), "{error:?}");
    untold.label = NoiseLabel::Step { steps: 0 };
    let error = untold.validate();
    assert!(
        matches!(error, Err(ModelError::Zero { field: "steps" })),
        "{error:?}"
    );
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the gradient with respect to the weights is what training needs"
)]
fn every_weight_can_be_trained() {
    let network = awake(small(TimeInjection::ScaleShift)).train();
    let x = Rng::seeded(1, &device()).normal::<4>([2, 2, 4, 4]);
    let found = network.forward(x, labels([3.0, 700.0]));
    let chosen = Tensor::<2>::from_floats([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], &device());
    let gradients = (found * chosen).sum().backward();
    assert_eq!(without_gradient(&network, &gradients), 0);
}
