//! Folders of autoencoders and of diffusions of their latents: what they say, and what they refuse.

use std::{borrow::Cow, fs, path::Path};

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{Device, Tensor},
};
use tempfile::{TempDir, tempdir};
use tweedie_core::{Denoiser, NoiseLabel, Parametrisation, Rng, ScheduleConfig, value_and_vjp};
use tweedie_models::{
    AUTOENCODER_FILE, AUTOENCODER_FOLDER, Architecture, AutoencoderModel, EMA_FILE, Encoded,
    LatentModel, ModelConfig, ModelError, Pixels, Pretrained, PretrainedAutoencoder, TimeInjection,
    UNetConfig, WEIGHTS_FILE, save_weights,
};
use tweedie_testkit::{assert_close, device, values};

use crate::{
    autoencoder::{awake, small},
    support,
};

fn model() -> AutoencoderModel {
    AutoencoderModel::new(small(), [8, 8])
}

fn images() -> Tensor<4> {
    Rng::seeded(1, &device()).uniform([5, 2, 8, 8])
}

fn pretrained() -> PretrainedAutoencoder {
    PretrainedAutoencoder::from_network(model(), awake(&device()))
        .unwrap()
        .with_unit_latents(images())
        .unwrap()
}

/// Of latents of 3 x 4 x 4.
fn prior() -> ModelConfig {
    let unet = UNetConfig {
        channels: 3,
        ..support::small(TimeInjection::Add)
    };
    let mut config = ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [4, 4],
    );
    config.pixels = Pixels::Unit;
    config
}

fn latent_folder(prior: &ModelConfig) -> TempDir {
    let folder = tempdir().unwrap();
    prior.save(folder.path()).unwrap();
    let network = prior.architecture.init(0, &device()).unwrap();
    save_weights(
        &support::disturbed(network),
        &folder.path().join(WEIGHTS_FILE),
    )
    .unwrap();
    pretrained()
        .save(&folder.path().join(AUTOENCODER_FOLDER))
        .unwrap();
    folder
}

fn edit(path: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let mut model = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    change(&mut model);
    fs::write(path, model.to_string()).unwrap();
}

#[test]
fn latents_are_brought_to_variance_one() {
    struct Shift;
    impl ModuleMapper for Shift {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // The bias of the encoder's output.
            param.map(|x| {
                if x.dims()[..] == [6] {
                    x.add_scalar(0.5)
                } else {
                    x
                }
            })
        }
    }
    let network = awake(&device()).map(&mut Shift);
    let raw = PretrainedAutoencoder::from_network(model(), network).unwrap();
    assert_eq!(raw.model().scale, 1.0);
    let variance = |autoencoder: &PretrainedAutoencoder| {
        let Encoded { mean, log_variance } = autoencoder.encode(images());
        let (means, variances) = (values(&mean), values(&log_variance.exp()));
        let count = means.len() as f64;
        let centre = means.iter().sum::<f64>() / count;
        let spread: f64 = means.iter().map(|m| (m - centre).powi(2)).sum();
        (spread + variances.iter().sum::<f64>()) / count
    };
    // The mean of all latents is far from zero.
    let means = values(&raw.encode(images()).mean);
    assert!(means.iter().sum::<f64>().abs() > 0.2 * means.len() as f64);
    let before = variance(&raw);
    assert!((before - 1.0).abs() > 0.05, "{before}");
    let scaled = raw.clone().with_unit_latents(images()).unwrap();
    // Single precision.
    assert!((variance(&scaled) - 1.0).abs() < 1e-5);
    assert!((scaled.model().scale - before.powf(-0.5)).abs() < 1e-5);
    // The images stay as they are.
    let images = |a: &PretrainedAutoencoder| values(&a.decode(a.encode(images()).mean));
    assert_close("images", &images(&scaled), &images(&raw), 1e-4);
}

/// `d dec(z/s)/dz = dec'(z/s)/s`.
#[test]
fn decoded_latents_can_be_differentiated() {
    let (raw, scaled) = (awake(&device()), pretrained());
    let mut rng = Rng::seeded(2, &device());
    let (latents, v) = (rng.normal([2, 3, 4, 4]), rng.normal([2, 2, 8, 8]));
    let inverse = scaled.model().scale.recip();
    let (_, found) = value_and_vjp(latents.clone(), |z| scaled.decode(z), |_| v.clone());
    let unscaled = latents.mul_scalar(inverse);
    let (_, expected) = value_and_vjp(unscaled, |z| raw.decode(z), |_| v.clone());
    let expected = values(&expected.mul_scalar(inverse));
    let size = expected.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
    assert!(size > 0.1, "{size}");
    // One more rounding on the way.
    assert_close("gradient", &values(&found), &expected, 1e-6 * size);
}

#[test]
fn a_network_in_training_is_frozen() {
    let trained = awake(&device().autodiff());
    let autoencoder = PretrainedAutoencoder::from_network(model(), trained).unwrap();
    let latents = autoencoder.encode(images()).mean;
    assert!(!latents.device().is_autodiff());
    assert!(!autoencoder.decode(latents).device().is_autodiff());
}

#[test]
fn latents_that_are_all_the_same_have_no_scale() {
    struct Numb;
    impl ModuleMapper for Numb {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| x.mul_scalar(f32::NAN))
        }
    }
    let network = awake(&device()).map(&mut Numb);
    let numb = PretrainedAutoencoder::from_network(model(), network).unwrap();
    assert_eq!(
        numb.with_unit_latents(images()).unwrap_err().to_string(),
        "variance of the latents must be finite and above 0, found NaN"
    );
}

#[test]
fn an_autoencoder_survives_its_folder() {
    let folder = tempdir().unwrap();
    let nested = folder.path().join("run").join("autoencoder");
    let autoencoder = pretrained();
    autoencoder.save(&nested).unwrap();
    let mut files: Vec<_> = fs::read_dir(&nested)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    files.sort();
    assert_eq!(files, [AUTOENCODER_FILE, EMA_FILE]);
    let opened = PretrainedAutoencoder::open(&nested, &device()).unwrap();
    assert_eq!(opened.model(), autoencoder.model());
    let latents = |a: &PretrainedAutoencoder| values(&a.encode(images()).mean);
    assert_eq!(latents(&opened), latents(&autoencoder));
    assert!(autoencoder.is_in(&nested).unwrap());

    let fresh = small().init(6, &device()).unwrap();
    save_weights(&fresh, &nested.join(EMA_FILE)).unwrap();
    assert!(!autoencoder.is_in(&nested).unwrap(), "other weights");
    autoencoder.save(&nested).unwrap();
    edit(&nested.join(AUTOENCODER_FILE), |model| {
        model["scale"] = 2.0.into()
    });
    assert!(!autoencoder.is_in(&nested).unwrap(), "another scale");
}

#[test]
fn what_a_folder_lacks_is_named() {
    let folder = tempdir().unwrap();
    let open = || {
        PretrainedAutoencoder::open(folder.path(), &device())
            .unwrap_err()
            .to_string()
    };
    assert!(open().ends_with("is no model folder: it has no autoencoder.json"));
    model().save(folder.path()).unwrap();
    assert!(open().ends_with("it has no ema.safetensors or weights.safetensors"));
    let path = folder.path().join(AUTOENCODER_FILE);
    for (change, message) in [
        (
            (|m| m["format"] = 2.into()) as fn(&mut serde_json::Value),
            "has format 2, but only format 1 can be read",
        ),
        (
            |m| m["scale"] = 0.0.into(),
            "scale must be finite and above 0, found 0",
        ),
        (
            |m| m["image_size"] = serde_json::json!([8, 7]),
            "positive multiples of 2, found 8 x 7",
        ),
        (|m| m["colour"] = true.into(), "unknown field `colour`"),
        (
            |m| m["architecture"]["groups"] = 3.into(),
            "groups (3) must divide the 4 channels of level 0",
        ),
    ] {
        model().save(folder.path()).unwrap();
        edit(&path, change);
        assert!(open().contains(message), "{}", open());
    }
}

#[test]
fn a_latent_model_denoises_latents_and_decodes_them() {
    let folder = latent_folder(&prior());
    assert!(LatentModel::is_in(folder.path()));
    let model = LatentModel::open(folder.path(), &device()).unwrap();
    assert_eq!(model.autoencoder().model(), pretrained().model());
    let latents = Rng::seeded(2, &device()).normal([2, 3, 4, 4]);
    let clean = model.prior().denoiser().denoise(latents.clone(), 0.7);
    // Latents are in no range: their noise levels are those of the network.
    let sigma = |t: f64| ScheduleConfig::DDPM.build().unwrap().sigma(t);
    assert_eq!(model.prior().schedule().sigma(0.4), sigma(0.4));
    assert_ne!(values(&clean), values(&latents));
    let (_, autoencoder) = model.into_parts();
    let images = autoencoder.decode(clean.clone());
    assert_eq!(images.dims(), [2, 2, 8, 8]);
    assert_eq!(values(&images), values(&pretrained().decode(clean)));
}

#[test]
fn latents_are_not_taken_for_images() {
    let folder = latent_folder(&prior());
    let error = Pretrained::open(folder.path(), &device()).err().unwrap();
    assert!(
        matches!(&error, ModelError::OfLatents { folder: found } if found == folder.path()),
        "{error}"
    );
    fs::remove_dir_all(folder.path().join(AUTOENCODER_FOLDER)).unwrap();
    assert!(!LatentModel::is_in(folder.path()));
    Pretrained::open(folder.path(), &device()).unwrap();
    let error = LatentModel::open(folder.path(), &device()).err().unwrap();
    assert!(error.to_string().ends_with("it has no autoencoder.json"));
}

#[test]
fn models_of_other_latents_are_refused() {
    let (mut smaller, mut thinner, mut mapped) = (prior(), prior(), prior());
    smaller.image_size = [2, 2];
    thinner.architecture = Architecture::UNet(support::small(TimeInjection::Add));
    mapped.pixels = Pixels::Symmetric;
    let refused = |prior: &ModelConfig| {
        LatentModel::open(latent_folder(prior).path(), &device())
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        refused(&smaller),
        "the latents of the autoencoder are [3, 4, 4] (channels, height, width), the network takes [3, 2, 2]"
    );
    assert_eq!(
        refused(&thinner),
        "the latents of the autoencoder are [3, 4, 4] (channels, height, width), the network takes [2, 4, 4]"
    );
    assert_eq!(
        refused(&mapped),
        "pixels must be \"unit\" for a network of latents, found Symmetric"
    );
}

mod on_device {
    use super::*;

    #[test]
    fn a_copy_on_another_device_has_the_same_latents() {
        let (here, flex) = (pretrained(), Device::flex());
        assert!(matches!(here.on(&device()), Cow::Borrowed(_)));
        let there = here.on(&flex);
        assert_eq!(there.model(), here.model());
        let images = |device| Rng::seeded(1, device).uniform([1, 2, 8, 8]);
        let found = values(&there.encode(images(&flex)).mean);
        let expected = values(&here.encode(images(&device())).mean);
        let size = expected.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        // Twenty layers in a row, each with a relative rounding error of a few times 6e-8.
        assert_close("latents", &found, &expected, 1e-5 * size);
    }
}
