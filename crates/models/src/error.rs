//! Why a network cannot be made, or a model folder cannot be read or written.

mod words;

use std::{fmt, io, path::PathBuf};

use burn::{
    store::SafetensorsStoreError,
    tensor::{DType, Device},
};
use pytorch_reader::PytorchError;
use safetensors::SafeTensorError;
use tweedie_core::ScheduleError;

use crate::{Architecture, Pixels, Precision};
use words::{classes, cut_archive, cut_tensors, differences, json, shapes, shortened};

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
    #[error("{field} must name at least one level, found none")]
    NoLevels {
        /// Name of the field that lists them.
        field: &'static str,
    },
    /// The time embedding pairs sines with cosines.
    #[error("base_channels must be even and at least 4, found {found}")]
    BaseChannels {
        /// Its value.
        found: usize,
    },
    /// A level's channels cannot be shared out evenly.
    #[error("{field} ({divisor}) must divide the {channels} channels of level {level}")]
    Indivisible {
        /// `groups`, `heads` or `head_channels`.
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
    /// A class that the network was not made for.
    #[error(
        "the classes of the network are counted from 0 and number {classes}, found class {found}"
    )]
    Class {
        /// The class asked for.
        found: usize,
        /// How many there are.
        classes: usize,
    },
    /// A network that hears no class is told one.
    #[error("the network is told no classes, and cannot draw one of them")]
    NoClasses,
    /// A network meets another image beside its input than it was made for.
    #[error(
        "the network sees an image of {expected} channel(s) beside its input, found one of {found} (0: none)"
    )]
    Condition {
        /// Channels that it sees.
        expected: usize,
        /// Channels of the image.
        found: usize,
    },
    /// A network for one size only meets another.
    #[error("the network takes images of {expected} x {expected} only, found {height} x {width}")]
    OnlySize {
        /// Height and width that it takes.
        expected: usize,
        /// Height of the image.
        height: usize,
        /// Width of the image.
        width: usize,
    },
    /// A diffusion model is not one of an autoencoder's latents.
    #[error(
        "the latents of the autoencoder are {expected:?} (channels, height, width), the network takes {found:?}"
    )]
    Latents {
        /// Shape of the latents.
        expected: [usize; 3],
        /// What the model's configuration says.
        found: [usize; 3],
    },
    /// Latents are in no range that could be mapped.
    #[error("pixels must be \"unit\" for a network of latents, found {found:?}")]
    LatentPixels {
        /// What the model's configuration says.
        found: Pixels,
    },
    /// A model of latents is asked for images.
    #[error(
        "{} is a diffusion of the latents of an autoencoder, expected one of images",
        folder.display()
    )]
    OfLatents {
        /// Its folder.
        folder: PathBuf,
    },
    /// A device does not compute in the precision asked for.
    #[error("{device:?} does not compute in {precision}")]
    Precision {
        /// The precision asked for.
        precision: Precision,
        /// The device.
        device: Box<Device>,
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
    /// A configuration of another program describes what does not exist here.
    #[error("{}: {field} is {found}, expected {expected}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Name of the field.
        field: String,
        /// Its value as JSON.
        found: String,
        /// What it may be.
        expected: String,
    },
    /// A configuration is of another version of its form than what is written here.
    #[error("format must be {expected}, found {found}")]
    OtherFormat {
        /// Version found.
        found: u32,
        /// The one that there is.
        expected: u32,
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
    /// A file is no checkpoint.
    #[error("{} {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: CheckpointProblem,
    },
    /// A file of PyTorch is damaged, or holds what cannot be read.
    #[error("{} is not a readable PyTorch file{}: {}", path.display(), cut_archive(source), shortened(source))]
    Pytorch {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<PytorchError>,
    },
    /// A weights file is damaged, or not safetensors.
    #[error("{} is not a readable safetensors file{}: {}", path.display(), cut_tensors(source), shortened(source))]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: SafeTensorError,
    },
    /// No published network has this name.
    #[error("no network is called {found:?}; there are {}", expected.join(", "))]
    UnknownName {
        /// The name asked for.
        found: String,
        /// The names that exist.
        expected: Vec<&'static str>,
    },
    /// A checkpoint is of no network that is known.
    #[error(
        "{} is a checkpoint of no known network; its {} tensors begin with {}; known are {}",
        path.display(),
        tensors.len(),
        shapes(tensors),
        expected.join(", ")
    )]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// Names and shapes of its tensors, by name.
        tensors: Vec<(String, Vec<usize>)>,
        /// Names of the published networks.
        expected: Vec<&'static str>,
    },
    /// A checkpoint is of another network than asked for.
    #[error(
        "{} is a checkpoint of the network {}, but {name:?} was asked for, which is {}",
        path.display(),
        json(found),
        json(expected)
    )]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// What its tensors say.
        found: Box<Architecture>,
        /// The name asked for.
        name: String,
        /// The network of that name.
        expected: Box<Architecture>,
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
        "the weights in {} belong to another network: {}{}",
        path.display(),
        differences(missing, unexpected, mismatched),
        classes(unexpected)
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

/// What a file is that should be a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointProblem {
    /// A folder.
    #[error("is a folder, expected a file")]
    Folder,
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// What a repository holds in place of a large file.
    #[error(
        "is a git LFS pointer, not the file that it stands for: fetch that with `git lfs pull`"
    )]
    LfsPointer,
    /// A page of a web site.
    #[error("is a web page, not a checkpoint: the download went wrong")]
    WebPage,
    /// A program and its weights.
    #[error(
        "is a TorchScript archive, which holds a program: save the network's state_dict() with torch.save instead"
    )]
    TorchScript,
    /// The container of PyTorch before version 0.1.10.
    #[error("is a tar archive, expected a zip archive or a pickle of PyTorch, or safetensors")]
    Tar,
    /// Python objects without tensors.
    #[error("is a pickle that was not written by torch.save, so it holds no tensors")]
    PlainPickle,
    /// None of them.
    #[error(
        "is of an unknown kind: it begins with {}, expected a .pth or .pt file of PyTorch, or safetensors",
        first.escape_ascii()
    )]
    Unknown {
        /// Its first bytes.
        first: Vec<u8>,
    },
    /// No tensors.
    #[error("holds no tensors")]
    NoTensors,
    /// A pickle with more objects, or an archive with more entries, than a checkpoint of its size has.
    #[error("holds more objects than can be read safely in a file of {length} bytes")]
    Objects {
        /// Length of the file.
        length: u64,
    },
    /// An archive that grows when read.
    #[error(
        "is a compressed archive of {bytes} bytes in a file of {length}, which is not read: PyTorch does not compress"
    )]
    Expands {
        /// Length of its content.
        bytes: u64,
        /// Length of the file.
        length: u64,
    },
    /// A tensor larger than the file.
    #[error("declares {name} to be of {bytes} bytes, but the file has {length}")]
    Oversized {
        /// Name of the tensor.
        name: String,
        /// Its length.
        bytes: u64,
        /// Length of the file.
        length: u64,
    },
    /// Numbers of a kind that is not read.
    #[error("holds {name} in numbers of type {found}, which are not read")]
    Elements {
        /// Name of the tensor.
        name: String,
        /// Type of its elements.
        found: safetensors::Dtype,
    },
    /// The network of the configuration that a file carries has more layers than the file.
    #[error(
        "carries the configuration of a network of at least {needed} tensors, but holds {found}"
    )]
    Layers {
        /// Fewer than the network has.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// The configuration that a file carries is out of proportion to its tensors.
    #[error("carries a configuration with {field} = {found}, which no tensor in it has")]
    Configuration {
        /// Name of the field.
        field: String,
        /// Its value.
        found: u64,
    },
}
