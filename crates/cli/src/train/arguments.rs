//! What `tweedie train` can be told. Options have no defaults here, so that one can tell which were given.

use std::path::PathBuf;

use clap::Args;
use tweedie::data::Resize;

use super::{
    data::DataName,
    names::{
        ChannelsName, CropName, DecayName, LossName, ParametrisationName, PrecisionName,
        ScheduleName, resize,
    },
    presets::PresetName,
};
use crate::device::DevicePlace;

/// Train a diffusion model.
///
/// Without arguments: a small network on random phantoms, in a few minutes on two processor cores.
///
/// Settings come, in rising order of precedence, from a preset, the file of --config, --set, and the other options;
/// docs/training.md lists them. By `task.type` they train a classifier of noisy images, an autoencoder, or a diffusion of its
/// latents too.
///
/// The folder of a run holds `run.toml` (all settings, which --config reads), `steps.csv` and `validation.csv` (the
/// numbers), `report.html` (their curves), `samples/` (a sheet of draws from time to time) and `checkpoints/` (the last two,
/// each a model folder for `sample` and `restore`).
///
/// Ctrl-C writes a checkpoint and stops with exit code 130; a second one ends the program at once. Exit code 1 is failed
/// work, 2 wrong arguments.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Start from the settings in this TOML file, in the form of a run's `run.toml`, laid on the preset that its line
    /// `preset = "NAME"` or --preset names.
    #[arg(long, value_name = "FILE.toml")]
    pub(super) config: Option<PathBuf>,

    /// Start from the settings of a run that has a name [default: phantoms, unless there is a file]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) preset: Option<PresetName>,

    /// Set any field of the settings, by its path: training.steps=500. May be given several times.
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub(super) set: Vec<String>,

    /// Folder of the run, made if missing [default: runs/DATA]
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,

    /// Continue the run in --out from its newest checkpoint, exactly as if it had never stopped. Its recorded settings hold;
    /// only --steps and the --...-every options may change them, and --feature-network be added.
    #[arg(long)]
    pub(super) resume: bool,

    /// Train on several devices at once, named as by --device, with commas: cuda:0,cuda:1. Each takes an equal part of a step's
    /// images. cpu,cpu is slower than cpu, and shows the same.
    #[arg(
        long,
        value_name = "NAME,..",
        value_delimiter = ',',
        conflicts_with = "device"
    )]
    pub(super) devices: Vec<DevicePlace>,

    /// Score the draws at each sheet of samples: the Fréchet distance of 256 to as many held-out images, in the features of this
    /// network. A file: the classifier of digits that `reproduce mnist-ddpm` takes. A folder: a classifier of noisy images, or
    /// the run that trained it.
    #[arg(long, value_name = "PATH")]
    pub(super) feature_network: Option<PathBuf>,

    /// Show burn's terminal dashboard with its plots; `q` there stops the run.
    #[arg(long)]
    pub(super) dashboard: bool,

    #[command(flatten)]
    pub(super) data: DataArguments,

    #[command(flatten)]
    pub(super) model: ModelArguments,

    #[command(flatten)]
    pub(super) training: TrainingArguments,
}

/// What is learnt.
#[derive(Debug, Args)]
#[command(next_help_heading = "Data")]
pub(super) struct DataArguments {
    /// What to train on [default: phantoms]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) data: Option<DataName>,

    /// Folder with the files of the data set; required for all but phantoms and lesions.
    #[arg(long, value_name = "DIR")]
    pub(super) path: Option<PathBuf>,

    /// Height and width of the images in pixels, from 1 to 4096; a multiple of what the network needs (4 for tiny and small, 8 for
    /// ddpm-cifar10). Digits are padded with black [default: 32 for phantoms and lesions, 64 for a folder,
    /// else the data set's own]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(super) size: Option<u16>,

    /// Colours of the images of a folder [default: rgb]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) channels: Option<ChannelsName>,

    /// Scale of the images of a folder before cropping: `crop` makes the shorter side as long as the crop, `keep` changes
    /// nothing, a number is the length of the shorter side in pixels [default: crop]
    #[arg(long, value_name = "crop|keep|PIXELS", value_parser = resize)]
    pub(super) resize: Option<Resize>,

    /// Which part of an image of a folder is shown [default: centre]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) crop: Option<CropName>,

    /// Mirror half of the images of a folder left to right, at random.
    #[arg(long)]
    pub(super) flip: bool,
}

/// What learns.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArguments {
    /// Network: tiny (about 1 million parameters, made for processors), small (9.1 million) or ddpm-cifar10 (35.7 million, that
    /// of Ho et al. 2020). Its channels follow the data [default: tiny]
    #[arg(long, value_name = "NAME")]
    pub(super) network: Option<String>,

    /// What the network predicts [default: epsilon]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) parametrisation: Option<ParametrisationName>,

    /// Noise levels of the training [default: ddpm]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) schedule: Option<ScheduleName>,
}

/// How it learns.
#[derive(Debug, Args)]
#[command(next_help_heading = "Training")]
pub(super) struct TrainingArguments {
    /// Optimiser steps in all, from 1 [default: 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) steps: Option<u64>,

    /// Images per step, from 1 [default: 16]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) batch_size: Option<usize>,

    /// Parts that each device cuts its images of a step into, one after the other: less memory for the same step, from 1
    /// [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) accumulate: Option<usize>,

    /// Numbers of the network while it is trained; the optimiser keeps single precision [default: f32]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(super) precision: Option<PrecisionName>,

    /// Learning rate of Adam after the warm-up, above 0 [default: 0.001]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub(super) learning_rate: Option<f64>,

    /// Steps over which the learning rate rises from 0 [default: 50]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) warmup_steps: Option<u64>,

    /// Decoupled weight decay (AdamW), from 0; 0 is Adam [default: 0]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub(super) weight_decay: Option<f64>,

    /// Bound on the Euclidean norm of the whole gradient, from 0; 0 is none [default: 1]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub(super) clip_norm: Option<f64>,

    /// What the learning rate does after the warm-up [default: constant]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) learning_rate_decay: Option<DecayName>,

    /// Decays of the moving averages of the weights, each in [0, 1), with commas; the first is what samples [default: 0.995]
    #[arg(
        long,
        value_name = "DECAY,..",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    pub(super) ema_decays: Option<Vec<f64>>,

    /// Distance that is minimised where the objective has one [default: l2]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) loss: Option<LossName>,

    /// Seed of all randomness, a whole number from 0. The same seed and settings give the same run on one device
    /// [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) seed: Option<u64>,

    /// Steps between two validations; 0 is none but the last [default: 250]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) validate_every: Option<u64>,

    /// Validations without a new best after which the run ends; 0 is never [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) patience: Option<u64>,

    /// Steps between two sheets of samples; 0 is none but the last [default: 250]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) sample_every: Option<u64>,

    /// Steps between two checkpoints; 0 is none but the last [default: 250]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) checkpoint_every: Option<u64>,
}
