//! The plain U-Net: the outputs of the reference, the published names, and what is refused.

use std::{collections::BTreeMap, path::Path};

use burn::{
    module::Module,
    tensor::{DType, Tensor},
};
use serde::Deserialize;
use tempfile::TempDir;
use tweedie_core::{Backbone, Conditioning, Denoiser, Rng, value_and_vjp};
use tweedie_models::{Architecture, Imported, PlainUNet, PlainUNetConfig, Pretrained, import};
use tweedie_testkit::{assert_vjp, device, golden, values};

use crate::{
    formula::{Formula, assert_relative, blank, checkpoint, golden_path, single},
    support::{assert_refusals, disturbed, in_double, weights},
};

fn small() -> PlainUNetConfig {
    PlainUNetConfig {
        widths: vec![3, 4, 5],
        ..PlainUNetConfig::published(2)
    }
}

fn network(config: &PlainUNetConfig) -> PlainUNet {
    disturbed(config.init(5, &device()).unwrap())
}

/// Of a network that is told no noise level.
fn run(network: &PlainUNet, x: Tensor<4>) -> Tensor<4> {
    let unused = Conditioning::uniform(f64::NAN, &x);
    network.forward(x, unused)
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    residual: bool,
    circular_padding: bool,
    tensors: BTreeMap<String, Formula>,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    shape: [usize; 4],
    out: Vec<f64>,
}

impl Case {
    fn all() -> Vec<Self> {
        let cases = golden::<Golden>(golden_path("plain_unet.json")).cases;
        assert_eq!(cases.len(), 7);
        cases
    }

    /// As a user does it: what the file does not say is put right after the conversion.
    fn import(&self, folder: &Path) -> Imported {
        let [theirs, ours] =
            ["theirs", "ours"].map(|name| folder.join(format!("{name}.safetensors")));
        checkpoint(&theirs, &self.tensors);
        let mut imported = import(&theirs, None, &device()).unwrap();
        let Architecture::PlainUNet(config) = &mut imported.config.architecture else {
            panic!("{} was taken for {:?}", self.name, imported.config);
        };
        assert_eq!(config.widths, [4, 8, 12]);
        assert!(config.residual && !config.circular_padding);
        config.residual = self.residual;
        config.circular_padding = self.circular_padding;
        imported.save(&ours).unwrap();
        import(&ours, None, &device()).unwrap()
    }
}

mod on_device {
    use super::*;
    use crate::formula::image;

    /// Twenty layers in a row, each with a relative rounding error of a few times 6e-8. Were the norms that are bias-free taken for
    /// usual ones, each would be off by 1e-4 at their variances, from 0.03 to 0.1.
    #[test]
    fn outputs_are_those_of_the_reference() {
        for (number, case) in (0..).zip(Case::all()) {
            let folder = TempDir::new().unwrap();
            let Imported { config, network } = case.import(folder.path());
            let denoiser = config.denoiser(network).unwrap();
            assert_eq!(case.outputs.len(), 2);
            for Output { shape, out } in case.outputs {
                let x = image(1000 + number, shape, 0.5, 0.5);
                let found = denoiser.denoise(x, 0.1);
                let name = format!("{}, {shape:?}", case.name);
                assert_relative(&name, &found, &out, 1e-5);
            }
        }
    }
}

#[derive(Deserialize)]
struct Tiny {
    shape: [usize; 4],
    x: Vec<f64>,
    out: Vec<f64>,
}

#[test]
fn a_file_of_pytorch_gives_the_outputs_of_the_reference() {
    let model = Pretrained::import(&golden_path("plain_unet_tiny.pth"), None, &device()).unwrap();
    for Tiny { shape, x, out } in golden::<Vec<Tiny>>(golden_path("plain_unet_tiny.json")) {
        let found = model.denoiser().denoise(single(&x, shape), 0.1);
        // Twenty layers in a row, each with a relative rounding error of a few times 6e-8.
        assert_relative(&format!("{shape:?}"), &found, &out, 1e-5);
    }
}

#[derive(Deserialize)]
struct Published {
    keys: BTreeMap<String, Vec<usize>>,
}

#[test]
fn the_published_names_and_shapes_are_those_of_the_network() {
    let Published { keys } = golden(golden_path("plain_unet_default_keys.json"));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("unet.safetensors");
    blank(&path, &keys);
    let Imported { config, network } = import(&path, None, &device()).unwrap();
    let expected = PlainUNetConfig::published(1);
    assert_eq!(config.architecture, Architecture::PlainUNet(expected));
    // Weights and biases of the convolutions.
    let is_convolution = |name: &str| {
        let layer = name.rsplit_once('.').unwrap().0;
        !keys.contains_key(&format!("{layer}.running_var"))
    };
    let count: usize = (keys.iter().filter(|(name, _)| is_convolution(name)))
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum();
    assert_eq!(network.num_params(), count);
}

#[test]
fn without_biases_scaling_the_image_scales_the_output() {
    let cases = Case::all();
    for (index, is_free) in [(3, true), (4, true), (0, false)] {
        let folder = TempDir::new().unwrap();
        let network = in_double(cases[index].import(folder.path()).network);
        let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
        let x = rng.normal([1, 2, 8, 4]);
        let label = Conditioning::uniform(0.0, &x);
        let once = network.forward(x.clone(), label.clone()).mul_scalar(7.0);
        let scaled = network.forward(x.mul_scalar(7.0), label);
        let (once, scaled) = (values(&once), values(&scaled));
        let size = once.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        let error = (once.iter().zip(&scaled)).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
        let name = &cases[index].name;
        assert_eq!(error < 1e-12 * size, is_free, "{name}: {error} of {size}");
    }
}

#[test]
fn with_circular_padding_shifting_the_image_shifts_the_output() {
    for circular_padding in [true, false] {
        let network = in_double(network(&PlainUNetConfig {
            circular_padding,
            ..small()
        }));
        let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
        let x = rng.normal([1, 2, 8, 12]);
        // By multiples of 4, so that the same pixels meet in a maximum.
        let shifted = |x: Tensor<4>| x.roll_dim(4, 2).roll_dim(8, 3);
        let expected = values(&shifted(run(&network, x.clone())));
        let found = values(&run(&network, shifted(x)));
        let size = expected.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        let error = (found.iter().zip(&expected)).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
        assert_eq!(error < 1e-12 * size, circular_padding, "{error} of {size}");
    }
}

#[test]
fn rows_do_not_see_each_other() {
    let network = network(&small());
    let x = Rng::seeded(2, &device()).normal([3, 2, 8, 4]);
    let together = values(&run(&network, x.clone()));
    for row in 0..3 {
        let alone = values(&run(&network, x.clone().narrow(0, row, 1)));
        assert_eq!(alone, together[row * 64..][..64], "row {row}");
    }
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    for circular_padding in [false, true] {
        let network = in_double(network(&PlainUNetConfig {
            circular_padding,
            ..small()
        }));
        let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
        let [x, direction, v] = [(); 3].map(|()| rng.normal([2, 2, 4, 8]));
        let denoise = |x: Tensor<4>| run(&network, x);
        let (_, product) = value_and_vjp(x.clone(), denoise, |_| v.clone());
        let name = format!("circular: {circular_padding}");
        assert_vjp(&name, denoise, &x, &direction, &v, &product);
    }
}

#[test]
fn weights_depend_on_the_seed_alone() {
    let draw = |seed| weights(&small().init(seed, &device()).unwrap());
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn what_no_network_can_be_is_refused() {
    type Change = fn(&mut PlainUNetConfig);
    let cases: [(Change, &str); 3] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (|c| c.widths[1] = 0, "widths must be at least 1, found 0"),
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
    run(&network(&small()), Tensor::zeros([1, 3, 8, 8], &device()));
}

#[test]
#[should_panic(expected = "multiples of 4, found 8 x 6")]
fn a_size_between_two_multiples_is_refused() {
    run(&network(&small()), Tensor::zeros([1, 2, 8, 6], &device()));
}
