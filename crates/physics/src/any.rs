//! An operator whose kind is known only when the program runs.

use crate::{ForwardOperator, Inpainting, LinearOperator, Svd};

/// An operator with the most that it can do.
///
/// What a method needs of an operator is a bound on its type; a program that builds the operator from a name asks here.
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "a program holds one")]
pub enum AnyOperator {
    /// A mask, for methods of inpainting alone.
    Inpainting(Inpainting),
    /// Linear, with its singular value decomposition.
    Svd(Box<dyn Svd>),
    /// Linear.
    Linear(Box<dyn LinearOperator>),
    /// Differentiable.
    Nonlinear(Box<dyn ForwardOperator>),
}

impl AnyOperator {
    /// Every operator can be applied.
    pub fn forward(&self) -> &dyn ForwardOperator {
        match self {
            Self::Inpainting(operator) => operator,
            Self::Svd(operator) => operator,
            Self::Linear(operator) => operator,
            Self::Nonlinear(operator) => operator,
        }
    }

    /// The operator, if it is linear.
    pub fn linear(&self) -> Option<&dyn LinearOperator> {
        match self {
            Self::Inpainting(operator) => Some(operator),
            Self::Svd(operator) => Some(operator),
            Self::Linear(operator) => Some(operator),
            Self::Nonlinear(_) => None,
        }
    }

    /// The operator, if it has a singular value decomposition.
    pub fn svd(&self) -> Option<&dyn Svd> {
        match self {
            Self::Inpainting(operator) => Some(operator),
            Self::Svd(operator) => Some(operator),
            Self::Linear(_) | Self::Nonlinear(_) => None,
        }
    }

    /// The operator, if it is a mask.
    pub fn inpainting(&self) -> Option<&Inpainting> {
        match self {
            Self::Inpainting(operator) => Some(operator),
            _ => None,
        }
    }
}
