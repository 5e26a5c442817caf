//! What `torch.save` writes: a zip archive of a pickle and raw storages, or before version 1.6 a sequence of pickles.
//!
//! The pickle is interpreted as data by `pytorch-reader`; no code of it is run.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use burn::tensor::{BoolStore, DType};
use pytorch_reader::{PytorchError, PytorchReader};
use zip::ZipArchive;

use super::{
    file::{Entry, Place},
    weigh::weigh,
};
use crate::{CheckpointProblem, ModelError};

/// How much larger than the file the entries of an archive may be. PyTorch does not compress them.
const EXPANSION: u64 = 2;

/// What the objects of the pickles may take in memory beyond the length of the file.
const OBJECTS: u64 = 64 << 20;

/// The same for each of the three numbers and dictionaries that come before the tensors in files before version 1.6.
const PREAMBLE: u64 = 1 << 20;

/// The most entries of an archive: PyTorch makes one for each tensor.
const ENTRIES: usize = 1 << 16;

/// The most bytes to be read for the directory of an archive, whose entries take several times as much in memory. PyTorch's have
/// some hundred bytes each.
const DIRECTORY: u64 = 128 * ENTRIES as u64;

/// The tensors of the file at `path`, of `length` bytes, by their names: the keys of nested dictionaries joined by dots.
pub(super) fn open(
    path: &Path,
    file: File,
    length: u64,
    is_zip: bool,
) -> Result<BTreeMap<String, Entry>, ModelError> {
    let damaged = |source| ModelError::Pytorch {
        path: path.into(),
        source: Box::new(source),
    };
    let problem = if is_zip {
        archive_problem(file, length)
    } else {
        sequence_problem(file, length)
    };
    if let Some(problem) = problem.map_err(damaged)? {
        return Err(ModelError::Checkpoint {
            path: path.into(),
            problem,
        });
    }
    let tensors = PytorchReader::new(path).map_err(damaged)?.into_tensors();
    Ok(tensors
        .into_iter()
        .map(|(name, tensor)| {
            let entry = Entry {
                shape: tensor.shape().to_vec(),
                dtype: element(tensor.dtype()),
                place: Place::Pytorch(tensor),
            };
            (name, entry)
        })
        .collect())
}

/// Why a zip archive is not to be read.
fn archive_problem(file: File, length: u64) -> Result<Option<CheckpointProblem>, PytorchError> {
    let left = Cell::new(DIRECTORY);
    let reader = Metered { file, left: &left };
    let mut archive = match ZipArchive::new(BufReader::new(reader)) {
        Ok(archive) if archive.len() <= ENTRIES => archive,
        Err(error) if left.get() > 0 => return Err(error.into()),
        _ => return Ok(Some(CheckpointProblem::Objects { length })),
    };
    left.set(u64::MAX);
    let mut bytes = 0_u64;
    let mut pickles = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index)?;
        bytes = bytes.saturating_add(entry.size());
        let name = entry.name()?;
        if name.split('/').nth(1) == Some("code") {
            return Ok(Some(CheckpointProblem::TorchScript));
        }
        if name.ends_with("data.pkl") {
            pickles.push(index);
        }
    }
    if bytes > length.saturating_mul(EXPANSION) {
        return Ok(Some(CheckpointProblem::Expands { bytes, length }));
    }
    let limit = length.saturating_add(OBJECTS);
    for index in pickles {
        let mut pickle = BufReader::new(archive.by_index(index)?);
        if weigh(&mut pickle, limit)? > limit {
            return Ok(Some(CheckpointProblem::Objects { length }));
        }
    }
    Ok(None)
}

/// A file of which only so many bytes are read.
struct Metered<'a> {
    file: File,
    left: &'a Cell<u64>,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.get().saturating_sub(read as u64);
        self.left.set(left);
        if left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}

impl Seek for Metered<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Why a sequence of pickles is not to be read: three for the version and the machine, the saved object, the names of its
/// storages.
fn sequence_problem(
    mut file: File,
    length: u64,
) -> Result<Option<CheckpointProblem>, PytorchError> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let limit = length.saturating_add(OBJECTS);
    for limit in [PREAMBLE, PREAMBLE, PREAMBLE, limit, limit] {
        if weigh(&mut reader, limit)? > limit {
            return Ok(Some(CheckpointProblem::Objects { length }));
        }
    }
    Ok(None)
}

fn element(dtype: pytorch_reader::DType) -> DType {
    use pytorch_reader::DType as Theirs;
    match dtype {
        Theirs::F64 => DType::F64,
        Theirs::F32 => DType::F32,
        Theirs::F16 => DType::F16,
        Theirs::BF16 => DType::BF16,
        Theirs::I64 => DType::I64,
        Theirs::I32 => DType::I32,
        Theirs::I16 => DType::I16,
        Theirs::I8 => DType::I8,
        Theirs::U64 => DType::U64,
        Theirs::U32 => DType::U32,
        Theirs::U16 => DType::U16,
        Theirs::U8 => DType::U8,
        Theirs::Bool => DType::Bool(BoolStore::Native),
    }
}
