//! The header of a safetensors file: its length in 8 bytes, then names, shapes and places of the tensors as JSON.
//!
//! <https://github.com/huggingface/safetensors#format>

use std::{collections::BTreeMap, path::Path};

use burn::tensor::{BoolStore, DType};
use safetensors::{Dtype, SafeTensorError, tensor::Metadata};

use super::{
    CONFIG_KEY,
    file::{Entry, Place, Source},
};
use crate::{CheckpointProblem, ModelError};

/// Length of the number that a file begins with.
const PREFIX: u64 = 8;

/// A header takes several times its length in memory. Those of published networks have a hundred thousand bytes; the format's
/// reference implementation takes a hundred million.
const LONGEST: u64 = 4 << 20;

pub(super) struct Header {
    pub(super) tensors: BTreeMap<String, Entry>,
    pub(super) config: Option<String>,
}

/// Reads the header of a file of `length` bytes and compares it with that length.
pub(super) fn header(path: &Path, source: &mut Source, length: u64) -> Result<Header, ModelError> {
    let (start, metadata) = metadata(path, source, length)?;
    let mut tensors = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let Some(dtype) = element(info.dtype) else {
            return Err(ModelError::Checkpoint {
                path: path.into(),
                problem: CheckpointProblem::Elements {
                    name,
                    found: info.dtype,
                },
            });
        };
        let entry = Entry {
            shape: info.shape.clone(),
            dtype,
            place: Place::At(start + info.data_offsets.0 as u64),
        };
        tensors.insert(name, entry);
    }
    let carried = metadata.metadata().as_ref();
    Ok(Header {
        tensors,
        config: carried.and_then(|entries| entries.get(CONFIG_KEY).cloned()),
    })
}

/// The header, and where the bytes of the tensors begin.
fn metadata(path: &Path, source: &mut Source, length: u64) -> Result<(u64, Metadata), ModelError> {
    let damaged = |source| ModelError::Safetensors {
        path: path.into(),
        source,
    };
    let mut read = |start, length| {
        source
            .read(start, length)
            .map_err(|source| ModelError::Read {
                path: path.into(),
                source,
            })
    };
    if length < PREFIX {
        return Err(damaged(SafeTensorError::HeaderTooSmall));
    }
    let prefix = read(0, PREFIX as usize)?;
    let size = prefix
        .iter()
        .rev()
        .fold(0_u64, |size, &byte| size << 8 | u64::from(byte));
    if size > LONGEST {
        return Err(damaged(SafeTensorError::HeaderTooLarge));
    }
    let start = PREFIX + size;
    if start > length {
        return Err(damaged(SafeTensorError::InvalidHeaderLength));
    }
    let text = read(PREFIX, size as usize)?;
    let metadata: Metadata = serde_json::from_slice(&text)
        .map_err(|source| damaged(SafeTensorError::InvalidHeaderDeserialization(source)))?;
    if start.checked_add(metadata.data_len() as u64) != Some(length) {
        return Err(damaged(SafeTensorError::MetadataIncompleteBuffer));
    }
    Ok((start, metadata))
}

fn element(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool(BoolStore::Native),
        _ => return None,
    })
}
