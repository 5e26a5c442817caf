//! A score of a model's draws while it is trained: the Fréchet distance between their features and those of held-out images, in a
//! network that was trained to tell classes apart.

use std::{
    fs::{File, OpenOptions},
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tweedie::{
    burn::tensor::{Device, Tensor},
    metrics::frechet_distance,
    models::PretrainedClassifier,
    training::{CHECKPOINTS_FOLDER, Checkpoint, Examples, TrainingError},
};

use super::show::first;
use crate::{
    failure::{Failure, Outcome},
    judge::{Judge, SIZE},
};

/// Name of the file with the scores in the folder of a run.
pub(super) const FILE: &str = "frechet.csv";

/// Draws, and held-out images, of a score at most.
const IMAGES: usize = 256;

/// Images that go through a network at once.
const BATCH: usize = 64;

/// The noise level that a classifier of noisy images is told, in units of pixels in [0, 1]: one grey level.
const SIGMA: f64 = 1.0 / 255.0;

#[derive(Debug, thiserror::Error)]
enum ScoreError {
    #[error("--feature-network goes with a model that draws images alone")]
    NoDraws,
    #[error(
        "the network in {} sees images of {expected:?} (channels, height, width), the run has {found:?}", path.display()
    )]
    Shape {
        path: PathBuf,
        expected: [usize; 3],
        found: [usize; 3],
    },
    #[error("a score needs two held-out images, found {found}")]
    TooFew { found: usize },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: csv::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: csv::Error },
}

/// A row of [`FILE`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    step: u64,
    distance: f64,
    images: usize,
}

/// A network with features.
enum Network {
    Digits(Box<Judge>),
    Classifier(Box<PretrainedClassifier>),
}

/// Scores a run.
pub(super) struct Score {
    network: Network,
    /// Features of held-out images.
    reference: Tensor<2>,
    count: usize,
    path: PathBuf,
}

impl Score {
    /// With the network in a file or a folder. In the folder of the run, scores up to step `done` are kept.
    pub(super) fn open(
        path: &Path,
        held_out: &Examples,
        run: &Path,
        done: u64,
        device: &Device,
    ) -> Outcome<Self> {
        let network = Network::open(path, device)?;
        let count = held_out.len().min(IMAGES);
        if count < 2 {
            return Err(Failure::usage(ScoreError::TooFew { found: count }));
        }
        let images = first(held_out, count, device)?.images;
        let [_, channels, height, width] = images.dims();
        let (found, expected) = ([channels, height, width], network.shape());
        if found != expected {
            return Err(Failure::usage(ScoreError::Shape {
                path: path.into(),
                expected,
                found,
            }));
        }
        let reference = network.features(&images);
        let path = run.join(FILE);
        keep(&path, done)?;
        Ok(Self {
            network,
            reference,
            count,
            path,
        })
    }

    /// Refuses to score what makes no draws.
    pub(super) fn require_draws(are_draws: bool) -> Outcome<()> {
        match are_draws {
            true => Ok(()),
            false => Err(Failure::usage(ScoreError::NoDraws)),
        }
    }

    /// The distance after a step; `draw` makes the draws of these numbers, in [0, 1].
    pub(super) fn after(
        &self,
        step: u64,
        mut draw: impl FnMut(Range<usize>) -> Outcome<Option<Tensor<4>>>,
    ) -> Outcome<f64> {
        let mut features = Vec::new();
        for start in (0..self.count).step_by(BATCH) {
            if let Some(images) = draw(start..self.count.min(start + BATCH))? {
                features.push(self.network.features(&images.clamp(0.0, 1.0)));
            }
        }
        let distance = frechet_distance(Tensor::cat(features, 0), self.reference.clone());
        let row = Row {
            step,
            distance,
            images: self.count,
        };
        self.push(&row).map_err(|source| ScoreError::Write {
            path: self.path.clone(),
            source,
        })?;
        Ok(distance)
    }

    fn push(&self, row: &Row) -> Result<(), csv::Error> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        let is_new = file.metadata()?.len() == 0;
        let mut writer = csv::WriterBuilder::new()
            .has_headers(is_new)
            .from_writer(file);
        writer.serialize(row)?;
        Ok(writer.flush()?)
    }
}

/// Keeps the rows of a file up to a step: those after it belong to work that was lost.
fn keep(path: &Path, done: u64) -> Result<(), ScoreError> {
    if !path.exists() {
        return Ok(());
    }
    let read = || -> Result<Vec<Row>, csv::Error> {
        csv::Reader::from_reader(File::open(path)?)
            .into_deserialize()
            .collect()
    };
    let mut rows = read().map_err(|source| ScoreError::Read {
        path: path.into(),
        source,
    })?;
    rows.retain(|row| row.step <= done);
    let write = || -> Result<(), csv::Error> {
        let mut writer = csv::Writer::from_path(path)?;
        rows.iter().try_for_each(|row| writer.serialize(row))?;
        Ok(writer.flush()?)
    };
    write().map_err(|source| ScoreError::Write {
        path: path.into(),
        source,
    })
}

impl Network {
    /// The digits' classifier in a file, or a classifier of noisy images in a folder or in that of the run that trained it.
    fn open(path: &Path, device: &Device) -> Outcome<Self> {
        if !path.is_dir() {
            return Ok(Self::Digits(Box::new(Judge::open(path, device)?)));
        }
        let folder = match Checkpoint::latest(&path.join(CHECKPOINTS_FOLDER)) {
            Ok(checkpoint) => checkpoint.folder().to_path_buf(),
            Err(TrainingError::NoCheckpoint { .. }) => path.to_path_buf(),
            Err(error) => return Err(error.into()),
        };
        let classifier = PretrainedClassifier::open(&folder, device)?;
        Ok(Self::Classifier(Box::new(classifier)))
    }

    /// Channels, height and width of its images.
    fn shape(&self) -> [usize; 3] {
        match self {
            Self::Digits(_) => [1, SIZE, SIZE],
            Self::Classifier(classifier) => {
                let model = classifier.model();
                let [height, width] = model.image_size;
                [model.architecture.encoder.channels, height, width]
            }
        }
    }

    fn features(&self, images: &Tensor<4>) -> Tensor<2> {
        let count = images.dims()[0];
        let features = (0..count).step_by(BATCH).map(|start| {
            let images = images.clone().slice(start..count.min(start + BATCH));
            match self {
                Self::Digits(judge) => judge.features(images),
                Self::Classifier(classifier) => classifier.features(images, SIGMA),
            }
        });
        Tensor::cat(features.collect(), 0)
    }
}
