//! SK-ROCK, the stabilised explicit Runge-Kutta-Chebyshev step of `dx = -grad U(x) dt + sqrt(2) dw`.
//!
//! `X_1 = x - mu_1 h grad U(x + nu_1 n) + kappa_1 n`, `X_j = nu_j X_{j-1} + kappa_j X_{j-2} - mu_j h grad U(X_{j-1})`
//! for `j = 2..s` with `X_0 = x` and `n ~ N(0, 2 h I)`; the new state is `X_s`.
//!
//! With `T_j` the Chebyshev polynomials, `w_0 = 1 + eta/s^2` and `w_1 = T_s(w_0)/T_s'(w_0)`, the coefficients are
//! `mu_1 = w_1/w_0`, `nu_1 = s w_1/2`, `kappa_1 = s w_1/w_0`, and `mu_j = 2 w_1 T_{j-1}(w_0)/T_j(w_0)`,
//! `nu_j = 2 w_0 T_{j-1}(w_0)/T_j(w_0)`, `kappa_j = 1 - nu_j`. Abdulle, Almuslimani & Vilmart 2018,
//! <https://doi.org/10.1137/17M1145859>; for images Pereyra, Vargas-Mieles & Zygalakis 2020,
//! <https://doi.org/10.1137/19M1283719>.
//!
//! With `U = p x^2/2`, `z = h p` and `u = w_0 - w_1 z` a step is `x <- A(z) x + B(z) n`,
//!
//! `A = T_s(u)/T_s(w_0)`, `B = U_{s-1}(u)/U_{s-1}(w_0) (1 - w_1 z/2)`, `U_j` the polynomials of the second kind.
//!
//! So the stationary variance is `2 h B^2/(1 - A^2)`, with `eta = 0.05` at most `1/p` up to the bound. There is such a
//! law up to `z = 2 w_0/w_1`, near `2 s^2 (1 - 2 eta/3)` for small `eta`. The bound of the step is below it: the
//! published rule for `s`, solved for `h`. No noise reaches the directions with `U_{s-1}(u) = 0`, whose variance is 0;
//! with `s = 10`, slow ones lose a hundredth of theirs at `z = 0.5`.
//!
//! - Needs: the gradient of the potential.
//! - Cost: `s` gradients a step, of a step up to `((s - 1/2)^2 (2 - 4 eta/3) - 3/2)/L`.
//! - Gaussian prior: exact mean; variances too small: those of slow directions little, of some stiff ones to 0.
//! - Use: ill-conditioned targets: 7.5, 17 and 27 times as fast as ULA a gradient for `s` of 5, 10 and 15.

use burn::tensor::Tensor;
use tweedie_core::{Noise, combine};
use tweedie_fidelity::{Gradient, Smooth};

use crate::{ChainError, Info, MarkovKernel, Position, StepSize, error::require};

/// The damping of the papers.
const ETA: f64 = 0.05;

/// The Runge-Kutta-Chebyshev step of `s` stages, admissible up to `h = ((s - 1/2)^2 (2 - 4 eta/3) - 3/2)/L`.
///
/// On the [`PosteriorDensity`](crate::PosteriorDensity) of a data term and a
/// [`MoreauEnvelope`](tweedie_fidelity::MoreauEnvelope) it is the sampler of Pereyra et al. 2020 for total variation
/// and other priors that are not smooth.
///
/// ```
/// use tweedie_fidelity::Tikhonov;
/// use tweedie_mcmc::{MarkovKernel, SkRock};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let kernel = SkRock::at_share(Tikhonov::pixels(4.0)?, 10, 0.5)?;
/// let step = MarkovKernel::<4>::step_size(&kernel).unwrap();
/// assert_eq!(step.value, 0.5 * step.bound.unwrap());
/// assert!(step.value > 80.0 * 0.25, "80 times that of ULA, for 10 times the cost");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SkRock<T> {
    target: T,
    eta: f64,
    step: StepSize,
    stages: Vec<Stage>,
    first: First,
}

/// `mu_1`, `nu_1` and `kappa_1`.
#[derive(Clone, Copy, Debug)]
struct First {
    gradient: f64,
    ahead: f64,
    noise: f64,
}

/// `mu_j`, `nu_j` and `kappa_j` for `j >= 2`.
#[derive(Clone, Copy, Debug)]
struct Stage {
    gradient: f64,
    last: f64,
    before: f64,
}

impl<T: Smooth> SkRock<T> {
    /// For the potential `target` with `stages` gradients a step, damping `eta` and the step `h = step_size`, in
    /// squared units of `x`. The papers have `eta = 0.05`; more damping gives up speed, and none leaves stiff
    /// directions unforgotten.
    ///
    /// # Errors
    /// Unless `stages` is at least 2, `eta` within 0 and 1 (both excluded), and `step_size` finite and above 0. One
    /// stage would be a step of Euler's with the gradient taken ahead by noise, which no published bound covers.
    pub fn new(target: T, stages: usize, eta: f64, step_size: f64) -> Result<Self, ChainError> {
        let per_unit = bound_per_unit(stages, eta)?;
        let step = StepSize::new(step_size, bound(&target, per_unit))?;
        Ok(Self::with(target, stages, eta, step))
    }

    /// With `eta = 0.05` and the largest admissible step.
    ///
    /// # Errors
    /// Unless `stages` is at least 2; [`ChainError::NoBound`] where the Lipschitz constant of the gradient is not
    /// known.
    pub fn at_bound(target: T, stages: usize) -> Result<Self, ChainError> {
        Self::at_share(target, stages, 1.0)
    }

    /// With `eta = 0.05` and `share` of the largest admissible step: Pereyra et al. use 0.5 to 0.8, for less bias.
    ///
    /// # Errors
    /// Unless `stages` is at least 2 and `share` above 0 and at most 1; [`ChainError::NoBound`] where the Lipschitz
    /// constant of the gradient is not known.
    pub fn at_share(target: T, stages: usize, share: f64) -> Result<Self, ChainError> {
        let valid = share > 0.0 && share <= 1.0;
        require("share", share, valid, "above 0 and at most 1")?;
        let bound = bound(&target, bound_per_unit(stages, ETA)?);
        let step = StepSize::at_bound(bound)?;
        let step = StepSize::new(share * step.value, bound)?;
        Ok(Self::with(target, stages, ETA, step))
    }

    fn with(target: T, stages: usize, eta: f64, step: StepSize) -> Self {
        let s = stages as f64;
        let beyond = eta / (s * s);
        let w0 = 1.0 + beyond;
        // T_j(cosh a) = cosh(j a), T_j'(cosh a) = j sinh(j a)/sinh(a). The digits that w_0 loses to its 1 would count
        // s^4 times.
        let a = 2.0 * (0.5 * beyond).sqrt().asinh();
        let t = |j: usize| (j as f64 * a).cosh();
        let w1 = t(stages) * a.sinh() / (s * (s * a).sinh());
        let first = First {
            gradient: w1 / w0,
            ahead: 0.5 * s * w1,
            noise: s * w1 / w0,
        };
        let stage = |j: usize| {
            let ratio = 2.0 * t(j - 1) / t(j);
            Stage {
                gradient: w1 * ratio,
                last: w0 * ratio,
                before: 1.0 - w0 * ratio,
            }
        };
        Self {
            target,
            eta,
            step,
            stages: (2..=stages).map(stage).collect(),
            first,
        }
    }
}

/// `(s - 1/2)^2 (2 - 4 eta/3) - 3/2`, the bound for `L = 1`.
fn bound_per_unit(stages: usize, eta: f64) -> Result<f64, ChainError> {
    let s = stages as f64;
    require("stages", s, stages >= 2, "at least 2")?;
    require("eta", eta, eta > 0.0 && eta < 1.0, "above 0 and below 1")?;
    Ok((s - 0.5).powi(2) * (2.0 - 4.0 * eta / 3.0) - 1.5)
}

fn bound(target: &impl Smooth, per_unit: f64) -> Option<f64> {
    Some(per_unit / target.lipschitz()?)
}

impl<const D: usize, T: Gradient<D>> MarkovKernel<D> for SkRock<T> {
    type State = Position<D>;

    fn init(&self, position: Tensor<D>) -> Position<D> {
        Position(position)
    }

    fn step(&self, Position(x): Position<D>, noise: &mut dyn Noise<D>) -> (Position<D>, Info) {
        let (h, first) = (self.step.value, self.first);
        let spread = (2.0 * h).sqrt();
        let fresh = noise.normal(x.dims());
        let ahead = combine([(1.0, x.clone()), (first.ahead * spread, fresh.clone())]);
        let gradient = self.target.grad(ahead);
        let moved = combine([
            (1.0, x.clone()),
            (-first.gradient * h, gradient),
            (first.noise * spread, fresh),
        ]);
        let (_, moved) = self
            .stages
            .iter()
            .fold((x, moved), |(before, last), stage| {
                let gradient = self.target.grad(last.clone());
                let next = combine([
                    (stage.last, last.clone()),
                    (stage.before, before),
                    (-stage.gradient * h, gradient),
                ]);
                (last, next)
            });
        (Position(moved), Info::default())
    }

    fn moved(&self, _: Position<D>, position: Tensor<D>) -> Option<Position<D>> {
        Some(Position(position))
    }

    fn gradients(&self) -> usize {
        self.stages.len() + 1
    }

    fn step_size(&self) -> Option<StepSize> {
        Some(self.step)
    }

    fn describe(&self) -> String {
        let (stages, eta, h) = (self.stages.len() + 1, self.eta, self.step.value);
        format!("sk-rock, stages {stages}, eta {eta:e}, step_size {h:e}")
    }
}
