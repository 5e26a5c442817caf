//! A folder of images as the two sets of a run, with one subfolder for each class where there are classes.

use std::{path::Path, sync::Arc};

use tweedie::{
    burn::data::dataset::{Dataset, DatasetError},
    data::{Example, ImageFolder},
};

use super::{
    data::{ENDLESS, Sets},
    error::SettingsError,
};
use crate::failure::{Failure, Outcome};

/// One file of a folder, or of each class, in so many is held out.
const HELD_OUT: usize = 20;

/// The two sets. `is_varied`: each time that a file is shown it is another image.
pub(super) fn sets(
    images: ImageFolder,
    root: &Path,
    classes: Option<usize>,
    is_varied: bool,
) -> Outcome<Sets> {
    let files = images.files().len();
    let labels = classes
        .map(|classes| labels(images.files(), root, classes))
        .transpose()
        .map_err(Failure::usage)?;
    let (learnt, held_out) = match &labels {
        None => parts(std::iter::once(0..files)),
        Some(labels) => {
            let ranges = ranges(labels);
            if let Some(range) = ranges.iter().find(|range| range.len() < 2) {
                let file = images.files()[range.start].clone();
                return Err(Failure::usage(SettingsError::OneImage { file }));
            }
            parts(ranges.into_iter())
        }
    };
    let passes = if is_varied {
        ENDLESS.div_ceil(learnt.len().max(1))
    } else {
        1
    };
    let source = Arc::new(Source { images, labels });
    let part = |chosen, passes| {
        Arc::new(Part {
            source: source.clone(),
            chosen,
            passes,
        })
    };
    Ok(Sets {
        learnt: part(learnt, passes),
        held_out: part(held_out, 1),
        note: match classes {
            None => "the last files of the folder, in the order of their paths",
            Some(_) => "the last files of each class, in the order of their paths",
        },
    })
}

/// The class of each file: the place of its subfolder in the order of their names.
fn labels(
    files: &[std::path::PathBuf],
    root: &Path,
    classes: usize,
) -> Result<Vec<usize>, SettingsError> {
    let mut names = Vec::new();
    let mut labels = Vec::with_capacity(files.len());
    for file in files {
        let below = file.strip_prefix(root).unwrap_or(file);
        let mut parts = below.components();
        let (name, Some(_)) = (parts.next(), parts.next()) else {
            return Err(SettingsError::NoClass {
                file: file.clone(),
                folder: root.into(),
            });
        };
        // Files come in the order of their paths, so a class is one run of them.
        if names.last() != Some(&name) {
            names.push(name);
        }
        labels.push(names.len() - 1);
    }
    if names.len() != classes {
        return Err(SettingsError::Classes {
            data: super::data::DataName::Folder,
            expected: names.len(),
            found: classes,
        });
    }
    Ok(labels)
}

/// The files of each class.
fn ranges(labels: &[usize]) -> Vec<std::ops::Range<usize>> {
    let mut start = 0;
    let classes = labels.chunk_by(|a, b| a == b).map(|class| {
        let range = start..start + class.len();
        start = range.end;
        range
    });
    classes.collect()
}

/// The first files of each range, and the last ones.
fn parts(ranges: impl Iterator<Item = std::ops::Range<usize>>) -> (Vec<usize>, Vec<usize>) {
    let (mut learnt, mut held_out) = (Vec::new(), Vec::new());
    for range in ranges {
        let end = range.end - (range.len() / HELD_OUT).max(1);
        learnt.extend(range.start..end);
        held_out.extend(end..range.end);
    }
    (learnt, held_out)
}

/// The images of all files, over and over, and their classes.
struct Source {
    images: ImageFolder,
    labels: Option<Vec<usize>>,
}

/// Some of the files, several times over.
struct Part {
    source: Arc<Source>,
    chosen: Vec<usize>,
    passes: usize,
}

impl Dataset<Example> for Part {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        let (pass, place) = (index / self.chosen.len(), index % self.chosen.len());
        let file = self.chosen[place];
        let all = self.source.images.files().len();
        Ok(Example {
            image: self.source.images.get(pass * all + file)?,
            class: self.source.labels.as_ref().map(|labels| labels[file]),
        })
    }

    fn len(&self) -> usize {
        self.chosen.len() * self.passes
    }
}
