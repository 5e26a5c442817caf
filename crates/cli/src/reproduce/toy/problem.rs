//! The two problems: what was measured, the prior, and the posterior that both make.
//!
//! Prior of an 8 x 8 image: mean `0.5 + 0.2 sin(2 pi row / 8) cos(2 pi column / 8)`, covariance of pixels `p` and `q`
//! `0.15^2 exp(-|p - q|^2 / (2 2^2)) + 0.03^2 [p = q]`. Half of the pixels are seen, or all through a Gaussian blur on a torus;
//! the noise has a standard deviation of 0.1.

use std::f64::consts::TAU;

use nalgebra::{DMatrix, DVector};
use serde::Deserialize;
use tweedie::{
    burn::tensor::{DType, Device, Tensor, TensorData},
    core::{FullGaussian, PriorError},
    physics::{FourierBlur, Inpainting, Svd},
    samplers::Measurement,
};

use super::gaussian::Gaussian;
use crate::failure::Outcome;

/// Rows of an image, and columns.
const SIDE: usize = 8;

/// Pixels of an image.
pub(crate) const PIXELS: usize = SIDE * SIDE;

/// Variance of a pixel under the prior.
pub(crate) const PIXEL_VARIANCE: f64 = SMOOTH * SMOOTH + NUGGET * NUGGET;

/// Standard deviation of the smooth part of the prior, its length in pixels, and the standard deviation of the rough part.
const SMOOTH: f64 = 0.15;
const LENGTH: f64 = 2.0;
pub(crate) const NUGGET: f64 = 0.03;

/// Standard deviation of the noise of a measurement.
pub(crate) const NOISE_STD: f64 = 0.1;

/// Names of the problems, as they are printed.
pub(crate) const INPAINTING: &str = "inpainting";
pub(crate) const BLUR: &str = "blur";

/// A measurement, and all that is known about what it is of.
pub(crate) struct Problem {
    pub(crate) name: &'static str,
    pub(crate) prior: FullGaussian,
    operator: Box<dyn Svd>,
    /// The operator, where it hides pixels.
    pub(crate) inpainting: Option<Inpainting>,
    pub(crate) y: Tensor<4>,
    /// The exact law of the image.
    pub(crate) posterior: Gaussian,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Masked {
    mask: Vec<f64>,
    y: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blurred {
    kernel: Vec<Vec<f64>>,
    y: Vec<f64>,
}

impl Problem {
    /// Half of the pixels, at random.
    pub(crate) fn inpainting() -> Outcome<Self> {
        let data: Masked = serde_json::from_str(include_str!("inpaint.json"))?;
        let operator = Inpainting::new(image(data.mask))?;
        Self::new(
            INPAINTING,
            Box::new(operator.clone()),
            Some(operator),
            data.y,
        )
    }

    /// Circular blur by a Gaussian of one pixel.
    pub(crate) fn blur() -> Outcome<Self> {
        let data: Blurred = serde_json::from_str(include_str!("blur.json"))?;
        let shape = [1, 1, data.kernel.len(), data.kernel[0].len()];
        let kernel = tensor(data.kernel.concat(), shape);
        let operator = FourierBlur::new(kernel, [SIDE, SIDE])?;
        Self::new(BLUR, Box::new(operator), None, data.y)
    }

    fn new(
        name: &'static str,
        operator: Box<dyn Svd>,
        inpainting: Option<Inpainting>,
        y: Vec<f64>,
    ) -> Outcome<Self> {
        let law = prior();
        let identity = DMatrix::<f64>::identity(PIXELS, PIXELS);
        let basis = tensor(identity.as_slice().to_vec(), [PIXELS, 1, SIDE, SIDE]);
        let columns = operator.forward(basis).try_to_vec_as::<f64>()?;
        let matrix = DMatrix::from_column_slice(PIXELS, PIXELS, &columns);
        let posterior = law.given(&matrix, &DVector::from_column_slice(&y), NOISE_STD);
        Ok(Self {
            name,
            prior: denoiser(&law)?,
            operator,
            inpainting,
            y: image(y),
            posterior,
        })
    }

    /// `A`.
    pub(crate) fn operator(&self) -> &dyn Svd {
        self.operator.as_ref()
    }

    /// The measurement for samplers that take it whole.
    pub(crate) fn measurement(&self) -> Measurement<&dyn Svd> {
        Measurement {
            operator: self.operator(),
            y: self.y.clone(),
            noise_std: NOISE_STD,
        }
    }
}

/// The law of images.
fn prior() -> Gaussian {
    let position = |pixel: usize| ((pixel / SIDE) as f64, (pixel % SIDE) as f64);
    let mean = DVector::from_fn(PIXELS, |pixel, _| {
        let (row, column) = position(pixel);
        let period = SIDE as f64;
        0.5 + 0.2 * (TAU * row / period).sin() * (TAU * column / period).cos()
    });
    let covariance = DMatrix::from_fn(PIXELS, PIXELS, |p, q| {
        let ((a, b), (c, d)) = (position(p), position(q));
        let distance = ((a - c).powi(2) + (b - d).powi(2)) / (2.0 * LENGTH * LENGTH);
        let nugget = if p == q { NUGGET * NUGGET } else { 0.0 };
        SMOOTH * SMOOTH * (-distance).exp() + nugget
    });
    Gaussian { mean, covariance }
}

/// A Gaussian as a prior whose denoiser is exact.
pub(crate) fn denoiser(law: &Gaussian) -> Result<FullGaussian, PriorError> {
    let covariance = law.covariance.as_slice().to_vec();
    let mean = image(law.mean.as_slice().to_vec());
    FullGaussian::new(mean, tensor(covariance, [PIXELS, PIXELS]))
}

fn image(values: Vec<f64>) -> Tensor<4> {
    tensor(values, [1, 1, SIDE, SIDE])
}

/// The shape of a batch of draws.
pub(crate) const fn batch(draws: usize) -> [usize; 4] {
    [draws, 1, SIDE, SIDE]
}

/// Double precision, on the CPU.
fn tensor<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(values, shape),
        (&Device::flex(), DType::F64),
    )
}
