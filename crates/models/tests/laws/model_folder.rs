//! Model folders: written by training, read by inference.

use std::{fs, path::Path};

use burn::tensor::{Tensor, ops::PadMode};
use tempfile::{TempDir, tempdir};
use tweedie_core::{
    Backbone, Conditioning, Denoiser, NoiseLabel, Parametrisation, Rng, ScheduleConfig,
    value_and_vjp,
};
use tweedie_models::{
    Architecture, EMA_FILE, MODEL_FILE, ModelConfig, ModelError, Pretrained, TimeInjection,
    UNetConfig, WEIGHTS_FILE, save_weights,
};
use tweedie_testkit::{assert_close, device, values};

use crate::support::{awake, small};

fn unet() -> UNetConfig {
    UNetConfig {
        channels: 1,
        channel_multipliers: vec![1, 1, 2],
        dropout: 0.5,
        ..small(TimeInjection::ScaleShift)
    }
}

fn config() -> ModelConfig {
    ModelConfig::new(
        Architecture::UNet(unet()),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [28, 28],
    )
}

fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    config().save(folder.path()).unwrap();
    let network = awake(&unet(), &device());
    save_weights(&network, &folder.path().join(WEIGHTS_FILE)).unwrap();
    folder
}

fn open(folder: &Path) -> Result<Pretrained, ModelError> {
    Pretrained::open(folder, &device())
}

fn refusal(folder: &Path) -> ModelError {
    open(folder).err().expect("the folder is refused")
}

fn edit(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join(MODEL_FILE);
    let mut model = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut model);
    fs::write(&path, model.to_string()).unwrap();
}

#[test]
fn a_configuration_survives_its_file() {
    let folder = tempdir().unwrap();
    let nested = folder.path().join("run").join("checkpoint");
    config().save(&nested).unwrap();
    assert_eq!(ModelConfig::open(&nested).unwrap(), config());
    assert_eq!(fs::read_dir(&nested).unwrap().count(), 1);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    assert!(matches!(
        config().save(&file),
        Err(ModelError::Write { path, .. }) if path == file.join(MODEL_FILE)
    ));
}

#[test]
fn the_denoiser_is_the_formula_of_the_network() {
    let folder = folder();
    // Another program's, which is not read where there is ours.
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    let model = open(folder.path()).unwrap();
    let network = awake(&unet(), &device());
    let x = Rng::seeded(1, &device()).normal([2, 1, 8, 12]);
    let time = 0.3;
    let sigma = model.schedule().sigma(time);

    // In [-1, 1] the level is twice as high: it is that of step 300 of 1000, whose index is 299.
    let z = x.clone() * 2.0 - 1.0;
    let label = Conditioning::uniform(299.0, &z);
    let noise = network.forward(z.clone() / (1.0 + 4.0 * sigma * sigma).sqrt(), label);
    let expected = (z - noise * (2.0 * sigma) + 1.0) / 2.0;
    let found = model.denoiser().denoise(x, sigma);
    // Rounding of a hundred single-precision operations, amplified by sigma.
    let size = 2.0 * sigma.max(1.0);
    assert_close("denoised", &values(&found), &values(&expected), 1e-5 * size);
}

#[test]
fn any_size_is_padded_by_its_edge_and_cut_again() {
    let folder = folder();
    let model = open(folder.path()).unwrap();
    assert_eq!(model.config().architecture.multiple(), 4);
    for ([height, width], [bottom, right]) in
        [([28, 32], [0, 0]), ([30, 33], [2, 3]), ([1, 5], [3, 3])]
    {
        let x = Rng::seeded(1, &device()).normal([1, 1, height, width]);
        let found = model.denoiser().denoise(x.clone(), 0.4);
        let padded = x.pad((0, right, 0, bottom), PadMode::Edge);
        let expected =
            model
                .denoiser()
                .denoise(padded, 0.4)
                .slice([0..1, 0..1, 0..height, 0..width]);
        assert_eq!(found.dims(), [1, 1, height, width]);
        assert_eq!(values(&found), values(&expected));
    }
}

#[test]
fn guidance_through_a_pretrained_model_is_free_of_dropout() {
    let folder = folder();
    let model = open(folder.path()).unwrap();
    let x = Rng::seeded(1, &device()).normal([1, 1, 6, 8]);
    let run = || {
        value_and_vjp(
            x.clone(),
            |x| model.denoiser().denoise(x, 0.4),
            |y| y.ones_like(),
        )
    };
    let ((first, slope), (again, slope_again)) = (run(), run());
    assert_eq!(values(&first), values(&again));
    assert_eq!(values(&slope), values(&slope_again));
    assert!(values(&slope).iter().any(|&g| g != 0.0));
}

#[test]
fn averaged_weights_are_preferred() {
    let folder = folder();
    let x = Tensor::<4>::ones([1, 1, 8, 8], &device());
    let raw = values(
        &open(folder.path())
            .unwrap()
            .denoiser()
            .denoise(x.clone(), 1.0),
    );
    // A fresh network predicts no noise at all, so its denoiser returns the image.
    let fresh = unet().init(0, &device()).unwrap();
    save_weights(&fresh, &folder.path().join(EMA_FILE)).unwrap();
    let averaged = values(
        &open(folder.path())
            .unwrap()
            .denoiser()
            .denoise(x.clone(), 1.0),
    );
    assert_ne!(raw, averaged);
    assert_eq!(averaged, values(&x));
}

#[test]
fn missing_files_are_named() {
    let nowhere = tempdir().unwrap().path().join("nowhere");
    assert!(matches!(
        refusal(&nowhere),
        ModelError::NoModel { folder, expected: MODEL_FILE } if folder == nowhere
    ));
    let folder = folder();
    fs::remove_file(folder.path().join(WEIGHTS_FILE)).unwrap();
    let error = refusal(folder.path());
    assert!(
        error
            .to_string()
            .ends_with("is no model folder: it has no ema.safetensors or weights.safetensors"),
        "{error}"
    );
}

#[test]
fn a_configuration_with_an_unknown_field_is_refused() {
    let inner = |model: &mut serde_json::Value| model["architecture"]["levels"] = 3.into();
    let outer = |model: &mut serde_json::Value| model["colour"] = true.into();
    let schedule = |model: &mut serde_json::Value| model["schedule"]["eta"] = 1.into();
    for (change, name) in [
        (&inner as &dyn Fn(&mut serde_json::Value), "levels"),
        (&outer, "colour"),
        (&schedule, "eta"),
    ] {
        let folder = folder();
        edit(folder.path(), change);
        let error = refusal(folder.path());
        assert!(matches!(error, ModelError::Json { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains(&format!("unknown field `{name}`")) && message.contains(MODEL_FILE),
            "{message}"
        );
    }
}

#[test]
fn another_version_is_refused_before_its_fields_are_read() {
    let folder = folder();
    edit(folder.path(), |model| {
        model["format"] = 2.into();
        model["colour"] = true.into();
    });
    assert!(matches!(
        refusal(folder.path()),
        ModelError::Format { found: 2, expected: 1, path } if path.ends_with(MODEL_FILE)
    ));
    edit(folder.path(), |model| {
        model.as_object_mut().unwrap().remove("format");
    });
    assert!(
        refusal(folder.path())
            .to_string()
            .contains("missing field `format`")
    );
}

#[test]
fn a_cut_configuration_is_refused() {
    let folder = folder();
    let path = folder.path().join(MODEL_FILE);
    let text = fs::read_to_string(&path).unwrap();
    for part in ["", "{", &text[..text.len() / 2], "[]", "null"] {
        fs::write(&path, part).unwrap();
        let error = refusal(folder.path());
        assert!(
            matches!(error, ModelError::Json { .. }),
            "{part:?}: {error}"
        );
    }
    fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(matches!(refusal(folder.path()), ModelError::Read { .. }));
}

#[test]
fn values_out_of_range_are_refused() {
    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, &str); 6] = [
        (
            |m| m["architecture"]["groups"] = 3.into(),
            "groups (3) must divide the 4 channels of level 0",
        ),
        (
            |m| m["label"] = serde_json::json!({ "step": { "steps": 0 } }),
            "steps must be at least 1, found 0",
        ),
        (
            |m| m["label"] = serde_json::json!({ "time": { "scale": -1.0 } }),
            "scale must be finite and above 0, found -1",
        ),
        (
            |m| m["parametrisation"] = serde_json::json!({ "edm": { "sigma_data": 0.0 } }),
            "sigma_data must be finite and above 0, found 0",
        ),
        (
            |m| m["image_size"] = serde_json::json!([28, 0]),
            "image_size must be at least 1, found 0",
        ),
        (
            |m| m["schedule"]["steps"] = 0.into(),
            "a discrete schedule needs at least one beta, found none",
        ),
    ];
    for (change, message) in cases {
        let folder = folder();
        edit(folder.path(), change);
        assert_eq!(refusal(folder.path()).to_string(), message);
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let folder = folder();
    edit(folder.path(), |model| {
        model["architecture"]["blocks_per_level"] = 2.into();
    });
    assert!(matches!(
        refusal(folder.path()),
        ModelError::Weights { unexpected, path, .. }
            if unexpected.is_empty() && path.ends_with(WEIGHTS_FILE)
    ));
}

#[test]
fn images_are_checked_before_any_work() {
    let config = config();
    config.check_image(1, 30, 33).unwrap();
    assert_eq!(
        config.check_image(3, 28, 28).unwrap_err().to_string(),
        "the network takes images of 1 channel(s), found 3"
    );
    assert!(matches!(
        config.check_image(1, 0, 28),
        Err(ModelError::Size {
            multiple: 1,
            height: 0,
            width: 28
        })
    ));
}

#[test]
fn a_model_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Pretrained>();
}
