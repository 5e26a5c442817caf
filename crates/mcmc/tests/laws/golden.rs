//! Runs of a reference implementation, replayed draw by draw.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::Deserialize;
use tweedie_core::FullGaussian;
use tweedie_fidelity::{L2, ScorePrior};
use tweedie_mcmc::{ChainState, MarkovKernel, Position, PosteriorDensity, SkRock, Ula};
use tweedie_physics::{FourierBlur, Inpainting, LinearOperator};
use tweedie_testkit::{exact, golden, values};

use crate::support::Replay;

const SHAPE: [usize; 4] = [1, 1, 4, 4];
/// The reference runs in single precision: steps of 6e-8 of rounding times gradients of a few hundred, a dozen times.
const TOLERANCE: f64 = 1e-5;

#[derive(Deserialize)]
struct Golden {
    mean: Vec<f64>,
    covariance: Vec<Vec<f64>>,
    mask: Vec<f64>,
    kernel: Vec<f64>,
    noise_std: f64,
    y: BTreeMap<String, Vec<f64>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    kernel: String,
    operator: String,
    step_size: f64,
    sigma: f64,
    stages: Option<usize>,
    eta: Option<f64>,
    noise: Vec<Vec<f64>>,
    /// The start, and the states after steps 5, 7, 9 and 11.
    chain: Vec<Vec<f64>>,
    /// Of the five.
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl Golden {
    fn read() -> Self {
        golden(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/sampler_runs.json"
        ))
    }

    /// The states that the reference keeps, with our parts. `noise_std` is 1 times that of the problem, but for a
    /// control.
    fn replay(&self, run: &Run, noise_std: f64) -> Vec<Vec<f64>> {
        let y = exact(&self.y[&run.operator], SHAPE);
        match run.operator.as_str() {
            "inpaint" => {
                let operator = Inpainting::new(exact(&self.mask, SHAPE)).unwrap();
                self.follow(run, operator, y, noise_std)
            }
            "blurfft" => {
                let kernel = exact(&self.kernel, [1, 1, 3, 3]);
                let operator = FourierBlur::new(kernel, [4, 4]).unwrap();
                self.follow(run, operator, y, noise_std)
            }
            other => panic!("no such operator: {other}"),
        }
    }

    fn follow(
        &self,
        run: &Run,
        operator: impl LinearOperator,
        y: Tensor<4>,
        noise_std: f64,
    ) -> Vec<Vec<f64>> {
        let start = operator.adjoint(y.clone());
        let covariance = exact(&self.covariance.concat(), [16, 16]);
        let denoiser = FullGaussian::new(exact(&self.mean, SHAPE), covariance).unwrap();
        let target = PosteriorDensity {
            fidelity: L2::new(operator, y, noise_std * self.noise_std).unwrap(),
            prior: ScorePrior::new(denoiser, run.sigma, 1.0).unwrap(),
        };
        match run.kernel.as_str() {
            "ULA" => states(&Ula::new(target, run.step_size).unwrap(), start, run),
            "SKRock" => {
                let (stages, eta) = (run.stages.unwrap(), run.eta.unwrap());
                let kernel = SkRock::new(target, stages, eta, run.step_size).unwrap();
                states(&kernel, start, run)
            }
            other => panic!("no such kernel: {other}"),
        }
    }
}

/// The start, and the states after steps 5, 7, 9 and 11. Each step ends at the nearest point of [-1, 2].
fn states<K>(kernel: &K, start: Tensor<4>, run: &Run) -> Vec<Vec<f64>>
where
    K: MarkovKernel<4, State = Position<4>>,
{
    let mut kept = vec![values(&start)];
    let mut noise = Replay(run.noise.clone().into_iter());
    let mut state = kernel.init(start);
    for step in 1..=run.noise.len() {
        (state, _) = kernel.step(state, &mut noise);
        let clipped = state.position().clone().clamp(-1.0, 2.0);
        state = kernel.moved(state, clipped).unwrap();
        if step >= 5 && step % 2 == 1 {
            kept.push(values(state.position()));
        }
    }
    kept
}

/// Mean and variance entry by entry.
fn moments(states: &[Vec<f64>]) -> [Vec<f64>; 2] {
    let count = states.len() as f64;
    let column = |i: usize| states.iter().map(move |state| state[i]);
    let mean: Vec<f64> = (0..16).map(|i| column(i).sum::<f64>() / count).collect();
    let spread = |i: usize| column(i).map(|x| (x - mean[i]).powi(2)).sum::<f64>();
    let variance = (0..16).map(|i| spread(i) / (count - 1.0)).collect();
    [mean, variance]
}

fn departure(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let gap = |(got, expected): (&f64, &f64)| (got - expected).abs();
    got.iter().zip(expected).map(gap).fold(0.0, f64::max)
}

#[test]
fn runs_follow_the_reference() {
    let golden = Golden::read();
    assert_eq!(golden.runs.len(), 4);
    for run in &golden.runs {
        let name = format!("{} of {}", run.kernel, run.operator);
        let states = golden.replay(run, 1.0);
        let worst = departure(&states.concat(), &run.chain.concat());
        assert!(worst < TOLERANCE, "{name}: {worst:e}");
        let [mean, variance] = moments(&states);
        let worst = departure(&mean, &run.mean).max(departure(&variance, &run.variance));
        assert!(worst < TOLERANCE, "moments of {name}: {worst:e}");
        // Negative control.
        let other = golden.replay(run, 1.01);
        let worst = departure(&other.concat(), &run.chain.concat());
        assert!(worst > 100.0 * TOLERANCE, "control of {name}: {worst:e}");
    }
}
