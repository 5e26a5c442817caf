//! The files of a model folder: a configuration with its version, and weights.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{EMA_FILE, ModelError, WEIGHTS_FILE};

#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// The content of `file` in `folder`.
pub(crate) fn read<T: DeserializeOwned>(
    folder: &Path,
    file: &'static str,
    format: u32,
) -> Result<T, ModelError> {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            return ModelError::NoModel {
                folder: folder.into(),
                expected: file,
            };
        }
        ModelError::Read {
            path: path.clone(),
            source,
        }
    })?;
    parse(&text, &path, format)
}

/// As [`read`], from the content of a file; `path` names it in errors.
pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    path: &Path,
    format: u32,
) -> Result<T, ModelError> {
    let invalid = |source| ModelError::Json {
        path: path.into(),
        source,
    };
    // The version first: another version may well have other fields.
    let Version { format: found } = serde_json::from_str(text).map_err(invalid)?;
    if found != format {
        return Err(ModelError::Format {
            path: path.into(),
            found,
            expected: format,
        });
    }
    serde_json::from_str(text).map_err(invalid)
}

/// Writes `file` into `folder`, which is made if it does not exist; a file there is replaced in one step.
pub(crate) fn write<T: Serialize>(
    value: &T,
    folder: &Path,
    file: &'static str,
) -> Result<(), ModelError> {
    let path = folder.join(file);
    let draft = folder.join(format!("{file}.tmp"));
    let text = serde_json::to_string_pretty(value).map_err(|source| ModelError::Json {
        path: path.clone(),
        source,
    })?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&draft, text + "\n"))
        .and_then(|()| fs::rename(&draft, &path))
        .map_err(|source| ModelError::Write { path, source })
}

/// The weights to infer with: the averaged ones, or else the last.
pub(crate) fn weights(folder: &Path) -> Result<PathBuf, ModelError> {
    [EMA_FILE, WEIGHTS_FILE]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| ModelError::NoModel {
            folder: folder.into(),
            expected: "ema.safetensors or weights.safetensors",
        })
}
