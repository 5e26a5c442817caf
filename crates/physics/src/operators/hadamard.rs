//! Structured compressed sensing: some coefficients of a Walsh-Hadamard transform, `A = R H D`.
//!
//! `D` flips signs of pixels, `H` is the orthonormal Walsh-Hadamard transform of a channel with `n = height width`
//! pixels, `R` keeps `m` of the `n` coefficients. With random `D` and `R` it measures sparse images as well as a random
//! matrix, at `n log n` operations (Do, Gan, Nguyen & Tran 2012, <https://doi.org/10.1109/TSP.2011.2170977>). Without
//! signs it is the single-pixel camera, each measurement one pattern of light (Duarte et al. 2008,
//! <https://doi.org/10.1109/MSP.2007.914730>). The rows are orthonormal, `A A^T = I`, and `A^T A` is a projection.

use burn::tensor::{Int, Tensor, TensorCreationOptions, TensorData};

use crate::{
    ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd,
    random::{generator, order, uniform},
    solve_normal_by_svd,
};

/// `m` Walsh-Hadamard coefficients of each channel: `[batch, channels, height, width]` to `[batch, channels, 1, m]`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Hadamard};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let device = Device::flex();
/// let camera = Hadamard::single_pixel([4, 8], 3, &device)?;
/// let y = camera.forward(Tensor::ones([1, 1, 4, 8], &device));
/// // A flat image has the constant pattern alone, of norm sqrt(32).
/// let error = (y - Tensor::from_floats([[[[32f32.sqrt(), 0.0, 0.0]]]], &device)).abs().max();
/// assert!(error.into_scalar::<f32>() < 1e-5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Hadamard {
    size: [usize; 2],
    /// `D`, `[1, n]`.
    signs: Option<Tensor<2>>,
    /// Which coefficients are kept, `[m]`.
    kept: Tensor<1, Int>,
    /// Where each coefficient stands in a measurement that is padded to `n` entries, `[n]`.
    slots: Tensor<1, Int>,
    /// 1 for coefficients that are kept, else 0: `[1, 1, height, width]`.
    observed: Tensor<4>,
}

impl Hadamard {
    /// Random signs and `m` random coefficients, each set of that many equally likely, for images of `[height, width]`;
    /// both depend on `seed` alone and serve all channels and the whole batch.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// Unless height and width are powers of two and `m` lies in `1..=height width`.
    pub fn randomised(
        size: [usize; 2],
        m: usize,
        seed: u64,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        let n = require_size(size, m)?;
        let mut generator = generator(seed);
        let signs: Vec<f64> = (0..n)
            .map(|_| 1.0 - 2.0 * uniform(&mut generator).round())
            .collect();
        let order = order(n, &mut generator);
        let options = options.into();
        let signs = Tensor::from_data(TensorData::new(signs, [1, n]), options.clone());
        Ok(Self::from_order(size, Some(signs), &order, m, options))
    }

    /// A single-pixel camera: the `m` Walsh patterns of lowest sequency for images of `[height, width]`, without signs.
    ///
    /// The sequency of a pattern is its number of sign changes down a column plus that along a row; patterns are
    /// measured in this order, equal sums by the changes down a column.
    ///
    /// `options` is the device, or `(&device, dtype)`.
    ///
    /// # Errors
    /// Unless height and width are powers of two and `m` lies in `1..=height width`.
    pub fn single_pixel(
        size: [usize; 2],
        m: usize,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        require_size(size, m)?;
        let [height, width] = size;
        let mut patterns: Vec<[usize; 2]> = (0..height)
            .flat_map(|down| (0..width).map(move |along| [down, along]))
            .collect();
        patterns.sort_by_key(|&[down, along]| (down + along, down));
        let order: Vec<usize> = patterns
            .iter()
            .map(|&[down, along]| natural(down, height) * width + natural(along, width))
            .collect();
        Ok(Self::from_order(size, None, &order, m, options.into()))
    }

    /// `order` lists all coefficients, those that are kept first.
    fn from_order(
        size: [usize; 2],
        signs: Option<Tensor<2>>,
        order: &[usize],
        m: usize,
        options: TensorCreationOptions,
    ) -> Self {
        let n = order.len();
        let mut slots = vec![0; n];
        for (slot, &coefficient) in order.iter().enumerate() {
            slots[coefficient] = slot;
        }
        let observed: Vec<f64> = slots.iter().map(|&slot| f64::from(slot < m)).collect();
        let indices = |values: &[usize]| {
            let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), &options.device)
        };
        Self {
            size,
            signs,
            kept: indices(&order[..m]),
            slots: indices(&slots),
            observed: Tensor::from_data(
                TensorData::new(observed, [1, 1, size[0], size[1]]),
                options.clone(),
            ),
        }
    }

    fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    fn flip_signs(&self, planes: Tensor<2>) -> Tensor<2> {
        match &self.signs {
            Some(signs) => planes * signs.clone(),
            None => planes,
        }
    }

    /// Each channel of `[batch, channels, ..]` as one row.
    fn planes(&self, x: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = x.dims();
        x.reshape([batch * channels, height * width])
    }
}

/// The number of pixels.
fn require_size(size: [usize; 2], m: usize) -> Result<usize, PhysicsError> {
    if !size.iter().all(|side| side.is_power_of_two()) {
        return Err(PhysicsError::NotPowerOfTwo { found: size });
    }
    let limit = size[0] * size[1];
    if (1..=limit).contains(&m) {
        Ok(limit)
    } else {
        Err(PhysicsError::MeasurementCount { found: m, limit })
    }
}

/// The row of Sylvester's Hadamard matrix of order `n` that has `sequency` sign changes: its Gray code, bits reversed.
fn natural(sequency: usize, n: usize) -> usize {
    let gray = sequency ^ (sequency >> 1);
    let bits = n.trailing_zeros();
    (0..bits).fold(0, |row, bit| row | (gray >> bit & 1) << (bits - 1 - bit))
}

/// The orthonormal transform of each row of `[rows, n]`, its own inverse: butterflies `(a, b) -> (a + b, a - b)` at
/// distances 1, 2, 4, .. (Fino & Algazi 1976, <https://doi.org/10.1109/TC.1976.1674569>).
fn walsh_hadamard(mut x: Tensor<2>) -> Tensor<2> {
    let [rows, n] = x.dims();
    for stage in 0..n.trailing_zeros() {
        let distance = 1 << stage;
        let pairs = x.reshape([rows * n / (2 * distance), 2, distance]);
        let (a, b) = (pairs.clone().narrow(1, 0, 1), pairs.narrow(1, 1, 1));
        x = Tensor::cat(vec![a.clone() + b.clone(), a - b], 1).reshape([rows, n]);
    }
    x.mul_scalar((n as f64).sqrt().recip())
}

impl ForwardOperator for Hadamard {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [batch, channels, height, width] = image;
        if [height, width] == self.size {
            Ok([batch, channels, 1, self.kept.dims()[0]])
        } else {
            Err(PhysicsError::ImageSize {
                expected: self.size,
                found: [height, width],
            })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.u(self.v_adjoint(x))
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Hadamard {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        self.v(self.u_adjoint(y))
    }

    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        solve_normal_by_svd(self, rhs, damping)
    }

    /// `A^T y`, because `A A^T = I`.
    fn pseudo_inverse(&self, y: Tensor<4>, _: ConjugateGradient) -> Tensor<4> {
        self.adjoint(y)
    }
}

/// `V^T = H D`, `U` keeps `m` coefficients, and the singular values are 1 for them, else 0.
impl Svd for Hadamard {
    fn singular_values(&self, _: &Tensor<4>) -> Tensor<4> {
        self.observed.clone()
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        let shape = x.dims();
        walsh_hadamard(self.flip_signs(self.planes(x))).reshape(shape)
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        let shape = coefficients.dims();
        self.flip_signs(walsh_hadamard(self.planes(coefficients)))
            .reshape(shape)
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let [batch, channels, _, m] = y.dims();
        let planes = self.planes(y);
        let missing = Tensor::zeros(
            [batch * channels, self.pixels() - m],
            (&planes.device(), planes.dtype()),
        );
        Tensor::cat(vec![planes, missing], 1)
            .select(1, self.slots.clone())
            .reshape([batch, channels, self.size[0], self.size[1]])
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        let [batch, channels, ..] = coefficients.dims();
        let m = self.kept.dims()[0];
        self.planes(coefficients)
            .select(1, self.kept.clone())
            .reshape([batch, channels, 1, m])
    }
}
