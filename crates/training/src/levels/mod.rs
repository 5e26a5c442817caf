//! The noise levels of a step.

mod distribution;
mod importance;
mod quantile;
mod times;

use serde::{Deserialize, Serialize};
use tweedie_core::Rng;
use tweedie_models::ModelConfig;

use crate::{Prediction, TrainingError};
use distribution::Drawn;
use importance::Importance;

pub use distribution::LevelDistribution;
pub(crate) use times::Times;

/// The noise level of one row of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Its time in the schedule of the network.
    pub time: f64,
    /// Its noise level, in the network's own pixel units.
    pub sigma: f64,
    /// What the row's loss is multiplied by, so that drawing some levels more often than others leaves the objective as it is.
    pub weight: f64,
}

impl Level {
    /// Of a task without noise.
    pub const NONE: Self = Self {
        time: 0.0,
        sigma: 0.0,
        weight: 1.0,
    };
}

/// How noise levels are drawn; `serde` refuses unknown fields.
///
/// ```
/// use tweedie_training::{LevelDistribution, LevelsConfig};
///
/// let edm = LevelsConfig {
///     distribution: LevelDistribution::LogNormal { mean: -1.2, std: 1.2 },
///     stratified: true,
/// };
/// edm.validate()?;
/// # Ok::<(), tweedie_training::TrainingError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelsConfig {
    /// Which levels are drawn how often.
    pub distribution: LevelDistribution,
    /// Whether the levels of a batch are spread evenly: row `i` of `B` has the uniform number `u_0 + i/B mod 1` instead of one of
    /// its own, with the same law and less variance of the mean loss (Kingma et al. 2021, appendix I.1,
    /// <https://arxiv.org/abs/2107.00630>).
    pub stratified: bool,
}

impl LevelsConfig {
    /// Refuses settings that cannot be drawn from.
    ///
    /// # Errors
    /// [`TrainingError::Setting`], naming the field.
    pub fn validate(&self) -> Result<(), TrainingError> {
        self.distribution.validate()
    }

    /// Refuses to train a model of one level at others, and one of all levels at one: its file would say what is not so.
    ///
    /// # Errors
    /// [`TrainingError::OnlyLevel`].
    pub(crate) fn check(&self, model: &ModelConfig) -> Result<(), TrainingError> {
        let found = self.distribution;
        let one = match found {
            LevelDistribution::One { sigma } => Some(sigma),
            _ => None,
        };
        if one == model.only_sigma {
            return Ok(());
        }
        Err(TrainingError::OnlyLevel {
            only: model.only_sigma,
            found,
        })
    }
}

/// What a run has learnt about its noise levels; a checkpoint keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LevelMemory {
    /// The last losses of each step of the table, or of each part of the interval of times; empty unless they are asked for.
    losses: Vec<Vec<f64>>,
}

/// Draws the noise levels of each step.
#[derive(Clone)]
pub struct Levels {
    prediction: Prediction,
    config: LevelsConfig,
    memory: LevelMemory,
}

impl Levels {
    /// For a network.
    ///
    /// # Errors
    /// As [`LevelsConfig::validate`], and when the network can be told nothing, or predict nothing, at a level that would be drawn.
    pub fn new(config: LevelsConfig, prediction: Prediction) -> Result<Self, TrainingError> {
        config.validate()?;
        let levels = Self {
            prediction,
            config,
            memory: LevelMemory::default(),
        };
        // The ends of the range.
        for level in levels.of_numbers([0.0, 1.0 - f64::EPSILON / 2.0]) {
            levels.check(&level)?;
        }
        Ok(levels)
    }

    fn check(&self, level: &Level) -> Result<(), TrainingError> {
        let c = self.prediction.preconditioning.at(level.sigma);
        let usable = level.sigma > 0.0
            && [level.sigma, c.skip, c.out.recip(), c.input, c.noise]
                .iter()
                .all(|number| number.is_finite());
        if usable {
            return Ok(());
        }
        Err(TrainingError::Setting {
            field: "levels",
            expected: "levels at which the network's coefficients and label are finite numbers",
            found: level.sigma,
        })
    }

    /// One level for each row of a batch; row `i` reads row `i` of `rng`, but where the levels are stratified all read row 0.
    pub fn draw(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        if !self.config.stratified {
            return self.of_numbers(rng.uniform_per_row(rows));
        }
        let first = rng.uniform_per_row(1)[0];
        self.of_numbers((0..rows).map(|row| (first + row as f64 / rows as f64).fract()))
    }

    /// As [`draw`](Self::draw) before anything was learnt: the same levels throughout a run, as a validation needs.
    pub fn draw_untaught(&self, rows: usize, rng: &mut Rng) -> Vec<Level> {
        let untaught = Self {
            memory: LevelMemory::default(),
            ..self.clone()
        };
        untaught.draw(rows, rng)
    }

    /// The levels that numbers in [0, 1) stand for.
    fn of_numbers(&self, numbers: impl IntoIterator<Item = f64>) -> Vec<Level> {
        let times = self.prediction.times();
        let importance = Importance::new(&self.memory, times.cells());
        let level = |u| match self.config.distribution.at(u) {
            Drawn::Time(u) => self.at_time(times.at(u), 1.0),
            Drawn::Sigma(sigma) => Level {
                time: self.prediction.schedule.time_at(sigma),
                sigma,
                weight: 1.0,
            },
            Drawn::Importance(u) => {
                let (cell, place, weight) = importance.at(u);
                self.at_time(times.within(cell, place), weight)
            }
        };
        numbers.into_iter().map(level).collect()
    }

    fn at_time(&self, time: f64, weight: f64) -> Level {
        Level {
            time,
            sigma: self.prediction.schedule.sigma(time),
            weight,
        }
    }

    /// Learns from the losses of a step, one for each level.
    pub fn observe(&mut self, levels: &[Level], losses: &[f64]) {
        if self.config.distribution != LevelDistribution::Importance {
            return;
        }
        let times = self.prediction.times();
        for (level, loss) in levels.iter().zip(losses) {
            let cell = times.cell(level.time);
            importance::remember(&mut self.memory, times.cells(), cell, *loss);
        }
    }

    /// What it has learnt.
    pub fn memory(&self) -> LevelMemory {
        self.memory.clone()
    }

    /// Goes on from what was learnt; what was learnt of other levels is forgotten.
    pub fn recall(&mut self, memory: LevelMemory) {
        self.memory = memory;
        if self.memory.losses.len() != self.prediction.times().cells() {
            self.memory = LevelMemory::default();
        }
    }
}
