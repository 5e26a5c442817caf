//! Whole guided runs of a reference implementation, replayed draw by draw.

use burn::tensor::Tensor;
use serde::Deserialize;
use tweedie_core::{
    Denoiser, Noise, Schedule, TimeGrid, VarianceExploding, VariancePreserving, value_and_vjp,
};
use tweedie_fidelity::{Guided, NoisyFidelity, Posterior};
use tweedie_sde::{Reverse, pure_noise};
use tweedie_solvers::{Ddim, Ddpm, EulerMaruyama, Heun, Solver, integrate};
use tweedie_testkit::{exact, golden, values};

/// Pixels of an image.
const PIXELS: usize = 16;
const SHAPE: [usize; 4] = [1, 1, 4, 4];

#[derive(Deserialize)]
struct Golden {
    mean: Vec<f64>,
    covariance: Vec<Vec<f64>>,
    mask: Vec<f64>,
    y: Vec<f64>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    sde: String,
    solver: String,
    noise: Vec<Vec<f64>>,
    trajectory: Vec<f64>,
}

/// Exact denoiser of a Gaussian with a full covariance: `mean + C (C + sigma^2 I)^-1 (x - mean)`.
struct Dense {
    mean: Tensor<2>,
    covariance: Vec<Vec<f64>>,
}

impl Dense {
    /// `(C + sigma^2 I)^-1 C` by Gauss-Jordan elimination; both factors commute.
    fn gain(&self, sigma: f64) -> Tensor<2> {
        let mut rows: Vec<Vec<f64>> = (0..PIXELS)
            .map(|i| {
                let mut left = self.covariance[i].clone();
                left[i] += sigma * sigma;
                left.into_iter()
                    .chain(self.covariance[i].iter().copied())
                    .collect()
            })
            .collect();
        for pivot in 0..PIXELS {
            let scale = rows[pivot][pivot];
            rows[pivot].iter_mut().for_each(|entry| *entry /= scale);
            let row = rows[pivot].clone();
            for (other, target) in rows.iter_mut().enumerate() {
                let factor = target[pivot];
                if other != pivot {
                    target
                        .iter_mut()
                        .zip(&row)
                        .for_each(|(entry, p)| *entry -= factor * p);
                }
            }
        }
        let gain: Vec<f64> = rows.iter().flat_map(|row| row[PIXELS..].to_vec()).collect();
        exact(&gain, [PIXELS, PIXELS])
    }
}

impl Denoiser for Dense {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        let deviation = noisy.reshape([1, PIXELS]) - self.mean.clone();
        (self.mean.clone() + deviation.matmul(self.gain(sigma))).reshape(SHAPE)
    }
}

/// The reference's guidance: the gradient of `2 |y - A D(x; sigma)|`, a norm and not its square.
struct NormGuidance {
    mask: Tensor<4>,
    y: Tensor<4>,
}

impl NoisyFidelity for NormGuidance {
    fn guide(&self, prior: &dyn Denoiser, noisy: Tensor<4>, sigma: f64) -> Guided {
        let (denoised, likelihood_score) = value_and_vjp(
            noisy,
            |x| prior.denoise(x, sigma),
            |estimate| {
                let misfit = (self.y.clone() - estimate * self.mask.clone()) * self.mask.clone();
                let norm = misfit.clone().square().sum().sqrt().reshape([1, 1, 1, 1]);
                misfit.mul_scalar(2.0) / norm
            },
        );
        Guided {
            denoised,
            likelihood_score,
        }
    }
}

/// The recorded draws, in order.
struct Replay<'a>(std::slice::Iter<'a, Vec<f64>>);

impl Noise for Replay<'_> {
    fn normal(&mut self, shape: [usize; 4]) -> Tensor<4> {
        exact(self.0.next().expect("the reference drew as often"), shape)
    }
}

fn states<S>(
    solver: &S,
    alpha: f64,
    schedule: &dyn Schedule,
    golden: &Golden,
    run: &Run,
) -> Vec<f64>
where
    S: for<'a> Solver<Reverse<&'a dyn Schedule, Posterior<Dense, NormGuidance>>>,
{
    let posterior = Posterior {
        prior: Dense {
            mean: exact(&golden.mean, [1, PIXELS]),
            covariance: golden.covariance.clone(),
        },
        guidance: NormGuidance {
            mask: exact(&golden.mask, SHAPE),
            y: exact(&golden.y, SHAPE),
        },
    };
    let mut noise = Replay(run.noise.iter());
    let start = pure_noise(schedule, SHAPE, 1.0, &mut noise);
    let mut all = values(&start);
    let grid = TimeGrid::uniform(1.0, 0.001, 6).unwrap();
    let process = Reverse::new(schedule, posterior, alpha).unwrap();
    integrate(&process, solver, start, &grid, &mut noise, |step| {
        all.extend(values(step.state))
    })
    .unwrap();
    all
}

#[test]
fn guided_runs_follow_the_reference() {
    let golden: Golden = golden(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/posterior_diffusion.json"
    ));
    assert_eq!(golden.runs.len(), 12);
    let exploding = VarianceExploding::new(0.001, 10.0).unwrap();
    let preserving = VariancePreserving::new(0.1, 20.0).unwrap();
    for run in &golden.runs {
        let (schedule, alpha): (&dyn Schedule, f64) = match run.sde.as_str() {
            "VE(sigma_min=.001,sigma_max=10,alpha=.25)" => (&exploding, 0.25),
            "VP(.1,20,alpha=.5)" => (&preserving, 0.5),
            "VP(.1,20,alpha=0)" => (&preserving, 0.0),
            other => panic!("no such process: {other}"),
        };
        let got = match run.solver.as_str() {
            "EulerSolver" => states(&EulerMaruyama, alpha, schedule, &golden, run),
            "HeunSolver" => states(&Heun, alpha, schedule, &golden, run),
            "DDPMSolver" => states(&Ddpm, alpha, schedule, &golden, run),
            "DDIMSolver" => states(&Ddim::new(0.0).unwrap(), alpha, schedule, &golden, run),
            other => panic!("no such solver: {other}"),
        };
        assert_eq!(got.len(), run.trajectory.len());
        for (index, (got, expected)) in got.iter().zip(&run.trajectory).enumerate() {
            assert!(
                (got - expected).abs() <= 1e-4 * (1.0 + expected.abs()),
                "{} on {}, entry {index}: {got}, expected {expected}",
                run.solver,
                run.sde
            );
        }
    }
}
