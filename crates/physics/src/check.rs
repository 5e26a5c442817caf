//! Laws that an operator must keep, for operators of one's own.
//!
//! Random images and measurements are put into the operator; each law that fails names itself, says by how much, and
//! what rounding alone could do. Errors of sums of `n` terms in floating point grow like `epsilon sqrt(n)` (Higham
//! 2002, <https://doi.org/10.1137/1.9780898718027>), so what is allowed follows from the float type and the sizes.

use std::fmt;

use burn::tensor::{Tensor, TensorReadError};
use tweedie_core::Rng;

use crate::{ConjugateGradient, ForwardOperator, LinearOperator, PhysicsError, Svd, operator_norm};

/// Of `epsilon sqrt(n)`, for what an operator does beside sums.
const ROUNDING: f64 = 16.0;
/// Of `epsilon^(2/3)`, for the third derivatives that central differences neglect.
const TRUNCATION: f64 = 100.0;
/// With the damping below, the condition number of the normal equations is 11 and conjugate gradients gain a digit in
/// four iterations.
const BUDGET: ConjugateGradient = ConjugateGradient { iterations: 70 };
const DAMPING: f64 = 0.1;
const POWER_ITERATIONS: usize = 10;

/// What an operator must satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// `<A x, y> = <x, A^T y>`.
    Adjoint,
    /// `A (2 a - 3 b) = 2 A a - 3 A b`.
    Linear,
    /// `vjp` is the adjoint, or for an operator that need not be linear, what central differences give.
    Vjp,
    /// `(A^T A + d I) solve_normal(b, d) = b`.
    NormalEquations,
    /// The first row of a result does not depend on the other rows of the argument.
    Rows,
    /// Singular values are finite and not negative.
    SingularValues,
    /// `<V c, x> = <c, V^T x>`, `V V^T = I` and `V^T V = I`.
    RightVectors,
    /// `<U c, y> = <c, U^T y>`, and `U^T U` keeps coefficients whose singular value is above 0 and clears the others.
    LeftVectors,
    /// `A = U diag(s) V^T`.
    Decomposition,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Adjoint => "adjoint (<A x, y> = <x, A^T y>)",
            Self::Linear => "linearity (A (2 a - 3 b) = 2 A a - 3 A b)",
            Self::Vjp => "vector-Jacobian product (<J d, v> = <d, vjp(x, v)>)",
            Self::NormalEquations => "normal equations ((A^T A + d I) solve_normal(b, d) = b)",
            Self::Rows => "rows (the first row of a result depends on the first row alone)",
            Self::SingularValues => "singular values (finite and not negative)",
            Self::RightVectors => "right singular vectors (V V^T = V^T V = I)",
            Self::LeftVectors => "left singular vectors (U^T U = I where s > 0, else 0)",
            Self::Decomposition => "decomposition (A = U diag(s) V^T)",
        })
    }
}

/// How well one law holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LawCheck {
    /// The law.
    pub law: Law,
    /// Its largest relative error.
    pub error: f64,
    /// The largest error that rounding explains.
    pub allowed: f64,
}

/// The laws that an operator was found to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorCheck {
    /// One entry for each law, in the order in which they were checked.
    pub laws: Vec<LawCheck>,
}

/// Why an operator did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorFault {
    /// `measurement_shape` refuses the images.
    #[error("the operator refuses the images of the check")]
    Refused(#[from] PhysicsError),
    /// There is nothing to check on images without entries.
    #[error("the check needs images with entries, found shape {image:?}")]
    NoEntries {
        /// Their shape.
        image: Vec<usize>,
    },
    /// A result has another shape than it should have.
    #[error("`{of}` should give shape {expected:?}, found {found:?}")]
    Shape {
        /// The function.
        of: &'static str,
        /// Shape that it should have.
        expected: Vec<usize>,
        /// Its shape.
        found: Vec<usize>,
    },
    /// A law does not hold.
    #[error("{law}: relative error {error:.1e}, allowed {allowed:.1e}")]
    Broken {
        /// The law.
        law: Law,
        /// Its relative error.
        error: f64,
        /// The largest error that rounding explains.
        allowed: f64,
    },
    /// A result could not be read from its device.
    #[error("cannot read a tensor back from its device")]
    Read(#[from] TensorReadError),
}

/// Checks a linear operator on random images of shape `image`, in the float type and on the device of `rng`: shapes,
/// linearity, that batch rows do not meet, adjoint, `vjp` and normal equations, in this order.
///
/// Double precision sees far more. Two rows or more let an operator with one mask or kernel for each row be checked;
/// with one row, rows are checked on two where the operator takes them. [`check_svd`] checks singular vectors,
/// [`check_forward`] is for operators that are not linear.
///
/// ```
/// use burn::tensor::{DType, Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_physics::{ForwardOperator, LinearOperator, PhysicsError, check_operator};
///
/// /// Differences of neighbours along a row.
/// struct Differences;
///
/// impl ForwardOperator for Differences {
///     fn measurement_shape(&self, [b, c, h, w]: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
///         Ok([b, c, h, w - 1])
///     }
///     fn forward(&self, x: Tensor<4>) -> Tensor<4> {
///         let width = x.dims()[3];
///         x.clone().narrow(3, 1, width - 1) - x.narrow(3, 0, width - 1)
///     }
/// }
///
/// impl LinearOperator for Differences {
///     fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
///         let edge = y.clone().narrow(3, 0, 1).zeros_like();
///         Tensor::cat(vec![edge.clone(), y.clone()], 3) - Tensor::cat(vec![y, edge], 3)
///     }
/// }
///
/// # fn main() -> Result<(), tweedie_physics::OperatorFault> {
/// let mut rng = Rng::seeded(1, &Device::flex()).with_dtype(DType::F64);
/// let report = check_operator(&Differences, [2, 1, 4, 5], &mut rng)?;
/// assert!(report.laws.iter().all(|law| law.error <= 1e-10));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The first law that does not hold.
pub fn check_operator<const X: usize, const Y: usize>(
    operator: &(impl LinearOperator<X, Y> + ?Sized),
    image: [usize; X],
    rng: &mut Rng,
) -> Result<OperatorCheck, OperatorFault> {
    let measurement = shapes(operator, image)?;
    let (x, other): (Tensor<X>, Tensor<X>) = (rng.normal(image), rng.normal(image));
    let y: Tensor<Y> = rng.normal(measurement);
    let mut laws = Laws::new(&x, &y);

    let forward = |x| shaped("forward", operator.forward(x), measurement);
    let adjoint = |y| shaped("adjoint", operator.adjoint(y), image);
    let (ax, aty) = (forward(x.clone())?, adjoint(y.clone())?);
    let mixed = forward(x.clone().mul_scalar(2.0) - other.clone().mul_scalar(3.0))?;
    let parts = (
        ax.clone().mul_scalar(2.0),
        forward(other.clone())?.mul_scalar(-3.0),
    );
    let size = norm(&parts.0)? + norm(&parts.1)?;
    laws.record(Law::Linear, distance(&mixed, &(parts.0 + parts.1), size)?)?;

    let error = rows_of_forward(operator, image, rng)?.max_or_nan(rows(
        |y| operator.adjoint(y),
        measurement,
        rng,
    )?);
    laws.record(Law::Rows, error)?;

    laws.record(Law::Adjoint, pairing(&ax, &y, &x, &aty)?)?;
    let vjp = shaped("vjp", operator.vjp(x, y), image)?;
    laws.record(Law::Vjp, distance(&vjp, &aty, norm(&aty)?)?)?;

    let norm_sq = operator_norm(operator, image, POWER_ITERATIONS, rng).powi(2);
    let damping = if norm_sq > 0.0 {
        DAMPING * norm_sq
    } else {
        1.0
    };
    let solution = operator.solve_normal(other.clone(), damping, BUDGET);
    let solution = shaped("solve_normal", solution, image)?;
    let gram = adjoint(forward(solution.clone())?)?;
    let damped = solution.mul_scalar(damping);
    let size = norm(&gram)? + norm(&damped)? + norm(&other)?;
    laws.record(
        Law::NormalEquations,
        distance(&(gram + damped), &other, size)?,
    )?;
    Ok(laws.report())
}

/// Checks an operator that need not be linear on random images with pixels in (0.25, 0.75): shapes, `vjp` against
/// central differences, and that batch rows do not meet.
///
/// Differences need an operator that is smooth where it is looked at: one with kinks can fail by chance, and one that
/// rounds, with a straight-through `vjp`, fails.
///
/// # Errors
/// The first law that does not hold.
pub fn check_forward<const X: usize, const Y: usize>(
    operator: &(impl ForwardOperator<X, Y> + ?Sized),
    image: [usize; X],
    rng: &mut Rng,
) -> Result<OperatorCheck, OperatorFault> {
    let measurement = shapes(operator, image)?;
    let noise: Tensor<X> = rng.normal(image);
    let x = noise.tanh().mul_scalar(0.25).add_scalar(0.5);
    let direction: Tensor<X> = rng.normal(image);
    let v: Tensor<Y> = rng.normal(measurement);
    let mut laws = Laws::new(&x, &v);

    let forward = |x| shaped("forward", operator.forward(x), measurement);
    let step = laws.epsilon.cbrt();
    let shift = direction.clone().mul_scalar(step);
    let rise = forward(x.clone() + shift.clone())? - forward(x.clone() - shift)?;
    let slope = rise.mul_scalar((2.0 * step).recip());
    let vjp = shaped("vjp", operator.vjp(x, v.clone()), image)?;
    let error = pairing(&slope, &v, &direction, &vjp)?;
    laws.record_within(Law::Vjp, error, TRUNCATION * step * step)?;

    laws.record(Law::Rows, rows_of_forward(operator, image, rng)?)?;
    Ok(laws.report())
}

/// Checks a singular value decomposition on random images of shape `image`, in the float type and on the device of
/// `rng`: singular values, `V`, `U` and `A = U diag(s) V^T`.
///
/// # Errors
/// The first law that does not hold.
pub fn check_svd<const X: usize, const Y: usize>(
    operator: &(impl Svd<X, Y> + ?Sized),
    image: [usize; X],
    rng: &mut Rng,
) -> Result<OperatorCheck, OperatorFault> {
    let measurement = shapes(operator, image)?;
    let (x, c): (Tensor<X>, Tensor<X>) = (rng.normal(image), rng.normal(image));
    let y: Tensor<Y> = rng.normal(measurement);
    let mut laws = Laws::new(&x, &y);

    let s = operator.singular_values(&x);
    if (0..X).any(|axis| s.dims()[axis] != 1 && s.dims()[axis] != image[axis]) {
        return Err(misshapen("singular_values", &image, &s.dims()));
    }
    let largest = host(&s)?.into_iter().fold(0.0, f64::max);
    let worst = host(&s)?.into_iter().fold(0.0, |worst: f64, s| {
        if s.is_finite() {
            worst.max(-s)
        } else {
            f64::INFINITY
        }
    });
    laws.record_within(Law::SingularValues, worst, 0.0)?;

    let v = |c| shaped("v", operator.v(c), image);
    let v_adjoint = |x| shaped("v_adjoint", operator.v_adjoint(x), image);
    let (vc, vtx) = (v(c.clone())?, v_adjoint(x.clone())?);
    let error = pairing(&vc, &x, &c, &vtx)?
        .max_or_nan(distance(&v(vtx.clone())?, &x, norm(&x)?)?)
        .max_or_nan(distance(&v_adjoint(vc)?, &c, norm(&c)?)?);
    laws.record(Law::RightVectors, error)?;

    let u = |c| shaped("u", operator.u(c), measurement);
    let u_adjoint = |y| shaped("u_adjoint", operator.u_adjoint(y), image);
    let (uc, uty) = (u(c.clone())?, u_adjoint(y.clone())?);
    let cleared = s.clone().lower_equal_elem(0.0).expand(image);
    let seen = c.clone().mask_fill(cleared, 0.0);
    let error =
        pairing(&uc, &y, &c, &uty)?.max_or_nan(distance(&u_adjoint(uc)?, &seen, norm(&c)?)?);
    laws.record(Law::LeftVectors, error)?;

    let ax = shaped("forward", operator.forward(x.clone()), measurement)?;
    let composed = u(vtx * s)?;
    let size = norm(&ax)? + largest * norm(&x)?;
    laws.record(Law::Decomposition, distance(&composed, &ax, size)?)?;
    Ok(laws.report())
}

/// The laws found to hold so far, and what rounding may do.
struct Laws {
    epsilon: f64,
    rounding: f64,
    laws: Vec<LawCheck>,
}

impl Laws {
    fn new<const X: usize, const Y: usize>(x: &Tensor<X>, y: &Tensor<Y>) -> Self {
        let entries = |shape: &[usize]| shape[1..].iter().product::<usize>();
        let terms = entries(&x.dims()).max(entries(&y.dims()));
        // `Rng` draws tensors of float types alone.
        let epsilon = x.dtype().finfo().map_or(0.0, |float| float.epsilon);
        Self {
            epsilon,
            rounding: ROUNDING * epsilon * (terms as f64).sqrt(),
            laws: Vec::new(),
        }
    }

    fn record(&mut self, law: Law, error: f64) -> Result<(), OperatorFault> {
        self.record_within(law, error, self.rounding)
    }

    fn record_within(&mut self, law: Law, error: f64, allowed: f64) -> Result<(), OperatorFault> {
        if error <= allowed {
            self.laws.push(LawCheck {
                law,
                error,
                allowed,
            });
            Ok(())
        } else {
            Err(OperatorFault::Broken {
                law,
                error,
                allowed,
            })
        }
    }

    fn report(self) -> OperatorCheck {
        OperatorCheck { laws: self.laws }
    }
}

trait MaxOrNan {
    /// The larger number, or NaN if one of them is: an undefined error must not pass for a small one.
    fn max_or_nan(self, other: f64) -> f64;
}

impl MaxOrNan for f64 {
    fn max_or_nan(self, other: f64) -> f64 {
        if self.is_nan() || other.is_nan() {
            f64::NAN
        } else {
            self.max(other)
        }
    }
}

fn shapes<const X: usize, const Y: usize>(
    operator: &(impl ForwardOperator<X, Y> + ?Sized),
    image: [usize; X],
) -> Result<[usize; Y], OperatorFault> {
    if image.contains(&0) {
        return Err(OperatorFault::NoEntries {
            image: image.to_vec(),
        });
    }
    Ok(operator.measurement_shape(image)?)
}

fn misshapen(of: &'static str, expected: &[usize], found: &[usize]) -> OperatorFault {
    OperatorFault::Shape {
        of,
        expected: expected.to_vec(),
        found: found.to_vec(),
    }
}

fn shaped<const D: usize>(
    of: &'static str,
    result: Tensor<D>,
    expected: [usize; D],
) -> Result<Tensor<D>, OperatorFault> {
    let found = result.dims();
    if found == expected {
        Ok(result)
    } else {
        Err(misshapen(of, &expected, &found))
    }
}

fn rows_of_forward<const X: usize, const Y: usize>(
    operator: &(impl ForwardOperator<X, Y> + ?Sized),
    image: [usize; X],
    rng: &mut Rng,
) -> Result<f64, OperatorFault> {
    let mut several = image;
    several[0] = several[0].max(2);
    if operator.measurement_shape(several).is_ok() {
        rows(|x| operator.forward(x), several, rng)
    } else {
        Ok(0.0)
    }
}

/// Distance between the first rows of two results whose arguments share the first row alone; 0 where there is one row.
fn rows<const X: usize, const Y: usize>(
    apply: impl Fn(Tensor<X>) -> Tensor<Y>,
    shape: [usize; X],
    rng: &mut Rng,
) -> Result<f64, OperatorFault> {
    if shape[0] < 2 {
        return Ok(0.0);
    }
    let (one, two): (Tensor<X>, Tensor<X>) = (rng.normal(shape), rng.normal(shape));
    let others = two.narrow(0, 1, shape[0] - 1);
    let other = Tensor::cat(vec![one.clone().narrow(0, 0, 1), others], 0);
    let first = apply(one).narrow(0, 0, 1);
    let second = apply(other).narrow(0, 0, 1);
    Ok(distance(&first, &second, norm(&first)?)?)
}

fn host<const D: usize>(x: &Tensor<D>) -> Result<Vec<f64>, TensorReadError> {
    x.try_to_vec_as::<f64>()
}

fn root_of_squares(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

fn norm<const D: usize>(x: &Tensor<D>) -> Result<f64, TensorReadError> {
    Ok(root_of_squares(host(x)?.into_iter()))
}

/// `|a - b| / size`.
fn distance<const D: usize>(
    a: &Tensor<D>,
    b: &Tensor<D>,
    size: f64,
) -> Result<f64, TensorReadError> {
    let (a, b) = (host(a)?, host(b)?);
    Ok(relative(
        root_of_squares(a.iter().zip(&b).map(|(a, b)| a - b)),
        size,
    ))
}

/// `<a, b> - <c, d>` relative to the root of the sum of the squares of all their terms, the size of such a sum when
/// signs are random: much smaller than `|a| |b|`, which would hide errors in large images.
fn pairing<const X: usize, const Y: usize>(
    a: &Tensor<Y>,
    b: &Tensor<Y>,
    c: &Tensor<X>,
    d: &Tensor<X>,
) -> Result<f64, TensorReadError> {
    let products = |left: Vec<f64>, right: Vec<f64>| -> Vec<f64> {
        left.iter().zip(&right).map(|(l, r)| l * r).collect()
    };
    let (left, right) = (products(host(a)?, host(b)?), products(host(c)?, host(d)?));
    let size = root_of_squares(left.iter().chain(&right).copied());
    let gap = left.iter().sum::<f64>() - right.iter().sum::<f64>();
    Ok(relative(gap.abs(), size))
}

/// `error / size`, and 0 for 0/0.
fn relative(error: f64, size: f64) -> f64 {
    if error == 0.0 { 0.0 } else { error / size }
}
