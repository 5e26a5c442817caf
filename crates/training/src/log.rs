//! The numbers of a run, one line per step, as CSV files that a resumed run continues.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::TrainingError;

/// One step of the optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its number, from 1.
    pub step: u64,
    /// Loss of its batch, before the update.
    pub loss: f64,
    /// Euclidean norm of the gradient of all weights, before clipping.
    pub gradient_norm: f64,
    /// Its learning rate.
    pub learning_rate: f64,
    /// How long it took, in seconds, once its data were there.
    pub seconds: f64,
    /// How long it waited for its data before, in seconds.
    pub data_seconds: f64,
}

/// One validation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationRecord {
    /// The number of steps before it.
    pub step: u64,
    /// Loss of the averaged weights on the validation set.
    pub loss: f64,
}

/// One validation in one class of noise levels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelRecord {
    /// The number of steps before it.
    pub step: u64,
    /// The least noise level, in the network's own pixel units.
    pub sigma_min: f64,
    /// The largest.
    pub sigma_max: f64,
    /// How many images had one between them.
    pub rows: usize,
    /// Their mean loss, whatever the levels' shares in the objective are.
    pub loss: f64,
}

/// A row knows the step it belongs to.
pub(crate) trait Row: Serialize + DeserializeOwned {
    fn step(&self) -> u64;
}

impl Row for StepRecord {
    fn step(&self) -> u64 {
        self.step
    }
}

impl Row for ValidationRecord {
    fn step(&self) -> u64 {
        self.step
    }
}

impl Row for LevelRecord {
    fn step(&self) -> u64 {
        self.step
    }
}

/// The files of a run.
pub(crate) struct Logs {
    pub(crate) steps: Log,
    pub(crate) validations: Log,
    pub(crate) levels: Log,
}

impl Logs {
    /// Opens the files in the folder of a run of which `done` steps are made.
    pub(crate) fn continued(run: &Path, done: u64) -> Result<Self, TrainingError> {
        Ok(Self {
            steps: Log::continued::<StepRecord>(run.join("steps.csv"), done)?,
            validations: Log::continued::<ValidationRecord>(run.join("validation.csv"), done)?,
            levels: Log::continued::<LevelRecord>(run.join("levels.csv"), done)?,
        })
    }
}

/// An open CSV file.
pub(crate) struct Log {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl Log {
    /// Opens `path` and keeps its rows up to step `done`: those after it belong to work that was lost.
    fn continued<R: Row>(path: PathBuf, done: u64) -> Result<Self, TrainingError> {
        let mut rows: Vec<R> = read(&path)?;
        rows.retain(|row| row.step() <= done);
        let write = |source| TrainingError::Write {
            path: path.clone(),
            source,
        };
        let draft = path.with_extension("csv.tmp");
        let mut writer = csv::Writer::from_path(&draft).map_err(|e| write(e.into()))?;
        for row in &rows {
            writer.serialize(row).map_err(|e| write(e.into()))?;
        }
        writer.flush().map_err(write)?;
        drop(writer);
        fs::rename(&draft, &path).map_err(write)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(write)?;
        let writer = csv::WriterBuilder::new()
            .has_headers(rows.is_empty())
            .from_writer(file);
        Ok(Self { path, writer })
    }

    /// Adds a row; it is on disk when the function returns.
    pub(crate) fn push<R: Row>(&mut self, row: &R) -> Result<(), TrainingError> {
        self.writer
            .serialize(row)
            .map_err(csv::Error::into)
            .and_then(|()| self.writer.flush())
            .map_err(|source| TrainingError::Write {
                path: self.path.clone(),
                source,
            })
    }
}

/// The rows of a file, without a last line that has no end: a full disk cuts one short.
fn read<R: Row>(path: &Path) -> Result<Vec<R>, TrainingError> {
    match fs::read(path) {
        Ok(mut bytes) => {
            let ends = bytes.iter().rposition(|&byte| byte == b'\n');
            bytes.truncate(ends.map_or(0, |end| end + 1));
            csv::Reader::from_reader(&bytes[..])
                .into_deserialize()
                .collect::<Result<_, _>>()
                .map_err(|source| TrainingError::Csv {
                    path: path.into(),
                    source,
                })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(TrainingError::Read {
            path: path.into(),
            source,
        }),
    }
}
