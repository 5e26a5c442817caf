//! The objectives of the experiment: for each a model of digits and what it learns.

use clap::ValueEnum;
use tweedie::{
    core::{NoiseLabel, Parametrisation, ScheduleConfig},
    models::{
        Architecture, AutoencoderConfig, AutoencoderModel, ModelConfig, ModelError, Pixels,
        UNetConfig,
    },
    training::{
        DiffusionConfig, Distance, LevelDistribution, LevelsConfig, ObjectiveConfig, Weighting,
    },
};

use crate::judge::SIZE;

/// An objective by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ObjectiveName {
    /// Noise prediction, all steps alike.
    DdpmSimple,
    /// The variational bound, by importance sampling of the steps.
    Elbo,
    /// Min-SNR weights, gamma = 5, of velocities.
    MinSnr,
    /// P2 weights, k = gamma = 1.
    P2,
    /// Prediction of the clean image.
    X0,
    /// Prediction of the velocity.
    V,
    /// Karras et al. 2022.
    Edm,
    /// Denoising score matching at a geometric range of noise levels, with the weights of NCSN.
    NcsnDsm,
    /// Sliced score matching at the same levels from 0.1 on.
    Sliced,
    /// Its variance-reduced form.
    SlicedVr,
    /// Sliced score matching, of the latents of an autoencoder.
    SlicedLatent,
    /// Implicit score matching of the same latents.
    ImplicitLatent,
    /// Straight paths.
    FlowMatching,
    /// Noise and variance of the reverse step.
    Hybrid,
}

/// Label of the last time where a schedule is continuous: that of a table's last step.
const LABEL: NoiseLabel = NoiseLabel::Time { scale: 1000.0 };

/// Height and width of the digits that an autoencoder sees: 28 cannot be halved three times.
pub(super) const PADDED: usize = 32;

/// The autoencoder: latents of 2 x 4 x 4, in which an exact trace is affordable.
pub(super) fn autoencoder() -> AutoencoderModel {
    let architecture = AutoencoderConfig {
        latent_channels: 2,
        channel_multipliers: vec![1, 2, 4, 4],
        ..AutoencoderConfig::default()
    };
    AutoencoderModel::new(architecture, [PADDED; 2])
}

impl ObjectiveName {
    /// Whether it learns latents, in the place of pixels.
    pub(super) fn is_of_latents(self) -> bool {
        matches!(self, Self::SlicedLatent | Self::ImplicitLatent)
    }

    /// Images of a step, of those asked for: the exact trace takes 65 evaluations of each.
    pub(super) fn batch_size(self, asked: usize) -> usize {
        match self {
            Self::ImplicitLatent => asked.div_ceil(2),
            _ => asked,
        }
    }

    /// The model and what it learns.
    pub(super) fn task(self) -> Result<(ModelConfig, DiffusionConfig), ModelError> {
        use Parametrisation::{Edm, Epsilon, Flow, V, X0};
        let table = (ScheduleConfig::DDPM, NoiseLabel::Step { steps: 1000 });
        let exploding = |sigma_min, sigma_max| {
            (
                ScheduleConfig::VarianceExploding {
                    sigma_min,
                    sigma_max,
                },
                LABEL,
            )
        };
        let (parametrisation, (schedule, label)) = match self {
            Self::DdpmSimple | Self::Elbo | Self::P2 | Self::Hybrid => (Epsilon, table),
            Self::X0 => (X0, table),
            Self::V | Self::MinSnr => (V, table),
            Self::Edm => {
                let schedule = ScheduleConfig::Karras { sigma_max: 80.0 };
                (Edm { sigma_data: 0.5 }, (schedule, LABEL))
            }
            // The score itself is as large as 1/sigma; the noise, -sigma times the score, has variance 1 at all levels.
            Self::NcsnDsm => (Epsilon, exploding(0.02, 50.0)),
            // With `c_skip` the score of images of this size is built in, and the noise of the gradients is less where there is much noise.
            Self::Sliced | Self::SlicedVr => (Edm { sigma_data: 0.5 }, exploding(0.1, 50.0)),
            Self::SlicedLatent | Self::ImplicitLatent => {
                (Edm { sigma_data: 1.0 }, exploding(0.1, 20.0))
            }
            Self::FlowMatching => {
                let schedule = ScheduleConfig::FlowMatching { sigma_max: 999.0 };
                (Flow, (schedule, LABEL))
            }
        };
        let network = UNetConfig {
            learned_sigma: self == Self::Hybrid,
            ..UNetConfig::preset("tiny")?
        };
        let mut model = ModelConfig::new(
            Architecture::UNet(network),
            parametrisation,
            schedule,
            label,
            [SIZE; 2],
        );
        if self.is_of_latents() {
            let [channels, height, width] = autoencoder().latent_shape()?;
            model.architecture = Architecture::UNet(UNetConfig {
                channels,
                channel_multipliers: vec![1, 2],
                ..UNetConfig::preset("tiny")?
            });
            model.image_size = [height, width];
            model.pixels = Pixels::Unit;
        }
        let learning = DiffusionConfig {
            objective: self.objective(),
            levels: self.levels(),
            ..DiffusionConfig::default()
        };
        Ok((model, learning))
    }

    fn objective(self) -> ObjectiveConfig {
        let weighting = match self {
            Self::Sliced | Self::SlicedVr => {
                return ObjectiveConfig::Sliced {
                    projections: 1,
                    variance_reduction: self == Self::SlicedVr,
                };
            }
            Self::SlicedLatent => {
                return ObjectiveConfig::Sliced {
                    projections: 8,
                    variance_reduction: false,
                };
            }
            Self::ImplicitLatent => return ObjectiveConfig::Implicit {},
            Self::Hybrid => return ObjectiveConfig::Hybrid {},
            Self::Elbo => Weighting::Elbo,
            Self::MinSnr => Weighting::MinSnr { gamma: 5.0 },
            Self::P2 => Weighting::P2 { k: 1.0, gamma: 1.0 },
            Self::NcsnDsm => Weighting::Simple,
            _ => Weighting::Output,
        };
        ObjectiveConfig::Denoising {
            weighting,
            distance: Distance::L2,
        }
    }

    fn levels(self) -> LevelsConfig {
        LevelsConfig {
            distribution: match self {
                Self::Elbo => LevelDistribution::Importance,
                Self::Edm => LevelDistribution::LogNormal {
                    mean: -1.2,
                    std: 1.2,
                },
                _ => LevelDistribution::Uniform,
            },
            stratified: true,
        }
    }
}
