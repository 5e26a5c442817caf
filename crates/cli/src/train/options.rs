//! The named options of `train`, put into the table of its settings.

use toml::{Table, Value};
use tweedie::models::{Architecture, UNetConfig};

use super::{
    arguments::{Arguments, DataArguments, ModelArguments, TrainingArguments},
    data::DataName,
    error::SettingsError,
    names::ChannelsName,
    table::{get, set},
};

/// Where a task keeps the size of its images.
const SIZE: [&str; 3] = ["task", "model", "image_size"];

/// Where a task keeps their channels.
fn channels_path(table: &Table) -> &'static [&'static str] {
    match task(table) {
        Some("classifier") => &["task", "model", "architecture", "encoder", "channels"],
        _ => &["task", "model", "architecture", "channels"],
    }
}

fn task(table: &Table) -> Option<&str> {
    get(table, &["task", "type"])?.as_str()
}

/// Puts all options that were given over the settings.
pub(super) fn take(table: &mut Table, arguments: &Arguments) -> Result<(), SettingsError> {
    take_data(table, &arguments.data)?;
    take_model(table, &arguments.model)?;
    if let Some(path) = &arguments.feature_network {
        set(table, &["feature_network"], path.display().to_string());
    }
    take_training(table, &arguments.training)
}

fn take_data(table: &mut Table, given: &DataArguments) -> Result<(), SettingsError> {
    let recorded = get(table, &["data", "type"]).and_then(Value::as_str);
    let recorded = recorded.and_then(DataName::of_type);
    if let Some(name) = given.data
        && Some(name) != recorded
    {
        set(table, &["data", "type"], name.type_name());
        let [channels, height, width] = name.usual_shape();
        set_channels(table, channels)?;
        set_size(table, [height, width])?;
    }
    // Of an unknown data set its own error tells.
    let Some(data) = given.data.or(recorded) else {
        return Ok(());
    };
    if let Some(path) = &given.path {
        if !data.has_files() {
            return Err(SettingsError::Unused {
                option: "--path",
                data,
            });
        }
        set(table, &["data", "path"], path.display().to_string());
    }
    if data.has_files() && get(table, &["data", "path"]).is_none() {
        return Err(SettingsError::PathMissing { data });
    }
    if task(table) == Some("latent") {
        let options = [
            ("--size", given.size.is_some()),
            ("--channels", given.channels.is_some()),
        ];
        if let Some((option, _)) = options.into_iter().find(|(_, is_given)| *is_given) {
            return Err(SettingsError::UnusedByTask {
                option,
                task: "latent",
            });
        }
    }
    if let Some(size) = given.size.map(usize::from) {
        set_size(table, [size, size])?;
    }
    take_folder(table, given, data)
}

fn take_folder(
    table: &mut Table,
    given: &DataArguments,
    data: DataName,
) -> Result<(), SettingsError> {
    let options = [
        ("--channels", given.channels.is_some()),
        ("--resize", given.resize.is_some()),
        ("--crop", given.crop.is_some()),
        ("--flip", given.flip),
    ];
    if data != DataName::Folder {
        return match options.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(SettingsError::Unused { option, data }),
            None => Ok(()),
        };
    }
    if let Some(channels) = given.channels {
        let channels = match channels {
            ChannelsName::Grey => 1,
            ChannelsName::Rgb => 3,
        };
        set_channels(table, channels)?;
    }
    if let Some(resize) = given.resize {
        set(table, &["data", "resize"], Value::try_from(resize)?);
    }
    if let Some(crop) = given.crop {
        let crop: tweedie::data::Crop = crop.into();
        set(table, &["data", "crop"], Value::try_from(crop)?);
    }
    if given.flip {
        set(table, &["data", "horizontal_flip"], true);
    }
    Ok(())
}

fn take_model(table: &mut Table, given: &ModelArguments) -> Result<(), SettingsError> {
    if let Some(name) = &given.network {
        take_network(table, UNetConfig::preset(name)?)?;
    }
    if let Some(name) = given.parametrisation {
        let parametrisation: tweedie::core::Parametrisation = name.into();
        set(
            table,
            &["task", "model", "parametrisation"],
            Value::try_from(parametrisation)?,
        );
    }
    if let Some(name) = given.schedule {
        let (schedule, label) = name.config();
        set(
            table,
            &["task", "model", "schedule"],
            Value::try_from(schedule)?,
        );
        set(table, &["task", "model", "label"], Value::try_from(label)?);
    }
    Ok(())
}

/// Puts a U-Net in the place of the network. What the data say of it stays.
fn take_network(table: &mut Table, network: UNetConfig) -> Result<(), SettingsError> {
    let (place, mut network) = match task(table) {
        Some("autoencoder") => {
            return Err(SettingsError::UnusedByTask {
                option: "--network",
                task: "autoencoder",
            });
        }
        Some("classifier") => {
            let place: &[&str] = &["task", "model", "architecture", "encoder"];
            (place, Table::try_from(&network)?)
        }
        _ => {
            let place: &[&str] = &["task", "model", "architecture"];
            (place, Table::try_from(Architecture::UNet(network))?)
        }
    };
    if let Some(Value::Table(before)) = get(table, place) {
        for key in ["channels", "classes", "condition_channels"] {
            if let Some(value) = before.get(key) {
                network.insert(key.to_owned(), value.clone());
            }
        }
    }
    set(table, place, Value::Boolean(false));
    set(table, place, network);
    Ok(())
}

fn take_training(table: &mut Table, given: &TrainingArguments) -> Result<(), SettingsError> {
    if let Some(name) = given.loss {
        let distance: tweedie::training::Distance = name.into();
        if get(table, &["task", "objective"]).is_none() {
            set(table, &["task", "objective", "type"], "denoising");
        }
        set(
            table,
            &["task", "objective", "distance"],
            Value::try_from(distance)?,
        );
    }
    macro_rules! put {
        ($($field:ident),*) => {
            $(if let Some(value) = &given.$field {
                let found = Value::try_from(value).map_err(|_| SettingsError::Field {
                    place: concat!("training.", stringify!($field)).to_owned(),
                    message: format!("expected at most {}, found {value:?}", i64::MAX),
                })?;
                set(table, &["training", stringify!($field)], found);
            })*
        };
    }
    put!(
        steps,
        batch_size,
        accumulate,
        learning_rate,
        warmup_steps,
        weight_decay,
        clip_norm,
        ema_decays,
        seed,
        validate_every,
        patience,
        sample_every,
        checkpoint_every
    );
    if let Some(name) = given.precision {
        let precision: tweedie::models::Precision = name.into();
        set(
            table,
            &["training", "precision"],
            Value::try_from(precision)?,
        );
    }
    if let Some(name) = given.learning_rate_decay {
        let decay: tweedie::training::LearningRateDecay = name.into();
        set(
            table,
            &["training", "learning_rate_decay"],
            Value::try_from(decay)?,
        );
    }
    Ok(())
}

/// Of a model of latents the autoencoder knows the shape of the images.
fn set_size(table: &mut Table, size: [usize; 2]) -> Result<(), SettingsError> {
    if task(table) != Some("latent") {
        set(table, &SIZE, Value::try_from(size)?);
    }
    Ok(())
}

fn set_channels(table: &mut Table, channels: usize) -> Result<(), SettingsError> {
    if task(table) != Some("latent") {
        set(table, channels_path(table), Value::try_from(channels)?);
    }
    Ok(())
}
