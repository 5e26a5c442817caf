//! Weights in safetensors files, in PyTorch's layout and names: `[out, in]` matrices, `weight` and `bias` of norms.
//!
//! A file is written beside its destination and renamed, so a reader never meets half of one. The tensors of a file are
//! compared with those of the network before any is loaded.

use std::{fs, path::Path};

use burn::{
    module::Module,
    store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore},
};

use crate::{
    ModelError,
    import::{Checkpoint, load_module},
};

/// Writes the weights of `module` to `path`, replacing a file there in one step.
///
/// The bytes depend on the weights alone.
///
/// # Errors
/// [`ModelError::Write`] when the file cannot be written, [`ModelError::WriteWeights`] when the weights cannot be read from
/// their device.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), ModelError> {
    // What PyTorch's readers look for.
    save_with(module, path, "format", "pt")
}

/// As [`save_weights`], with one entry of metadata.
pub(crate) fn save_with<M: Module>(
    module: &M,
    path: &Path,
    key: &str,
    value: &str,
) -> Result<(), ModelError> {
    let mut store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(BurnToPyTorchAdapter)
        .skip_enum_variants(true)
        .clear_metadata()
        // A second entry would make the order of bytes random.
        .metadata(key, value);
    let bytes = module
        .save_into(&mut store)
        .and_then(|()| store.get_bytes())
        .map_err(|source| ModelError::WriteWeights {
            path: path.into(),
            source,
        })?;
    // Not by the store itself, whose files only their owner can read.
    let draft = path.with_added_extension("tmp");
    fs::write(&draft, bytes)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(|source| {
            // What there is of it is of no use; that it cannot be removed is not what went wrong.
            let _ = fs::remove_file(&draft);
            ModelError::Write {
                path: path.into(),
                source,
            }
        })
}

/// Loads the weights in `path` into `module`. Half and double precision are converted to single.
///
/// # Errors
/// [`ModelError::Read`] when the file cannot be read, [`ModelError::Safetensors`] when it is damaged,
/// [`ModelError::Weights`] when its tensors are not exactly those of `module`; `module` is unchanged then.
pub fn load_weights<M: Module>(module: &mut M, path: &Path) -> Result<(), ModelError> {
    load_module(module, &Checkpoint::open_safetensors(path)?)
}

/// Loads the tensors of a checkpoint file of any kind that [`import`](crate::import()) reads into a `module` whose paths are their
/// names. For networks that are no [`Architecture`](crate::Architecture): judges of samples, for one.
///
/// # Errors
/// As [`import`](crate::import()); [`ModelError::Weights`] when the tensors are not exactly those of `module`, but for PyTorch's
/// counters `num_batches_tracked`; `module` is unchanged then.
pub fn load_checkpoint<M: Module>(module: &mut M, path: &Path) -> Result<(), ModelError> {
    load_module(module, &Checkpoint::open(path)?)
}

/// As [`load_weights`], from the content of a file; `path` names it in errors.
pub(crate) fn load_bytes<M: Module>(
    module: &mut M,
    bytes: &[u8],
    path: &Path,
) -> Result<(), ModelError> {
    load_module(module, &Checkpoint::from_bytes(bytes, path)?)
}
