//! What can be wrong with a fidelity term.

use burn::tensor::{Tensor, TensorReadError};

/// Why a fidelity term, a prior or a guidance cannot be made.
#[derive(Debug, thiserror::Error)]
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
    /// A measurement that counts photons has a negative entry.
    #[error(
        "a measurement of counts must be finite and at least 0, found {found} at entry {index} in row-major order"
    )]
    Counts {
        /// Where.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// The prior variance of a pixel is negative or not finite.
    #[error(
        "a prior variance must be finite and at least 0, found {found} at entry {index} in row-major order"
    )]
    Variance {
        /// Where.
        index: usize,
        /// Its value.
        found: f64,
    },
    /// An image cannot be halved as often as a wavelet transform has levels.
    #[error(
        "{levels} wavelet levels need 1 level or more and sides divisible by 2^levels, found a {size:?} image"
    )]
    Levels {
        /// Height and width of the image.
        size: [usize; 2],
        /// Number of levels.
        levels: usize,
    },
    /// A classifier does not know a class.
    #[error(
        "the classes of the classifier are counted from 0 and number {classes}, found class {found}"
    )]
    Class {
        /// The class asked for.
        found: usize,
        /// How many there are.
        classes: usize,
    },
    /// A sum has no term.
    #[error("a stacked fidelity needs at least one term, found none")]
    NoTerms,
    /// A measurement or a variance could not be read from its device.
    #[error("cannot read a measurement or a variance back from its device")]
    Read(#[from] TensorReadError),
}

/// The largest count.
pub(crate) fn require_counts<const Y: usize>(y: &Tensor<Y>) -> Result<f64, FidelityError> {
    let counts = y.try_to_vec_as::<f64>()?;
    match counts
        .iter()
        .position(|&count| !(count >= 0.0 && count.is_finite()))
    {
        Some(index) => Err(FidelityError::Counts {
            index,
            found: counts[index],
        }),
        None => Ok(counts.into_iter().fold(0.0, f64::max)),
    }
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
