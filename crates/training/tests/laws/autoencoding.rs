//! The autoencoder's loss is a bound on the likelihood, exact where it can be known; and its training.

use std::{f64::consts::TAU, fs, path::Path};

use burn::{module::Module, tensor::Tensor};
use tempfile::{TempDir, tempdir};
use tweedie_core::Rng;
use tweedie_models::{
    AutoencoderConfig, AutoencoderModel, Encoded, ModelError, PretrainedAutoencoder,
};
use tweedie_testkit::{assert_close, assert_z, device, exact, values};
use tweedie_training::{
    Autoencoding, AutoencodingConfig, Event, Flow, Level, Task, Trainer, TrainingConfig,
    TrainingError,
};

use crate::support::{config, first_batch, held_out, images, latest, phantoms, weights};

/// Of 8x8 images; the latents are 2x4x4.
pub(crate) fn autoencoder() -> AutoencoderModel {
    let architecture = AutoencoderConfig {
        channels: 1,
        latent_channels: 2,
        base_channels: 4,
        channel_multipliers: vec![1, 2],
        blocks_per_level: 1,
        groups: 2,
    };
    AutoencoderModel::new(architecture, [8, 8])
}

fn task(config: AutoencodingConfig) -> Autoencoding {
    Autoencoding::new(autoencoder(), config).unwrap()
}

fn trainer(config: TrainingConfig) -> Trainer<Autoencoding> {
    let task = task(AutoencodingConfig::default());
    Trainer::new(config, task, images(), held_out(), &device()).unwrap()
}

/// `x = b + W z + s n`, where the columns of `W` are orthogonal, so that the posterior of `z` has independent entries.
struct Linear {
    columns: [[f64; 4]; 2],
    shift: [f64; 4],
    std: f64,
    x: [f64; 4],
}

impl Linear {
    fn new() -> Self {
        Self {
            columns: [[0.3, 0.3, -0.1, 0.2], [0.2, -0.2, 0.4, 0.2]],
            shift: [0.5, 0.4, 0.6, 0.3],
            std: 0.3,
            x: [0.9, 0.1, 0.7, 0.6],
        }
    }

    fn inner(&self, j: usize, v: impl Fn(usize) -> f64) -> f64 {
        (0..4).map(|i| self.columns[j][i] * v(i)).sum()
    }

    /// Mean and variance of each latent given `x`.
    fn posterior(&self) -> [[f64; 2]; 2] {
        assert!(self.inner(0, |i| self.columns[1][i]).abs() < 1e-12);
        [0, 1].map(|j| {
            let noise = self.std * self.std;
            let variance = 1.0 / (1.0 + self.inner(j, |i| self.columns[j][i]) / noise);
            let seen = self.inner(j, |i| self.x[i] - self.shift[i]);
            [variance * seen / noise, variance]
        })
    }

    /// `log p(x)`: `x` is normal with covariance `s^2 I + W W^T`, whose eigenvectors are the columns and what is orthogonal to them.
    fn log_likelihood(&self) -> f64 {
        let noise = self.std * self.std;
        let total: f64 = (0..4).map(|i| (self.x[i] - self.shift[i]).powi(2)).sum();
        let (mut rest, mut sum) = (total, -0.5 * 2.0 * (TAU * noise).ln());
        for j in 0..2 {
            let length = self.inner(j, |i| self.columns[j][i]);
            let along = self.inner(j, |i| self.x[i] - self.shift[i]).powi(2) / length;
            let variance = noise + length;
            sum -= 0.5 * ((TAU * variance).ln() + along / variance);
            rest -= along;
        }
        sum - 0.5 * rest / noise
    }

    /// Losses of one image many times over, where `z` is drawn from normal laws.
    fn losses(&self, laws: [[f64; 2]; 2], beta: f64, draws: usize) -> Vec<f64> {
        let repeated =
            |numbers: &[f64], shape: [usize; 4]| exact(numbers, shape).repeat_dim(0, draws);
        let [means, variances] = [0, 1].map(|k| laws.map(|law| law[k]));
        let encoded = Encoded {
            mean: repeated(&means, [1, 2, 1, 1]),
            log_variance: repeated(&variances.map(f64::ln), [1, 2, 1, 1]),
        };
        let mut rng = Rng::seeded(3, &device()).with_dtype(burn::tensor::DType::F64);
        let latents = encoded.sample(&mut rng).reshape([draws, 2]);
        let decoded =
            latents.matmul(exact(&self.columns.concat(), [2, 4])) + exact(&self.shift, [1, 4]);
        let config = AutoencodingConfig {
            reconstruction_std: self.std,
            beta,
        };
        // Two channels of two pixels.
        let images = repeated(&self.x, [1, 2, 1, 2]);
        values(&config.losses(images, decoded.reshape([draws, 2, 1, 2]), &encoded))
    }
}

/// Estimate of the loss in nats for the whole image, and its standard error.
fn mean(losses: &[f64]) -> [f64; 2] {
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let variance = losses.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / (count - 1.0);
    [4.0 * mean, 4.0 * (variance / count).sqrt()]
}

/// `KL(N(m, v) || N(m', v'))`.
fn divergence([mean, variance]: [f64; 2], [other, spread]: [f64; 2]) -> f64 {
    0.5 * ((variance + (mean - other).powi(2)) / spread - 1.0 - (variance / spread).ln())
}

#[test]
fn the_loss_is_the_likelihood_less_the_divergence_from_the_posterior() {
    let linear = Linear::new();
    let posterior = linear.posterior();
    let evidence = -linear.log_likelihood();
    let wrong = [[posterior[0][0] + 0.2, 0.5], [-0.1, posterior[1][1]]];
    let gap: f64 = (0..2).map(|j| divergence(wrong[j], posterior[j])).sum();
    assert!(gap > 0.1);
    let [tight, error] = mean(&linear.losses(posterior, 1.0, 20_000));
    let [loose, loose_error] = mean(&linear.losses(wrong, 1.0, 20_000));
    assert!(gap > 10.0 * loose_error, "{gap} {loose_error}");
    assert_z(
        "bound",
        &[tight, loose],
        &[evidence, evidence + gap],
        &[error, loose_error],
    );
}

#[test]
fn beta_weighs_the_divergence() {
    let linear = Linear::new();
    let posterior = linear.posterior();
    let prior: f64 = posterior
        .iter()
        .map(|&law| divergence(law, [0.0, 1.0]))
        .sum();
    let [one, two] = [1.0, 2.5].map(|beta| linear.losses(posterior, beta, 5));
    let expected: Vec<f64> = one.iter().map(|loss| loss + 1.5 * prior / 4.0).collect();
    assert_close("beta", &two, &expected, 1e-12);
}

#[test]
fn each_row_has_a_draw_of_its_own() {
    let settings = AutoencodingConfig {
        reconstruction_std: 0.2,
        beta: 0.7,
    };
    let task = task(settings);
    let network = task.init(1, &device()).unwrap();
    let losses = |first: usize, rows: usize| {
        let mut rng = Rng::seeded(5, &device()).starting_at(first as u64);
        let batch = first_batch().part(first, rows);
        values(&task.losses(&network, batch, &vec![Level::NONE; rows], &mut rng))
    };
    let all = losses(0, 4);
    assert_eq!(all[2..3], losses(2, 1));
    let encoded = network.encode(first_batch().images);
    let latents = encoded.sample(&mut Rng::seeded(5, &device()));
    let expected = settings.losses(first_batch().images, network.decode(latents), &encoded);
    assert_eq!(all, values(&expected));
}

#[test]
fn training_makes_the_bound_tighter_than_a_constant_does() {
    let longer = TrainingConfig {
        steps: 150,
        batch_size: 16,
        learning_rate: 1e-2,
        ema_decays: vec![0.9],
        validate_every: 0,
        checkpoint_every: 0,
        ..config()
    };
    let mut trainer = trainer(longer);
    let before = trainer.validate().unwrap().record.loss;
    let folder = tempdir().unwrap();
    trainer.run(folder.path(), |_| Flow::Continue).unwrap();
    let after = trainer.validate().unwrap().record.loss;
    // The mean image of those held out, and latents that say nothing: what a decoder does best by itself.
    let held_out = held_out();
    let rows: Vec<Tensor<4>> = (0..held_out.len())
        .map(|i| held_out.get(i).unwrap().image.to_tensor(&device()))
        .collect();
    let rows = Tensor::cat(rows, 0);
    let residual = rows.clone() - rows.mean_dim(0);
    let error = values(&residual.square().mean())[0];
    let std = AutoencodingConfig::default().reconstruction_std;
    let constant = 0.5 * error / (std * std) + 0.5 * (TAU * std * std).ln();
    assert!(before > constant, "{before} {constant}");
    assert!(
        after < 0.5 * constant,
        "{before}, then {after}; constant {constant}"
    );
}

fn run(trainer: &mut Trainer<Autoencoding>, folder: &Path, stop: Option<u64>) {
    let outcome = trainer.run(folder, |event| match event {
        Event::Step(step) if Some(step.step) == stop => Flow::Stop,
        _ => Flow::Continue,
    });
    assert_eq!(outcome.unwrap().finished, stop.is_none());
}

fn whole() -> TempDir {
    let folder = tempdir().unwrap();
    run(&mut trainer(config()), folder.path(), None);
    folder
}

#[test]
fn resumed_equals_uninterrupted() {
    let (expected, folder) = (whole(), tempdir().unwrap());
    run(&mut trainer(config()), folder.path(), Some(7));
    let mut resumed = Trainer::resume(
        &latest(folder.path()),
        config(),
        task(AutoencodingConfig::default()),
        images(),
        held_out(),
        &device(),
    )
    .unwrap();
    run(&mut resumed, folder.path(), None);
    for file in [
        "weights.safetensors",
        "ema.safetensors",
        "training.json",
        "autoencoder.json",
    ] {
        let read = |run: &TempDir| fs::read(latest(run.path()).folder().join(file)).unwrap();
        assert!(read(&folder) == read(&expected), "{file} differs");
    }
}

#[test]
fn a_checkpoint_is_the_folder_of_an_autoencoder() {
    let folder = tempdir().unwrap();
    let mut trainer = trainer(config());
    run(&mut trainer, folder.path(), None);
    let opened = PretrainedAutoencoder::open(latest(folder.path()).folder(), &device()).unwrap();
    assert_eq!(opened.model(), &autoencoder());
    let images = first_batch().images;
    let expected = trainer.average().encode(images.clone()).mean;
    assert_eq!(values(&opened.encode(images).mean), values(&expected));
    assert!(trainer.average().num_params() > 0);
    assert_ne!(
        weights(trainer.average()),
        weights(&autoencoder().architecture.init(7, &device()).unwrap())
    );
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    let settings = |reconstruction_std, beta| AutoencodingConfig {
        reconstruction_std,
        beta,
    };
    for (config, message) in [
        (
            settings(0.0, 1.0),
            "training setting reconstruction_std must be finite and above 0, found 0",
        ),
        (
            settings(f64::INFINITY, 1.0),
            "training setting reconstruction_std must be finite and above 0, found inf",
        ),
        (
            settings(0.1, -1.0),
            "training setting beta must be finite and at least 0, found -1",
        ),
    ] {
        let error = Autoencoding::new(autoencoder(), config).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    let odd = AutoencoderModel::new(autoencoder().architecture, [8, 7]);
    assert!(matches!(
        Autoencoding::new(odd, AutoencodingConfig::default()),
        Err(TrainingError::Model(ModelError::Size { .. }))
    ));
    let larger = Trainer::new(
        config(),
        task(AutoencodingConfig::default()),
        phantoms(0, 22, 16),
        held_out(),
        &device(),
    );
    assert_eq!(
        larger.err().unwrap().to_string(),
        "the network takes images of [1, 8, 8] (channels, height, width), the data set has [1, 16, 16]"
    );
    let folder = whole();
    let wider = AutoencoderConfig {
        latent_channels: 3,
        ..autoencoder().architecture
    };
    let model = AutoencoderModel::new(wider, [8, 8]);
    let resumed = Trainer::resume(
        &latest(folder.path()),
        config(),
        Autoencoding::new(model, AutoencodingConfig::default()).unwrap(),
        images(),
        held_out(),
        &device(),
    );
    assert!(matches!(resumed, Err(TrainingError::OtherModel { .. })));
}
