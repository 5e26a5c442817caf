//! What can be wrong with a measurement model.

use burn::tensor::TensorReadError;

use crate::Region;

/// Why an operator or a noise model cannot be made, or cannot measure an image of some shape.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PhysicsError {
    /// A noise level is negative or not finite.
    #[error("noise_std must be finite and at least 0, found {found}")]
    NoiseStd {
        /// Its value.
        found: f64,
    },
    /// A fraction of missing pixels is out of range.
    #[error("the fraction of missing pixels must lie in [0, 1), found {found}")]
    MissingFraction {
        /// Its value.
        found: f64,
    },
    /// A mask has an entry other than 0 and 1.
    #[error("a mask holds only 0 (missing) and 1 (observed), found {found} at {at:?}")]
    MaskValue {
        /// Batch row, channel, row and column.
        at: [usize; 4],
        /// Its value.
        found: f64,
    },
    /// A mask has no 1 at all.
    #[error("the mask of shape {mask:?} leaves no pixel observed")]
    NothingObserved {
        /// Its shape.
        mask: [usize; 4],
    },
    /// A mask fits no image of this shape.
    #[error(
        "a mask of shape {mask:?} does not fit images of shape {image:?}: height and width must agree, batch and \
         channels must agree or be 1 in the mask"
    )]
    MaskShape {
        /// Shape of the mask.
        mask: [usize; 4],
        /// Shape of the images.
        image: [usize; 4],
    },
    /// A rectangle of missing pixels is empty or leaves the image.
    #[error("the missing region {region:?} must be non-empty and lie within the {size:?} image")]
    Region {
        /// The rectangle.
        region: Region,
        /// Height and width of the image.
        size: [usize; 2],
    },
    /// A blur kernel has no centre pixel.
    #[error("a blur kernel needs odd height and width, found {found:?}")]
    KernelSize {
        /// Its height and width.
        found: [usize; 2],
    },
    /// A blur kernel has an infinite or undefined entry.
    #[error("a blur kernel must be finite, found {found} at {at:?}")]
    KernelValue {
        /// Row and column.
        at: [usize; 2],
        /// Its value.
        found: f64,
    },
    /// A blur kernel reaches around the image more than once.
    #[error("a {kernel:?} blur kernel is larger than the {size:?} image")]
    KernelTooLarge {
        /// Height and width of the kernel.
        kernel: [usize; 2],
        /// Height and width of the image.
        size: [usize; 2],
    },
    /// The width of a Gaussian blur is not positive.
    #[error("the blur's sigma must be finite and above 0 pixels, found {found}")]
    BlurSigma {
        /// Its value, in pixels.
        found: f64,
    },
    /// A downsampling factor is 0.
    #[error("the downsampling factor must be at least 1, found 0")]
    ZeroFactor,
    /// An image does not split into whole blocks.
    #[error("a {size:?} image does not split into blocks of {factor} x {factor} pixels")]
    NotDivisible {
        /// Height and width of the image.
        size: [usize; 2],
        /// Side of a block.
        factor: usize,
    },
    /// A mask or a kernel could not be read from its device.
    #[error("cannot read a tensor back from its device")]
    Read(#[from] TensorReadError),
}
