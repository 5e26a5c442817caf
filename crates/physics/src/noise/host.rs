//! What the host does entry by entry: checks of settings and values, and special functions.

use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, Poisson};
use tweedie_core::Stream;

use crate::PhysicsError;

/// The largest mean of a Poisson count that can be drawn.
pub(super) const LARGEST_RATE: f64 = Poisson::<f64>::MAX_LAMBDA;

/// `found`, if it is `valid`.
pub(super) fn setting(
    name: &'static str,
    expected: &'static str,
    found: f64,
    valid: bool,
) -> Result<f64, PhysicsError> {
    if valid {
        Ok(found)
    } else {
        Err(PhysicsError::NoiseSetting {
            name,
            expected,
            found,
        })
    }
}

/// `found`, if it is finite and above 0.
pub(super) fn positive(name: &'static str, found: f64) -> Result<f64, PhysicsError> {
    let valid = found > 0.0 && found.is_finite();
    setting(name, "finite and above 0", found, valid)
}

/// Whether all entries of `clean` are `valid`; the first other one is reported.
pub(super) fn check_values<const Y: usize>(
    clean: &Tensor<Y>,
    expected: &'static str,
    valid: impl Fn(f64) -> bool,
) -> Result<(), PhysicsError> {
    let values = clean.try_to_vec_as::<f64>()?;
    match values.iter().position(|&value| !valid(value)) {
        None => Ok(()),
        Some(index) => Err(PhysicsError::CleanValue {
            expected,
            found: values[index],
            at: position(index, clean.dims()),
        }),
    }
}

/// The indices of the entry number `index` in row-major order.
fn position<const Y: usize>(mut index: usize, shape: [usize; Y]) -> Vec<usize> {
    let mut at = vec![0; Y];
    for axis in (0..Y).rev() {
        at[axis] = index % shape[axis];
        index /= shape[axis];
    }
    at
}

/// `f` of each entry of `x`, which is read back for it.
pub(super) fn map<const Y: usize>(x: &Tensor<Y>, f: impl Fn(f64) -> f64) -> Tensor<Y> {
    let mut values = x
        .try_to_vec_as::<f64>()
        .expect("a measurement can be read from its device");
    values.iter_mut().for_each(|value| *value = f(*value));
    Tensor::from_data(TensorData::new(values, x.dims()), (&x.device(), x.dtype()))
}

/// A Poisson count of mean `rate`.
///
/// # Panics
/// Unless `rate` lies in `[0, LARGEST_RATE]`.
pub(super) fn poisson_count(rate: f64, stream: &mut Stream) -> f64 {
    if rate == 0.0 {
        return 0.0;
    }
    let law = Poisson::new(rate).unwrap_or_else(|_| {
        panic!("a mean number of counts must lie in [0, 1.8e19], found {rate}")
    });
    law.sample(stream)
}

/// `k ln k - k - ln Gamma(k + 1)`, the log-probability of `k` counts where `k` are expected; negative infinity below 0.
///
/// Between the counts it is continued by the Gamma function.
pub(super) fn log_poisson_at_mean(k: f64) -> f64 {
    if k < 0.0 {
        f64::NEG_INFINITY
    } else if k == 0.0 {
        0.0
    } else if k < 16.0 {
        k * k.ln() - k - libm::lgamma(k + 1.0)
    } else {
        // Stirling's series: the terms above cancel almost completely. The first one left out is below 2e-14.
        let inverse = 1.0 / k;
        let square = inverse * inverse;
        let series =
            1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0));
        -0.5 * (std::f64::consts::TAU * k).ln() - inverse * series
    }
}

/// From here on the asymptotic series below are exact to rounding.
const ASYMPTOTIC: f64 = 12.0;

/// The digamma function `d/dx ln Gamma(x)`, `x > 0` (<https://dlmf.nist.gov/5.11.E2>).
pub(super) fn digamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < ASYMPTOTIC {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    let series = square
        * (1.0 / 12.0
            - square
                * (1.0 / 120.0
                    - square
                        * (1.0 / 252.0
                            - square
                                * (1.0 / 240.0
                                    - square * (1.0 / 132.0 - square * 691.0 / 32760.0)))));
    sum + x.ln() - 0.5 / x - series
}

/// The trigamma function, the derivative of [`digamma`].
pub(super) fn trigamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < ASYMPTOTIC {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = 1.0 / 6.0
        - square
            * (1.0 / 30.0
                - square
                    * (1.0 / 42.0
                        - square * (1.0 / 30.0 - square * (5.0 / 66.0 - square * 691.0 / 2730.0))));
    sum + inverse * (1.0 + inverse * (0.5 + inverse * series))
}
