//! A run on disk: all that it needs to go on bit for bit.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `tweedie` and a zero |
//! | 4 | the version of the format, little-endian |
//! | 32 | the SHA-256 digest of the rest |
//! | rest | the contents, as MessagePack |
//!
//! A checkpoint is written beside its place, and then takes it: what is found there is whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tweedie_core::RngPosition;

use super::{
    Trace,
    session::data,
    statistics::MonitorRecord,
    store::{unreadable, unwritable},
};
use crate::{ChainError, OtherRun, hex::hex};

const MAGIC: &[u8; 8] = b"tweedie\0";
const FORMAT: u32 = 1;
const DIGEST: usize = 32;

/// Where checkpoints of a run go, and how often.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Iterations from one to the next.
    pub(super) every: usize,
}

/// All that decides what a run computes, part by part, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity(pub(super) Vec<(String, String)>);

impl Identity {
    /// Its SHA-256 digest.
    fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for text in self.0.iter().flat_map(|(part, text)| [part, text]) {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
        hex(&hasher.finalize())
    }

    /// The first part in which two differ: its name, and what it is in each.
    fn difference(&self, other: &Self) -> Option<[String; 3]> {
        let missing = String::from("missing");
        let count = self.0.len().max(other.0.len());
        (0..count).find_map(|index| {
            let (ours, theirs) = (self.0.get(index), other.0.get(index));
            if ours == theirs {
                return None;
            }
            let name = ours.or(theirs).map(|(name, _)| name.clone())?;
            let text = |part: Option<&(String, String)>| {
                part.map_or_else(|| missing.clone(), |(_, text)| text.clone())
            };
            Some([name, text(ours), text(theirs)])
        })
    }
}

/// A run after `iteration` iterations.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) identity: Identity,
    pub(super) iteration: usize,
    pub(super) state: Vec<TensorData>,
    pub(super) rng: RngPosition,
    pub(super) monitors: Vec<MonitorRecord>,
    pub(super) traces: Option<Vec<Trace>>,
    pub(super) kept: Vec<TensorData>,
    pub(super) stored: usize,
}

impl Contents {
    /// Puts the checkpoint in the place of the one before.
    pub(super) fn write(&self, path: &Path) -> Result<(), ChainError> {
        let body = rmp_serde::to_vec_named(self)
            .map_err(io::Error::other)
            .map_err(unwritable(path))?;
        let write = || -> io::Result<()> {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let mut draft = draft(folder)?;
            draft.write_all(MAGIC)?;
            draft.write_all(&FORMAT.to_le_bytes())?;
            draft.write_all(&Sha256::digest(&body))?;
            draft.write_all(&body)?;
            draft.as_file().sync_all()?;
            draft.persist(path)?;
            sync_folder(folder)
        };
        write().map_err(unwritable(path))
    }

    /// The checkpoint of the run `identity`.
    pub(super) fn read(path: &Path, identity: &Identity) -> Result<Self, ChainError> {
        let bytes = fs::read(path).map_err(unreadable(path))?;
        let contents: Self =
            rmp_serde::from_slice(body(path, &bytes)?).map_err(|source| ChainError::Decode {
                path: path.into(),
                source,
            })?;
        let Some([part, found, expected]) = contents.identity.difference(identity) else {
            return Ok(contents);
        };
        Err(ChainError::OtherRun(Box::new(OtherRun {
            path: path.into(),
            found_hash: contents.identity.hash(),
            expected_hash: identity.hash(),
            part,
            found,
            expected,
        })))
    }
}

/// The contents of a file that is whole.
fn body<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a [u8], ChainError> {
    let not_one = || ChainError::NotACheckpoint { path: path.into() };
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(not_one)?;
    let (format, rest) = rest.split_first_chunk().ok_or_else(not_one)?;
    let found = u32::from_le_bytes(*format);
    if found != FORMAT {
        return Err(ChainError::CheckpointFormat {
            path: path.into(),
            found,
            expected: FORMAT,
        });
    }
    let (expected, body) = rest.split_at_checked(DIGEST).ok_or_else(not_one)?;
    let found = Sha256::digest(body);
    if found[..] != *expected {
        return Err(ChainError::Damaged {
            path: path.into(),
            found: hex(&found),
            expected: hex(expected),
        });
    }
    Ok(body)
}

/// A file beside the place, as readable as other new files.
fn draft(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".draft-");
    #[cfg(unix)]
    {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        builder.permissions(Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes a rename last. Only Unix can open a folder.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// A tensor in words: shape, type, and the SHA-256 digest of its numbers. For a measurement in the `target` of
/// [`Chains::with_checkpoint`](crate::Chains::with_checkpoint).
///
/// # Panics
/// If the numbers cannot be read from their device.
pub fn fingerprint<const D: usize>(tensor: &Tensor<D>) -> String {
    let data = data(tensor);
    let digest = hex(&Sha256::digest(data.as_bytes()));
    format!("{:?} of {:?}, {digest}", data.shape(), data.dtype())
}
