//! Particle methods: sequential Monte Carlo along the reverse chain, exact in the limit of particles.
//!
//! The prior of these methods is the chain that DDPM, or stochastic DDIM, draws from: in `u = x/s(t)`, at the noise
//! levels `sigma_0 > ... > sigma_K` of a grid, `u_0 ~ N(0, sigma_0^2 I)` and `u_(k+1) ~ N(m_k(u_k), v_k I)`. Potentials
//! `g_k(u_k) > 0` turn the chain towards the measurement; the last one is the likelihood itself. Particles that are
//! proposed from `q`, weighted by `w_k = g_(k+1)(u_(k+1)) p(u_(k+1) | u_k) / (g_k(u_k) q(u_(k+1) | u_k))` and resampled
//! by weight are for *any* such potentials a sample of `p(u_K | y)` in the limit of many, and `exp(log_normalizer)` is
//! an unbiased estimate of `p(y)` with any number of them (Del Moral 2004, section 7.4,
//! <https://doi.org/10.1007/978-1-4684-9393-1>). What is left is the difference between the chain and the prior, which
//! falls with the number of steps.
//!
//! Many runs go side by side along axis 0: run `j` has the rows `j * particles ..` and reads the numbers of row `j` of
//! the generator. The rows of one run are coupled by resampling; runs are independent. The weights are kept on the host
//! in double precision, so each step reads one number per particle back: who survives decides what the next step moves.

use burn::tensor::{Int, Tensor, TensorData};
use tweedie_core::{Rng, Schedule, TimeGrid, combine};
use tweedie_solvers::Step;

use crate::{
    SampleError,
    error::require,
    walk::{DAMAGED, Level},
};

mod mcg_diff;
mod resampling;
mod tds;

pub use mcg_diff::{McgDiff, McgDiffConfig};
pub use resampling::{effective_sample_size, systematic};
pub use tds::{Tds, TdsConfig};

use resampling::Weights;

/// What particles end with: weighted images, run by run.
#[derive(Clone, Debug)]
pub struct Particles<const D: usize = 4> {
    /// The images, `[runs * particles, ...]`: run `j` has the rows `j * particles .. (j + 1) * particles`.
    pub positions: Tensor<D>,
    /// The logarithm of each row's weight; the weights of a run add to 1.
    pub log_weights: Vec<f64>,
    /// Of each run, the logarithm of its unbiased estimate of `p(y)` under the discretised prior.
    pub log_normalizer: Vec<f64>,
    /// Effective sample size of each run at each weighting, before resampling: `ess[weighting][run]`.
    pub ess: Vec<Vec<f64>>,
}

impl<const D: usize> Particles<D> {
    /// How many runs there are.
    pub fn runs(&self) -> usize {
        self.log_normalizer.len()
    }

    /// One particle of each run, drawn by weight: `[runs, ...]`. Run `j` reads one number of row `j` of `rng`.
    ///
    /// They are independent, and of the posterior in the limit of particles.
    pub fn draw(&self, rng: &mut Rng) -> Tensor<D> {
        self.resample(1, rng)
    }

    /// `count` equally weighted particles of each run by systematic resampling: `[runs * count, ...]`, run after run,
    /// particles in their order. Run `j` reads one number of row `j` of `rng`.
    pub fn resample(&self, count: usize, rng: &mut Rng) -> Tensor<D> {
        let particles = self.log_weights.len() / self.runs();
        let uniforms = rng.uniform_per_row(self.runs());
        let runs = self.log_weights.chunks(particles).zip(uniforms).enumerate();
        let chosen = runs.flat_map(|(run, (log_weights, uniform))| {
            let weights: Vec<f64> = log_weights.iter().map(|weight| weight.exp()).collect();
            let chosen = systematic(&weights, count, uniform).into_iter();
            chosen.map(move |index| run * particles + index)
        });
        pick(&self.positions, &indices(chosen, &self.positions))
    }
}

/// Runs under way: their random numbers and their weights.
struct Swarm<'a, const X: usize> {
    /// One image of each run.
    shape: [usize; X],
    particles: usize,
    ess_threshold: f64,
    steps: usize,
    rng: &'a mut Rng,
    weights: Weights,
}

impl<'a, const X: usize> Swarm<'a, X> {
    fn new(
        shape: [usize; X],
        particles: usize,
        ess_threshold: f64,
        steps: usize,
        rng: &'a mut Rng,
    ) -> Self {
        const {
            assert!(
                X >= 2,
                "axis 0 is the batch, and an image has at least one more"
            )
        };
        Self {
            shape,
            particles,
            ess_threshold,
            steps,
            rng,
            weights: Weights::equal(shape[0], particles),
        }
    }

    /// Standard normal numbers for all particles, `[runs * particles, ...]`.
    fn normal(&mut self) -> Tensor<X> {
        let (mut wide, mut tall) = (self.shape, self.shape);
        wide[1] *= self.particles;
        tall[0] *= self.particles;
        self.rng.normal(wide).reshape(tall)
    }

    /// Multiplies the weights by `exp(increments + constant)`: reads one number per particle back. `step` counts from
    /// 1.
    fn weigh(
        &mut self,
        increments: Tensor<1>,
        constant: f64,
        (step, sigma): (usize, f64),
    ) -> Result<(), SampleError> {
        let increments = increments
            .try_to_vec_as::<f64>()
            .expect("the weights can be read from their device");
        if self.weights.multiply(&increments, constant) {
            return Ok(());
        }
        Err(SampleError::Diverged {
            step,
            steps: self.steps,
            sigma,
            advice: DAMAGED,
        })
    }

    /// Resamples the runs whose effective sample size is low: the rows that live on, if any run was.
    ///
    /// Each run spends a number, resampled or not, so that it depends on nothing but itself.
    fn select<const D: usize>(&mut self, like: &Tensor<D>) -> Option<Tensor<1, Int>> {
        let uniforms = self.rng.uniform_per_row(self.shape[0]);
        let ancestors = self.weights.resample(self.ess_threshold, &uniforms)?;
        Some(indices(ancestors.into_iter(), like))
    }

    fn finish(self, positions: Tensor<X>) -> Particles<X> {
        self.weights.with(positions)
    }
}

/// Each row `particles` times; a single row, which stands for all, as it is.
fn per_particle<const D: usize>(rows: Tensor<D>, particles: usize) -> Tensor<D> {
    let count = rows.dims()[0];
    if count == 1 {
        return rows;
    }
    let repeated = indices((0..count * particles).map(|row| row / particles), &rows);
    pick(&rows, &repeated)
}

fn pick<const D: usize>(rows: &Tensor<D>, indices: &Tensor<1, Int>) -> Tensor<D> {
    rows.clone().select(0, indices.clone())
}

/// Row numbers on the device of `like`.
fn indices<const D: usize>(rows: impl Iterator<Item = usize>, like: &Tensor<D>) -> Tensor<1, Int> {
    let rows: Vec<i64> = rows.map(|row| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), &like.device())
}

/// `sum x_i` of each row, `[batch]`.
fn row_sums<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let shape = x.dims();
    let entries = shape[1..].iter().product();
    x.reshape([shape[0], entries])
        .sum_dim(1)
        .reshape([shape[0]])
}

/// The steps of a run in order.
fn levels(schedule: &impl Schedule, grid: &TimeGrid) -> impl Iterator<Item = (usize, Level)> {
    grid.spans().enumerate().map(|(index, span)| {
        let (from, to) = (schedule.sigma(span.from), schedule.sigma(span.to));
        (index, Level { span, from, to })
    })
}

/// Shows an observer all particles after a step, unweighted.
fn show<const D: usize>(
    observe: &mut dyn FnMut(Step<'_, D>),
    (index, steps): (usize, usize),
    level: Level,
    particles: &Tensor<D>,
    scale: f64,
) {
    observe(Step {
        index,
        steps,
        span: level.span,
        state: &combine([(scale, particles.clone())]),
    });
}

/// What the settings of all particle methods must meet.
fn require_settings(particles: usize, ess_threshold: f64, eta: f64) -> Result<(), SampleError> {
    if particles == 0 {
        return Err(SampleError::Zero { field: "particles" });
    }
    let share = (0.0..=1.0).contains(&ess_threshold);
    require("ess_threshold", ess_threshold, share, "in [0, 1]")?;
    // A chain without noise would never part what resampling has made equal.
    require("eta", eta, eta > 0.0 && eta <= 1.0, "above 0 and at most 1")
}
