//! What can be wrong with a fidelity term.

/// Why a fidelity term or a guidance cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FidelityError {
    /// A parameter is out of its range.
    #[error("{name} must be {expected}, found {found}")]
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
}

pub(crate) fn require_positive(name: &'static str, found: f64) -> Result<(), FidelityError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(FidelityError::OutOfRange {
        name,
        expected: "finite and above 0",
        found,
    })
}

pub(crate) fn require_non_negative(name: &'static str, found: f64) -> Result<(), FidelityError> {
    if found >= 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(FidelityError::OutOfRange {
        name,
        expected: "finite and at least 0",
        found,
    })
}
