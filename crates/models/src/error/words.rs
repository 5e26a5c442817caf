//! How errors are put into words.

use std::{fmt, io};

use pytorch_reader::PytorchError;
use safetensors::SafeTensorError;
use zip::result::ZipError;

use super::Mismatch;
use crate::Architecture;

/// Names the usual reason for a damaged file of PyTorch.
pub(super) fn cut_archive(source: &PytorchError) -> &'static str {
    let ends = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    let is_cut = match source {
        PytorchError::Io(error) | PytorchError::Zip(ZipError::Io(error)) => ends(error),
        // An archive's directory is at its end.
        PytorchError::Zip(error) => matches!(error, ZipError::InvalidArchive(_)),
        // Of a storage in a file before version 1.6, which has no other sign.
        PytorchError::InvalidFormat(reason) => reason.contains("beyond the end of the file"),
        _ => false,
    };
    if is_cut { CUT } else { "" }
}

/// Names the usual reason for a damaged safetensors file.
pub(super) fn cut_tensors(source: &SafeTensorError) -> &'static str {
    use SafeTensorError as Error;
    match source {
        Error::HeaderTooSmall | Error::InvalidHeaderLength | Error::MetadataIncompleteBuffer => CUT,
        _ => "",
    }
}

const CUT: &str = " (it is cut short or damaged)";

/// The beginning of a reason, which may quote the file.
pub(super) fn shortened(reason: &impl fmt::Display) -> String {
    const LONGEST: usize = 300;
    let text = reason.to_string();
    let clean: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        clean + "..."
    } else {
        clean
    }
}

pub(super) fn json(architecture: &Architecture) -> String {
    serde_json::to_string(architecture).unwrap_or_else(|_| format!("{architecture:?}"))
}

pub(super) fn shapes(tensors: &[(String, Vec<usize>)]) -> String {
    let texts: Vec<_> = tensors
        .iter()
        .take(SHOWN + 1)
        .map(|(name, shape)| format!("{name} {shape:?}"))
        .collect();
    listed(&texts)
}

pub(super) fn differences(
    missing: &[String],
    unexpected: &[String],
    mismatched: &[Mismatch],
) -> String {
    let mismatched: Vec<_> = mismatched.iter().map(Mismatch::to_string).collect();
    [
        ("missing", missing),
        ("unexpected", unexpected),
        ("of another shape or type", &mismatched),
    ]
    .iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(what, names)| format!("{} {what}: {}", names.len(), listed(names)))
    .collect::<Vec<_>>()
    .join("; ")
}

/// Says so when a network is told the class of its images by a layer that ours does not have: those of guided-diffusion and of EDM.
pub(super) fn classes(unexpected: &[String]) -> &'static str {
    let tells =
        |name: &String| ["label_emb.weight", "map_label.weight"].map(|word| name.ends_with(word));
    if unexpected.iter().any(|name| tells(name).contains(&true)) {
        "; it is told the class of its images in a way that is not supported"
    } else {
        ""
    }
}

/// How many names a message shows.
const SHOWN: usize = 5;

/// The first names, so that a message stays readable when a whole network is missing; the error's fields hold them all.
fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(SHOWN).map(shortened).collect();
    let text = shown.join(", ");
    if names.len() > SHOWN {
        format!("{text}, ...")
    } else {
        text
    }
}
