//! Circular blur of images of any size, diagonal in the Fourier basis.
//!
//! `F A x = h^ F x` with the transfer function `h^[k, l] = sum_{a, b} h[a, b] exp(-2 pi i (k a / H + l b / W))`, offsets counted
//! from the kernel's centre, index `[height / 2, width / 2]`. The image, its adjoint, `(A^T A + d I)^-1` and the
//! pseudo-inverse cost one forward and one inverse transform of half a spectrum each.
//!
//! Real and imaginary parts of the frequencies `k` and `-k`, times `sqrt 2`, and the real self-conjugate frequencies are an
//! orthonormal basis of real images: that is `V`. `U` is `V` with each pair turned by the phase of `h^`, and `s = |h^|`.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

use burn::tensor::{Tensor, TensorCreationOptions, TensorData, ops::PadMode};

use super::{
    blur::{finite_values, gaussian_kernel, require_shared},
    boundary::Boundary,
};
use crate::{
    ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd,
    fourier::{HalfDft, transfer_function},
    svd::reciprocal,
};

/// [`Blur`](crate::Blur) with the circular boundary, at a cost that does not depend on the size of the kernel.
///
/// Frequencies that the kernel suppresses to within the rounding of its entries count as suppressed wholly.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ConjugateGradient, ForwardOperator, FourierBlur, LinearOperator, kernels};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let kernel = kernels::gaussian([5, 5], [0.5, 0.5], 0.0, &device)?;
/// let blur = FourierBlur::new(kernel.unsqueeze(), [7, 6])?;
/// let x = Tensor::<4>::ones([2, 3, 7, 6], &device);
/// let sharp = blur.pseudo_inverse(blur.forward(x.clone()), ConjugateGradient::default());
/// assert!((sharp - x).abs().max().into_scalar::<f32>() < 1e-5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FourierBlur {
    kernel: [usize; 4],
    size: [usize; 2],
    dft: HalfDft,
    transfer: Spectrum,
    /// `h^ / |h^|`, 0 where `h^` is.
    phase: Spectrum,
    /// `|h^|`, `[.., height, width / 2 + 1]`.
    magnitude: Tensor<4>,
    basis: Basis,
}

/// Complex factors `[.., height, width / 2 + 1]`.
#[derive(Clone, Debug)]
struct Spectrum {
    re: Tensor<4>,
    im: Tensor<4>,
}

impl Spectrum {
    fn times(&self, (re, im): (Tensor<4>, Tensor<4>)) -> (Tensor<4>, Tensor<4>) {
        (
            re.clone() * self.re.clone() - im.clone() * self.im.clone(),
            im * self.re.clone() + re * self.im.clone(),
        )
    }

    fn conjugate_times(&self, (re, im): (Tensor<4>, Tensor<4>)) -> (Tensor<4>, Tensor<4>) {
        (
            re.clone() * self.re.clone() + im.clone() * self.im.clone(),
            im * self.re.clone() - re * self.im.clone(),
        )
    }
}

impl FourierBlur {
    /// Circular convolution with kernels `[1 or batch, 1 or channels, height, width]` for images of `size`, height and width.
    ///
    /// # Errors
    /// If a kernel is empty or reaches further than the image, or an entry is not finite, or the kernels cannot be read from their
    /// device.
    pub fn new(kernel: Tensor<4>, size: [usize; 2]) -> Result<Self, PhysicsError> {
        let values = finite_values(&kernel)?;
        let shape @ [samples, planes, rows, columns] = kernel.dims();
        Boundary::Circular.require([rows, columns], size)?;
        let options = TensorCreationOptions::from((&kernel.device(), kernel.dtype()));
        let kept = size[1] / 2 + 1;
        let rounding = rounding(&kernel);
        let transfer: Vec<[f64; 2]> = values
            .chunks(rows * columns)
            .flat_map(|plane| transfer_function(plane, [rows, columns], size, kept, rounding))
            .collect();
        let tensor = |f: &dyn Fn([f64; 2]) -> f64| {
            let values: Vec<f64> = transfer.iter().map(|&h| f(h)).collect();
            let data = TensorData::new(values, [samples, planes, size[0], kept]);
            Tensor::<4>::from_data(data, options.clone())
        };
        let magnitude = |[re, im]: [f64; 2]| re.hypot(im);
        let along = |h: [f64; 2], part: usize| match magnitude(h) {
            0.0 => 0.0,
            length => h[part] / length,
        };
        Ok(Self {
            kernel: shape,
            size,
            dft: HalfDft::new(size, options.clone()),
            transfer: Spectrum {
                re: tensor(&|h| h[0]),
                im: tensor(&|h| h[1]),
            },
            phase: Spectrum {
                re: tensor(&|h| along(h, 0)),
                im: tensor(&|h| along(h, 1)),
            },
            magnitude: tensor(&magnitude),
            basis: Basis::new(size, options.clone()),
        })
    }

    /// The operator of [`Blur::gaussian`](crate::Blur::gaussian).
    ///
    /// # Errors
    /// Unless `sigma` is finite and above 0, or if the kernel is larger than the image.
    pub fn gaussian(
        size: [usize; 2],
        sigma: f64,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        Self::new(
            gaussian_kernel(size, sigma, options.into())?.unsqueeze(),
            size,
        )
    }

    /// The image whose transform is that of `x` times real `weights`.
    fn reweighted(&self, x: Tensor<4>, weights: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.dft.forward(x);
        self.dft.inverse(re * weights.clone(), im * weights)
    }
}

/// Relative size of the rounding of a kernel's entries and of the sum over them.
pub(super) fn rounding(kernel: &Tensor<4>) -> f64 {
    let epsilon = kernel
        .dtype()
        .finfo()
        .map_or(f64::EPSILON, |info| info.epsilon);
    16.0 * epsilon
}

impl ForwardOperator for FourierBlur {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_shared(self.kernel, image)?;
        require_size(self.size, image)?;
        Ok(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.transfer.times(self.dft.forward(x));
        self.dft.inverse(re, im)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

/// Refuses images of another size than the operator was made for.
pub(super) fn require_size(expected: [usize; 2], image: [usize; 4]) -> Result<(), PhysicsError> {
    let found = [image[2], image[3]];
    if found == expected {
        Ok(())
    } else {
        Err(PhysicsError::ImageSize { found, expected })
    }
}

impl LinearOperator for FourierBlur {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.transfer.conjugate_times(self.dft.forward(y));
        self.dft.inverse(re, im)
    }

    /// `F^H diag(1 / (|h^|^2 + damping)) F rhs`, 0 where the denominator is.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        let weights = self.magnitude.clone().square().add_scalar(damping);
        self.reweighted(rhs, reciprocal(weights))
    }

    /// `F^H diag(conj h^ / |h^|^2) F y`, 0 where `h^` is.
    fn pseudo_inverse(&self, y: Tensor<4>, _: ConjugateGradient) -> Tensor<4> {
        let (re, im) = self.phase.conjugate_times(self.dft.forward(y));
        let weights = reciprocal(self.magnitude.clone());
        self.dft.inverse(re * weights.clone(), im * weights)
    }
}

/// The singular values need not be sorted: columns `0..=width / 2` belong to the real parts of the frequencies of these columns
/// (in a column that is its own conjugate, rows beyond `height / 2` to imaginary parts), the others to the imaginary parts
/// of columns `1..=(width - 1) / 2`.
impl Svd for FourierBlur {
    fn singular_values(&self, _: &Tensor<4>) -> Tensor<4> {
        let [.., height, kept] = self.magnitude.dims();
        let paired = self.size[1] - kept;
        let [samples, planes, ..] = self.kernel;
        let imaginary = self.magnitude.clone();
        if paired == 0 {
            return imaginary;
        }
        let imaginary = imaginary.slice([0..samples, 0..planes, 0..height, 1..paired + 1]);
        Tensor::cat(vec![self.magnitude.clone(), imaginary], 3)
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        self.basis.coefficients(self.dft.forward(x))
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.basis.spectrum(coefficients);
        self.dft.inverse(re, im)
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let turned = self.phase.conjugate_times(self.dft.forward(y));
        self.basis.coefficients(turned)
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.phase.times(self.basis.spectrum(coefficients));
        self.dft.inverse(re, im)
    }
}

/// The real orthonormal coordinates of half a spectrum.
#[derive(Clone, Debug)]
struct Basis {
    /// Weights of real and imaginary parts in the first `width / 2 + 1` columns of coefficients, `[1, 1, height, that]`.
    real: Tensor<4>,
    imaginary: Tensor<4>,
    /// The same from coefficients to a spectrum, where a column with a dropped conjugate counts half.
    real_back: Tensor<4>,
    /// Number of columns with a dropped conjugate.
    paired: usize,
}

impl Basis {
    fn new([height, width]: [usize; 2], options: TensorCreationOptions) -> Self {
        let kept = width / 2 + 1;
        let own = |column: usize| column == 0 || 2 * column == width;
        let table = |weight: &dyn Fn(usize, usize) -> f64| {
            let values: Vec<f64> = (0..height * kept)
                .map(|index| weight(index / kept, index % kept))
                .collect();
            let data = TensorData::new(values, [1, 1, height, kept]);
            Tensor::<4>::from_data(data, options.clone())
        };
        // Along a column that is its own conjugate, row `k` is the conjugate of row `height - k`.
        let real = |row: usize| match row {
            0 => 1.0,
            _ if 2 * row == height => 1.0,
            _ if 2 * row < height => SQRT_2,
            _ => 0.0,
        };
        let imaginary = |row: usize| if 2 * row > height { SQRT_2 } else { 0.0 };
        Self {
            real: table(&|k, l| if own(l) { real(k) } else { SQRT_2 }),
            real_back: table(&|k, l| if own(l) { real(k) } else { FRAC_1_SQRT_2 }),
            imaginary: table(&|k, l| if own(l) { imaginary(k) } else { 0.0 }),
            paired: width - kept,
        }
    }

    fn coefficients(&self, (re, im): (Tensor<4>, Tensor<4>)) -> Tensor<4> {
        let first = re * self.real.clone() + im.clone() * self.imaginary.clone();
        if self.paired == 0 {
            return first;
        }
        let rest = im.narrow(3, 1, self.paired).mul_scalar(SQRT_2);
        Tensor::cat(vec![first, rest], 3)
    }

    fn spectrum(&self, coefficients: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let kept = coefficients.dims()[3] - self.paired;
        let first = coefficients.clone().narrow(3, 0, kept);
        let re = first.clone() * self.real_back.clone();
        let im = first * self.imaginary.clone();
        if self.paired == 0 {
            return (re, im);
        }
        let rest = coefficients
            .narrow(3, kept, self.paired)
            .mul_scalar(FRAC_1_SQRT_2);
        let margin = (1, kept - 1 - self.paired);
        (re, im + rest.pad([margin], PadMode::Constant(0.0)))
    }
}
