//! Why a network cannot be made, or a model folder cannot be read or written.

use std::{fmt, io, path::PathBuf};

use burn::{store::SafetensorsStoreError, tensor::DType};
use tweedie_core::ScheduleError;

/// What was found, what was expected, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A number of the configuration that counts something is zero.
    #[error("{field} must be at least 1, found 0")]
    Zero {
        /// Name of the field.
        field: &'static str,
    },
    /// No level at all.
    #[error("channel_multipliers must name at least one level, found none")]
    NoLevels,
    /// No level of a DRUNet at all.
    #[error("widths must name at least one level, found none")]
    NoWidths,
    /// The time embedding pairs sines with cosines.
    #[error("base_channels must be even and at least 4, found {found}")]
    BaseChannels {
        /// Its value.
        found: usize,
    },
    /// A level's channels cannot be shared out evenly.
    #[error("{field} ({divisor}) must divide the {channels} channels of level {level}")]
    Indivisible {
        /// `groups` or `heads`.
        field: &'static str,
        /// Its value.
        divisor: usize,
        /// Channels of the level.
        channels: usize,
        /// The level, from 0 at full resolution.
        level: usize,
    },
    /// Attention is asked for where no level is.
    #[error("attention_levels names level {found}, but the levels are 0 to {last}")]
    AttentionLevel {
        /// The level asked for.
        found: usize,
        /// The last level.
        last: usize,
    },
    /// A real number of the configuration is out of its range.
    #[error("{field} must be {expected}, found {found}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// No preset has this name.
    #[error("no preset is called {found:?}; there are {}", expected.join(", "))]
    UnknownPreset {
        /// The name asked for.
        found: String,
        /// The names that exist.
        expected: &'static [&'static str],
    },
    /// An image has another number of channels than the network.
    #[error("the network takes images of {expected} channel(s), found {found}")]
    Channels {
        /// Channels of the network.
        expected: usize,
        /// Channels of the image.
        found: usize,
    },
    /// An image's size does not suit the network.
    #[error(
        "the network takes heights and widths that are positive multiples of {multiple}, found {height} x {width}"
    )]
    Size {
        /// What both must be divisible by.
        multiple: usize,
        /// Height of the image.
        height: usize,
        /// Width of the image.
        width: usize,
    },
    /// The schedule of the configuration is invalid.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A file of a model folder does not exist.
    #[error("{} is no model folder: it has no {expected}", folder.display())]
    NoModel {
        /// The folder.
        folder: PathBuf,
        /// The file, or files, that it should hold.
        expected: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A model file is not JSON, or not a model configuration.
    #[error("{} is not a valid model configuration: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// A model file was written in another version of the format.
    #[error("{} has format {found}, but only format {expected} can be read", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Version that can be read.
        expected: u32,
    },
    /// A weights file is damaged, or not safetensors.
    #[error("{} is not a readable safetensors file: {source}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: SafetensorsStoreError,
    },
    /// Weights cannot be brought into the form of a file.
    #[error("cannot make the weights file {}: {source}", path.display())]
    WriteWeights {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: SafetensorsStoreError,
    },
    /// The tensors of a weights file are not those of the network.
    #[error(
        "the weights in {} belong to another network: {}",
        path.display(),
        differences(missing, unexpected, mismatched)
    )]
    Weights {
        /// The file.
        path: PathBuf,
        /// Tensors of the network that the file lacks.
        missing: Vec<String>,
        /// Tensors of the file that the network lacks.
        unexpected: Vec<String>,
        /// Tensors of another shape or type.
        mismatched: Vec<Mismatch>,
    },
}

/// A tensor of a weights file that does not fit the network's tensor of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Its name.
    pub name: String,
    /// Shape that the network needs, of any float type.
    pub expected: Vec<usize>,
    /// Shape found.
    pub found: Vec<usize>,
    /// Element type found.
    pub dtype: DType,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (expected {:?} of floats, found {:?} of {:?})",
            self.name, self.expected, self.found, self.dtype
        )
    }
}

fn differences(missing: &[String], unexpected: &[String], mismatched: &[Mismatch]) -> String {
    let mismatched: Vec<_> = mismatched.iter().map(Mismatch::to_string).collect();
    [
        ("missing", missing),
        ("unexpected", unexpected),
        ("of another shape or type", &mismatched),
    ]
    .iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| format!("{} {what}: {}", names.len(), listed(names)))
    .collect::<Vec<_>>()
    .join("; ")
}

/// The first names, so that a message stays readable when a whole network is missing; the error's fields hold them all.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        format!("{text}, ...")
    } else {
        text
    }
}
