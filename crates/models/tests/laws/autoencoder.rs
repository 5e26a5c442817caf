//! The autoencoder: its shapes, its law of latents, its derivatives, and what it refuses.

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor},
};
use serde::Deserialize;
use tempfile::tempdir;
use tweedie_core::{Rng, value_and_vjp};
use tweedie_models::{Autoencoder, AutoencoderConfig, Encoded, load_weights};
use tweedie_testkit::{assert_close, assert_vjp, device, golden, values};

use crate::{
    formula::{self, Formula, assert_relative, checkpoint, golden_path},
    support::{Refusal, assert_refusals, disturbed, in_double, weights},
};

pub(crate) fn small() -> AutoencoderConfig {
    AutoencoderConfig {
        channels: 2,
        latent_channels: 3,
        base_channels: 4,
        channel_multipliers: vec![1, 2],
        blocks_per_level: 2,
        groups: 2,
    }
}

pub(crate) fn awake(device: &Device) -> Autoencoder {
    disturbed(small().init(5, device).unwrap())
}

fn image(rows: usize) -> Tensor<4> {
    Rng::seeded(1, &device()).uniform([rows, 2, 6, 4])
}

#[test]
fn latents_have_the_size_of_the_last_level() {
    for (multipliers, multiple) in [(vec![1], 1), (vec![1, 2], 2), (vec![1, 2, 3], 4)] {
        let config = AutoencoderConfig {
            channel_multipliers: multipliers,
            ..small()
        };
        assert_eq!(config.multiple(), multiple);
        let network = config.init(0, &device()).unwrap();
        let size = [3 * multiple, 2 * multiple];
        let shape = config.latent_shape(size).unwrap();
        assert_eq!(shape, [3, 3, 2]);
        let images = Tensor::ones([2, 2, size[0], size[1]], &device());
        let Encoded { mean, log_variance } = network.encode(images.clone());
        assert_eq!(mean.dims(), [2, 3, 3, 2]);
        assert_eq!(log_variance.dims(), mean.dims());
        assert_eq!(network.decode(mean).dims(), images.dims());
        let refused = config.latent_shape([3 * multiple, 2 * multiple + 1]);
        assert_eq!(refused.is_err(), multiple > 1);
    }
}

#[test]
#[should_panic(expected = "positive multiples of 2, found 5 x 4")]
fn images_of_an_odd_size_have_no_latents() {
    awake(&device()).encode(Tensor::ones([1, 2, 5, 4], &device()));
}

#[test]
#[should_panic(expected = "channels of the image")]
fn latents_of_other_channels_have_no_image() {
    awake(&device()).decode(Tensor::ones([1, 2, 3, 2], &device()));
}

/// `ln sqrt(2 pi v)` and the square of a normal density.
fn log_density(z: f64, mean: f64, variance: f64) -> f64 {
    -0.5 * ((z - mean).powi(2) / variance + (std::f64::consts::TAU * variance).ln())
}

/// `integral q ln(q/p)` by the trapezoidal rule, which for a smooth function that vanishes at its ends is exact to rounding.
fn divergence(mean: f64, log_variance: f64) -> f64 {
    let variance = log_variance.exp();
    let (steps, reach) = (4000, 14.0 * variance.sqrt());
    let width = 2.0 * reach / f64::from(steps);
    let terms = (0..=steps).map(|i| {
        let z = mean - reach + f64::from(i) * width;
        let own = log_density(z, mean, variance);
        own.exp() * (own - log_density(z, 0.0, 1.0))
    });
    terms.sum::<f64>() * width
}

#[test]
fn the_divergence_is_its_integral() {
    let laws = [[0.3, -1.0], [-1.2, 0.7], [0.0, 0.0], [2.0, -4.0]];
    let tensor = |which: usize| {
        let numbers: Vec<f64> = laws.iter().map(|law| law[which]).collect();
        // Two rows of two entries.
        tweedie_testkit::exact(&numbers, [2, 1, 1, 2])
    };
    let encoded = Encoded {
        mean: tensor(0),
        log_variance: tensor(1),
    };
    let each = laws.map(|[mean, log_variance]| divergence(mean, log_variance));
    let expected = [each[0] + each[1], each[2] + each[3]];
    assert!(each[2].abs() < 1e-12);
    assert_close(
        "divergence",
        &values(&encoded.divergence()),
        &expected,
        1e-10,
    );
}

#[test]
fn a_draw_is_the_mean_and_scaled_noise_of_its_row() {
    let encoded = awake(&device()).encode(image(3));
    let found = encoded.sample(&mut Rng::seeded(9, &device()));
    let noise = Rng::seeded(9, &device()).normal(encoded.mean.dims());
    let expected: Vec<f64> = values(&encoded.mean)
        .iter()
        .zip(values(&encoded.log_variance))
        .zip(values(&noise))
        .map(|((mean, log_variance), n)| mean + (0.5 * log_variance).exp() * n)
        .collect();
    // A few roundings of numbers below 10 in single precision.
    assert_close("draw", &values(&found), &expected, 1e-5);
}

#[test]
fn a_scaled_law_is_that_of_the_scaled_numbers() {
    let encoded = awake(&device()).encode(image(2));
    let draw = |encoded: &Encoded| encoded.sample(&mut Rng::seeded(3, &device()));
    let expected: Vec<f64> = values(&draw(&encoded)).iter().map(|z| 0.3 * z).collect();
    let found = values(&draw(&encoded.scaled(0.3)));
    assert_close("scaled", &found, &expected, 1e-5);
}

#[test]
fn rows_do_not_depend_on_their_batch() {
    let network = awake(&device());
    let both = network.encode(image(2));
    let second = network.encode(image(2).slice(1..2));
    let row = |x: Tensor<4>| values(&x.slice(1..2));
    assert_eq!(row(both.mean.clone()), values(&second.mean));
    assert_eq!(row(both.log_variance), values(&second.log_variance));
    let (images, image) = (network.decode(both.mean), network.decode(second.mean));
    assert_eq!(row(images), values(&image));
}

#[test]
fn derivatives_are_those_of_finite_differences() {
    let network = in_double(awake(&device()));
    let mut rng = Rng::seeded(2, &device()).with_dtype(burn::tensor::DType::F64);
    let latents = rng.normal([2, 3, 3, 2]);
    let decode = |z: Tensor<4>| network.decode(z);
    let (direction, v) = (rng.normal([2, 3, 3, 2]), rng.normal([2, 2, 6, 4]));
    let (_, back) = value_and_vjp(latents.clone(), decode, |_| v.clone());
    assert_vjp("decode", decode, &latents, &direction, &v, &back);

    let images = rng.uniform([2, 2, 6, 4]);
    let encode = |x: Tensor<4>| network.encode(x).sample(&mut rng.clone());
    let (direction, v) = (v, direction);
    let (_, back) = value_and_vjp(images.clone(), encode, |_| v.clone());
    assert_vjp("encode", encode, &images, &direction, &v, &back);
}

struct Untrained<'a> {
    gradients: &'a Gradients,
    count: usize,
}

impl ModuleVisitor for Untrained<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients);
        let moves = gradient.is_some_and(|g| values(&g).iter().any(|&g| g != 0.0));
        self.count += usize::from(!moves);
    }
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the gradient with respect to the weights is what training needs"
)]
fn every_weight_is_trained() {
    let network = awake(&device()).train();
    let encoded = network.encode(image(2));
    let divergence = encoded.divergence();
    let residual = network.decode(encoded.sample(&mut Rng::seeded(1, &device()))) - image(2);
    let gradients = (residual.square().sum() + divergence.sum()).backward();
    let mut untrained = Untrained {
        gradients: &gradients,
        count: 0,
    };
    network.visit(&mut untrained);
    assert_eq!(untrained.count, 0);
}

#[test]
fn a_variance_that_would_overflow_is_held() {
    struct Loud;
    impl burn::module::ModuleMapper for Loud {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| x.mul_scalar(1e3))
        }
    }
    let encoded = awake(&device()).map(&mut Loud).encode(image(2));
    let reached = values(&encoded.log_variance);
    assert!(
        reached.contains(&20.0) && reached.contains(&-30.0),
        "{reached:?}"
    );
    assert!(values(&encoded.divergence()).iter().all(|d| d.is_finite()));
}

#[test]
fn what_no_autoencoder_can_be_is_refused() {
    let cases: [Refusal<AutoencoderConfig>; 8] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (
            |c| c.latent_channels = 0,
            "latent_channels must be at least 1, found 0",
        ),
        (
            |c| c.base_channels = 0,
            "base_channels must be at least 1, found 0",
        ),
        (
            |c| c.blocks_per_level = 0,
            "blocks_per_level must be at least 1, found 0",
        ),
        (|c| c.groups = 0, "groups must be at least 1, found 0"),
        (
            |c| c.channel_multipliers = vec![],
            "channel_multipliers must name at least one level, found none",
        ),
        (
            |c| c.channel_multipliers = vec![1, 0],
            "channel_multipliers must be at least 1, found 0",
        ),
        (
            |c| c.groups = 3,
            "groups (3) must divide the 4 channels of level 0",
        ),
    ];
    assert_refusals(&small(), &cases, |config| config.init(0, &device()));
}

#[test]
fn unknown_fields_are_refused() {
    let error = serde_json::from_str::<AutoencoderConfig>(r#"{ "attention": true }"#);
    assert!(error.unwrap_err().to_string().contains("attention"));
    let usual: AutoencoderConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(usual, AutoencoderConfig::default());
    usual.validate().unwrap();
}

#[derive(Deserialize)]
struct Golden {
    autoencoder: Case,
}

#[derive(Deserialize)]
struct Case {
    tensors: BTreeMap<String, Formula>,
    shape: [usize; 4],
    latents: [usize; 4],
    mean: Vec<f64>,
    log_variance: Vec<f64>,
    decoded: Vec<f64>,
}

mod on_device {
    use super::*;

    #[test]
    fn an_autoencoder_has_the_outputs_of_the_reference() {
        let case = golden::<Golden>(golden_path("own.json")).autoencoder;
        let folder = tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        checkpoint(&path, &case.tensors);
        let mut network = small().init(0, &device()).unwrap();
        load_weights(&mut network, &path).unwrap();
        // Twenty layers in a row, each with a relative rounding error of a few times 6e-8 in either program.
        let near = |name, found, expected: &[f64]| assert_relative(name, found, expected, 1e-5);
        let found = network.encode(formula::image(1000, case.shape, 0.5, 0.5));
        near("mean", &found.mean, &case.mean);
        near("log variance", &found.log_variance, &case.log_variance);
        let decoded = network.decode(formula::image(1001, case.latents, 0.0, 1.0));
        near("image", &decoded, &case.decoded);
    }

    #[test]
    fn an_autoencoder_is_the_same_on_every_device() {
        let (here, there) = (awake(&device()), awake(&Device::flex()));
        let fresh = |device| weights(&small().init(5, device).unwrap());
        assert_eq!(fresh(&device()), fresh(&Device::flex()));
        let ramp = |device: &Device| {
            let numbers: Vec<f32> = (0..32).map(|i| (i * 13 % 32) as f32 / 32.0).collect();
            Tensor::<1>::from_floats(numbers.as_slice(), device).reshape([1, 2, 4, 4])
        };
        let found = here.decode(here.encode(ramp(&device())).mean);
        let expected = there.decode(there.encode(ramp(&Device::flex())).mean);
        let expected = values(&expected);
        let size = expected.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        // Forty layers in a row, each with a relative rounding error of a few times 6e-8.
        assert_close("reconstruction", &values(&found), &expected, 2e-5 * size);
    }
}
