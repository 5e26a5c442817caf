//! `tweedie reproduce mcmc-toy`: how far the last states of many chains are from an exact posterior.
//!
//! The problems of `reproduce toy`. All kernels see the prior smoothed by noise of level 0.02, as deepinv's do, so what they draw from is
//! wider than the posterior by 1.04 whatever they do; the last two see it smoothed by 0.002. Of each chain the last state is taken.

use clap::Args;
use serde::Serialize;
use tweedie::{
    burn::tensor::{DType, Device, Tensor},
    core::{FullGaussian, Rng},
    fidelity::{L2, ScorePrior},
    mcmc::{
        Adaptive, ChainState, Hmc, Mala, MarkovKernel, PosteriorDensity, SkRock,
        SpectralPreconditioner, StepSize, Ula, Underdamped,
    },
    physics::Svd,
};

use crate::{
    failure::Outcome,
    quality::save_report,
    reproduce::{
        selection::select,
        toy::{
            gaussian::{Errors, Gaussian},
            problem::{NOISE_STD, NUGGET, PIXELS, Problem},
        },
    },
};

/// Chains of each kernel, as in the peer's runs.
const CHAINS: usize = 256;

/// Noise level at which the prior is taken, the peer's and a smaller one.
const SIGMA: f64 = 0.02;
const FINE: f64 = 0.002;

/// Numbers of gradients.
const BUDGETS: [usize; 3] = [100, 1000, 5000];

/// Markov chains on two Gaussian problems with a known posterior, beside deepinv's figures
///
/// 256 chains from the transposed operator applied to the measurement; the last states are compared with the posterior, for 100,
/// 1000 and 5000 gradients. Mean error: root mean square over the pixels, in posterior standard deviations. Spread: mean ratio of
/// the standard deviations. W2: Wasserstein distance between the fitted Gaussian and the posterior, over the square root of the
/// posterior's total variance. 256 exact draws score about 0.06, 1.00 and 0.2.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Run only the kernels whose name contains this.
    #[arg(long, value_name = "TEXT")]
    method: Option<String>,
    /// Only one of the numbers of gradients.
    #[arg(long, value_name = "N", value_parser = budget)]
    gradients: Option<usize>,
    /// Also write the rows here.
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

fn budget(text: &str) -> Result<usize, String> {
    let known = text.parse().ok().filter(|number| BUDGETS.contains(number));
    known.ok_or_else(|| format!("expected one of {BUDGETS:?}"))
}

/// Mean error, spread and W2, to two decimals.
type Figures = [f64; 3];

/// What deepinv 0.5.0 scores with a number of gradients, for inpainting and for blur.
struct Peer {
    gradients: usize,
    inpainting: Figures,
    blur: Figures,
}

const fn peer(gradients: usize, inpainting: Figures, blur: Figures) -> Peer {
    Peer {
        gradients,
        inpainting,
        blur,
    }
}

/// The last states after so many gradients.
type Sample = fn(&Problem, usize) -> Outcome<Tensor<4>>;

struct Method {
    name: &'static str,
    peer: &'static [Peer],
    sample: Sample,
}

#[rustfmt::skip]
const METHODS: &[Method] = &[
    Method { name: "ULA, step 0.9/L", sample: |p, n| last(p, n, Ula::new(target(p, SIGMA)?, 0.9 / lipschitz(SIGMA))?), peer: &[
        peer( 100, [0.24, 1.13, 0.40], [0.08, 1.11, 0.28]),
        peer(1000, [0.08, 1.13, 0.29], [0.07, 1.10, 0.27]),
        peer(5000, [0.08, 1.13, 0.29], [0.08, 1.11, 0.27]),
    ]},
    Method { name: "ULA, step 0.1/L", sample: |p, n| last(p, n, Ula::new(target(p, SIGMA)?, 0.1 / lipschitz(SIGMA))?), peer: &[
        peer(5000, [0.07, 1.05, 0.22], [0.07, 1.04, 0.21]),
    ]},
    Method { name: "SK-ROCK, s = 10, step 0.9/L", sample: |p, n| last(p, n, sk_rock(p, 0.9)?), peer: &[
        peer( 100, [3.30, 0.92, 3.71], [0.50, 0.90, 0.57]),
        peer(1000, [0.24, 1.04, 0.34], [0.07, 1.03, 0.21]),
        peer(5000, [0.06, 1.05, 0.20], [0.06, 1.04, 0.20]),
    ]},
    Method { name: "SK-ROCK, s = 10, step 50/L", sample: |p, n| last(p, n, sk_rock(p, 50.0)?), peer: &[
        peer( 100, [0.74, 0.82, 0.80], [0.24, 0.84, 0.37]),
        peer(1000, [0.07, 0.83, 0.37], [0.07, 0.85, 0.28]),
        peer(5000, [0.06, 0.81, 0.37], [0.05, 0.85, 0.27]),
    ]},
    Method { name: "SK-ROCK, s = 10, step 10/L", sample: |p, n| last(p, n, sk_rock(p, 10.0)?), peer: &[] },
    Method { name: "underdamped, largest step", sample: |p, n| last(p, n, underdamped(p, SIGMA)?), peer: &[] },
    Method { name: "MALA, adapted", sample: |p, n| last(p, n, Adaptive::new(Mala::new(target(p, SIGMA)?, 0.9 / lipschitz(SIGMA))?)), peer: &[] },
    Method { name: "HMC of 10 steps, adapted", sample: |p, n| {
        let step = (2.0 / lipschitz(SIGMA)).sqrt();
        last(p, n, Adaptive::new(Hmc::new(target(p, SIGMA)?, step, 10)?))
    }, peer: &[] },
    Method { name: "preconditioned MALA, adapted", sample: |p, n| last(p, n, preconditioned(p, SIGMA)?), peer: &[] },
    Method { name: "underdamped, largest step, prior at 0.002", sample: |p, n| last(p, n, underdamped(p, FINE)?), peer: &[] },
    Method { name: "preconditioned MALA, adapted, prior at 0.002", sample: |p, n| last(p, n, preconditioned(p, FINE)?), peer: &[] },
];

type Target<'a> = PosteriorDensity<L2<&'a dyn Svd>, ScorePrior<&'a FullGaussian>>;

fn target(problem: &Problem, sigma: f64) -> Outcome<Target<'_>> {
    Ok(PosteriorDensity {
        fidelity: L2::new(problem.operator(), problem.y.clone(), NOISE_STD)?,
        prior: ScorePrior::new(&problem.prior, sigma, 1.0)?,
    })
}

/// The largest precision: that of the rough part of the prior, and of the data.
fn lipschitz(sigma: f64) -> f64 {
    (NUGGET * NUGGET + sigma * sigma).recip() + NOISE_STD.powi(-2)
}

/// A step of `times` that of ULA.
fn sk_rock(problem: &Problem, times: f64) -> Outcome<SkRock<Target<'_>>> {
    let step = times / lipschitz(SIGMA);
    Ok(SkRock::new(target(problem, SIGMA)?, 10, 0.05, step)?)
}

/// Friction for the slowest modes, whose standard deviation is about 0.2.
fn underdamped(problem: &Problem, sigma: f64) -> Outcome<Underdamped<Target<'_>>> {
    let step = (2.0 / lipschitz(sigma)).sqrt();
    Ok(Underdamped::new(target(problem, sigma)?, step, 5.0)?)
}

type Spectral<'a> = SpectralPreconditioner<&'a dyn Svd>;

/// In the units of a prior of independent pixels as wide as its smooth part.
fn preconditioned(
    problem: &Problem,
    sigma: f64,
) -> Outcome<Adaptive<Mala<Target<'_>, Spectral<'_>>>> {
    let (operator, like) = (problem.operator(), &problem.y);
    let preconditioner = SpectralPreconditioner::new(operator, like, NOISE_STD, 0.15)?;
    let step = StepSize::new(0.1, None)?;
    let kernel = Mala::preconditioned(target(problem, sigma)?, preconditioner, step)?;
    Ok(Adaptive::new(kernel))
}

/// Half of the steps adapt.
fn last<K: MarkovKernel>(problem: &Problem, gradients: usize, kernel: K) -> Outcome<Tensor<4>> {
    let steps = gradients / kernel.gradients();
    let mut rng = Rng::seeded(0, &Device::flex()).with_dtype(DType::F64);
    let start = problem.operator().adjoint(problem.y.clone());
    let mut state = kernel.init(start.repeat_dim(0, CHAINS));
    for step in 0..steps {
        if step == steps / 2 {
            state = kernel.freeze(state);
        }
        state = kernel.step(state, &mut rng).0;
    }
    Ok(state.position().clone())
}

/// One figure.
#[derive(Serialize)]
struct Row {
    problem: &'static str,
    method: &'static str,
    gradients: usize,
    mean_error: f64,
    std_ratio: f64,
    w2: f64,
    deepinv: Option<Figures>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let chosen = select(METHODS, |method| method.name, arguments.method.as_deref())?;
    let mut rows = Vec::new();
    for problem in [Problem::inpainting()?, Problem::blur()?] {
        println!("\n{}, {CHAINS} chains", problem.name);
        println!(
            "{:<46}{:>10}{:>12}{:>9}{:>9}   deepinv",
            "", "gradients", "mean error", "spread", "W2"
        );
        for method in &chosen {
            let asked = |budget: &usize| arguments.gradients.is_none_or(|asked| asked == *budget);
            for gradients in BUDGETS.into_iter().filter(asked) {
                let row = score(&problem, method, gradients)?;
                print(&row);
                rows.push(row);
            }
        }
    }
    if let Some(path) = &arguments.json {
        save_report(&rows, path)?;
    }
    Ok(())
}

fn score(problem: &Problem, method: &Method, gradients: usize) -> Outcome<Row> {
    let states = (method.sample)(problem, gradients)?;
    let found = Gaussian::fit(&states.try_to_vec_as::<f64>()?, PIXELS);
    let Errors {
        mean_error,
        std_ratio,
        w2,
    } = problem.posterior.errors_of(&found);
    let peer = method.peer.iter().find(|peer| peer.gradients == gradients);
    let masked = problem.inpainting.is_some();
    Ok(Row {
        problem: problem.name,
        method: method.name,
        gradients,
        mean_error,
        std_ratio,
        w2,
        deepinv: peer.map(|peer| if masked { peer.inpainting } else { peer.blur }),
    })
}

fn print(row: &Row) {
    let peer = row
        .deepinv
        .map(|[mean, spread, w2]| format!("{mean:.2} / {spread:.2} / {w2:.2}"));
    println!(
        "{:<46}{:>10}{:>12.3}{:>9.3}{:>9.3}   {}",
        row.method,
        row.gradients,
        row.mean_error,
        row.std_ratio,
        row.w2,
        peer.unwrap_or_default()
    );
}
