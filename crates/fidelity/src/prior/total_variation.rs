//! Total variation: `f(x) = weight sum h(|D x|)`, `D` forward differences and `h(r) = r`, or Huber's function.
//!
//! `|D x|` is the length of the gradient of a pixel (isotropic; Rudin, Osher & Fatemi 1992,
//! <https://doi.org/10.1016/0167-2789(92)90242-F>) or its two differences one by one (anisotropic), channels apart.
//! Huber's `h(r) = r^2/(2 epsilon)` for `r <= epsilon` and `r - epsilon/2` above is smooth: the gradient is `weight D^T
//! (D x / max(|D x|, epsilon))`. With `l = step weight`, the proximal operator is `x - l D^T p`, where `p` minimises
//! `|D^T p - x/l|^2 / 2 + epsilon |p|^2 / (2 l)` over `|p| <= 1` (Chambolle 2004,
//! <https://doi.org/10.1023/B:JMIV.0000011325.36760.1e>); it is found by the accelerated projected gradient of Beck &
//! Teboulle 2009, <https://doi.org/10.1109/TIP.2009.2028250>, with the momentum of Chambolle & Pock 2016, algorithm 5,
//! <https://doi.org/10.1017/S096249291600009X>, which knows the strong convexity that `epsilon` brings.

use burn::tensor::Tensor;

use super::difference::{Differences, NORM_SQUARED, adjoint, differences};
use crate::{
    DataFidelity, FidelityError, Gradient, Proximal, Smooth,
    error::{require_non_negative, require_positive},
    sum::sum,
};

#[derive(Clone, Copy, Debug)]
enum Norm {
    Isotropic,
    Anisotropic,
}

/// Total variation of images `[batch, channels, height, width]`.
///
/// Without smoothing, the gradient is the subgradient with `0/0 = 0` in flat regions. The proximal operator runs a
/// fixed number of iterations; after `k` of them its dual objective is within `16 n / (k + 1)^2` of the best, `n` the
/// number of differences in a sample, and the point within `l` times the root of twice that. With smoothing the error
/// falls as `(1 - sqrt(q))^(k/2)`, `q = epsilon / (epsilon + 8 l)`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_fidelity::{DataFidelity, TotalVariation};
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let corner = Tensor::<4>::from_floats([[[[0.0, 4.0], [3.0, 4.0]]]], &Device::flex());
/// let length = TotalVariation::isotropic(1.0)?.value(corner.clone());
/// assert_eq!(length.into_scalar::<f32>(), 5.0 + 1.0);
/// let length = TotalVariation::anisotropic(1.0)?.value(corner);
/// assert_eq!(length.into_scalar::<f32>(), 7.0 + 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TotalVariation {
    norm: Norm,
    weight: f64,
    epsilon: f64,
    iterations: usize,
}

impl TotalVariation {
    /// Lengths of gradients, `weight > 0`.
    ///
    /// # Errors
    /// Unless `weight` is finite and above 0.
    pub fn isotropic(weight: f64) -> Result<Self, FidelityError> {
        Self::new(Norm::Isotropic, weight)
    }

    /// Absolute differences of neighbours, `weight > 0`.
    ///
    /// # Errors
    /// Unless `weight` is finite and above 0.
    pub fn anisotropic(weight: f64) -> Result<Self, FidelityError> {
        Self::new(Norm::Anisotropic, weight)
    }

    fn new(norm: Norm, weight: f64) -> Result<Self, FidelityError> {
        require_positive("weight", weight)?;
        Ok(Self {
            norm,
            weight,
            epsilon: 0.0,
            iterations: 100,
        })
    }

    /// Huber's function in place of the absolute value, `epsilon >= 0` in the units of a difference of pixels.
    ///
    /// # Errors
    /// Unless `epsilon` is finite and at least 0.
    pub fn with_epsilon(self, epsilon: f64) -> Result<Self, FidelityError> {
        require_non_negative("epsilon", epsilon)?;
        Ok(Self { epsilon, ..self })
    }

    /// The number of iterations of the proximal operator: 100 unless set.
    pub fn with_iterations(self, iterations: usize) -> Self {
        Self { iterations, ..self }
    }

    /// `|D x|` for each of the two differences.
    fn lengths(&self, [down, right]: &Differences) -> Differences {
        match self.norm {
            Norm::Isotropic => {
                let length = (down.clone().square() + right.clone().square()).sqrt();
                [length.clone(), length]
            }
            Norm::Anisotropic => [down.clone().abs(), right.clone().abs()],
        }
    }

    /// `p / max(|p|, floor)`, and 0 where that is 0/0.
    fn normalised(&self, p: Differences, floor: f64) -> Differences {
        let lengths = self.lengths(&p);
        map2(p, lengths, |p, length| {
            let length = length.clamp_min(floor);
            let flat = length.clone().equal_elem(0.0);
            p / length.mask_fill(flat, 1.0)
        })
    }

    fn huber(&self, lengths: Tensor<4>) -> Tensor<4> {
        if self.epsilon == 0.0 {
            return lengths;
        }
        let near = lengths.clone().clamp_max(self.epsilon);
        lengths - near.clone() + near.square().mul_scalar(0.5 / self.epsilon)
    }
}

fn map2(
    [a, b]: Differences,
    [c, d]: Differences,
    f: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> Differences {
    [f(a, c), f(b, d)]
}

impl Smooth for TotalVariation {
    /// `8 weight / epsilon`; none without smoothing.
    fn lipschitz(&self) -> Option<f64> {
        (self.epsilon > 0.0).then(|| NORM_SQUARED * self.weight / self.epsilon)
    }
}

impl Gradient for TotalVariation {
    fn grad(&self, x: Tensor<4>) -> Tensor<4> {
        adjoint(self.normalised(differences(x), self.epsilon)).mul_scalar(self.weight)
    }
}

impl DataFidelity for TotalVariation {
    fn value(&self, x: Tensor<4>) -> Tensor<1> {
        let [first, second] = self
            .lengths(&differences(x))
            .map(|length| sum(self.huber(length)));
        match self.norm {
            Norm::Isotropic => first,
            Norm::Anisotropic => first + second,
        }
        .mul_scalar(self.weight)
    }
}

impl Proximal for TotalVariation {
    fn prox(&self, x: Tensor<4>, step: f64) -> Tensor<4> {
        let strength = step * self.weight;
        let target = x.clone().mul_scalar(strength.recip());
        // The quadratic term of the dual, times the step 1/|D|^2 of its gradient.
        let convexity = self.epsilon / (strength * NORM_SQUARED);
        let mut dual = differences(x.zeros_like());
        let mut ahead = dual.clone();
        let mut age = 1.0;
        for _ in 0..self.iterations {
            let slope = differences(target.clone() - adjoint(ahead.clone()));
            let moved = map2(ahead, slope, |p, slope| {
                (p + slope.mul_scalar(NORM_SQUARED.recip())).mul_scalar((1.0 + convexity).recip())
            });
            let next = self.normalised(moved, 1.0);
            let (older, momentum) = momentum(age, convexity);
            age = older;
            ahead = map2(next.clone(), dual, |next, last| {
                next.clone() + (next - last).mul_scalar(momentum)
            });
            dual = next;
        }
        x - adjoint(dual).mul_scalar(strength)
    }
}

/// `t_{k+1}` and the momentum of Chambolle & Pock 2016, algorithm 5, from `t_k`; Nesterov's for convexity 0.
fn momentum(age: f64, convexity: f64) -> (f64, f64) {
    let ratio = convexity / (1.0 + convexity);
    let linear = 1.0 - ratio * age * age;
    let older = 0.5 * (linear + (linear * linear + 4.0 * age * age).sqrt());
    let momentum = (age - 1.0) / older * (1.0 + convexity - older * convexity);
    (older, momentum)
}
