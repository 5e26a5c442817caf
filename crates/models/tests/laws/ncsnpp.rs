//! NCSN++ and DDPM++: the outputs of the reference, the published names, and what is refused.

use std::{collections::BTreeMap, path::Path};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{DType, Gradients, Tensor},
};
use serde::Deserialize;
use tempfile::TempDir;
use tweedie_core::{Backbone, Conditioning, Parametrisation, Rng, ScheduleConfig, value_and_vjp};
use tweedie_models::{
    Architecture, Imported, ModelError, Ncsnpp, NcsnppConfig, NcsnppKind, Pixels, import,
};
use tweedie_testkit::{assert_vjp, assert_z, device, golden, values};

use crate::{
    formula::{Formula, blank, checkpoint, golden_path, single},
    support::{assert_refusals, disturbed, in_double, weights},
};

const KINDS: [NcsnppKind; 2] = [NcsnppKind::Ncsn, NcsnppKind::Ddpm];

/// Two levels, attention at the finer one and at the bottom.
fn small(kind: NcsnppKind) -> NcsnppConfig {
    NcsnppConfig {
        kind,
        channels: 2,
        image_size: 8,
        base_channels: 32,
        channel_multipliers: vec![1, 2],
        blocks_per_level: 1,
        attention_levels: vec![0],
    }
}

fn network(kind: NcsnppKind) -> Ncsnpp {
    disturbed(small(kind).init(5, &device()).unwrap())
}

fn labelled(labels: &[f64]) -> Conditioning {
    Conditioning::new(single(labels, [labels.len()]))
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    model_type: String,
    channel_multipliers: Vec<usize>,
    blocks_per_level: usize,
    attention_levels: Vec<usize>,
    tensors: BTreeMap<String, Formula>,
    shape: [usize; 4],
    labels: Vec<f64>,
    raw: Vec<f64>,
    sigma: f64,
    denoised: Vec<f64>,
}

impl Case {
    fn all() -> Vec<Self> {
        let cases = golden::<Golden>(golden_path("ncsnpp.json")).cases;
        assert_eq!(cases.len(), 2);
        cases
    }

    fn config(&self) -> NcsnppConfig {
        NcsnppConfig {
            kind: match self.model_type.as_str() {
                "ncsn" => NcsnppKind::Ncsn,
                _ => NcsnppKind::Ddpm,
            },
            channels: 3,
            image_size: 16,
            base_channels: 32,
            channel_multipliers: self.channel_multipliers.clone(),
            blocks_per_level: self.blocks_per_level,
            attention_levels: self.attention_levels.clone(),
        }
    }

    fn import(&self, folder: &Path) -> Result<Imported, ModelError> {
        let path = folder.join("network.safetensors");
        checkpoint(&path, &self.tensors);
        import(&path, None, &device())
    }
}

mod on_device {
    use tweedie_core::Denoiser;

    use super::*;
    use crate::formula::{assert_relative, image};

    /// The largest angle of the label is 2 pi 16 1.2, and single precision knows it to 1e-5; fifty layers in a row, each with
    /// a relative rounding error of a few times 6e-8, add less.
    #[test]
    fn outputs_are_those_of_the_reference() {
        for (number, case) in (0..).zip(Case::all()) {
            let folder = TempDir::new().unwrap();
            let Imported { config, network } = case.import(folder.path()).unwrap();
            assert_eq!(config.architecture, Architecture::Ncsnpp(case.config()));
            assert_eq!(config.image_size, [16, 16]);
            let x = image(1000 + number, case.shape, 0.0, 1.0);
            let raw = network.forward(x.clone(), labelled(&case.labels));
            assert_relative(&case.model_type, &raw, &case.raw, 2e-5);
            let denoised = config.denoiser(network).unwrap().denoise(x, case.sigma);
            assert_relative(&case.model_type, &denoised, &case.denoised, 2e-5);
        }
    }
}

#[derive(Deserialize)]
struct Published {
    keys: BTreeMap<String, Vec<usize>>,
    n_params: usize,
}

#[test]
fn the_published_names_and_shapes_are_those_of_the_network() {
    let Published { keys, n_params } = golden(golden_path("ncsnpp_default_keys.json"));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ffhq.safetensors");
    blank(&path, &keys);
    let Imported { config, network } = import(&path, Some("edm-ffhq-64-ve"), &device()).unwrap();
    let expected = NcsnppConfig::published(NcsnppKind::Ncsn, 64);
    assert_eq!(config.architecture, Architecture::Ncsnpp(expected));
    assert_eq!(config.pixels, Pixels::Symmetric);
    let edm = Parametrisation::Edm { sigma_data: 0.5 };
    assert_eq!(config.parametrisation, edm);
    assert_eq!(config.schedule, ScheduleConfig::Karras { sigma_max: 80.0 });
    let [augmentation, frequencies] =
        ["map_augment.weight", "map_noise.freqs"].map(|name| keys[name].iter().product::<usize>());
    assert_eq!(network.num_params(), n_params - augmentation + frequencies);
    assert_eq!(import(&path, None, &device()).unwrap().config, config);
}

/// deepinv 0.5.0's `NCSNpp("ddpm", img_resolution=32, channel_mult=(2, 2, 2))` has 55 733 891 parameters, 9 x 128 of them for
/// the augmentation.
#[test]
fn the_cifar10_network_has_the_published_size() {
    let config = NcsnppConfig::published(NcsnppKind::Ddpm, 32);
    assert_eq!(config.multiple(), 4);
    let network = config.init(0, &device()).unwrap();
    assert_eq!(network.num_params(), 55_733_891 - 9 * 128);
}

#[test]
fn other_tensors_of_a_file_are_listed() {
    let folder = TempDir::new().unwrap();
    let mut case = Case::all().remove(0);
    let labels = Formula {
        shape: vec![64, 10],
        offset: 0.0,
        scale: 1.0,
    };
    case.tensors.insert("map_label.weight".into(), labels);
    case.tensors.remove("enc.8x8_aux_residual.bias");
    let Err(ModelError::Weights {
        missing,
        unexpected,
        mismatched,
        ..
    }) = case.import(folder.path())
    else {
        panic!("a network for classes was taken");
    };
    assert_eq!(missing, ["enc.8x8_aux_residual.bias"]);
    assert_eq!(unexpected, ["map_label.weight"]);
    assert!(mismatched.is_empty());
}

#[test]
fn a_saved_network_is_the_same_again() {
    for case in Case::all() {
        let folder = TempDir::new().unwrap();
        let imported = case.import(folder.path()).unwrap();
        let path = folder.path().join("ours.safetensors");
        imported.save(&path).unwrap();
        let again = import(&path, None, &device()).unwrap();
        assert_eq!(again.config, imported.config);
        assert_eq!(weights(&again.network), weights(&imported.network));
    }
}

#[test]
fn the_label_of_each_row_matters_to_that_row_alone() {
    for kind in KINDS {
        let network = network(kind);
        let x = Rng::seeded(2, &device()).normal([2, 2, 8, 4]);
        let together = values(&network.forward(x.clone(), labelled(&[-1.0, 0.6])));
        for (row, label) in [-1.0, 0.6].into_iter().enumerate() {
            let row_alone = x.clone().narrow(0, row, 1);
            let alone = values(&network.forward(row_alone.clone(), labelled(&[label])));
            assert_eq!(alone, together[row * 64..][..64], "{kind:?}, row {row}");
            let other = values(&network.forward(row_alone, labelled(&[label + 0.1])));
            let change: f64 = (0..64).map(|i| (other[i] - alone[i]).abs()).sum();
            assert!(change > 0.01, "{kind:?}: changed by {change}");
        }
    }
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    for kind in KINDS {
        let network = in_double(network(kind));
        let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
        let [x, direction, v] = [(); 3].map(|()| rng.normal([2, 2, 4, 6]));
        let run = |x: Tensor<4>| network.forward(x, labelled(&[-0.4, 0.3]));
        let (_, product) = value_and_vjp(x.clone(), run, |_| v.clone());
        assert_vjp(&format!("{kind:?}"), run, &x, &direction, &v, &product);
    }
}

/// Shapes of the weights without a gradient.
struct Constant<'a> {
    gradients: &'a Gradients,
    shapes: Vec<Vec<usize>>,
}

impl ModuleVisitor for Constant<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.val().grad(self.gradients).is_none() {
            self.shapes.push(param.val().dims().to_vec());
        }
    }
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the gradient with respect to the weights is what training needs"
)]
fn all_but_the_frequencies_can_be_trained() {
    for (kind, constants) in KINDS.into_iter().zip([vec![vec![32]], vec![]]) {
        let network = network(kind).train();
        let x = Rng::seeded(4, &device()).normal([1, 2, 4, 4]);
        let loss = network.forward(x, labelled(&[0.2])).square().sum();
        let mut constant = Constant {
            gradients: &loss.backward(),
            shapes: vec![],
        };
        network.visit(&mut constant);
        assert_eq!(constant.shapes, constants, "{kind:?}");
    }
}

/// A standard deviation of 16, as Song et al. 2021 have it.
#[test]
fn the_frequencies_are_normal() {
    let drawn = |seed| weights(&small(NcsnppKind::Ncsn).init(seed, &device()).unwrap()).remove(0);
    let all: Vec<f64> = (0..8).flat_map(drawn).collect();
    let count = all.len() as f64;
    assert_eq!(count, 8.0 * 32.0);
    let mean = all.iter().sum::<f64>() / count;
    let square = all.iter().map(|f| f * f).sum::<f64>() / count;
    let errors = [256.0 / count, 2.0 * 256.0 * 256.0 / count].map(f64::sqrt);
    assert_z("moments", &[mean, square], &[0.0, 256.0], &errors);
}

#[test]
fn weights_depend_on_the_seed_alone() {
    let draw = |seed| weights(&small(NcsnppKind::Ncsn).init(seed, &device()).unwrap());
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn what_no_network_can_be_is_refused() {
    type Change = fn(&mut NcsnppConfig);
    let cases: [(Change, &str); 8] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (
            |c| c.base_channels = 0,
            "base_channels must be at least 1, found 0",
        ),
        (
            |c| c.blocks_per_level = 0,
            "blocks_per_level must be at least 1, found 0",
        ),
        (
            |c| c.channel_multipliers[1] = 0,
            "channel_multipliers must be at least 1, found 0",
        ),
        (
            |c| c.channel_multipliers.clear(),
            "channel_multipliers must name at least one level, found none",
        ),
        (
            |c| c.attention_levels.push(2),
            "attention_levels names level 2, but the levels are 0 to 1",
        ),
        (
            |c| c.base_channels = 48,
            "groups (32) must divide the 48 channels of level 0",
        ),
        (
            |c| c.image_size = 9,
            "the network takes heights and widths that are positive multiples of 2, found 9 x 9",
        ),
    ];
    assert_refusals(&small(NcsnppKind::Ncsn), &cases, |config| {
        config.init(0, &device())
    });
}

#[test]
#[should_panic(expected = "channels of the image")]
fn an_image_with_other_channels_is_refused() {
    let x = Tensor::zeros([1, 3, 8, 8], &device());
    network(NcsnppKind::Ddpm).forward(x, labelled(&[0.0]));
}

#[test]
#[should_panic(expected = "multiples of 2, found 8 x 7")]
fn a_size_between_two_multiples_is_refused() {
    let x = Tensor::zeros([1, 2, 8, 7], &device());
    network(NcsnppKind::Ncsn).forward(x, labelled(&[0.0]));
}
