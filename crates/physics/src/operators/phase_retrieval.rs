//! Phase retrieval: a detector far behind a real object sees the magnitude of its Fourier transform alone
//! (Fienup 1982, *Phase retrieval algorithms: a comparison*, <https://doi.org/10.1364/AO.21.002758>).
//!
//! `y = |F P x|` or `|F P x|^2`; `P` surrounds the image by zeros, which samples the spectrum more finely. A shifted image and
//! one turned by half a turn give the same measurement.

use burn::tensor::{Tensor, TensorCreationOptions};

use crate::{ForwardOperator, PhysicsError, fourier::Dft};

/// What the detector reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// `|F P x|`. It has no derivative where it is 0; the derivative there is taken for 0.
    Amplitude,
    /// `|F P x|^2`.
    Intensity,
}

/// Fourier magnitudes of each channel: `[batch, channels, height, width]` to
/// `[batch, channels, oversampling * height, oversampling * width]`.
///
/// The transform is orthonormal on the padded grid, so the intensities of a channel sum to the sum of its squared pixels.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{Detection, ForwardOperator, PhaseRetrieval};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let camera = PhaseRetrieval::new([6, 5], 2, Detection::Intensity, &device)?;
/// let y = camera.forward(Tensor::ones([1, 1, 6, 5], &device));
/// assert_eq!(y.dims(), [1, 1, 12, 10]);
/// assert!((y.sum().into_scalar::<f32>() - 30.0).abs() < 1e-3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PhaseRetrieval {
    size: [usize; 2],
    oversampling: usize,
    detection: Detection,
    fourier: Dft,
}

impl PhaseRetrieval {
    /// Magnitudes of images of `[height, width]`, surrounded by zeros to `oversampling` times these sides.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// If `oversampling` is 0, or `size` holds no pixel.
    pub fn new(
        size: [usize; 2],
        oversampling: usize,
        detection: Detection,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        if oversampling == 0 {
            return Err(PhysicsError::ZeroFactor);
        }
        if size.contains(&0) {
            return Err(PhysicsError::EmptyImage { size });
        }
        Ok(Self {
            size,
            oversampling,
            detection,
            fourier: Dft::new(size.map(|side| oversampling * side), options),
        })
    }

    /// `F P x`.
    fn spectrum(&self, x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [down, right] = self.size.map(|side| (self.oversampling - 1) * side);
        self.fourier.forward(x.pad((0, right, 0, down), 0.0), None)
    }
}

fn intensity(re: Tensor<4>, im: Tensor<4>) -> Tensor<4> {
    re.square() + im.square()
}

impl ForwardOperator for PhaseRetrieval {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [batch, channels, height, width] = image;
        if [height, width] != self.size {
            return Err(PhysicsError::ImageSize {
                expected: self.size,
                found: [height, width],
            });
        }
        let [rows, columns] = self.size.map(|side| self.oversampling * side);
        Ok([batch, channels, rows, columns])
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.spectrum(x);
        let intensity = intensity(re, im);
        match self.detection {
            Detection::Amplitude => {
                // On a tape the square root of 0 would give 0 times infinity.
                let dark = intensity.clone().equal_elem(0.0);
                let lit = intensity.mask_fill(dark.clone(), 1.0);
                lit.sqrt().mask_fill(dark, 0.0)
            }
            Detection::Intensity => intensity,
        }
    }

    /// `P^T Re F^-1 (v z / |z|)` for amplitudes, `P^T Re F^-1 (2 v z)` for intensities, with `z = F P x`.
    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.spectrum(x);
        let slope = match self.detection {
            Detection::Amplitude => {
                let intensity = intensity(re.clone(), im.clone());
                let dark = intensity.clone().equal_elem(0.0);
                v * intensity.mask_fill(dark, 1.0).sqrt().recip()
            }
            Detection::Intensity => v.mul_scalar(2.0),
        };
        let padded = self.fourier.inverse_real(slope.clone() * re, slope * im);
        padded.narrow(2, 0, self.size[0]).narrow(3, 0, self.size[1])
    }
}
