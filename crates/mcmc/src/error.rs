//! What can go wrong with a chain.

/// Why there are no draws.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A setting is out of its range.
    #[error("{name} must be {expected}, found {found}")]
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// A step size was to be computed from Lipschitz constants that are not all known.
    #[error(
        "the step size cannot be computed, since a Lipschitz constant of the gradient is not known: give a step size, \
         or the norm of the operator and a smooth prior"
    )]
    NoBound,
}

pub(crate) fn require(
    name: &'static str,
    found: f64,
    valid: bool,
    expected: &'static str,
) -> Result<(), ChainError> {
    if valid {
        return Ok(());
    }
    Err(ChainError::OutOfRange {
        name,
        expected,
        found,
    })
}

pub(crate) fn require_positive(name: &'static str, found: f64) -> Result<(), ChainError> {
    let valid = found > 0.0 && found.is_finite();
    require(name, found, valid, "finite and above 0")
}
