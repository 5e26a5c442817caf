//! Weights in safetensors files, in PyTorch's layout and names: `[out, in]` matrices, `weight` and `bias` of norms.
//!
//! A file is written beside its destination and renamed, so a reader never meets half of one. The tensors of a file are
//! compared with those of the network before any is loaded.

use std::{collections::BTreeMap, fs, path::Path};

use burn::{
    module::Module,
    store::{
        BurnToPyTorchAdapter, FloatCastAdapter, ModuleAdapter, ModuleSnapshot, ModuleStore,
        PyTorchToBurnAdapter, SafetensorsStore,
    },
    tensor::DType,
};

use crate::{Mismatch, ModelError};

/// Writes the weights of `module` to `path`, replacing a file there in one step.
///
/// The bytes depend on the weights alone.
///
/// # Errors
/// [`ModelError::Write`] when the file cannot be written, [`ModelError::WriteWeights`] when the weights cannot be read from
/// their device.
pub fn save_weights<M: Module>(module: &M, path: &Path) -> Result<(), ModelError> {
    let mut store = SafetensorsStore::from_bytes(None)
        .with_to_adapter(BurnToPyTorchAdapter)
        .clear_metadata()
        // What PyTorch's readers look for. A second entry would make the order of bytes random.
        .metadata("format", "pt");
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
        .map_err(|source| ModelError::Write {
            path: path.into(),
            source,
        })
}

/// Loads the weights in `path` into `module`. Half and double precision are converted to single.
///
/// # Errors
/// [`ModelError::Read`] when the file cannot be read, [`ModelError::Safetensors`] when it is damaged,
/// [`ModelError::Weights`] when its tensors are not exactly those of `module`; `module` is unchanged then.
pub fn load_weights<M: Module>(module: &mut M, path: &Path) -> Result<(), ModelError> {
    // Read whole: a memory map would crash the program if the file were cut while in use.
    let bytes = fs::read(path).map_err(|source| ModelError::Read {
        path: path.into(),
        source,
    })?;
    load_bytes(module, bytes, path)
}

/// As [`load_weights`], from the content of a file; `path` names it in errors.
pub(crate) fn load_bytes<M: Module>(
    module: &mut M,
    bytes: Vec<u8>,
    path: &Path,
) -> Result<(), ModelError> {
    let damaged = |source| ModelError::Safetensors {
        path: path.into(),
        source,
    };
    let mut store = SafetensorsStore::from_bytes(Some(bytes))
        .with_from_adapter(PyTorchToBurnAdapter.chain(FloatCastAdapter::to(DType::F32)));
    compare(module, &mut store, path)?;
    module.load_from(&mut store).map_err(damaged)?;
    Ok(())
}

fn compare<M: Module>(
    module: &M,
    store: &mut SafetensorsStore,
    path: &Path,
) -> Result<(), ModelError> {
    let found = store
        .get_all_tensors()
        .map_err(|source| ModelError::Safetensors {
            path: path.into(),
            source,
        })?;
    let expected: BTreeMap<_, _> = module
        .collect(None, Some(Box::new(BurnToPyTorchAdapter)), false)
        .into_iter()
        .map(|tensor| (tensor.name, tensor.shape))
        .collect();
    let unexpected: Vec<_> = found
        .keys()
        .filter(|name| !expected.contains_key(*name))
        .cloned()
        .collect();
    let (mut missing, mut mismatched) = (Vec::new(), Vec::new());
    for (name, shape) in expected {
        match found.get(&name) {
            None => missing.push(name),
            Some(tensor) if tensor.shape != shape || !tensor.dtype.is_float() => {
                mismatched.push(Mismatch {
                    name,
                    expected: shape.to_vec(),
                    found: tensor.shape.to_vec(),
                    dtype: tensor.dtype,
                });
            }
            Some(_) => {}
        }
    }
    if missing.is_empty() && unexpected.is_empty() && mismatched.is_empty() {
        return Ok(());
    }
    Err(ModelError::Weights {
        path: path.into(),
        missing,
        unexpected,
        mismatched,
    })
}
