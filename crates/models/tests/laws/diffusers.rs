//! Folders of diffusers: the outputs of the reference, and the configurations that are refused.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use burn::{module::Module, tensor::Tensor};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use tweedie_core::{Backbone, Conditioning, Denoiser, NoiseLabel, Parametrisation, ScheduleConfig};
use tweedie_models::{
    Architecture, Imported, ModelError, NoiseEmbedding, Pretrained, Resampling, TimeInjection,
    UNetConfig, import,
};
use tweedie_testkit::{device, golden};

use crate::formula::{assert_relative, blank, golden_path, image, single};

#[derive(Deserialize)]
struct Golden {
    ddpm: Case,
    pipeline: Case,
    cifar10: Published,
}

#[derive(Deserialize)]
struct Case {
    shape: [usize; 4],
    labels: Vec<f64>,
    raw: Vec<f64>,
    sigma: f64,
    denoised: Vec<f64>,
}

/// A network in full.
#[derive(Deserialize)]
struct Published {
    config: Value,
    tensors: BTreeMap<String, Vec<usize>>,
}

fn expected() -> Golden {
    golden(golden_path("diffusers.json"))
}

/// With the scheduler beside the network.
fn ddpm() -> PathBuf {
    golden_path("diffusers_ddpm")
}

/// With a folder for each of the two, the older names, and a pickled container.
fn pipeline() -> PathBuf {
    golden_path("diffusers_pipeline")
}

fn open(folder: &Path) -> Result<Imported, ModelError> {
    import(folder, None, &device())
}

fn unet(imported: &Imported) -> &UNetConfig {
    match &imported.config.architecture {
        Architecture::UNet(config) => config,
        other => panic!("{other:?}"),
    }
}

mod on_device {
    use super::*;

    // Twenty layers in a row, each with a relative rounding error of a few times 6e-8 in either program; the reference's table
    // of the schedule is in single precision.
    const TOLERANCE: f64 = 2e-5;

    fn check(case: &Case, folder: &Path, place: u64) {
        let found = open(folder).unwrap();
        let noise = single(&case.labels, [case.labels.len()]);
        let x: Tensor<4> = image(place, case.shape, 0.0, 1.0);
        let raw = found.network.forward(x.clone(), Conditioning::new(noise));
        assert_relative("raw", &raw, &case.raw, TOLERANCE);
        let denoiser = found.config.denoiser(found.network.valid()).unwrap();
        let clean = denoiser.denoise(x, case.sigma);
        assert_relative("clean", &clean, &case.denoised, TOLERANCE);
    }

    #[test]
    fn a_network_of_the_kind_of_ddpm_has_the_outputs_of_the_reference() {
        check(&expected().ddpm, &ddpm(), 1000);
    }

    #[test]
    fn a_network_of_a_pipeline_has_the_outputs_of_the_reference() {
        check(&expected().pipeline, &pipeline(), 1001);
    }
}

#[test]
fn the_files_say_what_the_network_is() {
    let found = open(&ddpm()).unwrap();
    let expected = UNetConfig {
        channels: 3,
        base_channels: 8,
        channel_multipliers: vec![1, 2],
        blocks_per_level: 1,
        attention_levels: vec![1],
        heads: 1,
        head_channels: None,
        groups: 4,
        classes: 0,
        condition_channels: 0,
        dropout: 0.0,
        time_injection: TimeInjection::Add,
        resampling: Resampling::Convolution,
        noise_embedding: NoiseEmbedding::SinesFirst,
        norm_epsilon: 1e-6,
        learned_sigma: false,
    };
    assert_eq!(unet(&found), &expected);
    assert_eq!(found.config.schedule, ScheduleConfig::DDPM);
    assert_eq!(found.config.label, NoiseLabel::Step { steps: 1000 });
    assert_eq!(found.config.image_size, [16, 16]);

    let found = open(&pipeline()).unwrap();
    let expected = UNetConfig {
        channel_multipliers: vec![1, 1, 2],
        head_channels: Some(4),
        resampling: Resampling::PaddedConvolution,
        noise_embedding: NoiseEmbedding::CosinesFirst,
        norm_epsilon: 1e-5,
        ..expected
    };
    assert_eq!(unet(&found), &expected);
    assert_eq!(found.config.parametrisation, Parametrisation::V);
    let schedule = ScheduleConfig::DdpmScaledLinear {
        steps: 500,
        beta_min: 0.002,
        beta_max: 0.03,
    };
    assert_eq!(found.config.schedule, schedule);
    assert_eq!(found.config.label, NoiseLabel::Step { steps: 500 });
    assert_eq!(found.config.image_size, [8, 16]);
}

#[test]
fn a_folder_opens_as_a_model() {
    let case = expected().pipeline;
    for folder in [pipeline(), pipeline().join("unet")] {
        let model = Pretrained::open(&folder, &device()).unwrap();
        let noisy = image(1001, case.shape, 0.0, 1.0);
        let clean = model.denoiser().denoise(noisy, case.sigma);
        assert_relative("clean", &clean, &case.denoised, 2e-5);
    }
}

#[test]
fn the_cifar10_network_is_the_preset_under_its_published_names() {
    let Published { config, tensors } = expected().cifar10;
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    blank(
        &folder.path().join("diffusion_pytorch_model.safetensors"),
        &tensors,
    );
    let found = open(folder.path()).unwrap();
    let preset = UNetConfig::preset("ddpm-cifar10").unwrap();
    assert_eq!(
        unet(&found),
        &UNetConfig {
            dropout: 0.0,
            ..preset
        }
    );
    assert_eq!(found.config.schedule, ScheduleConfig::DDPM);
}

/// A copy of the first folder with changed files.
fn changed(file: &str, change: impl FnOnce(&mut Value)) -> TempDir {
    let folder = tempdir().unwrap();
    for entry in fs::read_dir(ddpm()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let path = folder.path().join(file);
    let mut value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(&path, value.to_string()).unwrap();
    folder
}

/// The name of the field in the error, and its message.
fn refused(file: &str, change: impl FnOnce(&mut Value)) -> (String, String) {
    let folder = changed(file, change);
    let error = open(folder.path()).unwrap_err();
    let message = error.to_string();
    let ModelError::Foreign { path, field, .. } = error else {
        panic!("{message}")
    };
    assert_eq!(path, folder.path().join(file));
    (field, message)
}

#[test]
fn another_network_is_refused_by_its_field() {
    for (field, value) in [
        ("_class_name", json!("UNet2DConditionModel")),
        ("act_fn", json!("relu")),
        ("add_attention", json!(false)),
        ("attention_head_dim", json!("four")),
        ("attn_norm_num_groups", json!(8)),
        ("block_out_channels", json!([8, 12])),
        ("block_out_channels", json!([])),
        ("block_out_channels", json!([0, 0])),
        ("center_input_sample", json!(true)),
        ("class_embed_type", json!("timestep")),
        (
            "down_block_types",
            json!(["DownBlock2D", "SkipDownBlock2D"]),
        ),
        ("down_block_types", json!(["DownBlock2D"])),
        ("downsample_padding", json!(2)),
        ("downsample_type", json!("resnet")),
        ("flip_sin_to_cos", json!(1)),
        ("freq_shift", json!(0)),
        ("freq_shift", json!(-1)),
        ("in_channels", json!(null)),
        ("layers_per_block", json!(1.5)),
        ("mid_block_scale_factor", json!(1.5)),
        ("mid_block_type", json!(null)),
        ("norm_eps", json!("small")),
        ("num_class_embeds", json!(10)),
        ("out_channels", json!(6)),
        ("resnet_time_scale_shift", json!("scale_shift")),
        ("sample_size", json!(null)),
        ("sample_size", json!([16, 16, 16])),
        ("time_embedding_type", json!("fourier")),
        ("up_block_types", json!(["UpBlock2D", "AttnUpBlock2D"])),
        ("a_newer_field", json!(null)),
    ] {
        let text = value.to_string();
        let (found, message) = refused("config.json", |config| config[field] = value);
        assert_eq!(found, field, "{message}");
        assert!(message.contains(&text), "{message}");
    }
}

#[test]
fn another_training_is_refused_by_its_field() {
    for (field, value) in [
        ("beta_schedule", json!("sigmoid")),
        ("beta_start", json!("small")),
        ("num_train_timesteps", json!(0.5)),
        ("prediction_type", json!("flow")),
        ("rescale_betas_zero_snr", json!(true)),
        ("trained_betas", json!([0.1, 0.2])),
    ] {
        let (found, message) = refused("scheduler_config.json", |config| config[field] = value);
        assert_eq!(found, field, "{message}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let remove = |config: &mut Value| {
        config.as_object_mut().unwrap().remove("norm_eps");
    };
    let (field, message) = refused("config.json", remove);
    assert_eq!(field, "norm_eps");
    assert!(
        message.ends_with("norm_eps is missing, expected a number"),
        "{message}"
    );

    let folder = changed("config.json", |_| {});
    fs::remove_file(folder.path().join("diffusion_pytorch_model.safetensors")).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::NoModel { .. }), "{error}");

    let folder = changed("config.json", |config| config["norm_num_groups"] = json!(3));
    let error = open(folder.path()).unwrap_err().to_string();
    assert_eq!(error, "groups (3) must divide the 8 channels of level 0");

    let folder = changed("config.json", |_| {});
    fs::write(folder.path().join("config.json"), "{").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert!(matches!(error, ModelError::Json { .. }), "{error}");
}

/// Numbers that are whole may be written as others, and older files say less.
#[test]
fn what_means_the_same_is_taken() {
    let folder = changed("config.json", |config| {
        config["mid_block_scale_factor"] = json!(1.0);
        config["_name_or_path"] = json!("somewhere");
        config.as_object_mut().unwrap().remove("add_attention");
    });
    let expected = open(&ddpm()).unwrap().config;
    assert_eq!(open(folder.path()).unwrap().config, expected);
    fs::remove_file(folder.path().join("scheduler_config.json")).unwrap();
    assert_eq!(open(folder.path()).unwrap().config, expected);

    let folder = changed("scheduler_config.json", |config| {
        config["num_train_timesteps"] = json!(2);
        config["trained_betas"] = json!([0.1, 0.2]);
        config["prediction_type"] = json!("sample");
    });
    let found = open(folder.path()).unwrap().config;
    let betas = vec![0.1, 0.2];
    assert_eq!(found.schedule, ScheduleConfig::DdpmTable { betas });
    assert_eq!(found.parametrisation, Parametrisation::X0);
}

/// Nichol & Dhariwal 2021, eq. 17, <https://arxiv.org/abs/2102.09672>: `s` is 0.008, and no beta is above 0.999.
#[test]
fn the_cosine_schedule_and_dropout_are_read() {
    let folder = changed("scheduler_config.json", |config| {
        config["beta_schedule"] = json!("squaredcos_cap_v2");
    });
    let found = open(folder.path()).unwrap().config;
    let schedule = ScheduleConfig::DdpmCosine {
        steps: 1000,
        offset: 0.008,
        beta_cap: 0.999,
    };
    assert_eq!(found.schedule, schedule);
    let folder = changed("config.json", |config| config["dropout"] = json!(0.25));
    assert_eq!(unet(&open(folder.path()).unwrap()).dropout, 0.25);
}
