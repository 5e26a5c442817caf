//! Magnetic resonance imaging with one coil: some frequencies of a complex image, `A x = m F x` (Lustig et al. 2007,
//! *Sparse MRI*, <https://doi.org/10.1002/mrm.21391>).
//!
//! `F` is the centred orthonormal Fourier transform. On two real channels it is an orthogonal map, so `A = U diag(s) V^T` with
//! `V^T = F`, `s = m` and `U` the identity where `m` is 1.

use burn::tensor::Tensor;

use crate::{
    ConjugateGradient, ForwardOperator, Inpainting, LinearOperator, PhysicsError, Svd,
    fourier::Dft, pseudo_inverse_by_svd, solve_normal_by_svd,
};

/// `A x = m F x`: images and measurements are `[batch, 2, height, width]`, real and imaginary part.
///
/// Zero frequency lies at `[height / 2, width / 2]`; what is not measured is 0.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Mri, cartesian_mask};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let scanner = Mri::new(cartesian_mask([16, 16], 4.0, 0.125, 1, &device)?)?;
/// let y = scanner.forward(Tensor::ones([1, 2, 16, 16], &device));
/// assert_eq!(y.dims(), [1, 2, 16, 16]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Mri {
    sampling: Inpainting,
    fourier: Dft,
}

impl Mri {
    /// A mask `[1 or batch, 1, height, width]` of ones (measured frequencies) and zeros, such as
    /// [`cartesian_mask`](crate::cartesian_mask) and [`radial_mask`](crate::radial_mask).
    ///
    /// # Errors
    /// If the mask has more than one channel, an entry other than 0 and 1 or no 1 at all, or cannot be read from its device.
    pub fn new(mask: Tensor<4>) -> Result<Self, PhysicsError> {
        let (sampling, fourier) = sampled_frequencies(mask)?;
        Ok(Self { sampling, fourier })
    }

    /// The mask: 1 where a frequency is measured.
    pub fn mask(&self) -> &Tensor<4> {
        self.sampling.mask()
    }
}

/// A mask that serves real and imaginary parts alike, and the transform of its size.
pub(super) fn sampled_frequencies(mask: Tensor<4>) -> Result<(Inpainting, Dft), PhysicsError> {
    let shape @ [_, channels, height, width] = mask.dims();
    if channels != 1 {
        return Err(PhysicsError::MaskChannels { mask: shape });
    }
    let fourier = Dft::centred([height, width], (&mask.device(), mask.dtype()));
    Ok((Inpainting::new(mask)?, fourier))
}

/// Refuses anything but a real and an imaginary channel.
pub(super) fn require_complex(image: [usize; 4]) -> Result<(), PhysicsError> {
    match image[1] {
        2 => Ok(()),
        found => Err(PhysicsError::Channels { expected: 2, found }),
    }
}

/// The real and the imaginary channel.
pub(super) fn parts(x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    (x.clone().narrow(1, 0, 1), x.narrow(1, 1, 1))
}

impl ForwardOperator for Mri {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_complex(image)?;
        self.sampling.measurement_shape(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.sampling.forward(self.v_adjoint(x))
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Mri {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.v(self.sampling.adjoint(y))
    }

    /// `F^-1 (1/(m + damping)) F rhs`, and `F^-1 m F rhs` without damping.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        solve_normal_by_svd(self, rhs, damping)
    }

    /// `A^T y`: what was not measured is taken for 0.
    fn pseudo_inverse(&self, y: Tensor<4>, _: ConjugateGradient) -> Tensor<4> {
        pseudo_inverse_by_svd(self, y)
    }
}

impl Svd for Mri {
    fn singular_values(&self, _: &Tensor<4>) -> Tensor<4> {
        self.mask().clone()
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        let (re, im) = parts(x);
        let (re, im) = self.fourier.forward(re, Some(im));
        Tensor::cat(vec![re, im], 1)
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        let (re, im) = parts(coefficients);
        let (re, im) = self.fourier.inverse(re, im);
        Tensor::cat(vec![re, im], 1)
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.sampling.adjoint(y)
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        self.sampling.forward(coefficients)
    }
}
