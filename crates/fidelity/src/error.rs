//! What can be wrong with a fidelity term.

use std::{error::Error, fmt};

/// Why a fidelity term or a guidance cannot be made.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FidelityError {
    /// A parameter is out of its range.
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
}

impl fmt::Display for FidelityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange {
                name,
                expected,
                found,
            } => write!(f, "{name} must be {expected}, found {found}"),
        }
    }
}

impl Error for FidelityError {}

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
