//! Kernels of blur and of anti-alias filters, `[height, width]`, of sum 1.
//!
//! Angles are in degrees, counter-clockwise as an image is seen: rows count downwards. `options` is the device, or
//! `(&device, dtype)`. `kernel.unsqueeze()` makes a kernel fit for [`Blur::with_boundary`](crate::Blur::with_boundary).
//!
//! The filters for down-sampling by `factor` have an even side: their centre lies between two pixels.

use std::f64::consts::{PI, SQRT_2};

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use crate::PhysicsError;

/// A sampled Gaussian of `size`, of standard deviations `sigma` (down, right) before it is turned by `angle`.
///
/// ```
/// use burn::tensor::Device;
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let kernel = tweedie_physics::kernels::gaussian([9, 9], [1.0, 2.0], 30.0, &Device::flex())?;
/// assert!((kernel.sum().into_scalar::<f32>() - 1.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Unless both sides are odd, both `sigma` are finite and above 0, and `angle` is finite.
pub fn gaussian(
    size: [usize; 2],
    sigma: [f64; 2],
    angle: f64,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<2>, PhysicsError> {
    if size.iter().any(|side| side % 2 == 0) {
        return Err(PhysicsError::KernelSize { found: size });
    }
    for sigma in sigma {
        require("sigma", "finite and above 0", sigma, |value| value > 0.0)?;
    }
    let axes = Axes::turned(angle)?;
    Ok(sampled(size, options, |row, column| {
        let [along, across] = axes.coordinates(row, column);
        (-0.5 * ((along / sigma[1]).powi(2) + (across / sigma[0]).powi(2))).exp()
    }))
}

/// Straight motion over `length` pixels in direction `angle`, on the smallest odd square that holds it.
///
/// A pixel weighs `max(0, 1 - d)`, `d` the distance of its centre from the segment of `length - 1` between the centres of the
/// first and the last pixel: a horizontal motion over 5 pixels is the mean of 5 pixels.
///
/// # Errors
/// Unless `length` is finite and at least 1, and at most 10^4, and `angle` is finite.
pub fn motion(
    length: f64,
    angle: f64,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<2>, PhysicsError> {
    require("length", "at least 1 and at most 10000", length, |value| {
        (1.0..=1e4).contains(&value)
    })?;
    let axes = Axes::turned(angle)?;
    let half = 0.5 * (length - 1.0);
    let side = 2 * half.ceil() as usize + 1;
    Ok(sampled([side, side], options, |row, column| {
        let [along, across] = axes.coordinates(row, column);
        let beyond = (along.abs() - half).max(0.0);
        (1.0 - beyond.hypot(across)).max(0.0)
    }))
}

/// The mean over a box of `size`.
///
/// # Errors
/// If a side is 0.
pub fn uniform(
    size: [usize; 2],
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<2>, PhysicsError> {
    if size.contains(&0) {
        let found = [1, 1, size[0], size[1]];
        return Err(PhysicsError::EmptyKernel { found });
    }
    Ok(sampled(size, options, |_, _| 1.0))
}

/// Linear interpolation stretched by `factor`: `2 factor` values of `1 - |t / factor|` along each axis.
///
/// # Errors
/// If `factor` is 0.
pub fn bilinear(
    factor: usize,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<2>, PhysicsError> {
    separable(factor, 2, options, |t| 1.0 - t.abs())
}

/// Cubic convolution, `a = -1/2` (Keys 1981, eq. (4) and (15), <https://doi.org/10.1109/TASSP.1981.1163711>), stretched by
/// `factor`: `4 factor` values along each axis.
///
/// # Errors
/// If `factor` is 0.
pub fn bicubic(
    factor: usize,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<2>, PhysicsError> {
    separable(factor, 4, options, |t| {
        let t = t.abs();
        if t <= 1.0 {
            (1.5 * t - 2.5) * t * t + 1.0
        } else {
            ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
        }
    })
}

/// The ideal low-pass filter of cut-off `pi / factor` under a Kaiser window: `4 factor` values along each axis.
///
/// The window's parameter is that of a transition band of width `(4 - 2 sqrt 2) pi / factor` (Kaiser 1974; Oppenheim & Schafer
/// 2010, section 7.5.3, <https://www.pearson.com/en-us/search.html?q=9780131988422>): attenuation
/// `A = 7.95 + 2.285 (4 factor - 1) width`, `beta = 0.5842 (A - 21)^0.4 + 0.07886 (A - 21)`.
///
/// # Errors
/// If `factor` is 0.
pub fn sinc(
    factor: usize,
    options: impl Into<TensorCreationOptions>,
) -> Result<Tensor<2>, PhysicsError> {
    let last = (4 * factor) as f64 - 1.0;
    let width = (4.0 - 2.0 * SQRT_2) * PI / factor as f64;
    let excess = 7.95 + 2.285 * last * width - 21.0;
    let beta = 0.5842 * excess.powf(0.4) + 0.07886 * excess;
    separable(factor, 4, options, |t| {
        let position = 2.0 * t * factor as f64 / last;
        let window = bessel_i0(beta * (1.0 - position * position).max(0.0).sqrt());
        window * (PI * t).sin() / (PI * t)
    })
}

/// `I_0(x) = sum_k ((x/2)^k / k!)^2`, to rounding for the moderate `x` of windows.
fn bessel_i0(x: f64) -> f64 {
    let quarter = 0.25 * x * x;
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..64 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

fn require(
    name: &'static str,
    expected: &'static str,
    found: f64,
    holds: impl Fn(f64) -> bool,
) -> Result<(), PhysicsError> {
    if found.is_finite() && holds(found) {
        Ok(())
    } else {
        Err(PhysicsError::KernelSetting {
            name,
            expected,
            found,
        })
    }
}

/// Directions along and across a line.
struct Axes {
    cos: f64,
    sin: f64,
}

impl Axes {
    fn turned(angle: f64) -> Result<Self, PhysicsError> {
        require("angle", "finite", angle, |_| true)?;
        let (sin, cos) = angle.to_radians().sin_cos();
        Ok(Self { cos, sin })
    }

    fn coordinates(&self, row: f64, column: f64) -> [f64; 2] {
        [
            column * self.cos - row * self.sin,
            column * self.sin + row * self.cos,
        ]
    }
}

/// `f` at the offsets (row, column) from the middle, divided by the sum.
fn sampled(
    [height, width]: [usize; 2],
    options: impl Into<TensorCreationOptions>,
    f: impl Fn(f64, f64) -> f64,
) -> Tensor<2> {
    let offset = |index: usize, side: usize| index as f64 - 0.5 * (side as f64 - 1.0);
    let values: Vec<f64> = (0..height * width)
        .map(|index| f(offset(index / width, height), offset(index % width, width)))
        .collect();
    let total: f64 = values.iter().sum();
    let values: Vec<f64> = values.iter().map(|value| value / total).collect();
    Tensor::from_data(TensorData::new(values, [height, width]), options)
}

/// `f(row / factor) f(column / factor)` on a square of side `support * factor`.
fn separable(
    factor: usize,
    support: usize,
    options: impl Into<TensorCreationOptions>,
    f: impl Fn(f64) -> f64,
) -> Result<Tensor<2>, PhysicsError> {
    if factor == 0 {
        return Err(PhysicsError::ZeroFactor);
    }
    let side = support * factor;
    let stretch = factor as f64;
    Ok(sampled([side, side], options, |row, column| {
        f(row / stretch) * f(column / stretch)
    }))
}
