//! Networks that are told a class, or shown an image beside their input.

use burn::{
    module::Module,
    tensor::{DType, Int, Tensor},
};
use tweedie_core::{
    Backbone, Conditioning, Denoiser, Given, NoiseLabel, Parametrisation, Rng, ScheduleConfig,
    value_and_vjp,
};
use tweedie_models::{
    Architecture, ModelConfig, ModelError, Network, Pixels, Pretrained, TimeInjection, UNet,
    UNetConfig,
};
use tweedie_testkit::{assert_vjp, device, values};

use crate::support::{awake, disturbed, in_double, kinds, small, untrained, weights};

/// Three classes, and an image of one channel beside the input.
fn told(config: UNetConfig) -> UNetConfig {
    UNetConfig {
        classes: 3,
        condition_channels: 1,
        ..config
    }
}

fn classes(classes: &[i64]) -> Tensor<1, Int> {
    Tensor::from_data(classes, &device())
}

fn run(
    network: &UNet,
    x: &Tensor<4>,
    class: Option<&[i64]>,
    image: Option<&Tensor<4>>,
) -> Vec<f64> {
    let given = Given {
        class: class.map(classes),
        image: image.cloned(),
    };
    let noise = Conditioning::<4>::uniform(40.0, x).noise;
    values(&network.forward(x.clone(), Conditioning { noise, given }))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum()
}

fn images<const N: usize>(channels: [usize; N]) -> [Tensor<4>; N] {
    let mut rng = Rng::seeded(1, &device());
    channels.map(|channels| rng.normal([2, channels, 4, 4]))
}

#[test]
fn the_class_and_the_image_of_each_row_matter() {
    let [x, y] = images([2, 1]);
    for config in kinds() {
        let network = awake(&told(config), &device());
        let here = run(&network, &x, Some(&[0, 1]), Some(&y));
        let row = here.len() / 2;
        let other = run(&network, &x, Some(&[0, 2]), Some(&y));
        assert_eq!(here[..row], other[..row]);
        assert!(distance(&here[row..], &other[row..]) > 0.1);
        let flipped = y.clone().neg();
        let other = run(&network, &x, Some(&[0, 1]), Some(&flipped));
        assert!(distance(&here[..row], &other[..row]) > 0.1);
    }
}

#[test]
fn the_class_after_the_last_is_none() {
    let [x, y] = images([2, 1]);
    for config in kinds() {
        let network = awake(&told(config), &device());
        let none = run(&network, &x, None, Some(&y));
        assert_eq!(run(&network, &x, Some(&[3, 3]), Some(&y)), none);
        assert_ne!(run(&network, &x, Some(&[2, 2]), Some(&y)), none);
    }
}

#[test]
fn a_network_that_cannot_hear_leaves_it_out() {
    let [x, y] = images([2, 1]);
    let network = awake(&small(TimeInjection::ScaleShift), &device());
    let plain = run(&network, &x, None, None);
    assert_eq!(run(&network, &x, Some(&[0, 1]), Some(&y)), plain);
}

#[test]
#[should_panic(expected = "is told one")]
fn a_network_that_sees_an_image_must_be_shown_one() {
    let [x] = images([2]);
    run(
        &awake(&told(small(TimeInjection::Add)), &device()),
        &x,
        None,
        None,
    );
}

#[test]
fn all_other_weights_start_as_without_classes() {
    for config in kinds() {
        let without = weights(&config.init(3, &device()).unwrap());
        let classes = UNetConfig {
            classes: 3,
            ..config
        };
        let with = weights(&classes.init(3, &device()).unwrap());
        assert_eq!(with[..without.len()], without);
        assert_eq!(with.len(), without.len() + 1);
        assert_eq!(with[without.len()].len(), 4 * 4 * classes.base_channels);
    }
}

#[test]
fn its_input_gradients_are_those_of_the_difference_quotient() {
    let config = told(small(TimeInjection::ScaleShift));
    let network = in_double(awake(&config, &device()));
    let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
    let [x, direction, v] = [(); 3].map(|()| rng.normal([2, 2, 4, 6]));
    let [y, across] = [(); 2].map(|()| rng.normal([2, 1, 4, 6]));
    let through = |x: Tensor<4>, y: Tensor<4>| {
        let given = Given {
            class: Some(classes(&[2, 0])),
            image: Some(y),
        };
        let noise = Conditioning::<4>::uniform(40.0, &x).noise;
        network.forward(x, Conditioning { noise, given })
    };
    let run = |x: Tensor<4>| through(x, y.clone());
    let (_, product) = value_and_vjp(x.clone(), run, |_| v.clone());
    assert_vjp("image", run, &x, &direction, &v, &product);
    let run = |y: Tensor<4>| through(x.clone(), y);
    let (_, product) = value_and_vjp(y.clone(), run, |_| v.clone());
    assert_vjp("beside", run, &y, &across, &v, &product);
}

#[test]
fn every_weight_can_be_trained() {
    // No class is told, so those that are not are trained by nothing but the last row.
    let config = UNetConfig {
        classes: 3,
        ..small(TimeInjection::ScaleShift)
    };
    let network = awake(&config, &device()).train();
    assert_eq!(untrained(&network), 0);
}

#[test]
fn a_configuration_without_classes_has_no_word_of_them() {
    let text = serde_json::to_string(&small(TimeInjection::Add)).unwrap();
    assert!(
        !text.contains("classes") && !text.contains("condition"),
        "{text}"
    );
    let told = told(small(TimeInjection::Add));
    let text = serde_json::to_string(&told).unwrap();
    assert_eq!(serde_json::from_str::<UNetConfig>(&text).unwrap(), told);
}

fn pretrained(config: UNetConfig) -> Pretrained {
    let architecture = Architecture::UNet(config);
    let network: Network = disturbed(architecture.init(5, &device()).unwrap());
    let label = NoiseLabel::Step { steps: 1000 };
    let config = ModelConfig::new(
        architecture,
        Parametrisation::X0,
        ScheduleConfig::DDPM,
        label,
        [4, 4],
    );
    Pretrained::from_network(config, network).unwrap()
}

#[test]
fn what_is_given_reaches_the_network_in_its_own_pixels() {
    let model = pretrained(told(small(TimeInjection::Add)));
    assert_eq!(model.config().pixels, Pixels::Symmetric);
    // An odd size: both images are padded.
    let mut rng = Rng::seeded(3, &device());
    let (noisy, seen) = (rng.normal([2, 2, 5, 4]), rng.uniform([1, 1, 5, 4]));
    let given = model.given(Some(&[1]), Some(seen.clone())).unwrap();
    let found = values(&given.denoise(noisy.clone(), 0.5));
    let enlarged = |x: Tensor<4>| Tensor::cat(vec![x.clone(), x.narrow(2, 4, 1)], 2);
    let own = |x: Tensor<4>| enlarged(x).mul_scalar(2.0).sub_scalar(1.0);
    let (architecture, config) = (&model.config().architecture, model.config());
    let network: Network = disturbed(architecture.init(5, &device()).unwrap());
    let preconditioning = config
        .parametrisation
        .preconditioning(config.schedule.build().unwrap(), config.label);
    // The noise level is twice as large in pixels of [-1, 1].
    let c = preconditioning.at(1.0);
    let x = own(noisy).mul_scalar(c.input);
    let conditioning = Conditioning {
        noise: Conditioning::<4>::uniform(c.noise, &x).noise,
        given: Given {
            class: Some(classes(&[1, 1])),
            image: Some(own(seen).expand([2, 1, 6, 4])),
        },
    };
    let clean = network
        .forward(x, conditioning)
        .narrow(2, 0, 5)
        .add_scalar(1.0)
        .mul_scalar(0.5);
    let expected = values(&clean);
    assert!(
        distance(&found, &expected) < 1e-5 * expected.len() as f64,
        "{found:?}, {expected:?}"
    );
    let other = model
        .given(Some(&[2]), Some(rng.uniform([1, 1, 5, 4])))
        .unwrap();
    assert!(
        distance(
            &values(&other.denoise(rng.normal([2, 2, 5, 4]), 0.5)),
            &expected
        ) > 0.1
    );
}

#[test]
fn what_a_network_cannot_be_told_is_refused() {
    let plain = pretrained(small(TimeInjection::Add));
    let error = plain.given(Some(&[0]), None).err().unwrap();
    assert!(matches!(error, ModelError::NoClasses), "{error}");
    let seen = Tensor::<4>::zeros([1, 2, 4, 4], &device());
    let error = plain.given(None, Some(seen.clone())).err().unwrap();
    assert!(
        matches!(
            error,
            ModelError::Condition {
                expected: 0,
                found: 2
            }
        ),
        "{error}"
    );
    let model = pretrained(told(small(TimeInjection::Add)));
    let error = model.given(Some(&[0, 3]), None).err().unwrap();
    assert!(
        matches!(
            error,
            ModelError::Class {
                found: 3,
                classes: 3
            }
        ),
        "{error}"
    );
    for image in [None, Some(seen)] {
        let error = model.given(Some(&[0]), image).err().unwrap();
        assert!(
            matches!(error, ModelError::Condition { expected: 1, .. }),
            "{error}"
        );
    }
}

mod on_device {
    use burn::tensor::Device;
    use tweedie_testkit::assert_close;

    use super::*;

    #[test]
    fn a_told_network_has_the_outputs_of_the_processor() {
        let config = told(small(TimeInjection::ScaleShift));
        let run = |device: &Device| {
            let values: Vec<f32> = (0..64).map(|i| (i * 37 % 64) as f32 / 32.0 - 1.0).collect();
            let x = Tensor::<1>::from_floats(values.as_slice(), device).reshape([2, 2, 4, 4]);
            let given = Given {
                class: Some(Tensor::from_ints([2, 3], device)),
                image: Some(x.clone().narrow(1, 1, 1)),
            };
            let noise = Conditioning::<4>::uniform(250.0, &x).noise;
            let y = awake(&config, device).forward(x, Conditioning { noise, given });
            tweedie_testkit::values(&y)
        };
        let expected = run(&Device::flex());
        let size = expected.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        assert_close("output", &run(&device()), &expected, 1e-5 * size);
    }
}
