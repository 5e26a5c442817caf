//! Blur: circular convolution of each channel with one kernel.
//!
//! `(A x)[i, j] = sum_{a, b} h[a, b] x[i - a, j - b]`, offsets counted from the kernel's centre, indices of the image taken
//! modulo its height and width: what leaves at one edge comes back at the other. So a constant image stays constant, and
//! the adjoint is exact at the edges too: the same sum with the kernel turned by 180 degrees.

use burn::tensor::{Tensor, TensorCreationOptions, TensorData, module::conv2d, ops::ConvOptions};

use crate::{ForwardOperator, LinearOperator, PhysicsError};

/// A Gaussian kernel reaches this many standard deviations from its centre.
const REACH: f64 = 3.0;

/// Circular convolution with a kernel of odd height and width, the same for all channels.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{Blur, ForwardOperator};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let grey = Tensor::<4>::full([1, 1, 16, 16], 0.5, &device);
/// let blurred = Blur::gaussian([16, 16], 1.5, &device)?.forward(grey.clone());
/// let error = (blurred - grey).abs().max().into_scalar::<f32>();
/// assert!(error < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Blur {
    /// `[1, 1, height, width]`, as burn's correlation wants it: turned by 180 degrees.
    turned: Tensor<4>,
}

impl Blur {
    /// A given kernel, `[height, width]`, both odd; it is used as it is, without normalisation.
    ///
    /// # Errors
    /// If a side is even, or an entry is not finite, or the kernel cannot be read from its device.
    pub fn new(kernel: Tensor<2>) -> Result<Self, PhysicsError> {
        let [height, width] = kernel.dims();
        if height % 2 == 0 || width % 2 == 0 {
            return Err(PhysicsError::KernelSize {
                found: [height, width],
            });
        }
        let values = kernel.try_to_vec_as::<f64>()?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(PhysicsError::KernelValue {
                at: [index / width, index % width],
                found: values[index],
            });
        }
        let turned = kernel.flip([0, 1]).reshape([1, 1, height, width]);
        Ok(Self { turned })
    }

    /// A Gaussian of standard deviation `sigma` pixels for images of `[height, width]`, cut off at three standard deviations
    /// and normalised to sum 1.
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
        if !(sigma > 0.0 && sigma.is_finite()) {
            return Err(PhysicsError::BlurSigma { found: sigma });
        }
        let radius = (REACH * sigma).ceil() as usize;
        let side = radius.saturating_mul(2).saturating_add(1);
        require_kernel_within([side, side], size)?;
        let profile: Vec<f64> = (0..side)
            .map(|index| (-0.5 * ((index as f64 - radius as f64) / sigma).powi(2)).exp())
            .collect();
        let total = profile.iter().sum::<f64>().powi(2);
        let values: Vec<f64> = profile
            .iter()
            .flat_map(|row| profile.iter().map(move |column| row * column / total))
            .collect();
        let data = TensorData::new(values, [profile.len(), profile.len()]);
        Self::new(Tensor::from_data(data, options))
    }

    fn kernel_size(&self) -> [usize; 2] {
        let [_, _, height, width] = self.turned.dims();
        [height, width]
    }

    /// Circular correlation of each channel with `weight`.
    fn correlate(&self, x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let shape @ [batch, channels, height, width] = x.dims();
        let [reach_down, reach_right] = self.kernel_size().map(|side| side / 2);
        // Channels become batch rows, so that one kernel serves them all.
        let planes = x.reshape([batch * channels, 1, height, width]);
        let wrapped = wrap(wrap(planes, 2, reach_down), 3, reach_right);
        conv2d(
            wrapped,
            weight,
            None,
            ConvOptions::new([1, 1], [0, 0], [1, 1], 1),
        )
        .reshape(shape)
    }
}

fn require_kernel_within(kernel: [usize; 2], size: [usize; 2]) -> Result<(), PhysicsError> {
    if kernel[0] <= size[0] && kernel[1] <= size[1] {
        Ok(())
    } else {
        Err(PhysicsError::KernelTooLarge { kernel, size })
    }
}

/// Repeats the last `reach` entries of an axis before it and the first after it.
fn wrap(x: Tensor<4>, axis: usize, reach: usize) -> Tensor<4> {
    if reach == 0 {
        return x;
    }
    let length = x.dims()[axis];
    let before = x.clone().narrow(axis, length - reach, reach);
    let after = x.clone().narrow(axis, 0, reach);
    Tensor::cat(vec![before, x, after], axis)
}

impl ForwardOperator for Blur {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        require_kernel_within(self.kernel_size(), [image[2], image[3]])?;
        Ok(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.correlate(x, self.turned.clone())
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Blur {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.correlate(y, self.turned.clone().flip([2, 3]))
    }
}
