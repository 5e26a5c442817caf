//! Draws in a file that grows: an array of NumPy, `(draw, chain, ...)`, that can be read at any time.
//!
//! The header tells how many draws there are, and is written last: what lies behind them is no draw yet.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use burn::tensor::Tensor;

use super::npy::{Kind, header};
use crate::ChainError;

/// A file of draws.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    file: File,
    kind: Kind,
    /// `(chain, ...)`
    shape: Vec<usize>,
    draws: usize,
}

impl Store {
    /// A file without draws, in the place of what was there, for draws like `like`.
    pub(super) fn create<const D: usize>(
        path: &Path,
        like: &Tensor<D>,
    ) -> Result<Self, ChainError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(path).map_err(unwritable(path))?;
        let mut store = Self::of(path, file, like, 0);
        store.sync()?;
        Ok(store)
    }

    /// The file of a run that had written `draws` draws like `like`; further ones are cut off.
    pub(super) fn open<const D: usize>(
        path: &Path,
        like: &Tensor<D>,
        draws: usize,
    ) -> Result<Self, ChainError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).open(path);
        let mut store = Self::of(path, file.map_err(unreadable(path))?, like, draws);
        store.require_draws()?;
        store.file.set_len(store.end()).map_err(unwritable(path))?;
        store.sync()?;
        Ok(store)
    }

    fn of<const D: usize>(path: &Path, file: File, like: &Tensor<D>, draws: usize) -> Self {
        Self {
            path: path.into(),
            file,
            kind: Kind::of(like.dtype()),
            shape: like.dims().to_vec(),
            draws,
        }
    }

    /// Fails unless the file begins as one of such draws, and holds as many.
    fn require_draws(&mut self) -> Result<(), ChainError> {
        let mut found = vec![0; self.header().len()];
        let read = self.file.read_exact(&mut found);
        read.map_err(unreadable(&self.path))?;
        // Up to the number of draws, which may be larger by now, and from there on.
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let (found, expected) = (text(&found), text(&self.header()));
        let around = |text: &str| {
            let (before, after) = text.split_once('(')?;
            let (_, after) = after.split_once(',')?;
            Some((before.to_owned(), after.to_owned()))
        };
        if around(&found) != around(&expected) {
            return Err(self.other(found, expected));
        }
        let length = self.file.metadata().map_err(unreadable(&self.path))?.len();
        if length < self.end() {
            let expected = format!("{} bytes or more", self.end());
            return Err(self.other(format!("{length} bytes"), expected));
        }
        Ok(())
    }

    fn other(&self, found: String, expected: String) -> ChainError {
        ChainError::OtherDraws {
            path: self.path.clone(),
            found,
            expected,
        }
    }

    /// Appends one draw of each chain. It counts from the next [`sync`](Self::sync) on.
    pub(super) fn push<const D: usize>(&mut self, draws: &Tensor<D>) -> Result<(), ChainError> {
        let bytes = self.kind.bytes(draws);
        let end = self.end();
        self.draws += 1;
        let mut write = || {
            self.file.seek(SeekFrom::Start(end))?;
            self.file.write_all(&bytes)
        };
        write().map_err(unwritable(&self.path))
    }

    /// Makes the file hold what was appended, whatever happens next.
    pub(super) fn sync(&mut self) -> Result<(), ChainError> {
        let header = self.header();
        let mut write = || {
            self.file.sync_data()?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&header)?;
            self.file.sync_data()
        };
        write().map_err(unwritable(&self.path))
    }

    /// How many draws of each chain.
    pub(super) fn draws(&self) -> usize {
        self.draws
    }

    /// The file for its readers.
    pub(super) fn finish(self) -> Stored {
        Stored {
            offset: self.header().len(),
            path: self.path,
            kind: self.kind,
            shape: self.shape,
            draws: self.draws,
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut shape = vec![self.draws];
        shape.extend(&self.shape);
        header(self.kind, &shape)
    }

    fn draw_size(&self) -> usize {
        self.shape.iter().product::<usize>() * self.kind.size()
    }

    /// Where the draws end.
    fn end(&self) -> u64 {
        (self.header().len() + self.draws * self.draw_size()) as u64
    }
}

/// Draws in a file that is finished.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    path: PathBuf,
    kind: Kind,
    shape: Vec<usize>,
    draws: usize,
    /// Bytes before the draws.
    offset: usize,
}

impl Stored {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// `(chain, ...)`
    pub(super) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(super) fn draws(&self) -> usize {
        self.draws
    }

    /// Writes the draws chain by chain, one after the other.
    pub(super) fn copy_by_chain(&self, sink: &mut impl Write) -> io::Result<()> {
        let mut file = File::open(&self.path)?;
        let chains = self.shape[0];
        let size = self.shape[1..].iter().product::<usize>() * self.kind.size();
        let mut bytes = vec![0; size];
        for chain in 0..chains {
            for draw in 0..self.draws {
                let place = self.offset + (draw * chains + chain) * size;
                file.seek(SeekFrom::Start(place as u64))?;
                file.read_exact(&mut bytes)?;
                sink.write_all(&bytes)?;
            }
        }
        Ok(())
    }
}

pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> ChainError {
    let path = path.to_path_buf();
    |source| ChainError::Read { path, source }
}

pub(super) fn unwritable(path: &Path) -> impl FnOnce(io::Error) -> ChainError {
    let path = path.to_path_buf();
    |source| ChainError::Write { path, source }
}
