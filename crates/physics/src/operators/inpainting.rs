//! Inpainting: some pixels are missing, `A x = m x` with a mask `m` of zeros and ones.
//!
//! `A` is its own adjoint and its own square. A measurement has the size of the image and is 0 where a pixel is missing.

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use crate::{
    ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd,
    random::{generator, order},
};

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its first row.
    pub top: usize,
    /// Its first column.
    pub left: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

impl Region {
    fn fits(self, [height, width]: [usize; 2]) -> bool {
        let within = |start: usize, length: usize, size: usize| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= size)
        };
        within(self.top, self.height, height) && within(self.left, self.width, width)
    }

    fn contains(self, row: usize, column: usize) -> bool {
        (self.top..self.top + self.height).contains(&row)
            && (self.left..self.left + self.width).contains(&column)
    }
}

/// `A x = m x`, `m` a mask of ones (observed) and zeros (missing).
///
/// The mask is `[1 or batch, 1 or channels, height, width]`; an axis of length 1 serves the whole batch or all channels.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Inpainting, Region};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let hole = Region { top: 2, left: 2, height: 4, width: 4 };
/// let operator = Inpainting::without([8, 8], hole, &device)?;
/// let y = operator.forward(Tensor::ones([1, 3, 8, 8], &device));
/// assert_eq!(y.sum().into_scalar::<f32>(), 3.0 * 48.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Inpainting {
    mask: Tensor<4>,
}

impl Inpainting {
    /// A given mask of zeros and ones, `[1 or batch, 1 or channels, height, width]`, for instance a black-and-white image.
    ///
    /// # Errors
    /// If an entry is neither 0 nor 1, if none is 1, or if the mask cannot be read from its device.
    pub fn new(mask: Tensor<4>) -> Result<Self, PhysicsError> {
        let values = mask.try_to_vec_as::<f64>()?;
        let shape = mask.dims();
        if let Some(index) = values
            .iter()
            .position(|&value| value != 0.0 && value != 1.0)
        {
            return Err(PhysicsError::MaskValue {
                at: position(index, shape),
                found: values[index],
            });
        }
        if !values.contains(&1.0) {
            return Err(PhysicsError::NothingObserved { mask: shape });
        }
        Ok(Self { mask })
    }

    /// A random mask for images of `[height, width]`, the same for all channels and the whole batch.
    ///
    /// Exactly `round(missing * height * width)` pixels are missing, each set of that many equally likely; the choice
    /// depends on `seed` alone. `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// Unless `missing` lies in [0, 1), or if it leaves no pixel.
    pub fn random(
        size: [usize; 2],
        missing: f64,
        seed: u64,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        if !(0.0..1.0).contains(&missing) {
            return Err(PhysicsError::MissingFraction { found: missing });
        }
        let pixels = size[0] * size[1];
        let order = order(pixels, &mut generator(seed));
        let mut observed = vec![1.0; pixels];
        for &pixel in &order[..(missing * pixels as f64).round() as usize] {
            observed[pixel] = 0.0;
        }
        Self::from_host(observed, size, options)
    }

    /// One missing rectangle in images of `[height, width]`, the same for all channels and the whole batch.
    ///
    /// # Errors
    /// If the rectangle is empty, leaves the image or covers it.
    pub fn without(
        size: [usize; 2],
        region: Region,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        if !region.fits(size) {
            return Err(PhysicsError::Region { region, size });
        }
        let observed = (0..size[0] * size[1])
            .map(|index| f64::from(!region.contains(index / size[1], index % size[1])))
            .collect();
        Self::from_host(observed, size, options)
    }

    fn from_host(
        observed: Vec<f64>,
        [height, width]: [usize; 2],
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        let data = TensorData::new(observed, [1, 1, height, width]);
        Self::new(Tensor::from_data(data, options))
    }

    /// The mask: 1 where a pixel is observed.
    pub fn mask(&self) -> &Tensor<4> {
        &self.mask
    }
}

fn position(index: usize, [_, channels, height, width]: [usize; 4]) -> [usize; 4] {
    let (row, column) = (index / width, index % width);
    let (plane, row) = (row / height, row % height);
    [plane / channels, plane % channels, row, column]
}

impl ForwardOperator for Inpainting {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let mask = self.mask.dims();
        let shared = |axis: usize| mask[axis] == 1 || mask[axis] == image[axis];
        if shared(0) && shared(1) && mask[2..] == image[2..] {
            Ok(image)
        } else {
            Err(PhysicsError::MaskShape { mask, image })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x * self.mask.clone()
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Inpainting {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        y * self.mask.clone()
    }

    /// `rhs / (m + damping)`, and `m rhs` without damping.
    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        if damping == 0.0 {
            rhs * self.mask.clone()
        } else {
            rhs / self.mask.clone().add_scalar(damping)
        }
    }
}

/// `U = V = I`; the singular values are the mask.
impl Svd for Inpainting {
    fn singular_values(&self, _: &Tensor<4>) -> Tensor<4> {
        self.mask.clone()
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        x
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        coefficients
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        y * self.mask.clone()
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        coefficients * self.mask.clone()
    }
}
