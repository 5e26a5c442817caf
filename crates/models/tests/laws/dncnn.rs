//! DnCNN: files of all five kinds give the denoiser of the program that wrote them.

use std::collections::BTreeMap;

use burn::{
    module::Module,
    tensor::{DType, Device, Tensor},
};
use tweedie_core::{
    Backbone, Conditioning, Denoiser, Parametrisation, Rng, ScheduleConfig, value_and_vjp,
};
use tweedie_models::{Architecture, Dncnn, DncnnConfig, ModelError, Pixels, Pretrained, import};
use tweedie_testkit::{assert_vjp, device, values};

use crate::{
    formula::{assert_relative, blank, golden_path, single},
    support::{assert_refusals, disturbed, in_double, weights},
};

fn small() -> DncnnConfig {
    DncnnConfig {
        channels: 2,
        width: 3,
        depth: 4,
        biases: [true; 3],
    }
}

fn network() -> Dncnn {
    disturbed(small().init(5, &device()).unwrap())
}

mod on_device {
    use serde::Deserialize;
    use tweedie_testkit::golden;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        shape: [usize; 4],
        x: Vec<f64>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        file: String,
        denoised: Vec<f64>,
    }

    #[test]
    fn files_of_all_kinds_denoise_as_where_they_come_from() {
        let golden: Golden = golden(golden_path("dncnn.json"));
        let x = single(&golden.x, golden.shape);
        assert_eq!(golden.cases.len(), 5);
        for Case { file, denoised } in golden.cases {
            let model = Pretrained::open(&golden_path(&file), &device()).unwrap();
            let found = model.denoiser().denoise(x.clone(), 0.1);
            // Five layers in a row, each with a relative rounding error of a few times 6e-8.
            assert_relative(&file, &found, &denoised, 3e-6);
        }
    }
}

#[test]
fn files_say_which_layers_have_a_bias() {
    for (file, biases) in [
        ("dncnn_kair.pth", [true; 3]),
        ("dncnn_kair_norm.pth", [true; 3]),
        ("dncnn_port_biased_head.pth", [true, true, false]),
        ("dncnn_port.pth", [false, true, false]),
        ("dncnn_deepinv.pth", [true; 3]),
    ] {
        let found = import(&golden_path(file), None, &device()).unwrap().config;
        let expected = DncnnConfig {
            channels: 2,
            width: 6,
            depth: 5,
            biases,
        };
        assert_eq!(found.architecture, Architecture::Dncnn(expected), "{file}");
        assert_eq!(found.parametrisation, Parametrisation::Residual);
        assert_eq!((found.pixels, found.only_sigma), (Pixels::Unit, None));
    }
}

/// A network of the published shape, saved in our names, under the name of a published one.
#[test]
fn names_say_the_noise_level() {
    let folder = tempfile::tempdir().unwrap();
    for (channels, depth, names) in [
        (
            1,
            17,
            &[
                ("dncnn-15", Some(15.0)),
                ("dncnn-25", Some(25.0)),
                ("dncnn-50", Some(50.0)),
            ][..],
        ),
        (
            1,
            20,
            &[("dncnn-gray-blind", None), ("dncnn-sigma2-gray", Some(2.0))],
        ),
        (
            3,
            20,
            &[
                ("dncnn-color-blind", None),
                ("dncnn-sigma2-color", Some(2.0)),
            ],
        ),
    ] {
        let config = DncnnConfig::published(channels, depth);
        let file = folder.path().join("weights.safetensors");
        tweedie_models::save_weights(&config.init(1, &device()).unwrap(), &file).unwrap();
        for (name, level) in names {
            let found = import(&file, Some(name), &device()).unwrap().config;
            assert_eq!(found.architecture, Architecture::Dncnn(config.clone()));
            assert_eq!(found.only_sigma, level.map(|level| level / 255.0), "{name}");
            let (sigma_max, size) = match level {
                Some(level) => (level / 255.0, 40),
                None => (55.0 / 255.0, 50),
            };
            assert_eq!(found.schedule, ScheduleConfig::Karras { sigma_max });
            assert_eq!(found.image_size, [size; 2], "{name}");
        }
    }
}

#[test]
fn published_networks_have_the_published_sizes() {
    for (channels, depth, parameters) in [(1, 17, 555_137), (1, 20, 665_921), (3, 20, 668_227)] {
        let network = DncnnConfig::published(channels, depth).init(0, &device());
        assert_eq!(network.unwrap().num_params(), parameters);
    }
    let bare = DncnnConfig {
        biases: [false; 3],
        ..DncnnConfig::published(1, 17)
    };
    let network = bare.init(0, &device()).unwrap();
    assert_eq!(network.num_params(), 555_137 - 16 * 64 - 1);
}

fn noise_in(network: &Dncnn, x: Tensor<4>, label: f64) -> Tensor<4> {
    let label = Conditioning::uniform(label, &x);
    network.forward(x, label)
}

#[test]
fn it_ignores_its_label_and_the_other_rows() {
    let network = network();
    let x = Rng::seeded(2, &device()).normal([2, 2, 5, 7]);
    let together = values(&noise_in(&network, x.clone(), 0.1));
    assert_eq!(together, values(&noise_in(&network, x.clone(), 2.0)));
    for row in 0..2 {
        let alone = values(&noise_in(&network, x.clone().narrow(0, row, 1), 0.1));
        assert_eq!(alone, together[row * 70..][..70], "row {row}");
    }
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    let network = in_double(network());
    let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
    let [x, direction, v] = [(); 3].map(|()| rng.normal([2, 2, 5, 6]));
    let run = |x: Tensor<4>| noise_in(&network, x, 0.4);
    let (_, product) = value_and_vjp(x.clone(), run, |_| v.clone());
    assert_vjp("the noise", run, &x, &direction, &v, &product);
}

#[test]
fn weights_depend_on_the_seed_alone() {
    let [first, again, other] =
        [7, 7, 8].map(|seed| weights(&small().init(seed, &device()).unwrap()));
    let elsewhere = weights(&small().init(7, &Device::flex().autodiff()).unwrap());
    assert_eq!(first, again);
    assert_eq!(first, elsewhere);
    assert_ne!(first, other);
}

#[test]
fn what_no_network_can_be_is_refused() {
    type Change = fn(&mut DncnnConfig);
    let cases: [(Change, &str); 3] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (|c| c.width = 0, "width must be at least 1, found 0"),
        (|c| c.depth = 1, "depth must be at least 2, found 1"),
    ];
    assert_refusals(&small(), &cases, |config| config.init(0, &device()));
}

/// IRCNN's seven convolutions have the names and shapes of a DnCNN and are dilated; FDnCNN's first takes a noise map too.
#[test]
fn networks_of_other_kinds_with_the_same_names_are_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, depth: usize, inputs: usize| {
        let mut shapes = BTreeMap::new();
        for index in 0..depth {
            let inputs = if index == 0 { inputs } else { 4 };
            let outputs = if index + 1 == depth { 1 } else { 4 };
            let layer = format!("model.{}", 2 * index);
            shapes.insert(format!("{layer}.weight"), vec![outputs, inputs, 3, 3]);
            shapes.insert(format!("{layer}.bias"), vec![outputs]);
        }
        let path = folder.path().join(name);
        blank(&path, &shapes);
        import(&path, None, &device())
    };
    assert!(write("dncnn.safetensors", 6, 1).is_ok());
    for (name, depth, inputs) in [("ircnn.safetensors", 7, 1), ("fdncnn.safetensors", 6, 2)] {
        let error = write(name, depth, inputs).unwrap_err();
        assert!(matches!(error, ModelError::Unrecognised { .. }), "{error}");
    }
}

#[test]
#[should_panic(expected = "channels of the image")]
fn an_image_with_other_channels_is_refused() {
    noise_in(&network(), Tensor::zeros([1, 3, 8, 8], &device()), 0.1);
}

#[test]
#[should_panic(expected = "multiples of 1, found 0 x 6")]
fn an_empty_image_is_refused() {
    noise_in(&network(), Tensor::zeros([1, 2, 0, 6], &device()), 0.1);
}
