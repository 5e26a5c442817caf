//! Rounding: of pixels to few levels, and of the cosine coefficients of blocks as JPEG does.
//!
//! The derivative of rounding is 0 almost everywhere and of no use, so both have the straight-through `vjp`, which
//! takes rounding for the identity (Bengio, Leonard & Courville 2013, <https://arxiv.org/abs/1308.3432>).

use std::f64::consts::PI;

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use crate::{ForwardOperator, PhysicsError};

/// Pixels clipped to [0, 1] and rounded to the nearest of equally spaced levels, the first 0 and the last 1.
///
/// `vjp` passes `v` on where a pixel lies in [0, 1], and is 0 outside.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Quantisation};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let x = Tensor::<4>::from_floats([[[[0.2, 0.3, 1.7]]]], &Device::flex());
/// let y = Quantisation::new(3)?.forward(x);
/// assert_eq!(y.into_data().to_vec::<f32>().unwrap(), [0.0, 0.5, 1.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantisation {
    levels: u32,
}

impl Quantisation {
    /// Rounding to `levels >= 2` levels; 256 are those of an 8-bit image.
    ///
    /// # Errors
    /// If there are fewer than 2 levels.
    pub fn new(levels: u32) -> Result<Self, PhysicsError> {
        if levels < 2 {
            return Err(PhysicsError::Levels { found: levels });
        }
        Ok(Self { levels })
    }
}

impl ForwardOperator for Quantisation {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let steps = f64::from(self.levels - 1);
        x.clamp(0.0, 1.0)
            .mul_scalar(steps)
            .round()
            .mul_scalar(steps.recip())
    }

    /// `v` where `x` lies in [0, 1], else 0.
    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        let outside = x.clone().lower_elem(0.0).bool_or(x.greater_elem(1.0));
        v.mask_fill(outside, 0.0)
    }
}

/// Side of a block.
const BLOCK: usize = 8;

/// Steps of the coefficients at quality 50, rows of increasing vertical frequency: luminance, ITU-T T.81 (1992), table
/// K.1, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>.
const LUMINANCE: [u32; BLOCK * BLOCK] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];

/// What JPEG loses: cosine coefficients of blocks of 8 x 8 pixels, rounded to multiples of a table of steps.
///
/// Pixels in [0, 1] stand for 0..255, each channel is coded by itself with the table of luminance, and the decoded
/// image is not clipped, so it can leave [0, 1] by a little. The transform is orthonormal, so the straight-through
/// `vjp` is `v` itself.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, JpegQuantisation};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let grey = Tensor::<4>::full([1, 3, 16, 8], 0.5, &device);
/// let decoded = JpegQuantisation::new(50, &device)?.forward(grey);
/// // The constant coefficient has steps of 16 / 8 grey values of 255.
/// assert!((decoded - 0.5).abs().max().into_scalar::<f32>() <= 1.0 / 255.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct JpegQuantisation {
    /// Rows are the orthonormal cosines: `[1, 8, 8]`.
    cosines: Tensor<3>,
    /// `[1, 8, 8]`.
    steps: Tensor<3>,
}

impl JpegQuantisation {
    /// With the steps that the library of the Independent JPEG Group uses for `quality`, 1 (worst) to 100: the table
    /// times `5000 / quality` per cent below 50 and `200 - 2 quality` per cent from there, in whole numbers of 1..=255.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// Unless `quality` lies in `1..=100`.
    pub fn new(
        quality: u32,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        if !(1..=100).contains(&quality) {
            return Err(PhysicsError::Quality { found: quality });
        }
        let options = options.into();
        let table = |values: Vec<f64>| {
            Tensor::from_data(TensorData::new(values, [1, BLOCK, BLOCK]), options.clone())
        };
        Ok(Self {
            cosines: table((0..BLOCK * BLOCK).map(cosine).collect()),
            steps: table(LUMINANCE.map(|step| scaled(step, quality)).to_vec()),
        })
    }
}

/// Entry of the cosine transform (DCT-II): row `k`, column `j` is `c_k cos(pi k (2 j + 1) / 16)`, `c_0 = sqrt(1/8)`,
/// `c_k = 1/2`.
fn cosine(index: usize) -> f64 {
    let (k, j) = (index / BLOCK, index % BLOCK);
    let norm = if k == 0 { 0.125f64.sqrt() } else { 0.5 };
    norm * (PI * (k * (2 * j + 1)) as f64 / 16.0).cos()
}

fn scaled(step: u32, quality: u32) -> f64 {
    let percent = if quality < 50 {
        5000 / quality
    } else {
        200 - 2 * quality
    };
    f64::from(((step * percent + 50) / 100).clamp(1, 255))
}

/// `[batch, channels, height, width]` to `[blocks, 8, 8]`.
fn to_blocks(x: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    let (rows, columns) = (height / BLOCK, width / BLOCK);
    x.reshape([batch * channels * rows, BLOCK, columns, BLOCK])
        .swap_dims(1, 2)
        .reshape([batch * channels * rows * columns, BLOCK, BLOCK])
}

fn from_blocks(blocks: Tensor<3>, shape: [usize; 4]) -> Tensor<4> {
    let columns = shape[3] / BLOCK;
    let rows = blocks.dims()[0] / columns;
    blocks
        .reshape([rows, columns, BLOCK, BLOCK])
        .swap_dims(1, 2)
        .reshape(shape)
}

impl ForwardOperator for JpegQuantisation {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [_, _, height, width] = image;
        if height.is_multiple_of(BLOCK) && width.is_multiple_of(BLOCK) {
            Ok(image)
        } else {
            Err(PhysicsError::NotDivisible {
                size: [height, width],
                factor: BLOCK,
            })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shape = x.dims();
        let cosines = self.cosines.clone();
        let transposed = cosines.clone().swap_dims(1, 2);
        let blocks = to_blocks(x).mul_scalar(255.0).sub_scalar(128.0);
        let coefficients = cosines.clone().matmul(blocks).matmul(transposed.clone());
        let rounded = (coefficients / self.steps.clone()).round() * self.steps.clone();
        let decoded = transposed.matmul(rounded).matmul(cosines);
        from_blocks(decoded.add_scalar(128.0).mul_scalar(255f64.recip()), shape)
    }

    /// `v`.
    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        v
    }
}
