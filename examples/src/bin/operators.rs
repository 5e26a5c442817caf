//! What does each camera make of an image? Draws every operator's measurement, and below it the way back.
//!
//! `cargo xtask example operators -- PHOTO.png OUT.png`; without arguments a phantom and a temporary file.

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::{env, error::Error, path::PathBuf};

use burn::tensor::Int;
use tweedie::{
    burn,
    data::{Channels, Phantoms, grid},
    physics::{
        AverageDownsampling, Blur, Boundary, ConjugateGradient, Detection, Downsampling,
        DownsamplingFilter, FourierBlur, Hadamard, Inpainting, JpegQuantisation, MatrixOperator,
        Mri, PhaseRetrieval, Quantisation, Region, Saturation, SpectralMixing, Tomography,
        cartesian_mask, kernels, radial_mask,
    },
    prelude::*,
};

/// Height and width of the image and of every picture of the sheet.
const SIDE: usize = 128;

/// Few iterations, so that noise and null spaces are not blown up.
const BUDGET: ConjugateGradient = ConjugateGradient { iterations: 20 };

/// The central square of a photograph, made `SIDE` pixels wide, or a phantom.
fn picture(path: Option<String>, device: &Device) -> Result<Tensor<4>, Box<dyn Error>> {
    let Some(path) = path else {
        let phantom = Phantoms::new(7, 1, SIDE, SIDE)?.image(0);
        return Ok(phantom.to_tensor(device).repeat_dim(1, 3));
    };
    let photo = Image::load(path, Some(Channels::Rgb))?.to_tensor(device);
    let [_, _, height, width] = photo.dims();
    let factor = height.min(width) / SIDE;
    if factor == 0 {
        return Err(format!(
            "expected a photograph of at least {SIDE} pixels, found {width} x {height}"
        )
        .into());
    }
    let side = factor * SIDE;
    let square = photo
        .narrow(2, (height - side) / 2, side)
        .narrow(3, (width - side) / 2, side);
    Ok(AverageDownsampling::new(factor)?.forward(square))
}

/// Grey and complex images as colours, stretched to the sheet's size by repetition, out-of-range values scaled to [0, 1].
fn cell(x: Tensor<4>) -> Result<Image, Box<dyn Error>> {
    let [_, channels, height, width] = x.dims();
    let x = match channels {
        1 => x.repeat_dim(1, 3),
        3 => x,
        _ => x
            .narrow(1, 0, 2)
            .square()
            .sum_dim(1)
            .sqrt()
            .repeat_dim(1, 3),
    };
    let device = x.device();
    let nearest = |length: usize| -> Tensor<1, Int> {
        Tensor::arange(0..SIDE as i64, &device) * length as i64 / SIDE as i64
    };
    let x = x.select(2, nearest(height)).select(3, nearest(width));
    let range = |x: &Tensor<4>| {
        let (low, high) = (x.clone().min(), x.clone().max());
        (low.into_scalar::<f32>(), high.into_scalar::<f32>())
    };
    let (low, high) = range(&x);
    if low >= -0.1 && high <= 1.1 {
        return Ok(Image::unbatch(x.clamp(0.0, 1.0))?.remove(0));
    }
    // Spectra and the like: a logarithm shows more than their one bright pixel.
    let x = if high > 3.0 { (x - low).log1p() } else { x };
    let (low, high) = range(&x);
    let x = (x - low) / (high - low).max(f32::MIN_POSITIVE);
    Ok(Image::unbatch(x.clamp(0.0, 1.0))?.remove(0))
}

/// The two rows of the sheet.
#[derive(Default)]
struct Sheet {
    measured: Vec<Image>,
    back: Vec<Image>,
}

impl Sheet {
    fn add(&mut self, name: &str, y: Tensor<4>, back: Tensor<4>) -> Result<(), Box<dyn Error>> {
        println!("{name}: {:?}", &y.dims()[1..]);
        self.measured.push(cell(y)?);
        self.back.push(cell(back)?);
        Ok(())
    }

    fn linear(
        &mut self,
        name: &str,
        operator: &impl LinearOperator,
        x: &Tensor<4>,
    ) -> Result<(), Box<dyn Error>> {
        operator.measurement_shape(x.dims())?;
        let y = operator.forward(x.clone());
        self.add(name, y.clone(), operator.pseudo_inverse(y, BUDGET))
    }

    fn nonlinear(
        &mut self,
        name: &str,
        operator: &impl ForwardOperator,
        x: &Tensor<4>,
    ) -> Result<(), Box<dyn Error>> {
        let y = operator.forward(x.clone());
        self.add(name, y.clone(), operator.vjp(x.clone(), y))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--");
    let x = picture(arguments.next(), &device)?;
    let grey = SpectralMixing::grey(&device).forward(x.clone());
    let complex = Tensor::cat(vec![grey.clone(), grey.zeros_like()], 1);
    let size = [SIDE, SIDE];
    let mut sheet = Sheet::default();

    sheet.add("the image", x.clone(), x.clone())?;
    sheet.linear(
        "inpainting, random",
        &Inpainting::random(size, 0.5, 1, &device)?,
        &x,
    )?;
    let hole = Region {
        top: 40,
        left: 40,
        height: 48,
        width: 48,
    };
    sheet.linear(
        "inpainting, box",
        &Inpainting::without(size, hole, &device)?,
        &x,
    )?;
    let motion = kernels::motion(15.0, 30.0, &device)?;
    sheet.linear(
        "motion blur, reflected edges",
        &Blur::with_boundary(motion.clone().unsqueeze(), Boundary::Reflect)?,
        &x,
    )?;
    let gaussian = kernels::gaussian([13, 13], [2.0, 2.0], 0.0, &device)?;
    sheet.linear(
        "Gaussian blur by Fourier transform",
        &FourierBlur::new(gaussian.unsqueeze(), size)?,
        &x,
    )?;
    let bicubic = Downsampling::new(
        size,
        4,
        DownsamplingFilter::Bicubic,
        Boundary::Circular,
        &device,
    )?;
    sheet.linear("bicubic down-sampling by 4", &bicubic, &x)?;
    sheet.linear("means of 4 x 4 pixels", &AverageDownsampling::new(4)?, &x)?;
    sheet.linear("colour to grey", &SpectralMixing::grey(&device), &x)?;
    sheet.linear(
        "single pixel, a tenth of the patterns",
        &Hadamard::single_pixel(size, SIDE * SIDE / 10, &device)?,
        &grey,
    )?;
    sheet.linear(
        "randomised Hadamard, half",
        &Hadamard::randomised(size, SIDE * SIDE / 2, 1, &device)?,
        &grey,
    )?;
    let small = AverageDownsampling::new(4)?.forward(grey.clone());
    let sensing = MatrixOperator::compressed_sensing([1, SIDE / 4, SIDE / 4], 512, 1, &device)?;
    sheet.linear("compressed sensing, 512 of 1024", &sensing, &small)?;
    sheet.linear(
        "MRI, Cartesian, 4 times faster",
        &Mri::new(cartesian_mask(size, 4.0, 0.08, 1, &device)?)?,
        &complex,
    )?;
    sheet.linear(
        "MRI, 24 spokes",
        &Mri::new(radial_mask(size, 24, &device)?)?,
        &complex,
    )?;
    let tomography = Tomography::uniform(SIDE, 60, &device)?;
    let sinogram = tomography.forward(grey.clone());
    let back = tomography.filtered_back_projection(sinogram.clone());
    sheet.add(
        "tomography, 60 angles, filtered back-projection",
        sinogram,
        back,
    )?;
    sheet.nonlinear(
        "phase retrieval",
        &PhaseRetrieval::new(size, 2, Detection::Amplitude, &device)?,
        &grey,
    )?;
    sheet.nonlinear("saturation", &Saturation::hard(2.0, 2.2)?, &x)?;
    sheet.nonlinear("6 grey levels", &Quantisation::new(6)?, &x)?;
    sheet.nonlinear("JPEG, quality 5", &JpegQuantisation::new(5, &device)?, &x)?;

    let columns = sheet.measured.len().div_ceil(2);
    let mut rows = Vec::new();
    for (measured, back) in sheet
        .measured
        .chunks(columns)
        .zip(sheet.back.chunks(columns))
    {
        let blank = || Image::new(3, SIDE, SIDE, vec![1.0; 3 * SIDE * SIDE]);
        for row in [measured, back] {
            rows.extend_from_slice(row);
            for _ in row.len()..columns {
                rows.push(blank()?);
            }
        }
    }
    let path = arguments.next().map_or_else(
        || env::temp_dir().join("tweedie-operators.png"),
        PathBuf::from,
    );
    grid(&rows, columns, 2)?.save(&path)?;
    println!("sheet: {}", path.display());
    Ok(())
}
