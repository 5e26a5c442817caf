//! Averages of the weights of any length, chosen after the run: Karras et al. 2024, section 3.1 and appendix C,
//! <https://arxiv.org/abs/2312.02696>.
//!
//! A power-function average of exponent `gamma` weighs the weights of step `tau` at step `t` by
//! `p(tau) = (gamma + 1) tau^gamma / t^(gamma + 1)` (eq. (3)), which one decay per step makes: `d_t = (1 - 1/t)^(gamma + 1)`
//! (eq. (127)). Its width is the standard deviation of `p` over `t`, `(gamma + 1)^(1/2) (gamma + 2)^(-1) (gamma + 3)^(-1/2)`.
//! A run that keeps snapshots of the averages of two widths can make that of another width afterwards, as the combination of
//! snapshots whose weights are nearest to `p` in least squares.
//!
//! A snapshot of step `t` and width `w` is the file `averages/step-T-width-W.safetensors` of a run's folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::module::Module;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use tweedie_models::{load_weights, save_weights};

use crate::{TrainingError, config::require, ema::combined, trainer::make_folder};

/// Where in the folder of a run its snapshots lie.
pub const SNAPSHOTS_FOLDER: &str = "averages";

/// The width of `gamma = 0`, where all steps count alike: `1/sqrt(12)`.
const WIDEST: f64 = 0.288_675_134_594_812_9;

/// Which averages a run keeps snapshots of; `serde` refuses unknown fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostHocConfig {
    /// Their two widths, relative to the length of the run, in (0, 0.288].
    pub widths: [f64; 2],
    /// Steps between two snapshots; one is made after the last step as well.
    pub every: u64,
}

impl Default for PostHocConfig {
    /// The widths of the paper's appendix C.
    fn default() -> Self {
        Self {
            widths: [0.05, 0.1],
            every: 250,
        }
    }
}

impl PostHocConfig {
    pub(crate) fn validate(&self) -> Result<(), TrainingError> {
        let [one, other] = self.widths;
        for width in self.widths {
            check_width("post_hoc.widths", width)?;
        }
        require("post_hoc.widths", one, "two different numbers", |v| {
            v != other
        })?;
        require("post_hoc.every", self.every as f64, "at least 1", |v| {
            v >= 1.0
        })
    }
}

fn check_width(field: &'static str, width: f64) -> Result<(), TrainingError> {
    require(field, width, "above 0 and at most 0.288", |v| {
        v > 0.0 && v <= 0.288
    })
}

/// The exponent `gamma >= 0` of a width in (0, [`WIDEST`]].
fn exponent(width: f64) -> f64 {
    let width_of = |gamma: f64| (gamma + 1.0).sqrt() / ((gamma + 2.0) * (gamma + 3.0).sqrt());
    // The width falls with gamma, and is below 1/(gamma + 2).
    let (mut low, mut high) = (0.0, 1.0 / width.min(WIDEST));
    // Halved until no number lies between them.
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if width_of(middle) > width {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The decay of a power-function average in update `step`, counted from 1.
pub(crate) fn decay_at(width: f64, step: u64) -> f64 {
    (1.0 - 1.0 / step as f64).powf(exponent(width) + 1.0)
}

/// How an average weighs the past: `p` on `[0, step]`.
#[derive(Clone, Copy, Debug)]
struct Profile {
    step: f64,
    gamma: f64,
}

impl Profile {
    fn new(step: u64, width: f64) -> Self {
        Self {
            step: step as f64,
            gamma: exponent(width),
        }
    }

    /// The integral of the product of two profiles (algorithm 3 of the paper).
    fn product(&self, other: &Self) -> f64 {
        let (first, last) = if self.step <= other.step {
            (self, other)
        } else {
            (other, self)
        };
        (first.gamma + 1.0) * (last.gamma + 1.0) * (first.step / last.step).powf(last.gamma)
            / (last.step * (first.gamma + last.gamma + 1.0))
    }
}

/// What each snapshot counts in the combination that is nearest to `target`.
fn coefficients(snapshots: &[Profile], target: &Profile) -> Option<Vec<f64>> {
    let count = snapshots.len();
    // Scaled to unit length, so that early and late snapshots are alike.
    let scale: Vec<f64> = snapshots
        .iter()
        .map(|profile| profile.product(profile).sqrt().recip())
        .collect();
    let matrix = DMatrix::from_fn(count, count, |i, j| {
        scale[i] * scale[j] * snapshots[i].product(&snapshots[j])
    });
    let right = DVector::from_fn(count, |i, _| scale[i] * snapshots[i].product(target));
    // Neighbouring snapshots are nearly the same: directions lost in rounding are left out.
    let found = matrix
        .svd(true, true)
        .solve(&right, count as f64 * f64::EPSILON)
        .ok()?;
    Some(found.iter().zip(scale).map(|(x, s)| x * s).collect())
}

/// The snapshots of a run.
#[derive(Clone, Debug)]
pub struct Snapshots {
    folder: PathBuf,
    all: Vec<Snapshot>,
}

#[derive(Clone, Debug)]
struct Snapshot {
    step: u64,
    width: f64,
    path: PathBuf,
}

impl Snapshots {
    /// Those in the folder of a run.
    ///
    /// # Errors
    /// [`TrainingError::Read`] when the folder cannot be read, [`TrainingError::NoSnapshots`] when there are none.
    pub fn open(run: &Path) -> Result<Self, TrainingError> {
        let folder = run.join(SNAPSHOTS_FOLDER);
        let mut all = all(&folder)?;
        if all.is_empty() {
            return Err(TrainingError::NoSnapshots { folder });
        }
        // The order in which they are added up is part of the result.
        all.sort_by(|a, b| a.step.cmp(&b.step).then(a.width.total_cmp(&b.width)));
        Ok(Self { folder, all })
    }

    /// The step of the last one.
    pub fn step(&self) -> u64 {
        self.all.last().map_or(0, |snapshot| snapshot.step)
    }

    /// The average of `width` at the last step, in (0, 0.288], made of all snapshots. `network` is one of the same shapes.
    ///
    /// # Errors
    /// [`TrainingError::Setting`] when the width is out of its range, and when a snapshot cannot be read or is none of `network`.
    pub fn average<M: Module>(&self, width: f64, network: &M) -> Result<M, TrainingError> {
        check_width("width", width)?;
        let profiles: Vec<Profile> = self.all.iter().map(Snapshot::profile).collect();
        let target = Profile::new(self.step(), width);
        let coefficients =
            coefficients(&profiles, &target).ok_or_else(|| TrainingError::NoSnapshots {
                folder: self.folder.clone(),
            })?;
        let mut total: Option<M> = None;
        for (snapshot, coefficient) in self.all.iter().zip(coefficients) {
            let mut next = network.clone();
            load_weights(&mut next, &snapshot.path)?;
            total = Some(match total {
                None => combined(next.clone(), &next, coefficient, 0.0),
                Some(total) => combined(total, &next, 1.0, coefficient),
            });
        }
        total.ok_or_else(|| TrainingError::NoSnapshots {
            folder: self.folder.clone(),
        })
    }
}

impl Snapshot {
    /// What a file is by its name; none for a stranger.
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (step, width) = name
            .strip_prefix("step-")?
            .strip_suffix(".safetensors")?
            .split_once("-width-")?;
        let (step, width) = (step.parse().ok()?, width.parse().ok()?);
        Some(Self { step, width, path })
    }

    fn profile(&self) -> Profile {
        Profile::new(self.step, self.width)
    }
}

/// All snapshots in a folder, in no order; none where there is no folder.
fn all(folder: &Path) -> Result<Vec<Snapshot>, TrainingError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let read = |source| TrainingError::Read {
        path: folder.into(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        found.extend(Snapshot::of(entry.map_err(read)?.path()));
    }
    Ok(found)
}

/// Removes the snapshots of steps after `done` from the folder of a run: they belong to work that was lost.
pub(crate) fn remove_after(run: &Path, done: u64) -> Result<(), TrainingError> {
    for Snapshot { step, path, .. } in all(&run.join(SNAPSHOTS_FOLDER))? {
        if step > done {
            fs::remove_file(&path).map_err(|source| TrainingError::Write { path, source })?;
        }
    }
    Ok(())
}

/// Writes the averages of a step into the folder of a run.
pub(crate) fn save<'a, M: Module + 'a>(
    run: &Path,
    step: u64,
    averages: impl Iterator<Item = (f64, &'a M)>,
) -> Result<(), TrainingError> {
    let folder = run.join(SNAPSHOTS_FOLDER);
    make_folder(&folder)?;
    for (width, average) in averages {
        let name = format!("step-{step:08}-width-{width}.safetensors");
        save_weights(average, &folder.join(name))?;
    }
    Ok(())
}
