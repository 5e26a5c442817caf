//! `tweedie reproduce sk-rock`: effective sample size per gradient of the slowest mode of an ill-conditioned Gaussian.
//!
//! Along a mode of precision `p` a step maps `x` to `a x + b n`, so its autocorrelation at lag `k` is `a^k` and `N` draws are
//! worth `N (1 - a)/(1 + a)`. SK-ROCK's `s` gradients a step allow a step of `(s - 1/2)^2 (2 - 4 eta/3) - 3/2` times that of ULA
//! (Pereyra, Vargas-Mieles & Zygalakis 2020, <https://doi.org/10.1137/19M1283719>): where the mode is slow, that over `s` is the
//! gain.

use clap::Args;
use tweedie::{
    burn::tensor::{DType, Device, Tensor, TensorData},
    core::{Noise, Rng},
    fidelity::{Gradient, Smooth},
    mcmc::{ChainConfig, ChainState, Chains, MarkovKernel, SkRock, Ula},
    metrics::StoredChains,
};

use crate::failure::Outcome;

/// The precisions of the modes: condition number 1000.
const LEAST: f64 = 1.0;
const CONDITION: f64 = 1000.0;
const MODES: usize = 8;

/// Stages of SK-ROCK.
const STAGES: [usize; 3] = [5, 10, 15];

/// The damping of [`SkRock::at_bound`].
const ETA: f64 = 0.05;

/// Effective sample size per gradient of SK-ROCK and ULA on a Gaussian of condition number 1000
///
/// Eight modes, each kernel at its largest admissible step. The exact figures come from the autoregression of the slowest mode, the
/// measured ones from the draws. Gains are over ULA; the prediction is the ratio of the steps over the number of gradients.
/// Variances are those of the stationary law over the exact ones.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Chains of each kernel.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    chains: u32,
    /// Gradients of each chain.
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1000..))]
    gradients: u32,
    /// Seed of the chains.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
}

/// `U(x) = sum_i p_i x_i^2 / 2`, `p_i` in geometric progression.
#[derive(Clone)]
struct Modes(Tensor<2>);

impl Modes {
    fn new() -> Self {
        let ratio = CONDITION.powf(((MODES - 1) as f64).recip());
        let precisions = (0..MODES).map(|mode| LEAST * ratio.powi(mode as i32));
        Self(row(precisions.collect()))
    }
}

impl Smooth for Modes {
    fn lipschitz(&self) -> Option<f64> {
        Some(LEAST * CONDITION)
    }
}

impl Gradient<2> for Modes {
    fn grad(&self, x: Tensor<2>) -> Tensor<2> {
        x * self.0.clone()
    }
}

/// Figures of a kernel.
struct Row {
    /// Effective draws for each 1000 gradients, exact and measured.
    exact: f64,
    measured: f64,
    /// Variance of the slowest mode and of the fastest over the exact one.
    variances: [f64; 2],
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    println!(
        "condition number {CONDITION}, {MODES} modes, {} chains of {} gradients; slowest mode\n",
        arguments.chains, arguments.gradients
    );
    println!(
        "{:<16}{:>9}{:>11}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}",
        "", "ESS per", "1000 grad.", "gain", "over", "ULA", "predicted", "variance", "variance"
    );
    println!(
        "{:<16}{:>9}{:>11}{:>10}{:>10}{:>10}{:>11}{:>10}{:>10}",
        "", "exact", "measured", "exact", "measured", "", "", "slowest", "fastest"
    );
    let ula = measure(&Ula::at_bound(Modes::new())?, arguments)?;
    print("ULA", &ula, &ula, 1.0);
    for stages in STAGES {
        let kernel = SkRock::at_bound(Modes::new(), stages)?;
        let found = measure(&kernel, arguments)?;
        let s = stages as f64;
        let predicted = ((s - 0.5).powi(2) * (2.0 - 4.0 * ETA / 3.0) - 1.5) / s;
        print(&format!("SK-ROCK, s = {stages}"), &found, &ula, predicted);
    }
    Ok(())
}

fn print(name: &str, row: &Row, ula: &Row, predicted: f64) {
    let [slowest, fastest] = row.variances;
    println!(
        "{name:<16}{:>9.3}{:>11.3}{:>10.2}{:>10.2}{:>10}{predicted:>11.2}{slowest:>10.3}{fastest:>10.3}",
        row.exact,
        row.measured,
        row.exact / ula.exact,
        row.measured / ula.measured,
        ""
    );
}

fn measure<K: MarkovKernel<2>>(kernel: &K, arguments: &Arguments) -> Outcome<Row> {
    let gradients = kernel.gradients();
    let per_thousand = 1000.0 / gradients as f64;
    let [slowest, fastest] = [0, MODES - 1].map(|mode| autoregression(kernel, mode));
    let [[a, b], [c, d]] = [slowest?, fastest?];
    let chains = arguments.chains as usize;

    let iterations = arguments.gradients as usize / gradients;
    let config = ChainConfig {
        // Long enough to forget the start, the mode of the target.
        burn_in: iterations / 10,
        iterations: iterations + iterations / 10,
        check_every: 1000,
        ..ChainConfig::default()
    };
    let start = Tensor::zeros([chains, MODES], (&Device::flex(), DType::F64));
    let mut rng = Rng::seeded(arguments.seed, &Device::flex()).with_dtype(DType::F64);
    let watched = Chains::new(kernel, config)?.with_direction("slowest", unit(0))?;
    let run = watched.run(start, &mut rng, |_| std::ops::ControlFlow::Continue(()))?;
    let draws = StoredChains::new(&run.traces[0].chains)?;
    let total = (run.draws * chains) as f64;
    Ok(Row {
        exact: per_thousand * (1.0 - a) / (1.0 + a),
        measured: per_thousand * draws.ess() / total,
        variances: [
            b * b / (1.0 - a * a) * LEAST,
            d * d / (1.0 - c * c) * LEAST * CONDITION,
        ],
    })
}

/// `a` and `b` of a mode, by a step from its unit vector and a step with unit noise.
fn autoregression<K: MarkovKernel<2>>(kernel: &K, mode: usize) -> Outcome<[f64; 2]> {
    let moved = |x: Tensor<2>, noise: Tensor<2>| -> Outcome<f64> {
        let (state, _) = kernel.step(kernel.init(x), &mut Given(noise));
        let position = state.position().try_to_vec_as::<f64>()?;
        Ok(position[mode])
    };
    let zero = Tensor::zeros_like(&unit(mode));
    Ok([moved(unit(mode), zero.clone())?, moved(zero, unit(mode))?])
}

/// The same numbers again and again.
struct Given(Tensor<2>);

impl Noise<2> for Given {
    fn normal(&mut self, _: [usize; 2]) -> Tensor<2> {
        self.0.clone()
    }
}

fn unit(mode: usize) -> Tensor<2> {
    row((0..MODES).map(|other| f64::from(other == mode)).collect())
}

fn row(values: Vec<f64>) -> Tensor<2> {
    let shape = [1, values.len()];
    Tensor::from_data(
        TensorData::new(values, shape),
        (&Device::flex(), DType::F64),
    )
}
