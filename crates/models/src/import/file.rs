//! A checkpoint opened: the names, shapes and element types of its tensors, and their bytes when asked for.
//!
//! What kind of file it is is told by its first bytes, not by its name. Nothing of it is executed, and only one tensor at a
//! time is held in memory.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use burn::tensor::{DType, TensorData};

use super::{pytorch, safetensors};
use crate::{CheckpointProblem, ModelError};

/// Bytes that tell what kind of file it is; also what an error shows of a file of an unknown kind.
const HEAD: usize = 512;

/// How much larger than the file its tensors may be: a container may be compressed a little, a tensor be stored once and
/// named twice.
const EXPANSION: u64 = 2;

/// The tensors of a file.
pub(crate) struct Checkpoint<'a> {
    path: &'a Path,
    pub(crate) tensors: BTreeMap<String, Entry>,
    /// The configuration that a file of ours carries, as JSON.
    pub(crate) config: Option<String>,
    source: RefCell<Source<'a>>,
}

/// What is known of a tensor before it is read.
pub(crate) struct Entry {
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
    pub(super) place: Place,
}

/// Where the bytes of a tensor are.
pub(super) enum Place {
    /// A reader of PyTorch's containers knows.
    Pytorch(pytorch_reader::Tensor),
    /// From this byte of the file on.
    At(u64),
}

/// What the tensors at a [`Place::At`] are read from.
pub(super) enum Source<'a> {
    File(File),
    Memory(&'a [u8]),
    /// Nothing is.
    Elsewhere,
}

impl Source<'_> {
    pub(super) fn read(&mut self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            // No memory map: it would crash the program if the file were cut while in use.
            Self::File(file) => {
                let mut bytes = vec![0; length];
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
            Self::Memory(bytes) => usize::try_from(start)
                .ok()
                .and_then(|start| bytes.get(start..)?.get(..length))
                .map(<[u8]>::to_vec)
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
            Self::Elsewhere => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

impl<'a> Checkpoint<'a> {
    /// Opens a file of any kind that is read.
    pub(crate) fn open(path: &'a Path) -> Result<Self, ModelError> {
        let unreadable = |source| ModelError::Read {
            path: path.into(),
            source,
        };
        let refused = |problem| ModelError::Checkpoint {
            path: path.into(),
            problem,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let facts = file.metadata().map_err(unreadable)?;
        if facts.is_dir() {
            return Err(refused(CheckpointProblem::Folder));
        }
        let mut head = Vec::with_capacity(HEAD);
        (&mut file)
            .take(HEAD as u64)
            .read_to_end(&mut head)
            .map_err(unreadable)?;
        let length = facts.len();
        match Kind::of(&head).map_err(refused)? {
            Kind::Safetensors => Self::safetensors(path, Source::File(file), length),
            kind => {
                let tensors = pytorch::open(path, file, length, kind == Kind::Zip)?;
                Self::checked(path, tensors, None, Source::Elsewhere, length)
            }
        }
    }

    /// Opens a safetensors file.
    pub(crate) fn open_safetensors(path: &'a Path) -> Result<Self, ModelError> {
        let unreadable = |source| ModelError::Read {
            path: path.into(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        Self::safetensors(path, Source::File(file), length)
    }

    /// The content of a safetensors file; `path` names it in errors.
    pub(crate) fn from_bytes(bytes: &'a [u8], path: &'a Path) -> Result<Self, ModelError> {
        Self::safetensors(path, Source::Memory(bytes), bytes.len() as u64)
    }

    fn safetensors(
        path: &'a Path,
        mut source: Source<'a>,
        length: u64,
    ) -> Result<Self, ModelError> {
        let header = safetensors::header(path, &mut source, length)?;
        Self::checked(path, header.tensors, header.config, source, length)
    }

    fn checked(
        path: &'a Path,
        tensors: BTreeMap<String, Entry>,
        config: Option<String>,
        source: Source<'a>,
        length: u64,
    ) -> Result<Self, ModelError> {
        // A view of PyTorch's with a stride of 0 can declare any size.
        let largest = length.saturating_mul(EXPANSION);
        let problem = match tensors.iter().find(|(_, entry)| entry.bytes() > largest) {
            Some((name, entry)) => CheckpointProblem::Oversized {
                name: name.clone(),
                bytes: entry.bytes(),
                length,
            },
            None if tensors.is_empty() => CheckpointProblem::NoTensors,
            None => {
                return Ok(Self {
                    path,
                    tensors,
                    config,
                    source: RefCell::new(source),
                });
            }
        };
        Err(ModelError::Checkpoint {
            path: path.into(),
            problem,
        })
    }

    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// The values of a tensor in single precision, in row-major order.
    ///
    /// # Panics
    /// If there is no tensor of this name.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let entry = &self.tensors[name];
        let bytes = match &entry.place {
            Place::Pytorch(tensor) => tensor.read(),
            Place::At(start) => {
                let length = entry.bytes() as usize;
                self.source.borrow_mut().read(*start, length)
            }
        };
        let bytes = bytes.map_err(|source| ModelError::Read {
            path: self.path.into(),
            source,
        })?;
        let data = TensorData::from_bytes_vec(bytes, entry.shape.clone(), entry.dtype);
        Ok(data.iter::<f32>().collect())
    }
}

impl Entry {
    pub(super) fn elements(&self) -> u64 {
        elements(&self.shape)
    }

    /// Length of the tensor in bytes.
    fn bytes(&self) -> u64 {
        self.elements().saturating_mul(self.dtype.size() as u64)
    }
}

/// How many numbers a tensor has.
pub(super) fn elements(shape: &[usize]) -> u64 {
    if shape.contains(&0) {
        return 0;
    }
    shape
        .iter()
        .fold(1, |product: u64, &axis| product.saturating_mul(axis as u64))
}

/// What the first bytes of a file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zip,
    Legacy,
    Safetensors,
}

impl Kind {
    fn of(head: &[u8]) -> Result<Self, CheckpointProblem> {
        /// The number that PyTorch's files before version 1.6 begin with, as bytes and in digits.
        const MAGIC: [&[u8]; 2] = [
            &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
            b"119547037146038801333356",
        ];
        let text = head.trim_ascii_start();
        let begins = |word: &[u8]| {
            text.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if head.is_empty() {
            return Err(CheckpointProblem::Empty);
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Ok(Self::Zip);
        }
        let opening = &head[..head.len().min(64)];
        let holds = |magic: &[u8]| opening.windows(magic.len()).any(|part| part == magic);
        if MAGIC.iter().any(|magic| holds(magic)) {
            return Ok(Self::Legacy);
        }
        // The length of the header, then the header.
        if head.get(8) == Some(&b'{') {
            return Ok(Self::Safetensors);
        }
        if begins(b"version https://git-lfs") {
            return Err(CheckpointProblem::LfsPointer);
        }
        if [&b"<!doctype"[..], b"<html", b"<?xml"]
            .into_iter()
            .any(begins)
        {
            return Err(CheckpointProblem::WebPage);
        }
        if head.get(257..262) == Some(b"ustar") {
            return Err(CheckpointProblem::Tar);
        }
        // `PROTO` and a version of the protocol.
        if matches!(head, [0x80, 0..=5, ..]) {
            return Err(CheckpointProblem::PlainPickle);
        }
        Err(CheckpointProblem::Unknown {
            first: head[..head.len().min(16)].to_vec(),
        })
    }
}
