//! Log-likelihood: the change of variables along the probability flow.
//!
//! In `u = x/s` and `lambda = ln sigma` the flow is `du/dlambda = u - D(u; sigma)`, and the density of the smoothed prior follows
//! `d ln p_sigma(u)/dlambda = -tr(I - J)`, `J = dD/du`. From the lowest level to the highest:
//! `ln p_min(u_min) = ln p_max(u_max) + int tr(I - J) dlambda`. The trace is estimated by `v^T J v` with random `v` (Hutchinson), or
//! summed over the unit vectors.
//!
//! Song et al. 2021, eq. (39) and appendix D.2, <https://arxiv.org/abs/2011.13456>, in the unscaled variable, where it holds for
//! every schedule; the classical Runge-Kutta method in `lambda` (Hairer, Nørsett & Wanner 1993, table II.1.2) in place of their
//! adaptive steps, of order 4. Needs a `Diffusion`. Four evaluations per step and vector, each with one vector-Jacobian product.

use std::f64::consts::{LN_2, TAU};

use burn::tensor::{Tensor, TensorData};
use tweedie_core::{Noise, Rng, TimeGrid, combine, value_and_vjp};
use tweedie_sde::Diffusion;

use crate::{
    SolveError,
    error::require,
    integrate::{Health, require_within},
};

/// The law of the random vectors in Hutchinson's estimator: independent entries of mean 0 and variance 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// -1 or 1: of all such laws the one of least variance, `2 sum_(i != j) J_ij^2` for a symmetric `J`.
    Rademacher,
    /// Normal numbers: variance `2 sum_ij J_ij^2`.
    Gaussian,
}

/// How the trace of the denoiser's Jacobian is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The exact sum: one vector-Jacobian product per dimension, so for small ones.
    Exact,
    /// The mean of `probes` estimates `v^T J v` (Hutchinson 1990, <https://doi.org/10.1080/03610919008812866>), unbiased. Each
    /// evaluation draws fresh vectors, so the error of the integral averages out over the steps; the paper keeps one vector
    /// for the whole run.
    Hutchinson {
        /// Their law.
        probe: Probe,
        /// How many; from 2 on the standard error is known.
        probes: usize,
    },
}

/// Log-likelihoods, in nats.
#[derive(Clone, Debug)]
pub struct LogLikelihood {
    /// One for each image, `[batch]`.
    pub value: Tensor<1>,
    /// Standard error of the estimated trace, `[batch]`, from the spread of the probes; none for the exact trace or a single
    /// probe. It knows nothing of the error of the steps.
    pub standard_error: Option<Tensor<1>>,
}

/// `ln p_sigma(image)`, the density of the smoothed prior `x_0 + sigma n` at `images`, where `sigma` is the noise level at the
/// end of `grid`.
///
/// `images` and the density are in unscaled units, those of pixels; for the scaled state `x = s u` of `d` dimensions subtract
/// `d ln s` from the result. The grid is that of a sampler, from noise to data, and is walked upwards: steps of equal
/// length in `ln sigma` suit. `process` gives schedule and denoiser; its stochasticity plays no role.
///
/// `terminal(u, sigma)` is the log-density of the unscaled state where the grid starts, `[batch]`. A denoiser does not tell it;
/// [`pure_noise_log_density`] leaves the data out: it is off by some `|E x_0|/sigma` nats of either sign, and by
/// `O(E|x_0|^2/sigma^2)`.
///
/// Row `i` draws from row `i` of `rng`, or nothing with the exact trace.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VarianceExploding};
/// use tweedie_sde::Reverse;
/// use tweedie_solvers::{Trace, bits_per_dimension, log_likelihood, pure_noise_log_density};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::<4>::full([1, 1, 1, 1], 0.5, &device), 0.04);
/// let process = Reverse::flow(VarianceExploding::new(0.01, 500.0)?, prior);
/// let grid = TimeGrid::uniform(1.0, 0.0, 50)?;
/// let image = Tensor::full([1, 1, 1, 1], 0.6, &device);
/// let found = log_likelihood(
///     &process,
///     image,
///     &grid,
///     Trace::Exact,
///     pure_noise_log_density,
///     &mut Rng::seeded(0, &device),
/// )?;
/// let variance = 0.04 + 0.01 * 0.01;
/// let exact = -0.5 * (0.1_f64.powi(2) / variance + (std::f64::consts::TAU * variance).ln());
/// assert!((found.value.into_scalar::<f64>() - exact).abs() < 1e-3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`SolveError::Parameter`] without any probe, [`OutsideHorizon`](SolveError::OutsideHorizon),
/// [`Undefined`](SolveError::Undefined) if the grid ends without noise, [`Diverged`](SolveError::Diverged).
pub fn log_likelihood<P: Diffusion<D> + ?Sized, const D: usize>(
    process: &P,
    images: Tensor<D>,
    grid: &TimeGrid,
    trace: Trace,
    terminal: impl FnOnce(Tensor<D>, f64) -> Tensor<1>,
    rng: &mut Rng,
) -> Result<LogLikelihood, SolveError> {
    require_within(process, grid.start())?;
    if !process.is_defined_at(grid.end()) {
        return Err(SolveError::Undefined { time: grid.end() });
    }
    let mut flow = Flow {
        process,
        vectors: Vectors::new(trace, &images)?,
        rng,
    };
    let levels: Vec<f64> = grid
        .times()
        .iter()
        .map(|t| process.schedule().sigma(*t))
        .collect();
    let mut health = Health::new(&images);
    let mut u = images;
    let mut traces = flow.vectors.zeros(&u);
    for pair in levels.windows(2).rev() {
        (u, traces) = flow.step(u, traces, (pair[1], pair[0]));
        health.record(&(traces.clone() + u.clone().sum().unsqueeze()));
    }
    let last = traces.clone() + u.clone().sum().unsqueeze();
    if let Some(step) = health.first_bad_step(&last) {
        return Err(SolveError::Diverged {
            step,
            steps: grid.steps(),
            time: grid.times()[grid.steps() - step],
        });
    }
    let dimensions: usize = u.dims()[1..].iter().product();
    let expansion = dimensions as f64 * (levels[0] / levels[grid.steps()]).ln();
    let known = terminal(u, levels[0]).add_scalar(expansion);
    Ok(flow.vectors.likelihood(known, traces))
}

/// The log-density of `N(0, sigma^2 I)`, `[batch]`.
pub fn pure_noise_log_density<const D: usize>(u: Tensor<D>, sigma: f64) -> Tensor<1> {
    let dimensions: usize = u.dims()[1..].iter().product();
    let volume = dimensions as f64 * (TAU * sigma * sigma).ln();
    per_row(u.div_scalar(sigma).square())
        .add_scalar(volume)
        .mul_scalar(-0.5)
}

/// Bits per dimension of images of integers `0 .. levels`, from the log-likelihood of their dequantised form
/// `(integer + uniform)/levels`, which fills [0, 1]: `-ln p/(d ln 2) + log2(levels)`.
///
/// The second term is the density's change of units from [0, 1] to integers. The mean over uniform noise bounds the bits of
/// the integers from above (Theis et al. 2016, eq. (5), <https://arxiv.org/abs/1511.01844>). 8-bit images have 256 levels, and a
/// uniform density on [0, 1] then costs 8 bits.
///
/// # Panics
/// If `dimensions` or `levels` is 0.
pub fn bits_per_dimension(log_likelihood: Tensor<1>, dimensions: usize, levels: u32) -> Tensor<1> {
    assert!(
        dimensions > 0 && levels > 0,
        "an image has dimensions and levels, found {dimensions} and {levels}"
    );
    log_likelihood
        .div_scalar(-LN_2 * dimensions as f64)
        .add_scalar(f64::from(levels).log2())
}

/// Sums over all axes but the first.
fn per_row<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let shape = x.dims();
    x.reshape([shape[0], shape[1..].iter().product()])
        .sum_dim(1)
        .reshape([shape[0]])
}

/// What multiplies the Jacobian from both sides.
enum Vectors<const D: usize> {
    /// The unit vectors, `[1, ...]`.
    Units(Vec<Tensor<D>>),
    Random {
        probe: Probe,
        probes: usize,
    },
}

impl<const D: usize> Vectors<D> {
    fn new(trace: Trace, like: &Tensor<D>) -> Result<Self, SolveError> {
        match trace {
            Trace::Exact => Ok(Self::Units(units(like))),
            Trace::Hutchinson { probe, probes } => {
                require("probes", probes as f64, probes > 0, "at least 1")?;
                Ok(Self::Random { probe, probes })
            }
        }
    }

    fn count(&self) -> usize {
        match self {
            Self::Units(units) => units.len(),
            Self::Random { probes, .. } => *probes,
        }
    }

    /// `[batch, count]`: one number for each product.
    fn zeros(&self, u: &Tensor<D>) -> Tensor<2> {
        Tensor::zeros([u.dims()[0], self.count()], (&u.device(), u.dtype()))
    }

    fn get(&self, index: usize, u: &Tensor<D>, rng: &mut Rng) -> Tensor<D> {
        match self {
            Self::Units(units) => units[index].clone().expand(u.dims()),
            Self::Random { probe, .. } => draw(*probe, u.dims(), rng).cast(u.dtype()),
        }
    }

    /// The log-density `known - trace` for the integrals of all products.
    fn likelihood(&self, known: Tensor<1>, traces: Tensor<2>) -> LogLikelihood {
        let [batch, count] = traces.dims();
        match self {
            Self::Units(_) => LogLikelihood {
                value: known - traces.sum_dim(1).reshape([batch]),
                standard_error: None,
            },
            Self::Random { .. } => LogLikelihood {
                value: known - traces.clone().mean_dim(1).reshape([batch]),
                standard_error: (count > 1).then(|| {
                    traces
                        .var(1)
                        .div_scalar(count as f64)
                        .sqrt()
                        .reshape([batch])
                }),
            },
        }
    }
}

fn units<const D: usize>(like: &Tensor<D>) -> Vec<Tensor<D>> {
    let mut shape = like.dims();
    shape[0] = 1;
    let dimensions = shape.iter().product();
    let unit = |index| {
        let mut entries = vec![0.0; dimensions];
        entries[index] = 1.0;
        let options = (&like.device(), like.dtype());
        Tensor::from_data(TensorData::new(entries, shape), options)
    };
    (0..dimensions).map(unit).collect()
}

fn draw<const D: usize>(probe: Probe, shape: [usize; D], rng: &mut Rng) -> Tensor<D> {
    match probe {
        Probe::Gaussian => Noise::normal(rng, shape),
        Probe::Rademacher => {
            let uniform: Tensor<D> = rng.uniform(shape);
            let upper = uniform.clone().greater_equal_elem(0.5);
            uniform.ones_like().mask_fill(upper, -1.0)
        }
    }
}

/// State and traces together, upwards in noise.
struct Flow<'a, P: ?Sized, const D: usize> {
    process: &'a P,
    vectors: Vectors<D>,
    rng: &'a mut Rng,
}

impl<P: Diffusion<D> + ?Sized, const D: usize> Flow<'_, P, D> {
    /// `u - D(u; sigma)`, and `v^T J v` for each vector.
    fn slopes(&mut self, u: Tensor<D>, sigma: f64) -> (Tensor<D>, Tensor<2>) {
        let schedule = self.process.schedule();
        let time = schedule.time_at(sigma);
        let scale = schedule.scale(time);
        let mut clean = None;
        let products = (0..self.vectors.count()).map(|index| {
            let v = self.vectors.get(index, &u, self.rng);
            let denoised = |u| self.process.denoised(combine([(scale, u)]), time);
            let (value, product) = value_and_vjp(u.clone(), denoised, |_| v.clone());
            clean = Some(value);
            per_row(product * v).unsqueeze_dim(1)
        });
        let products = Tensor::cat(products.collect(), 1);
        let clean = clean.expect("there is at least one vector");
        (combine([(1.0, u), (-1.0, clean)]), products)
    }

    /// One step of the classical Runge-Kutta method from one noise level to the next, in `ln sigma`.
    fn step(
        &mut self,
        u: Tensor<D>,
        traces: Tensor<2>,
        (from, to): (f64, f64),
    ) -> (Tensor<D>, Tensor<2>) {
        let h = (to / from).ln();
        let middle = (from * to).sqrt();
        let (a, trace_a) = self.slopes(u.clone(), from);
        let moved = combine([(1.0, u.clone()), (0.5 * h, a.clone())]);
        let (b, trace_b) = self.slopes(moved, middle);
        let moved = combine([(1.0, u.clone()), (0.5 * h, b.clone())]);
        let (c, trace_c) = self.slopes(moved, middle);
        let moved = combine([(1.0, u.clone()), (h, c.clone())]);
        let (d, trace_d) = self.slopes(moved, to);
        let (outer, inner) = (h / 6.0, h / 3.0);
        let u = combine([(1.0, u), (outer, a), (inner, b), (inner, c), (outer, d)]);
        let traces = combine([
            (1.0, traces),
            (outer, trace_a),
            (inner, trace_b),
            (inner, trace_c),
            (outer, trace_d),
        ]);
        (u, traces)
    }
}
