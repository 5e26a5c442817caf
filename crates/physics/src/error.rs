//! What can be wrong with a measurement model.

use burn::tensor::TensorReadError;

use crate::{Margins, Region};

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
    #[error("a {kernel:?} blur kernel is too large for the {size:?} image")]
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
    /// A kernel has no entry.
    #[error("a kernel needs at least one entry, found shape {found:?}")]
    EmptyKernel {
        /// Its shape.
        found: [usize; 4],
    },
    /// Kernels serve no image of this shape.
    #[error(
        "kernels of shape {kernel:?} do not fit images of shape {image:?}: batch and channels must agree or be 1 in the \
         kernels"
    )]
    KernelShape {
        /// Shape of the kernels.
        kernel: [usize; 4],
        /// Shape of the images.
        image: [usize; 4],
    },
    /// A setting of a kernel is out of range.
    #[error("the kernel's {name} must be {expected}, found {found}")]
    KernelSetting {
        /// Its name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// A mask or a kernel could not be read from its device.
    #[error("cannot read a tensor back from its device")]
    Read(#[from] TensorReadError),
    /// A setting of a noise model is out of range.
    #[error("{name} must be {expected}, found {found}")]
    NoiseSetting {
        /// Which one.
        name: &'static str,
        /// Its range.
        expected: &'static str,
        /// Its value.
        found: f64,
    },
    /// The noise level of one sample is out of range.
    #[error("the noise level of sample {row} must be finite and above 0, found {found}")]
    NoiseLevel {
        /// Number of the sample.
        row: usize,
        /// Its value.
        found: f64,
    },
    /// There are not as many noise levels as samples.
    #[error("{levels} noise levels do not fit a batch of {batch}")]
    NoiseLevels {
        /// Number of levels.
        levels: usize,
        /// Number of samples.
        batch: usize,
    },
    /// A clean measurement has a value for which its noise is not defined.
    #[error("a clean measurement must be {expected} for this noise, found {found} at {at:?}")]
    CleanValue {
        /// The range of values.
        expected: &'static str,
        /// The value.
        found: f64,
        /// Its indices, the sample first.
        at: Vec<usize>,
    },
    /// A matrix does not act on images of this shape.
    #[error(
        "a matrix of shape {matrix:?} does not act on [channels, height, width] = {image:?}: it needs {columns} columns \
         and at least one row"
    )]
    MatrixShape {
        /// Rows and columns of the matrix.
        matrix: [usize; 2],
        /// Channels, height and width of the images.
        image: [usize; 3],
        /// Number of entries of an image.
        columns: usize,
    },
    /// A matrix has an infinite or undefined entry.
    #[error("a matrix must be finite, found {found} at {at:?}")]
    MatrixValue {
        /// Row and column.
        at: [usize; 2],
        /// Its value.
        found: f64,
    },
    /// An operator is made for images of another shape.
    #[error(
        "the operator measures images of [channels, height, width] = {expected:?}, found images of shape {found:?}"
    )]
    ImageShape {
        /// Channels, height and width that it measures.
        expected: [usize; 3],
        /// Shape of the images.
        found: [usize; 4],
    },
    /// An operator is made for images of another size.
    #[error("the operator measures {expected:?} images, found {found:?}")]
    ImageSize {
        /// Height and width that it measures.
        expected: [usize; 2],
        /// Height and width of the image.
        found: [usize; 2],
    },
    /// An operator is made for images with another number of channels.
    #[error("the operator measures images of {expected} channels, found {found}")]
    Channels {
        /// Number of channels that it measures.
        expected: usize,
        /// Number of channels of the image.
        found: usize,
    },
    /// A Hadamard transform needs sides that are powers of two.
    #[error("a Hadamard transform needs height and width that are powers of two, found {found:?}")]
    NotPowerOfTwo {
        /// Height and width.
        found: [usize; 2],
    },
    /// A number of measurements is 0 or larger than that of the pixels.
    #[error("the number of measurements must lie in 1..={limit}, found {found}")]
    MeasurementCount {
        /// Its value.
        found: usize,
        /// Number of pixels of a channel.
        limit: usize,
    },
    /// Two operators whose measurements are to be added give measurements of different shapes.
    #[error("measurements of shapes {left:?} and {right:?} cannot be added")]
    SumShapes {
        /// Shape of the first operator's measurement.
        left: [usize; 4],
        /// Shape of the second operator's measurement.
        right: [usize; 4],
    },
    /// The factor of a scaled operator is 0 or not finite.
    #[error("the factor of an operator must be finite and other than 0, found {found}")]
    ScaleFactor {
        /// Its value.
        found: f64,
    },
    /// A stack has no operators.
    #[error("a stack needs at least one operator, found none")]
    EmptyStack,
    /// Margins leave nothing of an image.
    #[error("margins {margins:?} leave nothing of a {size:?} image")]
    MarginsTooLarge {
        /// The margins.
        margins: Margins,
        /// Height and width of the image.
        size: [usize; 2],
    },
    /// A parameter is not positive.
    #[error("{name} must be finite and above 0, found {found}")]
    NotPositive {
        /// Name of the parameter.
        name: &'static str,
        /// Its value.
        found: f64,
    },
    /// Too few levels to quantise to.
    #[error("quantisation needs at least 2 levels, found {found}")]
    Levels {
        /// Its value.
        found: u32,
    },
    /// A compression quality is out of range.
    #[error("the quality must lie in 1..=100, found {found}")]
    Quality {
        /// Its value.
        found: u32,
    },
    /// An image has no pixel.
    #[error("images need at least one row and one column, found {size:?}")]
    EmptyImage {
        /// Height and width.
        size: [usize; 2],
    },
    /// There is nothing to project along.
    #[error("tomography needs at least one angle, found none")]
    NoAngles,
    /// An angle is infinite or undefined.
    #[error("angles must be finite, found {found} degrees at position {at}")]
    Angle {
        /// Its position.
        at: usize,
        /// Its value in degrees.
        found: f64,
    },
    /// A mask of frequencies tells real from imaginary parts.
    #[error("a mask of frequencies has 1 channel, found shape {mask:?}")]
    MaskChannels {
        /// Shape of the mask.
        mask: [usize; 4],
    },
    /// An acceleration would measure more than there is.
    #[error("the acceleration must be finite and at least 1, found {found}")]
    Acceleration {
        /// Its value.
        found: f64,
    },
    /// A fraction of central columns is out of range.
    #[error("the centre fraction must lie in [0, 1], found {found}")]
    CentreFraction {
        /// Its value.
        found: f64,
    },
    /// The centre alone takes more columns than the acceleration allows.
    #[error("the acceleration allows {total} columns, but the centre alone has {centre}")]
    CentreTooWide {
        /// Columns of the centre.
        centre: usize,
        /// Columns in all.
        total: usize,
    },
    /// A radial mask has no line.
    #[error("a radial mask needs at least one spoke, found none")]
    NoSpokes,
    /// There is no coil to measure with.
    #[error("sensitivities need at least one coil, found none")]
    NoCoils,
    /// Sensitivities fit no mask or image of this shape.
    #[error(
        "sensitivities of shape {found:?} do not fit a mask of shape {mask:?}: expected 2 channels (real, imaginary) for \
         each coil, the same height and width, and the same batch or 1"
    )]
    Sensitivities {
        /// Shape of the mask, with the batch of the images where these are known.
        mask: [usize; 4],
        /// Shape of the sensitivities.
        found: [usize; 4],
    },
}
