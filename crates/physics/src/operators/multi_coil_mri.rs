//! Magnetic resonance imaging with several coils, each sensitive to its own surroundings (SENSE, Pruessmann et al. 1999,
//! <https://doi.org/10.1002/(SICI)1522-2594(199911)42:5%3C952::AID-MRM16%3E3.0.CO;2-S>).
//!
//! `y_c = m F (S_c x)` with complex maps `S_c`, a mask `m` and the centred orthonormal Fourier transform `F`;
//! `A^T y = sum_c conj(S_c) F^-1 (m y_c)`.

use std::f64::consts::TAU;

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::mri::{parts, require_complex, sampled_frequencies};
use crate::{ForwardOperator, Inpainting, LinearOperator, PhysicsError, fourier::Dft};

/// Distance of a coil from the middle of the image, in half sides: beyond the corners at `sqrt(2)`.
const COIL_DISTANCE: f64 = 2.0;

/// `y_c = m F (S_c x)`: images `[batch, 2, height, width]`, real and imaginary part; measurements `[batch, 2 coils, height, width]`,
/// both parts of the first coil, then of the second.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, MultiCoilMri, birdcage_sensitivities, radial_mask};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let sensitivities = birdcage_sensitivities([16, 16], 4, &device)?;
/// let scanner = MultiCoilMri::new(radial_mask([16, 16], 5, &device)?, sensitivities)?;
/// let y = scanner.forward(Tensor::ones([1, 2, 16, 16], &device));
/// assert_eq!(y.dims(), [1, 8, 16, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MultiCoilMri {
    sampling: Inpainting,
    fourier: Dft,
    /// Real and imaginary parts, `[1 or batch, coils, height, width]`.
    sensitivities: (Tensor<4>, Tensor<4>),
}

impl MultiCoilMri {
    /// A mask `[1 or batch, 1, height, width]` of ones (measured frequencies) and zeros, and sensitivities
    /// `[1 or batch, 2 coils, height, width]`, both parts of the first coil, then of the second, on the same device and of the
    /// same float type.
    ///
    /// # Errors
    /// If the mask has more than one channel, an entry other than 0 and 1 or no 1 at all, if it cannot be read from its
    /// device, or if the sensitivities have another size, an odd number of channels or none.
    pub fn new(mask: Tensor<4>, sensitivities: Tensor<4>) -> Result<Self, PhysicsError> {
        let [mask_rows, _, height, width] = mask.dims();
        let shape @ [rows, channels, _, _] = sensitivities.dims();
        let one_batch = rows == mask_rows || rows == 1 || mask_rows == 1;
        let coils = channels / 2;
        if [2 * coils, height, width] != shape[1..] || coils == 0 || !one_batch {
            return Err(PhysicsError::Sensitivities {
                mask: mask.dims(),
                found: shape,
            });
        }
        let (sampling, fourier) = sampled_frequencies(mask)?;
        Ok(Self {
            sampling,
            fourier,
            sensitivities: split(sensitivities),
        })
    }

    /// Number of coils.
    pub fn coils(&self) -> usize {
        self.sensitivities.0.dims()[1]
    }
}

/// `[batch, 2 coils, height, width]` to real and imaginary parts `[batch, coils, height, width]`.
fn split(x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [batch, channels, height, width] = x.dims();
    let pairs = x.reshape([batch, channels / 2, 2, height, width]);
    let part = |index| {
        let part = pairs.clone().narrow(2, index, 1);
        part.reshape([batch, channels / 2, height, width])
    };
    (part(0), part(1))
}

/// The inverse of [`split`].
fn join(re: Tensor<4>, im: Tensor<4>) -> Tensor<4> {
    let [batch, coils, height, width] = re.dims();
    Tensor::stack::<5>(vec![re, im], 2).reshape([batch, 2 * coils, height, width])
}

impl ForwardOperator for MultiCoilMri {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_complex(image)?;
        let [batch, _, height, width] = self.sampling.measurement_shape(image)?;
        let maps = self.sensitivities.0.dims();
        if maps[0] != 1 && maps[0] != batch {
            return Err(PhysicsError::Sensitivities {
                mask: [batch, 1, height, width],
                found: [maps[0], 2 * maps[1], height, width],
            });
        }
        Ok([batch, 2 * self.coils(), height, width])
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (map_re, map_im) = self.sensitivities.clone();
        let (re, im) = parts(x);
        let coil_re = map_re.clone() * re.clone() - map_im.clone() * im.clone();
        let coil_im = map_re * im + map_im * re;
        let (re, im) = self.fourier.forward(coil_re, Some(coil_im));
        self.sampling.forward(join(re, im))
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for MultiCoilMri {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let (map_re, map_im) = self.sensitivities.clone();
        let (re, im) = split(self.sampling.adjoint(y));
        let (re, im) = self.fourier.inverse(re, im);
        let image_re = map_re.clone() * re.clone() + map_im.clone() * im.clone();
        let image_im = map_re * im - map_im * re;
        Tensor::cat(vec![image_re.sum_dim(1), image_im.sum_dim(1)], 1)
    }
}

/// Smooth synthetic maps of `coils` coils around the image, `[1, 2 coils, height, width]`, with `sum_c |S_c|^2 = 1` at each pixel.
///
/// The field of a coil at `z_c` on a circle falls off as `1/(z - z_c)`, pixels as complex numbers. `options` is the device, or
/// `(&device, dtype)`.
///
/// # Errors
/// If there is no coil, or `size` holds no pixel.
pub fn birdcage_sensitivities(
    size @ [height, width]: [usize; 2],
    coils: usize,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<4>, PhysicsError> {
    if coils == 0 {
        return Err(PhysicsError::NoCoils);
    }
    if size.contains(&0) {
        return Err(PhysicsError::EmptyImage { size });
    }
    let place = |index: usize, side: usize| (2 * index + 1) as f64 / side as f64 - 1.0;
    let field = |coil: usize, pixel: usize| {
        let (sin, cos) = (TAU * coil as f64 / coils as f64).sin_cos();
        let aside = place(pixel % width, width) - COIL_DISTANCE * cos;
        let down = place(pixel / width, height) - COIL_DISTANCE * sin;
        let squared = aside * aside + down * down;
        [aside / squared, -down / squared]
    };
    let pixels = height * width;
    let mut values = vec![0.0; 2 * coils * pixels];
    for pixel in 0..pixels {
        let fields: Vec<f64> = (0..coils).flat_map(|coil| field(coil, pixel)).collect();
        let norm = fields.iter().map(|part| part * part).sum::<f64>().sqrt();
        for (channel, part) in fields.iter().enumerate() {
            values[channel * pixels + pixel] = part / norm;
        }
    }
    let data = TensorData::new(values, [1, 2 * coils, height, width]);
    Ok(Tensor::from_data(data, options))
}
