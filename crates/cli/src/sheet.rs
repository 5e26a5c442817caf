//! Sheets of images as files, and the folders they go to.

use std::{fs, path::Path};

use tweedie::{
    burn::tensor::Tensor,
    data::{Image, grid},
};

use crate::failure::{Failure, Outcome};

/// Columns of a sheet of `count` images: as square as possible.
pub(crate) fn columns(count: usize) -> usize {
    (1..=count).find(|side| side * side >= count).unwrap_or(1)
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
