//! What surrounds a network: how it is written down, which units it is in, and the trainings of the published networks.

use std::fs;

use tempfile::tempdir;
use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};
use tweedie_models::{
    Architecture, DncnnConfig, DrunetConfig, MODEL_FILE, MnistDdpmConfig, ModelConfig, ModelError,
    NcsnppConfig, NcsnppKind, NoiseEmbedding, Pixels, Pretrained, Resampling, SimpleUnetConfig,
    TimeInjection, UNetConfig, WEIGHTS_FILE, import, import_names,
};
use tweedie_testkit::device;

use crate::{formula::golden_path, precision::architectures};

fn config(architecture: Architecture) -> ModelConfig {
    ModelConfig::new(
        architecture,
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [32, 24],
    )
}

fn unet() -> ModelConfig {
    config(Architecture::UNet(UNetConfig::preset("tiny").unwrap()))
}

fn changed(change: impl Fn(&mut ModelConfig)) -> ModelConfig {
    let mut config = unet();
    change(&mut config);
    config
}

#[test]
fn every_configuration_survives_its_file() {
    let folder = tempdir().unwrap();
    let mut all: Vec<_> = architectures().into_iter().map(config).collect();
    let changes: [fn(&mut ModelConfig); 11] = [
        |config| config.only_sigma = Some(0.1),
        |config| config.pixels = Pixels::Unit,
        |config| (config.pixels, config.only_sigma) = (Pixels::Centred, Some(15.0 / 255.0)),
        |config| config.label = NoiseLabel::NearestStep { steps: 300 },
        |config| config.label = NoiseLabel::Time { scale: 0.5 },
        |config| config.parametrisation = Parametrisation::X0,
        |config| config.parametrisation = Parametrisation::V,
        |config| config.parametrisation = Parametrisation::Edm { sigma_data: 0.75 },
        |config| config.parametrisation = Parametrisation::Score,
        |config| config.parametrisation = Parametrisation::Denoised,
        |config| config.parametrisation = Parametrisation::Residual,
    ];
    all.extend(changes.map(changed));
    for config in all {
        config.save(folder.path()).unwrap();
        assert_eq!(ModelConfig::open(folder.path()).unwrap(), config);
        let text = fs::read_to_string(folder.path().join(MODEL_FILE)).unwrap();
        let has = |field: &str| text.contains(&format!("{field:?}"));
        assert_eq!(has("pixels"), config.pixels != Pixels::Symmetric, "{text}");
        assert_eq!(has("only_sigma"), config.only_sigma.is_some(), "{text}");
    }
}

/// As the first version wrote it.
#[test]
fn a_file_without_the_later_fields_is_read() {
    let text = r#"{
        "format": 1,
        "architecture": {
            "type": "unet", "channels": 1, "base_channels": 16, "channel_multipliers": [1, 2, 5],
            "blocks_per_level": 1, "attention_levels": [], "heads": 1, "groups": 8, "dropout": 0.0,
            "time_injection": "scale_shift"
        },
        "parametrisation": "epsilon",
        "schedule": { "type": "ddpm", "steps": 1000, "beta_min": 0.0001, "beta_max": 0.02 },
        "label": { "step": { "steps": 1000 } },
        "image_size": [32, 24]
    }"#;
    let folder = tempdir().unwrap();
    fs::write(folder.path().join(MODEL_FILE), text).unwrap();
    assert_eq!(ModelConfig::open(folder.path()).unwrap(), unet());
}

#[test]
fn numbers_out_of_range_are_refused() {
    let refusal =
        |change: fn(&mut ModelConfig)| changed(change).validate().unwrap_err().to_string();
    let message = "only_sigma must be finite and above 0, found";
    for (change, found) in [
        ((|c| c.only_sigma = Some(0.0)) as fn(&mut ModelConfig), "0"),
        (|c| c.only_sigma = Some(f64::NAN), "NaN"),
        (|c| c.only_sigma = Some(f64::INFINITY), "inf"),
    ] {
        assert_eq!(refusal(change), format!("{message} {found}"));
    }
    let error = refusal(|c| c.label = NoiseLabel::NearestStep { steps: 0 });
    assert_eq!(error, "steps must be at least 1, found 0");
    let error = refusal(|c| {
        c.architecture = Architecture::UNet(UNetConfig {
            channel_multipliers: vec![1; 33],
            time_injection: TimeInjection::Add,
            ..UNetConfig::default()
        });
    });
    assert_eq!(
        error,
        "channel_multipliers must be a list of at most 32, found 33"
    );
}

#[test]
fn noise_levels_are_in_the_units_of_the_pixels() {
    for (pixels, range) in [
        (Pixels::Symmetric, 2.0),
        (Pixels::Unit, 1.0),
        (Pixels::Centred, 1.0),
    ] {
        let config = changed(|config| (config.pixels, config.only_sigma) = (pixels, Some(0.5)));
        assert_eq!(config.unit_range_sigma(), Some(0.5 / range));
        let seen = config.unit_range_schedule().unwrap().sigma(0.3);
        let own = config.schedule.build().unwrap().sigma(0.3);
        assert_eq!(seen, own / range, "{pixels:?}");
    }
    assert_eq!(unet().unit_range_sigma(), None);
}

/// What a file does not say can be said in a folder.
#[test]
fn a_converted_file_takes_its_configuration_from_the_folder() {
    let folder = tempdir().unwrap();
    let found = import(&golden_path("dncnn_kair.pth"), None, &device()).unwrap();
    found.save(&folder.path().join(WEIGHTS_FILE)).unwrap();
    let text = serde_json::to_string(&found.config).unwrap();
    let cosine =
        r#""schedule":{"type":"ddpm_cosine","steps":4000,"offset":0.008,"beta_cap":0.999},"#;
    let nearest = r#""label":{"nearest_step":{"steps":4000}},"#;
    let [schedule, label, size] =
        ["\"schedule\"", "\"label\"", "\"image_size\""].map(|field| text.find(field).unwrap());
    let edited = [&text[..schedule], cosine, nearest, &text[size..]].concat();
    assert!(schedule < label && label < size);
    fs::write(folder.path().join(MODEL_FILE), edited).unwrap();
    let model = Pretrained::open(folder.path(), &device()).unwrap();
    let schedule = ScheduleConfig::DdpmCosine {
        steps: 4000,
        offset: 0.008,
        beta_cap: 0.999,
    };
    assert_eq!(model.config().schedule, schedule);
    assert_eq!(
        model.config().label,
        NoiseLabel::NearestStep { steps: 4000 }
    );
    assert_eq!(model.config().architecture, found.config.architecture);
}

/// What no output of a network shows: where its samplers start, and the size of the images of its training.
#[test]
fn the_trainings_are_the_published_ones() {
    let up_to = |sigma_max| ScheduleConfig::Karras { sigma_max };
    for (file, schedule, size) in [
        ("drunet.pth", up_to(10.0), 128),
        ("plain_unet_tiny.pth", up_to(1.0), 128),
        ("dncnn_kair.pth", up_to(55.0 / 255.0), 50),
    ] {
        let found = import(&golden_path(file), None, &device()).unwrap().config;
        assert_eq!(found.schedule, schedule, "{file}");
        assert_eq!(found.image_size, [size; 2], "{file}");
        assert_eq!(found.pixels, Pixels::Unit, "{file}");
    }
}

#[test]
fn names_stand_for_their_networks() {
    use Architecture as A;
    let dncnn = |channels, depth| A::Dncnn(DncnnConfig::published(channels, depth));
    let edm = |kind, size| A::Ncsnpp(NcsnppConfig::published(kind, size));
    let ffhq = UNetConfig {
        channels: 3,
        base_channels: 128,
        channel_multipliers: vec![1, 1, 2, 2, 4, 4],
        blocks_per_level: 1,
        attention_levels: vec![4],
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
    let imagenet = UNetConfig {
        base_channels: 256,
        blocks_per_level: 2,
        attention_levels: vec![3, 4, 5],
        ..ffhq.clone()
    };
    let all = [
        ("ddpm-mnist", A::MnistDdpm(MnistDdpmConfig::published())),
        ("dncnn-15", dncnn(1, 17)),
        ("dncnn-25", dncnn(1, 17)),
        ("dncnn-50", dncnn(1, 17)),
        ("dncnn-color-blind", dncnn(3, 20)),
        ("dncnn-gray-blind", dncnn(1, 20)),
        ("dncnn-sigma2-color", dncnn(3, 20)),
        ("dncnn-sigma2-gray", dncnn(1, 20)),
        ("drunet-color", A::Drunet(DrunetConfig::published(3))),
        ("drunet-gray", A::Drunet(DrunetConfig::published(1))),
        ("edm-cifar10-32-ve", edm(NcsnppKind::Ncsn, 32)),
        ("edm-cifar10-32-vp", edm(NcsnppKind::Ddpm, 32)),
        ("edm-ffhq-64-ve", edm(NcsnppKind::Ncsn, 64)),
        ("edm-ffhq-64-vp", edm(NcsnppKind::Ddpm, 64)),
        ("ffhq-10m", A::UNet(ffhq)),
        ("imagenet-256-uncond", A::UNet(imagenet)),
        ("simple-unet", A::SimpleUnet(SimpleUnetConfig::published(3))),
    ];
    assert!(import_names().eq(all.iter().map(|(name, _)| *name)));
    for (name, network) in all {
        // Another network's file: the refusal says what the name stands for.
        let error = import(&golden_path("drunet.pth"), Some(name), &device()).unwrap_err();
        let ModelError::OtherNetwork { expected, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(*expected, network, "{name}");
    }
}
