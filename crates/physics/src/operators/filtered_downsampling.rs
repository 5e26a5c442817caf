//! Down-sampling: an anti-alias filter, then every `factor`-th pixel, `A x = (h * x)[::f, ::f]`.
//!
//! With the circular boundary `A A^T` is a circular convolution of small images, with the transfer function
//! `g[k, l] = sum_{m, n < f} |h^[k + m H/f, l + n W/f]|^2 / f^2` of the aliases of a frequency. So
//! `(A^T A + d I)^-1 r = (r - A^T (A A^T + d I)^-1 A r) / d` and `A^+ = A^T (A A^T)^+` cost one Fourier transform of a small image
//! back and forth (Zhao, Wei, Basarab, Dobigeon, Kouame & Tourneret 2016, theorem 1, <https://doi.org/10.1109/TIP.2016.2567075>).

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use serde::{Deserialize, Serialize};

use super::{
    blur::{Blur, finite_values, require_shared},
    boundary::Boundary,
    downsampling::{insert_zeros, require_divisible},
    fourier_blur::{require_size, rounding},
};
use crate::{
    ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError,
    fourier::{HalfDft, transfer_function},
    kernels,
    svd::reciprocal,
};

/// The anti-alias filter of a [`Downsampling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownsamplingFilter {
    /// None.
    Nearest,
    /// [`kernels::gaussian`] of standard deviation `factor`, cut off after `floor(factor / 0.3) + 1` pixels.
    Gaussian,
    /// [`kernels::bilinear`].
    Bilinear,
    /// [`kernels::bicubic`].
    Bicubic,
    /// [`kernels::sinc`].
    Sinc,
}

impl DownsamplingFilter {
    /// The kernel of the filter for `factor`.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// If `factor` is 0.
    pub fn kernel(
        self,
        factor: usize,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Tensor<2>, PhysicsError> {
        match self {
            _ if factor == 0 => Err(PhysicsError::ZeroFactor),
            Self::Nearest => kernels::uniform([1, 1], options),
            Self::Gaussian => {
                let sigma = factor as f64;
                let side = 2 * (sigma / 0.3 + 1.0) as usize + 1;
                kernels::gaussian([side, side], [sigma, sigma], 0.0, options)
            }
            Self::Bilinear => kernels::bilinear(factor, options),
            Self::Bicubic => kernels::bicubic(factor, options),
            Self::Sinc => kernels::sinc(factor, options),
        }
    }
}

/// Every `factor`-th pixel of a filtered image.
///
/// The filters of even side are centred half a pixel after the pixels that are kept.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{Boundary, Downsampling, DownsamplingFilter, ForwardOperator};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let bicubic = DownsamplingFilter::Bicubic;
/// let operator = Downsampling::new([32, 48], 4, bicubic, Boundary::Circular, &device)?;
/// let y = operator.forward(Tensor::<4>::full([2, 3, 32, 48], 0.5, &device));
/// assert_eq!(y.dims(), [2, 3, 8, 12]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Downsampling {
    blur: Blur,
    kernel: [usize; 4],
    size: [usize; 2],
    factor: usize,
    /// With the circular boundary alone.
    gram: Option<Gram>,
}

/// `A A^T` in the Fourier basis of the measurements.
#[derive(Clone, Debug)]
struct Gram {
    dft: HalfDft,
    /// Its eigenvalues, `[.., height, width / 2 + 1]` of the measurement.
    eigenvalues: Tensor<4>,
}

impl Gram {
    fn new(kernel: &Tensor<4>, values: &[f64], size: [usize; 2], factor: usize) -> Self {
        let [samples, planes, rows, columns] = kernel.dims();
        let [height, width] = size.map(|side| side / factor);
        let kept = width / 2 + 1;
        let rounding = rounding(kernel);
        let eigenvalues: Vec<f64> = values
            .chunks(rows * columns)
            .flat_map(|plane| {
                let transfer = transfer_function(plane, [rows, columns], size, size[1], rounding);
                let power = move |k: usize, l: usize| {
                    let [re, im] = transfer[k * size[1] + l];
                    re * re + im * im
                };
                (0..height * kept).map(move |index| {
                    let (k, l) = (index / kept, index % kept);
                    let aliases = (0..factor * factor).map(|alias| {
                        power(k + alias / factor * height, l + alias % factor * width)
                    });
                    aliases.sum::<f64>() / (factor * factor) as f64
                })
            })
            .collect();
        let options = TensorCreationOptions::from((&kernel.device(), kernel.dtype()));
        let data = TensorData::new(eigenvalues, [samples, planes, height, kept]);
        Self {
            dft: HalfDft::new([height, width], options.clone()),
            eigenvalues: Tensor::from_data(data, options),
        }
    }

    /// `f(A A^T) y`, `weights` being `f` of the eigenvalues.
    fn apply(&self, y: Tensor<4>, weights: Tensor<4>) -> Tensor<4> {
        let (re, im) = self.dft.forward(y);
        self.dft.inverse(re * weights.clone(), im * weights)
    }
}

impl Downsampling {
    /// Every `factor`-th pixel of images of `size`, height and width, after one of the usual filters.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// If `factor` is 0 or does not divide the size, or the filter reaches further than the boundary allows.
    pub fn new(
        size: [usize; 2],
        factor: usize,
        filter: DownsamplingFilter,
        boundary: Boundary,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        let kernel = filter.kernel(factor, options)?;
        Self::with_kernel(size, factor, kernel.unsqueeze(), boundary)
    }

    /// The same with given filters, `[1 or batch, 1 or channels, height, width]`, centred on index `[height / 2, width / 2]`.
    ///
    /// # Errors
    /// As [`new`](Self::new), or if a kernel is empty, has an entry that is not finite, or cannot be read from its device.
    pub fn with_kernel(
        size: [usize; 2],
        factor: usize,
        kernel: Tensor<4>,
        boundary: Boundary,
    ) -> Result<Self, PhysicsError> {
        require_divisible(size, factor)?;
        let values = finite_values(&kernel)?;
        let shape @ [_, _, rows, columns] = kernel.dims();
        boundary.require([rows, columns], size)?;
        let gram =
            (boundary == Boundary::Circular).then(|| Gram::new(&kernel, &values, size, factor));
        Ok(Self {
            blur: Blur::with_boundary(kernel, boundary)?,
            kernel: shape,
            size,
            factor,
            gram,
        })
    }

    /// One pixel of the measurement stands for `factor x factor` pixels of the image.
    pub fn factor(&self) -> usize {
        self.factor
    }
}

impl ForwardOperator for Downsampling {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_shared(self.kernel, image)?;
        require_size(self.size, image)?;
        let [batch, channels, height, width] = self.blur.measurement_shape(image)?;
        let [rows, columns] = [height, width].map(|side| side.div_ceil(self.factor));
        Ok([batch, channels, rows, columns])
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.blur.convolve(x, self.factor)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Downsampling {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let [height, width] = self.blur.measured(self.size);
        let spread = insert_zeros(y, self.factor)
            .narrow(2, 0, height)
            .narrow(3, 0, width);
        self.blur.adjoint(spread)
    }

    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, cg: ConjugateGradient) -> Tensor<4> {
        let Some(gram) = &self.gram else {
            return cg.solve(
                |x| self.adjoint(self.forward(x.clone())) + x.mul_scalar(damping),
                rhs,
            );
        };
        let y = self.forward(rhs.clone());
        if damping == 0.0 {
            let weights = reciprocal(gram.eigenvalues.clone()).square();
            return self.adjoint(gram.apply(y, weights));
        }
        let weights = gram.eigenvalues.clone().add_scalar(damping).recip();
        (rhs - self.adjoint(gram.apply(y, weights))).mul_scalar(damping.recip())
    }

    /// `A^T (A A^T)^+ y`, by conjugate gradients on the measurement unless the boundary is circular.
    fn pseudo_inverse(&self, y: Tensor<4>, cg: ConjugateGradient) -> Tensor<4> {
        match &self.gram {
            Some(gram) => self.adjoint(gram.apply(y, reciprocal(gram.eigenvalues.clone()))),
            None => self.adjoint(cg.solve(|y| self.forward(self.adjoint(y)), y)),
        }
    }
}
