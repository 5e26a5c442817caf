//! The network of Dhariwal & Nichol 2021: the outputs of the references, the published names, and what is refused.

use std::collections::BTreeMap;

use burn::{module::Module, tensor::Tensor};
use serde::Deserialize;
use tempfile::tempdir;
use tweedie_core::{
    Backbone, Conditioning, Denoiser, Given, NoiseLabel, Parametrisation, ScheduleConfig,
};
use tweedie_models::{
    Architecture, Imported, ModelError, NoiseEmbedding, Pixels, Pretrained, Resampling,
    TimeInjection, UNetConfig, import, import_names, load_weights, save_weights,
};
use tweedie_testkit::{device, golden};

use crate::{
    formula::{Formula, assert_relative, blank, checkpoint, golden_path, image, single},
    support::weights,
};

#[derive(Deserialize)]
struct Golden {
    guided: Case,
    convolutions: Case,
    edm: Case,
    told: Case,
    published: Published,
}

#[derive(Deserialize)]
struct Case {
    tensors: BTreeMap<String, Formula>,
    shape: [usize; 4],
    labels: Vec<f64>,
    classes: Option<Vec<i64>>,
    raw: Vec<f64>,
    untold: Option<Vec<f64>>,
    sigma: Option<f64>,
    clipped: Option<Vec<f64>>,
    denoised: Option<Vec<f64>>,
}

type Shapes = BTreeMap<String, Vec<usize>>;

#[derive(Deserialize)]
struct Published {
    ffhq: Shapes,
    imagenet: Shapes,
    edm: Shapes,
}

fn expected() -> Golden {
    golden(golden_path("adm.json"))
}

impl Case {
    fn import(&self) -> Result<Imported, ModelError> {
        let folder = tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        checkpoint(&path, &self.tensors);
        import(&path, None, &device())
    }

    fn raw(&self, network: &impl Backbone, place: u64) -> Tensor<4> {
        self.given(network, place, Given::default())
    }

    fn given(&self, network: &impl Backbone, place: u64, given: Given) -> Tensor<4> {
        let noise = single(&self.labels, [self.labels.len()]);
        let conditioning = Conditioning { noise, given };
        network.forward(image(place, self.shape, 0.0, 1.0), conditioning)
    }
}

fn unet(imported: &Imported) -> &UNetConfig {
    match &imported.config.architecture {
        Architecture::UNet(config) => config,
        other => panic!("{other:?}"),
    }
}

/// Fails unless a file of these shapes, in which one tensor has another name, misses that tensor alone.
fn assert_names(shapes: &Shapes, name: Option<&str>, one: &str) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let mut other = shapes.clone();
    let shape = other.remove(one).unwrap();
    other.insert("another.weight".into(), shape);
    blank(&path, &other);
    let error = import(&path, name, &device()).unwrap_err();
    let ModelError::Weights {
        missing,
        unexpected,
        mismatched,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(missing, [one]);
    assert_eq!(unexpected, ["another.weight"]);
    assert!(mismatched.is_empty());
}

/// Numbers of the weights among the tensors.
fn parameters(shapes: &Shapes) -> usize {
    let trained = |name: &str| !name.ends_with("alphas_cumprod") && !name.ends_with("filter");
    let weights = shapes.iter().filter(|(name, _)| trained(name));
    weights
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
}

fn count(config: &UNetConfig) -> usize {
    config.init(0, &device()).unwrap().num_params()
}

mod on_device {
    use super::*;

    // Thirty layers in a row, each with a relative rounding error of a few times 6e-8 in either program; the numbers of the
    // file have nine digits.
    const TOLERANCE: f64 = 2e-5;

    #[test]
    fn a_guided_network_has_the_outputs_of_the_reference() {
        let case = expected().guided;
        let found = case.import().unwrap();
        assert_relative("raw", &case.raw(&found.network, 1000), &case.raw, TOLERANCE);
        let sigma = case.sigma.unwrap();
        let denoiser = found.config.denoiser(found.network.valid()).unwrap();
        let clean = denoiser.denoise(image(1000, case.shape, 0.0, 1.0), sigma);
        let clipped = clean.clamp(0.0, 1.0);
        assert_relative("clean", &clipped, &case.clipped.unwrap(), TOLERANCE);
    }

    #[test]
    fn a_guided_network_without_residual_resampling_has_them_too() {
        let case = expected().convolutions;
        let found = case.import().unwrap();
        assert_relative("raw", &case.raw(&found.network, 1001), &case.raw, TOLERANCE);
    }

    #[test]
    fn a_network_that_is_told_classes_has_them_too() {
        let case = expected().told;
        let found = case.import().unwrap();
        let classes = case.classes.as_deref().unwrap();
        let given = Given {
            class: Some(Tensor::from_data(classes, &device())),
            image: None,
        };
        let told = case.given(&found.network, 1003, given);
        assert_relative("told", &told, &case.raw, TOLERANCE);
        let untold = case.raw(&found.network, 1003);
        assert_relative("untold", &untold, &case.untold.unwrap(), TOLERANCE);
    }

    #[test]
    fn an_edm_network_has_the_outputs_of_the_reference() {
        let case = expected().edm;
        let found = case.import().unwrap();
        assert_relative("raw", &case.raw(&found.network, 1002), &case.raw, TOLERANCE);
        let denoiser = found.config.denoiser(found.network.valid()).unwrap();
        let noisy = image(1002, case.shape, 0.0, 1.0);
        let clean = denoiser.denoise(noisy, case.sigma.unwrap());
        assert_relative("clean", &clean, &case.denoised.unwrap(), TOLERANCE);
    }
}

#[test]
fn a_guided_network_is_recognised_by_names_and_shapes() {
    let found = expected().guided.import().unwrap();
    let expected = UNetConfig {
        channels: 3,
        base_channels: 64,
        channel_multipliers: vec![1, 2, 1],
        blocks_per_level: 1,
        attention_levels: vec![1],
        heads: 1,
        head_channels: Some(64),
        groups: 32,
        classes: 0,
        condition_channels: 0,
        dropout: 0.0,
        time_injection: TimeInjection::ScaleShift,
        resampling: Resampling::ResidualBlock,
        noise_embedding: NoiseEmbedding::CosinesFirst,
        norm_epsilon: 1e-5,
        learned_sigma: true,
    };
    assert_eq!(unet(&found), &expected);
    assert_eq!(found.config.parametrisation, Parametrisation::Epsilon);
    assert_eq!(found.config.label, NoiseLabel::Step { steps: 1000 });
    assert_eq!(found.config.pixels, Pixels::Symmetric);
    assert_eq!(found.config.image_size, [32, 32]);
}

#[test]
fn convolutions_between_levels_are_recognised() {
    let guided = unet(&expected().guided.import().unwrap()).clone();
    let found = expected().convolutions.import().unwrap();
    let expected = UNetConfig {
        channels: 1,
        base_channels: 32,
        channel_multipliers: vec![1, 2],
        blocks_per_level: 2,
        attention_levels: vec![0],
        heads: 4,
        head_channels: None,
        time_injection: TimeInjection::Add,
        resampling: Resampling::PaddedConvolution,
        learned_sigma: false,
        ..guided
    };
    assert_eq!(unet(&found), &expected);
}

#[test]
fn an_edm_network_is_recognised_by_names_and_shapes() {
    let guided = unet(&expected().guided.import().unwrap()).clone();
    let found = expected().edm.import().unwrap();
    let expected = UNetConfig {
        learned_sigma: false,
        ..guided
    };
    assert_eq!(unet(&found), &expected);
    let edm = Parametrisation::Edm { sigma_data: 0.5 };
    assert_eq!(found.config.parametrisation, edm);
    let schedule = ScheduleConfig::Karras { sigma_max: 80.0 };
    assert_eq!(found.config.schedule, schedule);
    assert_eq!(found.config.pixels, Pixels::Symmetric);
    assert_eq!(found.config.image_size, [16, 16]);
}

#[test]
fn the_published_networks_have_the_published_names_and_sizes() {
    let Published {
        ffhq,
        imagenet,
        edm,
    } = expected().published;
    assert_eq!(parameters(&ffhq), 93_563_910);
    for (shapes, one) in [
        (&ffhq, "input_blocks.9.1.proj_out.weight"),
        (&imagenet, "output_blocks.17.0.skip_connection.bias"),
        (&edm, "dec.32x32_up.norm0.weight"),
    ] {
        assert_names(shapes, None, one);
    }
    assert_names(&ffhq, Some("ffhq-10m"), "out.2.weight");
    assert_names(&imagenet, Some("imagenet-256-uncond"), "out.2.weight");
    let error = {
        let folder = tempdir().unwrap();
        let path = folder.path().join("network.safetensors");
        blank(&path, &imagenet);
        import(&path, Some("ffhq-10m"), &device()).unwrap_err()
    };
    assert!(matches!(error, ModelError::OtherNetwork { .. }), "{error}");
    for name in ["ffhq-10m", "imagenet-256-uncond"] {
        assert!(import_names().any(|known| known == name));
    }
}

#[test]
fn the_published_networks_have_as_many_parameters_as_the_references() {
    let Published {
        ffhq,
        imagenet,
        edm,
    } = expected().published;
    let adm = UNetConfig {
        base_channels: 128,
        channel_multipliers: vec![1, 1, 2, 2, 4, 4],
        attention_levels: vec![4],
        ..unet(&expected().guided.import().unwrap()).clone()
    };
    assert_eq!(count(&adm), parameters(&ffhq));
    let large = UNetConfig {
        base_channels: 256,
        blocks_per_level: 2,
        attention_levels: vec![3, 4, 5],
        ..adm.clone()
    };
    assert_eq!(count(&large), parameters(&imagenet));
    let pixels64 = UNetConfig {
        base_channels: 192,
        channel_multipliers: vec![1, 2, 3, 4],
        blocks_per_level: 3,
        attention_levels: vec![1, 2, 3],
        learned_sigma: false,
        ..adm
    };
    assert_eq!(count(&pixels64), parameters(&edm));
}

#[test]
fn a_guided_network_with_classes_is_read() {
    let mut case = expected().guided;
    let labels = Formula {
        shape: vec![10, 256],
        offset: 0.0,
        scale: 1.0,
    };
    case.tensors.insert("label_emb.weight".into(), labels);
    let found = case.import().unwrap();
    assert_eq!(unet(&found).classes, 10);
    let all = weights(&found.network);
    let rows = all.iter().find(|layer| layer.len() == 11 * 256).unwrap();
    assert!(rows[..10 * 256].iter().all(|&w| w != 0.0));
    assert!(rows[10 * 256..].iter().all(|&w| w == 0.0));
    // Of another width it is no embedding of classes.
    let label = case.tensors["time_embed.0.weight"].clone();
    case.tensors.insert("label_emb.weight".into(), label);
    let error = case.import().unwrap_err();
    assert!(
        matches!(&error, ModelError::Weights { mismatched, .. } if mismatched[0].name == "label_emb.weight"),
        "{error}"
    );
}

#[test]
fn an_edm_network_with_classes_is_refused() {
    let mut case = expected().edm;
    let label = case.tensors["map_layer0.weight"].clone();
    case.tensors.insert("map_label.weight".into(), label);
    let error = case.import().unwrap_err();
    assert!(
        matches!(&error, ModelError::Weights { unexpected, .. } if unexpected == &["map_label.weight"]),
        "{error}"
    );
    let message = error.to_string();
    assert!(message.ends_with("1 unexpected: map_label.weight; it is told the class of its images in a way that is not supported"), "{message}");
}

#[test]
fn what_a_network_needs_in_training_alone_is_left_out() {
    let one = Formula {
        shape: vec![2],
        offset: 0.0,
        scale: 1.0,
    };
    let Golden {
        mut guided,
        mut edm,
        ..
    } = expected();
    guided
        .tensors
        .insert("sqrt_alphas_cumprod".into(), one.clone());
    guided.import().unwrap();
    edm.tensors.insert("map_augment.weight".into(), one);
    edm.import().unwrap();
}

#[test]
fn the_weights_of_the_variance_go_through_a_file() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let case = expected().guided;
    let Imported { config, network } = case.import().unwrap();
    save_weights(&network, &path).unwrap();
    let mut loaded = config.architecture.init(1, &device()).unwrap();
    load_weights(&mut loaded, &path).unwrap();
    assert_eq!(weights(&loaded), weights(&network));
    let six = expected().guided.tensors["out.2.weight"]
        .shape
        .iter()
        .product::<usize>();
    assert!(weights(&loaded).iter().any(|layer| layer.len() == six));
}

#[test]
fn a_checkpoint_opens_as_a_model() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    let case = expected().edm;
    checkpoint(&path, &case.tensors);
    let model = Pretrained::open(&path, &device()).unwrap();
    let noisy = image(1002, case.shape, 0.0, 1.0);
    let clean = model.denoiser().denoise(noisy, case.sigma.unwrap());
    assert_relative("clean", &clean, &case.denoised.unwrap(), 2e-5);
}
