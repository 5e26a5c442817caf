//! Checkpoints: everything that a run needs to go on, in one folder that appears whole or not at all.
//!
//! | file | what |
//! |---|---|
//! | `model.json` | the model's configuration |
//! | `weights.safetensors` | the weights |
//! | `ema.safetensors` | their moving average, which is what samples |
//! | `ema-D.safetensors` | their moving averages of other decays `D`, where there are some |
//! | `power-W.safetensors` | their power-function averages of width `W`, where snapshots are kept |
//! | `optimizer.bpk` | moments of the optimiser, burn's own format |
//! | `training.json` | steps done and the run's settings, among them the seed, which is all that randomness depends on |
//!
//! A checkpoint is therefore also a model folder: [`tweedie_models::Pretrained`] opens it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use burn::{module::Module, optim::ModuleOptimizer, store::RecordError, tensor::Bytes};
use serde::{Deserialize, Serialize};
use tweedie_models::{WEIGHTS_FILE, load_weights, save_weights};

use crate::{
    Memory, Task, TrainingConfig, TrainingError, averages::Averages, moments, patience::Progress,
};

const OPTIMISER_FILE: &str = "optimizer.bpk";
const STATE_FILE: &str = "training.json";
const PREFIX: &str = "step-";
/// Of the name of a folder that is being filled.
const DRAFT: &str = ".draft-";

/// Where in the folder of a run its checkpoints lie.
pub const CHECKPOINTS_FOLDER: &str = "checkpoints";

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) step: u64,
    pub(crate) config: TrainingConfig,
    #[serde(default)]
    pub(crate) memory: Memory,
    #[serde(default)]
    pub(crate) progress: Progress,
}

/// What a checkpoint holds, on the device.
pub(crate) struct Contents<'a, T: Task> {
    pub(crate) state: State,
    pub(crate) task: &'a T,
    pub(crate) weights: T::Network,
    pub(crate) averages: &'a Averages<T::Network>,
    pub(crate) optimiser: ModuleOptimizer,
}

/// A checkpoint on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    folder: PathBuf,
    step: u64,
}

impl Checkpoint {
    /// The checkpoint of the latest step in `folder`, the place where a run keeps its checkpoints.
    ///
    /// # Errors
    /// [`TrainingError::NoCheckpoint`] when there is none, [`TrainingError::Read`] when the folder cannot be read.
    pub fn latest(folder: &Path) -> Result<Self, TrainingError> {
        all(folder)?
            .into_iter()
            .max_by_key(|checkpoint| checkpoint.step)
            .ok_or_else(|| TrainingError::NoCheckpoint {
                folder: folder.into(),
            })
    }

    /// Its folder, a model folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many steps had been made.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The settings of the run that made it.
    ///
    /// # Errors
    /// When the file that holds them is missing or damaged.
    pub fn config(&self) -> Result<TrainingConfig, TrainingError> {
        Ok(self.state()?.config)
    }

    pub(crate) fn state(&self) -> Result<State, TrainingError> {
        let path = self.folder.join(STATE_FILE);
        let text = fs::read_to_string(&path).map_err(|source| TrainingError::Read {
            path: path.clone(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| TrainingError::Json { path, source })
    }

    /// Loads weights, averages and optimiser into the ones given, which have the right shapes.
    pub(crate) fn load_into<M: Module>(
        &self,
        weights: &mut M,
        averages: &mut Averages<M>,
        optimiser: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, TrainingError> {
        load_weights(weights, &self.folder.join(WEIGHTS_FILE))?;
        for average in averages.iter_mut() {
            load_weights(average.network.get_mut(), &self.folder.join(&average.file))?;
        }
        let path = self.folder.join(OPTIMISER_FILE);
        let bytes = fs::read(&path).map_err(|source| TrainingError::Read {
            path: path.clone(),
            source,
        })?;
        moments::load(optimiser, Bytes::from_bytes_vec(bytes), weights)
            .map_err(|source| TrainingError::Optimiser { path, source })
    }

    /// Writes a checkpoint into `folder`: first beside its place, then renamed. Older ones but the last are removed.
    pub(crate) fn write<T: Task>(
        folder: &Path,
        contents: &Contents<'_, T>,
    ) -> Result<Self, TrainingError> {
        let step = contents.state.step;
        let name = format!("{PREFIX}{step:08}");
        let place = folder.join(&name);
        let write = |source| TrainingError::Write {
            path: place.clone(),
            source,
        };
        fs::create_dir_all(folder).map_err(write)?;
        remove_drafts(folder).map_err(write)?;
        let draft = tempfile::Builder::new()
            .prefix(DRAFT)
            .tempdir_in(folder)
            .map_err(write)?;
        fill(draft.path(), contents)?;
        if place.exists() {
            fs::remove_dir_all(&place).map_err(write)?;
        }
        // Temporary folders are private; a checkpoint is as readable as its parent.
        let permissions = fs::metadata(folder).map_err(write)?.permissions();
        fs::set_permissions(draft.path(), permissions).map_err(write)?;
        fs::rename(draft.keep(), &place).map_err(write)?;
        let written = Self {
            folder: place,
            step,
        };
        prune(folder, &written)?;
        Ok(written)
    }
}

fn fill<T: Task>(folder: &Path, contents: &Contents<'_, T>) -> Result<(), TrainingError> {
    contents.task.save(folder)?;
    save_weights(&contents.weights, &folder.join(WEIGHTS_FILE))?;
    for average in contents.averages.iter() {
        save_weights(average.network.get(), &folder.join(&average.file))?;
    }

    let path = folder.join(OPTIMISER_FILE);
    let bytes = contents
        .optimiser
        .into_bytes()
        .map_err(|source: RecordError| TrainingError::Optimiser {
            path: path.clone(),
            source,
        })?;
    fs::write(&path, &bytes[..]).map_err(|source| TrainingError::Write { path, source })?;

    let path = folder.join(STATE_FILE);
    let text =
        serde_json::to_string_pretty(&contents.state).map_err(|source| TrainingError::Json {
            path: path.clone(),
            source,
        })?;
    fs::write(&path, text + "\n").map_err(|source| TrainingError::Write { path, source })
}

/// Removes what killed programs have left.
fn remove_drafts(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(DRAFT) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// How many checkpoints of a run are kept.
const KEPT: usize = 2;

fn prune(folder: &Path, newest: &Checkpoint) -> Result<(), TrainingError> {
    let mut older = all(folder)?;
    older.retain(|checkpoint| checkpoint.step < newest.step);
    older.sort_by_key(|checkpoint| checkpoint.step);
    older.truncate((older.len() + 1).saturating_sub(KEPT));
    for checkpoint in older {
        fs::remove_dir_all(&checkpoint.folder).map_err(|source| TrainingError::Write {
            path: checkpoint.folder,
            source,
        })?;
    }
    Ok(())
}

/// All checkpoints in a folder, in no order; none where there is no folder.
pub(crate) fn all(folder: &Path) -> Result<Vec<Checkpoint>, TrainingError> {
    let read = |source| TrainingError::Read {
        path: folder.into(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(read)?;
        let name = entry.file_name();
        let step = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|digits| digits.parse().ok());
        if let Some(step) = step {
            found.push(Checkpoint {
                folder: entry.path(),
                step,
            });
        }
    }
    Ok(found)
}
