//! The sizes of images that a network takes.

use crate::ModelError;

/// Refuses a height or a width that is 0 or no multiple of `multiple`.
pub(crate) fn check(multiple: usize, height: usize, width: usize) -> Result<(), ModelError> {
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
