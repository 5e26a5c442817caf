//! Why there are no settings for a run.

use std::{io, path::PathBuf};

use toml::Value;
use tweedie::models::ModelError;

use super::{data::DataName, presets::PresetName, table::Difference};

/// Why there are no settings for a run.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("--data {} needs --path DIR, the folder with its files", data.word())]
    PathMissing { data: DataName },
    #[error("{option} does not go with --data {}", data.word())]
    Unused {
        option: &'static str,
        data: DataName,
    },
    #[error("{option} does not go with a task of type {task}")]
    UnusedByTask {
        option: &'static str,
        task: &'static str,
    },
    #[error("images of --data {} have {expected:?} channel(s), the model takes {found}", data.word())]
    Channels {
        data: DataName,
        expected: &'static [usize],
        found: usize,
    },
    #[error(
        "the images of the data set are {own:?} (channels, height, width), the model takes {found:?}"
    )]
    Size { own: [usize; 3], found: [usize; 3] },
    #[error("images of a folder are square, the model takes {} x {}", size[0], size[1])]
    NotSquare { size: [usize; 2] },
    #[error(
        "the images of the data set are {} x {}, and can only be padded by the same number of pixels on each side: found \
         {} x {}", own[0], own[1], found[0], found[1]
    )]
    Border { own: [usize; 2], found: [usize; 2] },
    #[error("--data {} has no classes, and the network is told one of {classes}", data.word())]
    NoClasses { data: DataName, classes: usize },
    #[error("--data {} has {expected} classes, the network is told one of {found}", data.word())]
    Classes {
        data: DataName,
        expected: usize,
        found: usize,
    },
    #[error("{} lies in no subfolder of {}: there is one for each class", file.display(), folder.display())]
    NoClass { file: PathBuf, folder: PathBuf },
    #[error(
        "a class has the image {} alone, and of each class some are held out: expected at least 2 images",
        file.display()
    )]
    OneImage { file: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} is no TOML file: {source}", path.display())]
    Toml {
        path: PathBuf,
        source: toml::de::Error,
    },
    #[error("the settings cannot be written as TOML: {0}")]
    Unwritable(#[from] toml::ser::Error),
    #[error(
        "`task.autoencoder` of the settings is the folder of a trained autoencoder{}",
        shown(found)
    )]
    Autoencoder { found: Option<Value> },
    #[error(
        "the network sees {found} channels of another image beside its input, expected {expected}: those of the images with \
         `task.measurement`, 0 without"
    )]
    Measurement { expected: usize, found: usize },
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("in `{place}` of the settings: {message}")]
    Field { place: String, message: String },
    #[error("the settings have no table `{place}`{}", shown(found))]
    NoTable { place: String, found: Option<Value> },
    #[error("`task.type` of the settings must be one of {}{}", expected.join(", "), shown(found))]
    Task {
        found: Option<Value>,
        expected: &'static [&'static str],
    },
    #[error("there is no preset {found}, expected one of {}", PresetName::all())]
    Preset { found: Value },
    #[error("{} has made {made} steps already, asked for {asked}", folder.display())]
    Fewer {
        folder: PathBuf,
        asked: u64,
        made: u64,
    },
    #[error("--set {text}: expected KEY.PATH=VALUE, such as training.steps=500")]
    Assignment { text: String },
    #[error(
        "{} was recorded with other settings; only the steps and what is done every so many of them may change: {}",
        folder.display(), listed(differences)
    )]
    Resumed {
        folder: PathBuf,
        differences: Vec<Difference>,
    },
}

impl SettingsError {
    /// What TOML says of the table at `place`, with the path of the field as far as it is known.
    pub(super) fn field(place: &str, source: &toml::de::Error) -> Self {
        let text = source.to_string();
        let inner = text
            .lines()
            .find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
        Self::Field {
            place: match inner {
                Some(inner) => format!("{place}.{inner}"),
                None => place.to_owned(),
            },
            message: source.message().to_owned(),
        }
    }
}

fn shown(found: &Option<Value>) -> String {
    found
        .as_ref()
        .map_or_else(String::new, |value| format!(", found {value}"))
}

fn listed(differences: &[Difference]) -> String {
    let text = |value: &Option<Value>| match value {
        Some(value) => value.to_string(),
        None => "nothing".to_owned(),
    };
    let lines = differences.iter().map(
        |Difference {
             field,
             values: [recorded, asked],
         }| { format!("{field} is {}, asked for {}", text(recorded), text(asked)) },
    );
    lines.collect::<Vec<_>>().join("; ")
}
