//! Whole guided runs of a reference implementation, replayed draw by draw.

use std::cell::RefCell;

use burn::tensor::Tensor;
use serde::Deserialize;
use tweedie_core::{
    Clipped, Denoiser, FullGaussian, Karras, Noise, Schedule, Span, TimeGrid, VarianceExploding,
    VariancePreserving, value_and_vjp,
};
use tweedie_fidelity::{Ald, Dps, Guided, Isotropic, Mmps, NoisyFidelity, Pigdm, Posterior};
use tweedie_physics::{FourierBlur, Inpainting, Svd, dot, pseudo_inverse_by_svd};
use tweedie_samplers::{DpsConfig, DpsSampler};
use tweedie_sde::{Diffusion, Reverse, pure_noise};
use tweedie_solvers::{Ddim, Ddpm, EulerMaruyama, Heun, Solver, integrate};
use tweedie_testkit::{exact, golden, values};

use crate::support::{Replay, SHAPE, departure};

const NOISE_STD: f64 = 0.1;
/// The reference's denoiser runs in single precision.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Golden {
    mean: Vec<f64>,
    covariance: Vec<Vec<f64>>,
    mask: Vec<f64>,
    kernel: Vec<f64>,
    y: Measured,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Measured {
    inpaint: Vec<f64>,
    blurfft: Vec<f64>,
}

#[derive(Clone, Deserialize)]
struct Run {
    operator: String,
    sde: String,
    solver: String,
    guidance: String,
    /// Whether the process has pixels in [-1, 1].
    #[serde(default)]
    minus_one_one: bool,
    noise: Vec<Vec<f64>>,
    trajectory: Vec<f64>,
}

impl Golden {
    fn read() -> Self {
        golden(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/posterior_diffusion.json"
        ))
    }

    fn prior(&self) -> FullGaussian {
        let covariance = exact(&self.covariance.concat(), [16, 16]);
        FullGaussian::new(exact(&self.mean, SHAPE), covariance).unwrap()
    }

    fn inpainting(&self) -> (Inpainting, Tensor<4>) {
        let operator = Inpainting::new(exact(&self.mask, SHAPE)).unwrap();
        (operator, exact(&self.y.inpaint, SHAPE))
    }

    fn blur(&self) -> (FourierBlur, Tensor<4>) {
        let operator = FourierBlur::new(exact(&self.kernel, [1, 1, 3, 3]), [4, 4]).unwrap();
        (operator, exact(&self.y.blurfft, SHAPE))
    }
}

/// The reference's default: the gradient of `2 |y - A D(x; sigma)|`, a norm and not its square.
struct NormGuidance<A> {
    operator: A,
    y: Tensor<4>,
}

impl<A: Svd> NoisyFidelity for NormGuidance<A> {
    fn guide(&self, prior: &dyn Denoiser, noisy: Tensor<4>, sigma: f64) -> Guided {
        let (denoised, likelihood_score) = value_and_vjp(
            noisy,
            |x| prior.denoise(x, sigma),
            |estimate| {
                let misfit = self.y.clone() - self.operator.forward(estimate);
                let norm = dot(misfit.clone(), misfit.clone()).sqrt();
                self.operator.adjoint(misfit.mul_scalar(2.0) / norm)
            },
        );
        Guided {
            denoised,
            likelihood_score,
        }
    }
}

/// The reference's terms of the noisy image itself: `B (y + sigma z - A x)/(noise_std^2 + sigma^2)`.
struct NoisyTerm<A> {
    operator: A,
    y: Tensor<4>,
    form: Form,
    draws: RefCell<Replay>,
}

#[derive(PartialEq)]
enum Form {
    /// `B = A^T` and neither noise nor variance.
    Plain,
    /// `B = A^T`.
    ScoreSde,
    /// `B` is the pseudo-inverse.
    Ilvr,
}

impl<A: Svd> NoisyFidelity for NoisyTerm<A> {
    fn guide(&self, prior: &dyn Denoiser, noisy: Tensor<4>, sigma: f64) -> Guided {
        let misfit = self.y.clone() - self.operator.forward(noisy.clone());
        let refreshed = |misfit: Tensor<4>| {
            let fresh = self.draws.borrow_mut().normal(SHAPE);
            (misfit + fresh.mul_scalar(sigma)) / (NOISE_STD * NOISE_STD + sigma * sigma)
        };
        let likelihood_score = match self.form {
            Form::Plain => self.operator.adjoint(misfit),
            Form::ScoreSde => self.operator.adjoint(refreshed(misfit)),
            Form::Ilvr => pseudo_inverse_by_svd(&self.operator, refreshed(misfit)),
        };
        Guided {
            denoised: prior.denoise(noisy, sigma),
            likelihood_score,
        }
    }
}

/// A denoiser of images in [0, 1] made into one of images in [-1, 1].
struct Symmetric<T>(T);

impl<T: Denoiser> Denoiser for Symmetric<T> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        let unit = noisy.add_scalar(1.0).div_scalar(2.0);
        let denoised = self.0.denoise(unit, sigma / 2.0);
        denoised.mul_scalar(2.0).sub_scalar(1.0)
    }
}

fn guidance<A: Svd + 'static>(
    name: &str,
    operator: A,
    y: Tensor<4>,
    draws: Vec<Vec<f64>>,
) -> Box<dyn NoisyFidelity> {
    let form = match name {
        "norm" => return Box::new(NormGuidance { operator, y }),
        // r^2 = sigma^2 to twelve digits.
        "DPS annealed" => {
            let spread = Isotropic::new(1e16).unwrap();
            return Box::new(Dps::annealed(operator, y, NOISE_STD, spread).unwrap());
        }
        // r^2 = sigma^2/(1 + sigma^2).
        "PiGDM" => {
            let spread = Isotropic::new(1.0).unwrap();
            return Box::new(Pigdm::new(operator, y, NOISE_STD, spread).unwrap());
        }
        "MomentMatching" => {
            let mmps = Mmps::new(operator, y, NOISE_STD).unwrap();
            return Box::new(mmps.with_iterations(3).unwrap());
        }
        "ALD" => return Box::new(Ald::new(operator, y, NOISE_STD).unwrap()),
        "ScoreSDE" => Form::ScoreSde,
        "ILVR" => Form::Ilvr,
        "Noisy" => Form::Plain,
        other => panic!("no such guidance: {other}"),
    };
    Box::new(NoisyTerm {
        operator,
        y,
        form,
        draws: RefCell::new(Replay(draws.into_iter())),
    })
}

/// The reference's step for a process of any `alpha`: DDIM's with `1 - eta^2 (1 - r^2) = r^(2 alpha)`.
struct Ancestral(f64);

impl<P: Diffusion> Solver<P> for Ancestral {
    type Memory = ();

    fn step(
        &self,
        process: &P,
        memory: &mut (),
        x: Tensor<4>,
        span: Span,
        noise: &mut dyn Noise,
    ) -> Tensor<4> {
        let schedule = process.schedule();
        let ratio = schedule.sigma(span.to) / schedule.sigma(span.from);
        let eta = ((1.0 - ratio.powf(2.0 * self.0)) / (1.0 - ratio * ratio)).sqrt();
        Ddim::new(eta)
            .unwrap()
            .step(process, memory, x, span, noise)
    }
}

/// The scaled states after each step, the start first.
fn states<S>(
    solver: &S,
    alpha: f64,
    schedule: &dyn Schedule,
    posterior: &dyn Denoiser,
    draws: Vec<Vec<f64>>,
) -> Vec<f64>
where
    S: for<'a> Solver<Reverse<&'a dyn Schedule, &'a dyn Denoiser>>,
{
    let mut noise = Replay(draws.into_iter());
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

/// What the run gives with our parts.
fn replay(golden: &Golden, run: &Run) -> Vec<f64> {
    let exploding = VarianceExploding::new(0.001, 10.0).unwrap();
    let preserving = VariancePreserving::new(0.1, 20.0).unwrap();
    let (schedule, alpha): (&dyn Schedule, f64) = match run.sde.as_str() {
        "VE(sigma_min=.001,sigma_max=10,alpha=.25)" => (&exploding, 0.25),
        "VP(.1,20,alpha=.5)" => (&preserving, 0.5),
        "VP(.1,20,alpha=0)" => (&preserving, 0.0),
        other => panic!("no such process: {other}"),
    };
    // The reference draws the noise of a step before that of its data term.
    let of_solver = |index: usize| run.noise.len() < 13 || index == 0 || index % 2 == 1;
    let (steps, terms): (Vec<_>, Vec<_>) =
        (0..run.noise.len()).partition(|index| of_solver(*index));
    let pick = |indices: Vec<usize>| indices.iter().map(|i| run.noise[*i].clone()).collect();
    let (steps, terms): (Vec<_>, Vec<_>) = (pick(steps), pick(terms));
    let guidance = match run.operator.as_str() {
        "inpaint" => {
            let (operator, y) = golden.inpainting();
            guidance(&run.guidance, operator, y, terms)
        }
        "blurfft" => {
            let (operator, y) = golden.blur();
            guidance(&run.guidance, operator, y, terms)
        }
        other => panic!("no such operator: {other}"),
    };
    let posterior = Posterior {
        prior: golden.prior(),
        guidance,
    };
    let symmetric = run.minus_one_one || run.guidance != "norm";
    let posterior: Box<dyn Denoiser> = match symmetric {
        true => Box::new(Symmetric(posterior)),
        false => Box::new(posterior),
    };
    let got = match run.solver.as_str() {
        "EulerSolver" => states(&EulerMaruyama, alpha, schedule, &posterior, steps),
        "HeunSolver" => states(&Heun, alpha, schedule, &posterior, steps),
        "DDPMSolver" => states(&Ddpm, alpha, schedule, &posterior, steps),
        "AncestralSolver" => states(&Ancestral(alpha), alpha, schedule, &posterior, steps),
        "DDIMSolver" => states(&Ddim::new(0.0).unwrap(), alpha, schedule, &posterior, steps),
        other => panic!("no such solver: {other}"),
    };
    match symmetric {
        true => got.into_iter().map(|x| (x + 1.0) / 2.0).collect(),
        false => got,
    }
}

#[test]
fn guided_runs_follow_the_reference() {
    let golden = Golden::read();
    let runs = golden.runs.iter().filter(|run| run.sde != "DPS class");
    let mut count = 0;
    for run in runs {
        let worst = departure(&replay(&golden, run), &run.trajectory);
        assert!(
            worst < TOLERANCE,
            "{} with {} on {}, {}: {worst:e}",
            run.guidance,
            run.solver,
            run.sde,
            run.operator
        );
        count += 1;
    }
    assert_eq!(count, 74);
    // Negative control: the guidances differ.
    let swapped = |from: &str, to: &str| {
        let mut run = golden
            .runs
            .iter()
            .find(|run| run.guidance == from)
            .unwrap()
            .clone();
        run.guidance = to.to_owned();
        departure(&replay(&golden, &run), &run.trajectory)
    };
    assert!(swapped("ScoreSDE", "ILVR") < TOLERANCE, "both are the mask");
    for (from, to) in [
        ("PiGDM", "DPS annealed"),
        ("ALD", "Noisy"),
        ("MomentMatching", "PiGDM"),
    ] {
        assert!(swapped(from, to) > 1e2 * TOLERANCE, "{from} and {to}");
    }
}

/// The class of the reference that is named after DPS starts about grey and weighs the gradient of the norm by
/// `sigma^2 (1 - r^2)`, as a score: the step length of each step is chosen to match. `factor` is 1.
fn dps_class<A: Svd + Clone>(
    golden: &Golden,
    run: &Run,
    parts: (A, Tensor<4>),
    factor: f64,
) -> f64 {
    let preserving = VariancePreserving::new(0.1, 20.0).unwrap();
    // The reference's process has pixels in [-1, 1].
    let level = |k: usize| preserving.sigma(1.0 - k as f64 / 6.0) / 2.0;
    let prior = Clipped {
        inner: golden.prior(),
        low: -1.0,
        high: 1.0,
    };
    let start: Vec<f64> = run.noise[0].iter().map(|z| 0.5 + level(0) * z).collect();
    let mut state = exact(&start, SHAPE);
    for k in 0..6 {
        let (from, to) = (level(k), if k == 5 { 0.0 } else { level(k + 1) });
        let weight = from * from - to * to;
        let scales = (1.0 + 4.0 * from * from).sqrt() * (1.0 + 4.0 * to * to).sqrt();
        let config = DpsConfig {
            zeta: factor * weight / scales,
            eta: 1.0,
        };
        let draws = [Some(values(&(state / from))), run.noise.get(k + 1).cloned()];
        let mut noise = Replay(draws.into_iter().flatten().collect::<Vec<_>>().into_iter());
        let sampler = DpsSampler::new(
            Karras::new(100.0).unwrap(),
            &prior,
            parts.0.clone(),
            parts.1.clone(),
            TimeGrid::new(vec![from, to]).unwrap(),
            config,
        );
        state = sampler
            .unwrap()
            .sample_with(SHAPE, &mut noise, &mut |_| ())
            .unwrap();
    }
    departure(&values(&state), &run.trajectory)
}

#[test]
fn dps_follows_the_reference_once_its_weights_are_put_back() {
    let golden = Golden::read();
    let mut runs = golden.runs.iter().filter(|run| run.sde == "DPS class");
    let (inpaint, blur) = (runs.next().unwrap(), runs.next().unwrap());
    let error = dps_class(&golden, inpaint, golden.inpainting(), 1.0);
    assert!(error < TOLERANCE, "inpainting: {error:e}");
    let error = dps_class(&golden, blur, golden.blur(), 1.0);
    assert!(error < TOLERANCE, "blur: {error:e}");
    // Negative control.
    assert!(dps_class(&golden, blur, golden.blur(), 0.5) > 10.0 * TOLERANCE);
}
