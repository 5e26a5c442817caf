//! The course's U-Net: its size, its outputs with both kinds of statistics, and when which is used.

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor},
};
use serde::Deserialize;
use tweedie_core::{
    Backbone, Conditioning, NoiseLabel, Parametrisation, Rng, ScheduleConfig, value_and_vjp,
};
use tweedie_models::{Architecture, Network, SimpleUnet, SimpleUnetConfig, import};
use tweedie_testkit::{assert_vjp, device, golden, values};

use crate::{
    formula::{assert_relative, golden_path, single},
    support::{assert_refusals, disturbed, in_double, weights},
};

fn small() -> SimpleUnetConfig {
    SimpleUnetConfig {
        channels: 2,
        widths: vec![3, 4, 5],
        time_width: 6,
    }
}

fn network() -> SimpleUnet {
    disturbed(small().init(5, &device()).unwrap())
}

fn run(network: &SimpleUnet, x: Tensor<4>) -> Tensor<4> {
    let label = Conditioning::uniform(40.0, &x);
    network.forward(x, label)
}

#[derive(Deserialize)]
struct Golden {
    shape: [usize; 4],
    labels: Vec<f64>,
    x: Vec<f64>,
    running: Vec<f64>,
    batch: Vec<f64>,
}

impl Golden {
    fn read() -> Self {
        golden(golden_path("simple_unet.json"))
    }

    fn outputs(&self, network: &Network, device: &Device) -> Tensor<4> {
        let x = single(&self.x, self.shape).to_device(device);
        let noise = single(&self.labels, [self.labels.len()]).to_device(device);
        network.forward(x, Conditioning::new(noise))
    }

    fn assert_near(&self, found: Tensor<4>, expected: &[f64]) {
        // Sixteen layers in a row, each with a relative rounding error of a few times 6e-8.
        assert_relative("output", &found, expected, 1e-5);
    }
}

fn imported(device: &Device) -> Network {
    import(&golden_path("simple_unet.pth"), None, device)
        .unwrap()
        .network
}

mod on_device {
    use super::*;

    #[test]
    fn outputs_are_those_of_the_reference() {
        let golden = Golden::read();
        let found = golden.outputs(&imported(&device()), &device());
        golden.assert_near(found, &golden.running);
    }
}

#[test]
fn in_training_the_statistics_are_those_of_the_batch() {
    let golden = Golden::read();
    let device = device().autodiff();
    let found = golden.outputs(&imported(&device), &device);
    golden.assert_near(found.without_autodiff(), &golden.batch);
    // The two are far apart.
    let apart = golden.running.iter().zip(&golden.batch);
    assert!(apart.fold(0.0_f64, |m, (a, b)| m.max((a - b).abs())) > 0.3);
}

#[test]
fn training_moves_the_running_statistics_and_nothing_else_does() {
    let golden = Golden::read();
    let device = device().autodiff();
    let trained = imported(&device);
    let before = weights(&trained.valid());
    golden.outputs(&trained, &device);
    // Read before `valid`, which would count the batch.
    let inference = trained.valid();
    let after = weights(&inference);
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    // A mean and a variance of two norms in each of four blocks.
    assert_eq!(moved, 16);

    golden.outputs(&inference, &device.clone().inner());
    let network = match &inference {
        Network::SimpleUnet(network) => network,
        other => panic!("{other:?}"),
    };
    let x = Rng::seeded(3, &device.inner()).normal([1, 3, 4, 4]);
    value_and_vjp(x, |x| run(network, x), |y| y.ones_like());
    assert_eq!(weights(&inference), after);
}

/// Nothing is made `valid` here: the weights are where nothing can be trained.
#[test]
fn a_gradient_in_the_image_keeps_the_running_statistics() {
    let network = network();
    let x = Rng::seeded(4, &device()).normal([2, 2, 4, 8]);
    let plain = values(&run(&network, x.clone()));
    let (tracked, _) = value_and_vjp(x, |x| run(&network, x), |y| y.ones_like());
    assert_relative("output", &tracked, &plain, 1e-5);
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    let network = in_double(network());
    let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
    let [x, direction, v] = [(); 3].map(|()| rng.normal([2, 2, 4, 8]));
    let function = |x: Tensor<4>| run(&network, x);
    let (_, product) = value_and_vjp(x.clone(), function, |_| v.clone());
    assert_vjp("output", function, &x, &direction, &v, &product);
}

#[test]
fn the_label_of_each_row_matters_to_that_row_alone() {
    let network = network();
    let x = Rng::seeded(1, &device())
        .normal([1, 2, 4, 4])
        .repeat_dim(0, 2);
    let noise = Tensor::from_floats([10.0, 200.0], &device());
    let together = values(&network.forward(x.clone(), Conditioning::new(noise)));
    let change: f64 = (0..32)
        .map(|i| (together[i] - together[32 + i]).abs())
        .sum();
    assert!(change > 0.01, "changed by {change}");
    let first = x.narrow(0, 0, 1);
    let label = Conditioning::uniform(10.0, &first);
    assert_eq!(values(&network.forward(first, label)), together[..32]);
}

#[test]
fn the_network_of_the_course_has_62_438_883_parameters() {
    let config = SimpleUnetConfig::published(3);
    let network = config.init(0, &device()).unwrap();
    // A mean and a variance for each channel after each of two convolutions; the last level's blocks do not come back up.
    let channels: usize = [128, 256, 512, 1024, 512, 256, 128, 64].iter().sum();
    assert_eq!(network.num_params() - 4 * channels, 62_438_883);
}

#[test]
fn a_file_of_the_course_is_recognised_with_its_training() {
    let found = import(&golden_path("simple_unet.pth"), None, &device())
        .unwrap()
        .config;
    let network = SimpleUnetConfig {
        channels: 3,
        widths: vec![4, 6, 8],
        time_width: 8,
    };
    assert_eq!(found.architecture, Architecture::SimpleUnet(network));
    assert_eq!(found.parametrisation, Parametrisation::Epsilon);
    let schedule = ScheduleConfig::Ddpm {
        steps: 300,
        beta_min: 1e-4,
        beta_max: 0.02,
    };
    assert_eq!(found.schedule, schedule);
    assert_eq!(found.label, NoiseLabel::Step { steps: 300 });
    assert_eq!(found.image_size, [64, 64]);
}

#[test]
fn what_no_network_can_be_is_refused() {
    type Change = fn(&mut SimpleUnetConfig);
    let cases: [(Change, &str); 5] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (|c| c.widths[1] = 0, "widths must be at least 1, found 0"),
        (
            |c| c.widths.clear(),
            "widths must name at least one level, found none",
        ),
        (
            |c| c.time_width = 5,
            "time_width must be even and at least 4, found 5",
        ),
        (
            |c| c.time_width = 2,
            "time_width must be even and at least 4, found 2",
        ),
    ];
    assert_refusals(&small(), &cases, |config| config.init(0, &device()));
}

#[test]
#[should_panic(expected = "channels of the image")]
fn an_image_with_other_channels_is_refused() {
    run(&network(), Tensor::zeros([1, 3, 8, 8], &device()));
}

#[test]
#[should_panic(expected = "multiples of 4, found 8 x 6")]
fn a_size_between_two_multiples_is_refused() {
    run(&network(), Tensor::zeros([1, 2, 8, 6], &device()));
}
