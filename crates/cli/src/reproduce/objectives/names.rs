//! The objectives of the experiment: for each a model of digits and what it learns.

use clap::ValueEnum;
use tweedie::{
    core::{NoiseLabel, Parametrisation, ScheduleConfig},
    models::{Architecture, ModelConfig, ModelError, UNetConfig},
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
    /// Straight paths.
    FlowMatching,
    /// Noise and variance of the reverse step.
    Hybrid,
}

/// Label of the last time where a schedule is continuous: that of a table's last step.
const LABEL: NoiseLabel = NoiseLabel::Time { scale: 1000.0 };

impl ObjectiveName {
    /// The model and what it learns.
    pub(super) fn task(self) -> Result<(ModelConfig, DiffusionConfig), ModelError> {
        use Parametrisation::{Edm, Epsilon, Flow, V, X0};
        let table = (ScheduleConfig::DDPM, NoiseLabel::Step { steps: 1000 });
        let exploding = |sigma_min| {
            let sigma_max = 50.0;
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
            Self::NcsnDsm => (Epsilon, exploding(0.02)),
            // With `c_skip` the score of images of this size is built in, and the noise of the gradients is less where there is much noise.
            Self::Sliced | Self::SlicedVr => (Edm { sigma_data: 0.5 }, exploding(0.1)),
            Self::FlowMatching => {
                let schedule = ScheduleConfig::FlowMatching { sigma_max: 999.0 };
                (Flow, (schedule, LABEL))
            }
        };
        let network = UNetConfig {
            learned_sigma: self == Self::Hybrid,
            ..UNetConfig::preset("tiny")?
        };
        let architecture = Architecture::UNet(network);
        let model = ModelConfig::new(architecture, parametrisation, schedule, label, [SIZE; 2]);
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
