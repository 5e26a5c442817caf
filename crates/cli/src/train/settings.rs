//! The settings of a run: a preset, a file, `--set` and the named options, in rising order of precedence.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::Serialize;
use toml::{Table, Value};
use tweedie::training::{CHECKPOINTS_FOLDER, Checkpoint, TrainingConfig};

use super::{
    arguments::Arguments,
    data::{DataConfig, DataName},
    error::SettingsError,
    options,
    presets::PresetName,
    table::{self, Difference},
    task::{TaskConfig, section},
};
use crate::{
    failure::{Failure, Outcome},
    measurement::MeasurementConfig,
};

/// Name of the file with the settings in the folder of a run.
pub(super) const RUN_FILE: &str = "run.toml";

/// On what measurements a network was trained, if that is recorded.
pub(crate) fn recorded_measurement(place: &Path) -> Outcome<Option<MeasurementConfig>> {
    Ok(match recorded_task(place)? {
        Some(TaskConfig::Diffusion(settings)) => settings.measurement,
        _ => None,
    })
}

/// How often the classes of a network's training were kept from it, if that is recorded.
pub(crate) fn recorded_label_dropout(place: &Path) -> Outcome<Option<f64>> {
    Ok(match recorded_task(place)? {
        Some(TaskConfig::Diffusion(settings)) => Some(settings.learning.label_dropout),
        Some(TaskConfig::Latent(settings)) => Some(settings.learning.label_dropout),
        _ => None,
    })
}

/// What a network has learnt that is in the folder of a run or in a checkpoint of one.
fn recorded_task(place: &Path) -> Outcome<Option<TaskConfig>> {
    let checkpoints = place
        .parent()
        .filter(|parent| parent.ends_with(CHECKPOINTS_FOLDER));
    let run = checkpoints.and_then(Path::parent);
    let mut folders = [Some(place), run].into_iter().flatten();
    let Some(folder) = folders.find(|folder| folder.join(RUN_FILE).exists()) else {
        return Ok(None);
    };
    Ok(Some(Settings::recorded(folder)?.task))
}

/// Everything that a run depends on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Settings {
    /// The network in whose features draws are scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) feature_network: Option<PathBuf>,
    pub(super) data: DataConfig,
    pub(super) task: TaskConfig,
    pub(super) training: TrainingConfig,
}

impl Settings {
    /// The settings that the arguments of a run ask for, on top of `base`; of a run that goes on from `checkpoint`, if from one.
    pub(super) fn asked(
        arguments: &Arguments,
        base: Table,
        checkpoint: Option<&Checkpoint>,
    ) -> Outcome<Self> {
        let mut table = base;
        for text in &arguments.set {
            table::lay(&mut table, assignment(text).map_err(Failure::usage)?);
        }
        options::take(&mut table, arguments).map_err(Failure::usage)?;
        let mut settings = Self::of(table).map_err(Failure::usage)?;
        settings.training.validate().map_err(Failure::usage)?;
        settings.task.validate().map_err(Failure::usage)?;
        settings.make_paths_absolute()?;
        settings
            .check_data(settings.task.shape(checkpoint)?)
            .map_err(Failure::usage)?;
        Ok(settings)
    }

    /// What the options are laid on: a file, on the preset that it or the command line names. A file without one stands alone.
    pub(super) fn base(arguments: &Arguments) -> Outcome<Table> {
        let Some(path) = &arguments.config else {
            return preset(arguments.preset.unwrap_or(PresetName::Phantoms)).map_err(Into::into);
        };
        let mut file = read(path).map_err(|error| match error {
            SettingsError::Toml { .. } => Failure::usage(error),
            _ => error.into(),
        })?;
        let of_file = file
            .remove("preset")
            .map(named)
            .transpose()
            .map_err(Failure::usage)?;
        let mut base = match arguments.preset.or(of_file) {
            Some(name) => preset(name)?,
            None => Table::new(),
        };
        table::lay(&mut base, file);
        Ok(base)
    }

    /// Reads a table, part by part, so that an error says where.
    pub(super) fn of(mut table: Table) -> Result<Self, SettingsError> {
        let mut part = |key: &str| match table.remove(key) {
            Some(Value::Table(inner)) => Ok(inner),
            found => Err(SettingsError::NoTable {
                place: key.to_owned(),
                found,
            }),
        };
        let (data, task) = (part("data")?, part("task")?);
        let training = match part("training") {
            Err(SettingsError::NoTable { found: None, .. }) => Table::new(),
            other => other?,
        };
        let feature_network = match table.remove("feature_network") {
            None => None,
            Some(Value::String(path)) => Some(path.into()),
            Some(found) => {
                return Err(SettingsError::Field {
                    place: "feature_network".to_owned(),
                    message: format!("expected a path, found {found}"),
                });
            }
        };
        if let Some((key, _)) = table.iter().next() {
            return Err(SettingsError::Field {
                place: key.clone(),
                message: "expected only `feature_network`, `data`, `task` and `training`, and in a file `preset`"
                    .to_owned(),
            });
        }
        Ok(Self {
            feature_network,
            data: section("data", data)?,
            task: TaskConfig::read(task)?,
            training: section("training", training)?,
        })
    }

    /// Reads the file of a run.
    pub(super) fn recorded(folder: &Path) -> Result<Self, SettingsError> {
        let path = folder.join(RUN_FILE);
        Self::of(read(&path)?)
    }

    /// As a table.
    pub(super) fn table(&self) -> Result<Table, SettingsError> {
        Ok(Table::try_from(self)?)
    }

    /// Writes [`RUN_FILE`] into a folder that exists; a file there is replaced in one step.
    pub(super) fn write(&self, folder: &Path) -> Result<(), SettingsError> {
        let path = folder.join(RUN_FILE);
        let draft = folder.join(format!("{RUN_FILE}.tmp"));
        fs::write(&draft, self.text()?)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|source| SettingsError::Write { path, source })
    }

    /// As the content of a file.
    pub(super) fn text(&self) -> Result<String, SettingsError> {
        Ok(toml::to_string(&self.table()?)?)
    }

    /// In what a resumed run would differ from its record beside what may: its length, what is done every so many steps, and scores
    /// where it had none.
    pub(super) fn forbidden_differences(
        &self,
        asked: &Self,
    ) -> Result<Vec<Difference>, SettingsError> {
        let mut found = table::differences(&self.table()?, &asked.table()?);
        found.retain(|Difference { field, values }| {
            let is_first = field == "feature_network" && values[0].is_none();
            !is_first
                && field != "training.steps"
                && !(field.starts_with("training.") && field.ends_with("_every"))
        });
        Ok(found)
    }

    fn check_data(&self, [channels, height, width]: [usize; 3]) -> Result<(), SettingsError> {
        let data = self.data.name();
        if !data.channels().contains(&channels) {
            return Err(SettingsError::Channels {
                data,
                expected: data.channels(),
                found: channels,
            });
        }
        if data == DataName::Folder && height != width {
            return Err(SettingsError::NotSquare {
                size: [height, width],
            });
        }
        match (self.task.classes(), data.classes()) {
            (Some(_), _) if data == DataName::Folder => Ok(()),
            (Some(classes), None) => Err(SettingsError::NoClasses { data, classes }),
            (Some(found), Some(expected)) if found != expected => Err(SettingsError::Classes {
                data,
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// So that the run can be resumed from another working folder.
    fn make_paths_absolute(&mut self) -> Result<(), SettingsError> {
        let paths = [
            self.data.path_mut(),
            self.task.path_mut(),
            self.feature_network.as_mut(),
        ];
        for path in paths.into_iter().flatten() {
            *path = std::path::absolute(&*path).map_err(|source| SettingsError::Read {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Table, SettingsError> {
    let text = fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.into(),
        source,
    })?;
    text.parse().map_err(|source| SettingsError::Toml {
        path: path.into(),
        source,
    })
}

fn preset(name: PresetName) -> Result<Table, SettingsError> {
    name.table()
        .map_err(|source| SettingsError::field("preset", &source))
}

fn named(found: Value) -> Result<PresetName, SettingsError> {
    let name = found
        .as_str()
        .and_then(|name| PresetName::from_str(name, false).ok());
    name.ok_or(SettingsError::Preset { found })
}

/// The table that `KEY.PATH=VALUE` stands for. What is no TOML value is a string: `data.type=mnist`.
fn assignment(text: &str) -> Result<Table, SettingsError> {
    let wrong = || SettingsError::Assignment {
        text: text.to_owned(),
    };
    let (path, value) = text.split_once('=').ok_or_else(wrong)?;
    let keys: Vec<&str> = path.trim().split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(wrong());
    }
    let value = value.trim();
    let parsed = format!("value = {value}").parse::<Table>().ok();
    let value = parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    Ok(table::nested(&keys, value))
}
