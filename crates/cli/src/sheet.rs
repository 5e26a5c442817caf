//! Unconditional draws from a model, and the pictures of them.

use std::{fs, path::Path, sync::Arc};

use tweedie::{
    burn::tensor::Tensor,
    core::{Clipped, Denoiser, Rng, Schedule, TimeGrid},
    data::{Image, grid},
    sde::{Reverse, perturb},
    solvers::{Ddim, integrate},
};

use crate::failure::{Failure, Outcome};

/// Columns of a sheet of `count` images: as square as possible.
pub(crate) fn columns(count: usize) -> usize {
    (1..=count).find(|side| side * side >= count).unwrap_or(1)
}

/// Draws a batch of images in [0, 1] of the given shape by DDIM with `eta = 0`, in `steps` equal steps of time.
///
/// The start is the noise of the schedule's horizon around mid-grey, which is zero to a network that sees [-1, 1].
pub(crate) fn draw(
    denoiser: &dyn Denoiser,
    schedule: Arc<dyn Schedule>,
    shape: [usize; 4],
    steps: usize,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let horizon = schedule.horizon();
    let times = TimeGrid::uniform(horizon, 0.0, steps)?;
    let grey = Tensor::full(shape, 0.5, rng.device());
    let start = perturb(&schedule, grey, horizon, rng);
    let process = Reverse::new(schedule, Clipped::unit(denoiser), 0.0);
    Ok(integrate(
        &process,
        &Ddim::new(0.0),
        start,
        &times,
        rng,
        |_| (),
    ))
}

/// Writes a batch as one PNG file, in rows of `columns` images, two white pixels apart. Its folder is made.
pub(crate) fn save_sheet(batch: Tensor<4>, columns: usize, path: &Path) -> Outcome<()> {
    let sheet = grid(&Image::unbatch(batch)?, columns, 2)?;
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    Ok(sheet.save(path)?)
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(|source| {
        Failure::from(FolderError {
            folder: folder.into(),
            source,
        })
    })
}

/// A folder cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the folder {}: {source}", folder.display())]
struct FolderError {
    folder: std::path::PathBuf,
    source: std::io::Error,
}
