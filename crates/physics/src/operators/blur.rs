//! Blur: convolution of each channel with a kernel.
//!
//! `(A x)[i, j] = sum_{a, b} h[a, b] x[i - a, j - b]`, offsets counted from the kernel's centre, index `[height / 2, width / 2]`;
//! a [`Boundary`] says what `x` is beyond its border. The adjoint correlates with `h` and adds what falls beyond the border
//! to the pixels that stood for it, so it is exact at the edges too.

use burn::tensor::{Tensor, TensorCreationOptions, TensorData, module::conv2d, ops::ConvOptions};

use super::boundary::Boundary;
use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError};

/// A Gaussian kernel reaches this many standard deviations from its centre.
const REACH: f64 = 3.0;

/// Convolution with one kernel, or with one for each channel or each sample.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{Blur, Boundary, ForwardOperator, kernels};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let shake = kernels::motion(5.0, 30.0, &device)?.unsqueeze();
/// let grey = Tensor::<4>::full([1, 1, 16, 16], 0.5, &device);
/// let blurred = Blur::with_boundary(shake, Boundary::Reflect)?.forward(grey.clone());
/// let error = (blurred - grey).abs().max().into_scalar::<f32>();
/// assert!(error < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Blur {
    /// `[1 or batch, 1 or channels, height, width]`, as burn's correlation wants it: turned by 180 degrees.
    turned: Tensor<4>,
    boundary: Boundary,
}

impl Blur {
    /// Circular convolution with a given kernel, `[height, width]`, both odd, the same for all channels; it is used as it is,
    /// without normalisation.
    ///
    /// # Errors
    /// If a side is even, or an entry is not finite, or the kernel cannot be read from its device.
    pub fn new(kernel: Tensor<2>) -> Result<Self, PhysicsError> {
        let found = kernel.dims();
        if found.iter().any(|side| side % 2 == 0) {
            return Err(PhysicsError::KernelSize { found });
        }
        Self::with_boundary(kernel.unsqueeze(), Boundary::Circular)
    }

    /// Convolution with given kernels, `[1 or batch, 1 or channels, height, width]`, used as they are.
    ///
    /// An axis of length 1 serves the whole batch or all channels. The centre of a side of even length is the later of the
    /// two pixels in its middle.
    ///
    /// # Errors
    /// If a kernel is empty, or an entry is not finite, or the kernels cannot be read from their device.
    pub fn with_boundary(kernel: Tensor<4>, boundary: Boundary) -> Result<Self, PhysicsError> {
        finite_values(&kernel)?;
        Ok(Self {
            turned: kernel.flip([2, 3]),
            boundary,
        })
    }

    /// Circular convolution with a Gaussian of standard deviation `sigma` pixels for images of `[height, width]`, cut off at
    /// three standard deviations and normalised to sum 1.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// Unless `sigma` is finite and above 0, or if the kernel is larger than the image.
    pub fn gaussian(
        size: [usize; 2],
        sigma: f64,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        Self::new(gaussian_kernel(size, sigma, options.into())?)
    }

    /// Height and width of the kernel.
    fn kernel_size(&self) -> [usize; 2] {
        let [_, _, height, width] = self.turned.dims();
        [height, width]
    }

    /// Height and width of the measurement of images of `size`, which must not be too small.
    pub(super) fn measured(&self, size: [usize; 2]) -> [usize; 2] {
        let kernel = self.kernel_size();
        [0, 1].map(|axis| self.boundary.measured(kernel[axis], size[axis]))
    }

    /// Every `stride`-th row and column of the convolution, from the first on.
    pub(super) fn convolve(&self, x: Tensor<4>, stride: usize) -> Tensor<4> {
        let padded = self.boundary.pad(x, self.kernel_size());
        correlate(padded, self.turned.clone(), stride, [0, 0])
    }
}

/// The entries of a kernel, if it has some and all are finite.
pub(super) fn finite_values(kernel: &Tensor<4>) -> Result<Vec<f64>, PhysicsError> {
    let found @ [_, _, height, width] = kernel.dims();
    if found.contains(&0) {
        return Err(PhysicsError::EmptyKernel { found });
    }
    let values = kernel.try_to_vec_as::<f64>()?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(index) => Err(PhysicsError::KernelValue {
            at: [index / width % height, index % width],
            found: values[index],
        }),
    }
}

/// Whether kernels of that shape serve the batch and the channels of these images.
pub(super) fn require_shared(kernel: [usize; 4], image: [usize; 4]) -> Result<(), PhysicsError> {
    let shared = |axis: usize| kernel[axis] == 1 || kernel[axis] == image[axis];
    if shared(0) && shared(1) {
        Ok(())
    } else {
        Err(PhysicsError::KernelShape { kernel, image })
    }
}

/// Correlation of each channel of each sample with its kernel, `padding` zeros on both sides of rows and columns.
fn correlate(x: Tensor<4>, kernel: Tensor<4>, stride: usize, padding: [usize; 2]) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let [samples, planes, rows, columns] = kernel.dims();
    // Planes of one kernel become batch rows, planes of different kernels become groups of channels.
    let (plain, groups) = match (samples, planes) {
        (1, 1) => (batch * channels, 1),
        (1, _) => (batch, channels),
        _ => (1, batch * channels),
    };
    let kernel = match samples {
        1 => kernel,
        _ => kernel.expand([batch, channels, rows, columns]),
    };
    let y = conv2d(
        x.reshape([plain, groups, height, width]),
        kernel.reshape([groups, 1, rows, columns]),
        None,
        ConvOptions::new([stride, stride], padding, [1, 1], groups),
    );
    let [_, _, height, width] = y.dims();
    y.reshape([batch, channels, height, width])
}

/// The kernel of [`Blur::gaussian`].
pub(super) fn gaussian_kernel(
    size: [usize; 2],
    sigma: f64,
    options: TensorCreationOptions,
) -> Result<Tensor<2>, PhysicsError> {
    if !(sigma > 0.0 && sigma.is_finite()) {
        return Err(PhysicsError::BlurSigma { found: sigma });
    }
    let radius = (REACH * sigma).ceil() as usize;
    let side = radius.saturating_mul(2).saturating_add(1);
    if side > size[0] || side > size[1] {
        let kernel = [side, side];
        return Err(PhysicsError::KernelTooLarge { kernel, size });
    }
    let profile: Vec<f64> = (0..side)
        .map(|index| (-0.5 * ((index as f64 - radius as f64) / sigma).powi(2)).exp())
        .collect();
    let total = profile.iter().sum::<f64>().powi(2);
    let values: Vec<f64> = profile
        .iter()
        .flat_map(|row| profile.iter().map(move |column| row * column / total))
        .collect();
    let data = TensorData::new(values, [profile.len(), profile.len()]);
    Ok(Tensor::from_data(data, options))
}

impl ForwardOperator for Blur {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_shared(self.turned.dims(), image)?;
        let (kernel, size) = (self.kernel_size(), [image[2], image[3]]);
        self.boundary.require(kernel, size)?;
        let [height, width] = self.measured(size);
        Ok([image[0], image[1], height, width])
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.convolve(x, 1)
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Blur {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let kernel @ [height, width] = self.kernel_size();
        let full = correlate(
            y,
            self.turned.clone().flip([2, 3]),
            1,
            [height - 1, width - 1],
        );
        self.boundary.fold(full, kernel)
    }

    /// With [`Boundary::Valid`] `A^T (A A^T)^-1 y`: full convolution with a kernel other than 0 loses nothing, so `A A^T` is
    /// regular where `A^T A` is not.
    fn pseudo_inverse(&self, y: Tensor<4>, cg: ConjugateGradient) -> Tensor<4> {
        if self.boundary == Boundary::Valid {
            self.adjoint(cg.solve(|y| self.forward(self.adjoint(y)), y))
        } else {
            self.solve_normal(self.adjoint(y), 0.0, cg)
        }
    }
}
