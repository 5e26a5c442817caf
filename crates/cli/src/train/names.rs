//! The words that options of `train` take, and what they stand for.

use clap::ValueEnum;
use tweedie::{
    core::{NoiseLabel, Parametrisation, ScheduleConfig},
    data::{Channels, Crop, Resize},
    models::Precision,
    training::{Distance, LearningRateDecay},
};

/// `--channels`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ChannelsName {
    /// 1 channel, by the luma of Rec. 601.
    Grey,
    /// 3 channels.
    Rgb,
}

impl From<ChannelsName> for Channels {
    fn from(name: ChannelsName) -> Self {
        match name {
            ChannelsName::Grey => Self::Grey,
            ChannelsName::Rgb => Self::Rgb,
        }
    }
}

/// `--crop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CropName {
    /// The middle.
    Centre,
    /// Anywhere, anew each time that a file is shown.
    Random,
}

impl From<CropName> for Crop {
    fn from(name: CropName) -> Self {
        match name {
            CropName::Centre => Self::Centre,
            CropName::Random => Self::Random,
        }
    }
}

/// `--resize`: `crop`, `keep` or a number of pixels.
pub(super) fn resize(word: &str) -> Result<Resize, String> {
    match (word, word.parse()) {
        ("crop", _) => Ok(Resize::ToCrop),
        ("keep", _) => Ok(Resize::Keep),
        (_, Ok(side)) if side > 0 => Ok(Resize::ShorterSide(side)),
        _ => Err("expected `crop`, `keep` or a positive number of pixels".to_owned()),
    }
}

/// `--parametrisation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ParametrisationName {
    /// The noise.
    Epsilon,
    /// The clean image.
    X0,
    /// The velocity, a mixture of both.
    V,
}

impl From<ParametrisationName> for Parametrisation {
    fn from(name: ParametrisationName) -> Self {
        match name {
            ParametrisationName::Epsilon => Self::Epsilon,
            ParametrisationName::X0 => Self::X0,
            ParametrisationName::V => Self::V,
        }
    }
}

/// `--schedule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ScheduleName {
    /// The table of Ho et al. 2020: 1000 steps, beta from 1e-4 to 0.02.
    Ddpm,
    /// The cosine schedule of Nichol & Dhariwal 2021 in continuous time, offset 0.008.
    Cosine,
    /// Variance preserving in continuous time, beta from 0.1 to 20 (Song et al. 2021).
    Vp,
}

impl ScheduleName {
    /// The schedule, and how its noise levels are told to the network.
    pub(super) fn config(self) -> (ScheduleConfig, NoiseLabel) {
        // Continuous times are told on the scale of the table's steps, which is what the embedding was designed for.
        let time = NoiseLabel::Time { scale: 1000.0 };
        match self {
            Self::Ddpm => (ScheduleConfig::DDPM, NoiseLabel::Step { steps: 1000 }),
            Self::Cosine => (
                ScheduleConfig::Cosine {
                    offset: 0.008,
                    sigma_max: 1000.0,
                },
                time,
            ),
            Self::Vp => (
                ScheduleConfig::VariancePreserving {
                    beta_min: 0.1,
                    beta_max: 20.0,
                },
                time,
            ),
        }
    }
}

/// `--precision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum PrecisionName {
    /// Single precision.
    F32,
    /// Half of its bits, and its range; for hardware that computes in it.
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

/// `--learning-rate-decay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DecayName {
    /// It stays.
    Constant,
    /// It falls to 0 as half a cosine.
    Cosine,
}

impl From<DecayName> for LearningRateDecay {
    fn from(name: DecayName) -> Self {
        match name {
            DecayName::Constant => Self::Constant {},
            DecayName::Cosine => Self::Cosine { floor: 0.0 },
        }
    }
}

/// `--loss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LossName {
    /// Squared distance.
    L2,
    /// Absolute distance.
    L1,
    /// Squared below 1, absolute above.
    Huber,
}

impl From<LossName> for Distance {
    fn from(name: LossName) -> Self {
        match name {
            LossName::L2 => Self::L2,
            LossName::L1 => Self::L1,
            LossName::Huber => Self::Huber,
        }
    }
}
