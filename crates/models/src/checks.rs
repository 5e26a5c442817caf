//! What networks and their configurations refuse alike.

use burn::tensor::Tensor;
use tweedie_core::NoiseLabel;

use crate::ModelError;

/// Refuses a version that could be written and not be read again.
pub(crate) fn format(found: u32, expected: u32) -> Result<(), ModelError> {
    if found == expected {
        return Ok(());
    }
    Err(ModelError::OtherFormat { found, expected })
}

/// Refuses a field that counts something and is zero.
pub(crate) fn counts<const N: usize>(fields: [(&'static str, usize); N]) -> Result<(), ModelError> {
    match fields.into_iter().find(|(_, count)| *count == 0) {
        Some((field, _)) => Err(ModelError::Zero { field }),
        None => Ok(()),
    }
}

/// More than any image can be halved.
const MOST_LEVELS: usize = 32;

/// Refuses a list of levels that is empty, or too long, or holds a zero; returns the last level.
pub(crate) fn levels(field: &'static str, levels: &[usize]) -> Result<usize, ModelError> {
    if levels.contains(&0) {
        return Err(ModelError::Zero { field });
    }
    if levels.len() > MOST_LEVELS {
        return Err(ModelError::OutOfRange {
            field,
            expected: "a list of at most 32",
            found: levels.len() as f64,
        });
    }
    let last = levels.len().checked_sub(1);
    last.ok_or(ModelError::NoLevels { field })
}

/// Refuses attention where no level is.
pub(crate) fn attention(attention_levels: &[usize], last: usize) -> Result<(), ModelError> {
    match attention_levels.iter().find(|&&level| level > last) {
        Some(&found) => Err(ModelError::AttentionLevel { found, last }),
        None => Ok(()),
    }
}

/// Refuses channels that are no multiple of `divisor`.
pub(crate) fn divisor(
    field: &'static str,
    divisor: usize,
    channels: usize,
    level: usize,
) -> Result<(), ModelError> {
    if channels.is_multiple_of(divisor) {
        return Ok(());
    }
    Err(ModelError::Indivisible {
        field,
        divisor,
        channels,
        level,
    })
}

/// Refuses a number that is not finite or not above 0.
pub(crate) fn positive(field: &'static str, found: f64) -> Result<(), ModelError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(ModelError::OutOfRange {
        field,
        expected: "finite and above 0",
        found,
    })
}

/// Refuses a table without levels, and times that are told as nothing.
pub(crate) fn label(label: NoiseLabel) -> Result<(), ModelError> {
    match label {
        NoiseLabel::Step { steps: 0 } | NoiseLabel::NearestStep { steps: 0 } => {
            Err(ModelError::Zero { field: "steps" })
        }
        NoiseLabel::Time { scale } => positive("scale", scale),
        _ => Ok(()),
    }
}

/// Refuses a height or a width that is 0 or no multiple of `multiple`.
pub(crate) fn size(multiple: usize, height: usize, width: usize) -> Result<(), ModelError> {
    let fits = |size: usize| size > 0 && size.is_multiple_of(multiple);
    if fits(height) && fits(width) {
        return Ok(());
    }
    Err(ModelError::Size {
        multiple,
        height,
        width,
    })
}

/// The images that a network is given.
///
/// # Panics
/// If the number of channels is another, or `check_size` refuses the height and the width.
pub(crate) fn images(
    x: &Tensor<4>,
    expected: usize,
    check_size: impl FnOnce(usize, usize) -> Result<(), ModelError>,
) {
    let [_, channels, height, width] = x.dims();
    assert_eq!(channels, expected, "channels of the image");
    if let Err(error) = check_size(height, width) {
        panic!("{error}");
    }
}
