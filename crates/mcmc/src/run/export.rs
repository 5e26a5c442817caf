//! Traces and draws as a file that NumPy and ArviZ read.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
    path::Path,
};

use burn::tensor::Tensor;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{
    ACCEPTANCE, ChainRun, DRAWS, ENERGY,
    npy::{Kind, header},
    store::unwritable,
};
use crate::ChainError;

impl<const D: usize> ChainRun<D> {
    /// Writes traces and draws into one `.npz`.
    ///
    /// | array | shape | what |
    /// |---|---|---|
    /// | `posterior/NAME` | (chain, draw) | the trace of a direction |
    /// | `posterior/x` | (chain, draw, ...) | draws, those in the file of the run or else those kept in memory |
    /// | `sample_stats/energy` | (chain, draw) | the potential, where the kernel knows it |
    /// | `sample_stats/acceptance_rate` | (chain, draw) | where the kernel has a Metropolis test |
    ///
    /// In Python, with ArviZ:
    ///
    /// ```python
    /// arrays = numpy.load("chains.npz")
    /// group = lambda name: {k.removeprefix(name): arrays[k] for k in arrays.files if k.startswith(name)}
    /// data = arviz.from_dict(posterior=group("posterior/"), sample_stats=group("sample_stats/"))
    /// ```
    ///
    /// ArviZ wants all arrays of a group to have as many draws: keep all of them in memory, or none.
    ///
    /// # Errors
    /// If the file cannot be written, or the draws cannot be read.
    pub fn export_npz(&self, path: &Path) -> Result<(), ChainError> {
        let write = || -> io::Result<()> {
            let mut archive = ZipWriter::new(BufWriter::new(File::create(path)?));
            self.write_arrays(&mut archive)?;
            archive.finish()?.into_inner()?.sync_all()
        };
        write().map_err(unwritable(path))
    }

    fn write_arrays(&self, archive: &mut ZipWriter<impl Write + Seek>) -> io::Result<()> {
        for trace in &self.traces {
            let group = match trace.name.as_str() {
                ENERGY | ACCEPTANCE => "sample_stats",
                _ => "posterior",
            };
            begin(archive, &format!("{group}/{}", trace.name))?;
            let draws = trace.chains.first().map_or(0, Vec::len);
            archive.write_all(&header(Kind::F64, &[trace.chains.len(), draws]))?;
            for value in trace.chains.iter().flatten() {
                archive.write_all(&value.to_le_bytes())?;
            }
        }
        let name = format!("posterior/{DRAWS}");
        if let Some(stored) = &self.stored {
            begin(archive, &name)?;
            archive.write_all(&by_chain(stored.kind(), stored.shape(), stored.draws()))?;
            stored.copy_by_chain(archive)?;
        } else if let Some(first) = self.kept.first() {
            begin(archive, &name)?;
            let kind = Kind::of(first.dtype());
            archive.write_all(&by_chain(kind, &first.dims(), self.kept.len()))?;
            for chain in 0..first.dims()[0] {
                for draws in &self.kept {
                    let row: Tensor<D> = draws.clone().narrow(0, chain, 1);
                    archive.write_all(&kind.bytes(&row))?;
                }
            }
        }
        Ok(())
    }
}

/// The header of `draws` draws of each chain, whose shape is `(chain, ...)`, chain by chain.
fn by_chain(kind: Kind, shape: &[usize], draws: usize) -> Vec<u8> {
    let mut all = shape.to_vec();
    all.insert(1, draws);
    header(kind, &all)
}

fn begin(archive: &mut ZipWriter<impl Write + Seek>, name: &str) -> io::Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    Ok(archive.start_file(format!("{name}.npy"), options)?)
}
