//! The little network of digits: its size, its outputs, its table of steps, and its one size of images.

use burn::{
    module::Module,
    tensor::{DType, Tensor},
};
use tweedie_core::{Backbone, Conditioning, Parametrisation, Rng, value_and_vjp};
use tweedie_models::{Architecture, MnistDdpm, MnistDdpmConfig, ModelConfig, Pixels, import};
use tweedie_testkit::{assert_vjp, device, values};

use crate::{
    formula::{assert_relative, golden_path, single},
    support::{assert_refusals, disturbed, in_double},
};

fn small() -> MnistDdpmConfig {
    MnistDdpmConfig {
        channels: 2,
        widths: vec![3, 4],
        size: 5,
        frequencies: 3,
        time_width: 6,
    }
}

fn network() -> MnistDdpm {
    disturbed(small().init(5, &device()).unwrap())
}

fn run(network: &MnistDdpm, x: Tensor<4>) -> Tensor<4> {
    let label = Conditioning::uniform(0.4, &x);
    network.forward(x, label)
}

/// The configuration of the small file in `tests/golden`.
fn recognised() -> ModelConfig {
    import(&golden_path("mnist_ddpm.pth"), None, &device())
        .unwrap()
        .config
}

mod on_device {
    use serde::Deserialize;
    use tweedie_testkit::golden;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        shape: [usize; 4],
        times: Vec<f64>,
        x: Vec<f64>,
        out: Vec<f64>,
    }

    #[test]
    fn outputs_are_those_of_the_reference() {
        let golden: Golden = golden(golden_path("mnist_ddpm.json"));
        let network = import(&golden_path("mnist_ddpm.pth"), None, &device())
            .unwrap()
            .network;
        let noise = single(&golden.times, [golden.times.len()]);
        let found = network.forward(single(&golden.x, golden.shape), Conditioning::new(noise));
        // Ten layers in a row, each with a relative rounding error of a few times 6e-8.
        assert_relative("output", &found, &golden.out, 1e-5);
    }
}

#[test]
fn the_published_network_has_the_size_of_its_file() {
    let network = MnistDdpmConfig::published().init(0, &device()).unwrap();
    assert_eq!(network.num_params(), 291_217);
}

#[test]
fn a_file_is_recognised_by_its_shapes() {
    let found = recognised();
    let network = MnistDdpmConfig {
        channels: 1,
        widths: vec![4, 6, 5, 3],
        size: 10,
        frequencies: 4,
        time_width: 8,
    };
    assert_eq!(found.architecture, Architecture::MnistDdpm(network));
    assert_eq!(found.parametrisation, Parametrisation::Epsilon);
    assert_eq!(
        (found.pixels, found.image_size),
        (Pixels::Centred, [10, 10])
    );
}

/// `alpha_t` of the published file at the indices 1, 2, 10, 500 and 1000: the index is the step.
#[test]
fn the_schedule_is_the_table_of_the_published_file() {
    let config = recognised();
    let schedule = config.schedule.build().unwrap();
    for (step, alpha_bar) in [
        (1, 0.999_780_058_860_778_8),
        (2, 0.999_640_345_573_425_3),
        (10, 0.997_807_621_955_871_6),
        (500, 0.077_992_342_412_471_77),
        (1000, 3.995_205_406_681_634e-5),
    ] {
        let t = f64::from(step) / 1000.0;
        let found = schedule.scale(t).powi(2);
        // The file's products of a thousand factors are in single precision.
        assert!((found / alpha_bar - 1.0).abs() < 2e-6, "{step}: {found}");
        let label = config.label.at(schedule.time_at(schedule.sigma(t)));
        assert!((label - t).abs() < 1e-12, "{step}: {label}");
    }
}

#[test]
fn the_label_of_each_row_matters_to_that_row_alone() {
    let network = network();
    let x = Rng::seeded(1, &device())
        .normal([1, 2, 5, 5])
        .repeat_dim(0, 2);
    let noise = Tensor::from_floats([0.1, 0.7], &device());
    let together = values(&network.forward(x.clone(), Conditioning::new(noise)));
    let change: f64 = (0..50)
        .map(|i| (together[i] - together[50 + i]).abs())
        .sum();
    assert!(change > 0.01, "changed by {change}");
    let first = x.narrow(0, 0, 1);
    let label = Conditioning::uniform(0.1, &first);
    assert_eq!(values(&network.forward(first, label)), together[..50]);
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    let network = in_double(network());
    let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
    let [x, direction, v] = [(); 3].map(|()| rng.normal([2, 2, 5, 5]));
    let function = |x: Tensor<4>| run(&network, x);
    let (_, product) = value_and_vjp(x.clone(), function, |_| v.clone());
    assert_vjp("output", function, &x, &direction, &v, &product);
}

#[test]
fn smaller_images_are_padded_and_larger_ones_refused() {
    let config = recognised();
    config.check_image(1, 10, 10).unwrap();
    config.check_image(1, 7, 10).unwrap();
    for (height, width) in [(10, 11), (20, 20)] {
        let error = config
            .check_image(1, height, width)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the network takes images of 10 x 10"),
            "{error}"
        );
    }
    let error = small().check_size(5, 6).unwrap_err().to_string();
    assert_eq!(error, "the network takes images of 5 x 5 only, found 5 x 6");
}

#[test]
fn what_no_network_can_be_is_refused() {
    type Change = fn(&mut MnistDdpmConfig);
    let cases: [(Change, &str); 6] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (|c| c.widths[1] = 0, "widths must be at least 1, found 0"),
        (|c| c.size = 0, "size must be at least 1, found 0"),
        (
            |c| c.frequencies = 0,
            "frequencies must be at least 1, found 0",
        ),
        (
            |c| c.time_width = 0,
            "time_width must be at least 1, found 0",
        ),
        (
            |c| c.widths.clear(),
            "widths must name at least one level, found none",
        ),
    ];
    assert_refusals(&small(), &cases, |config| config.init(0, &device()));
}

#[test]
#[should_panic(expected = "channels of the image")]
fn an_image_with_other_channels_is_refused() {
    run(&network(), Tensor::zeros([1, 3, 5, 5], &device()));
}

#[test]
#[should_panic(expected = "images of 5 x 5 only, found 10 x 10")]
fn an_image_of_another_size_is_refused() {
    run(&network(), Tensor::zeros([1, 2, 10, 10], &device()));
}
