//! Guidance that is exact for a Gaussian prior gives the exact Gaussian posterior, through every solver.

use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    Cosine, Denoiser, GaussianPrior, Rng, Schedule, TimeGrid, VarianceExploding, VariancePreserving,
};
use tweedie_fidelity::{Dps, Isotropic, NoisyFidelity, Pigdm, Posterior};
use tweedie_physics::{AverageDownsampling, Identity};
use tweedie_samplers::{DiffusionSampler, Draw, DrawConfig, PosteriorSampler, draw};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, Ddpm, EulerMaruyama, Heun, Solver, integrate};
use tweedie_testkit::{Moments, affine_law, assert_z, device, exact, values, z_bound};

const PRIOR: Moments = Moments {
    mean: 0.6,
    variance: 0.09,
};
const NOISE_STD: f64 = 0.2;
const Y: f64 = 1.1;

/// The law of one pixel given `y = x + NOISE_STD n`.
fn exact_posterior() -> Moments {
    let gain = PRIOR.variance / (PRIOR.variance + NOISE_STD * NOISE_STD);
    Moments {
        mean: PRIOR.mean + gain * (Y - PRIOR.mean),
        variance: PRIOR.variance * (1.0 - gain),
    }
}

/// A denoiser of `[batch, 1]` tensors seen as one of images, so that image guidance meets the probe's rows.
struct Flat<T>(T);
impl<T: Denoiser> Denoiser<2> for Flat<T> {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        let [rows, _] = noisy.dims();
        self.0
            .denoise(noisy.reshape([rows, 1, 1, 1]), sigma)
            .reshape([rows, 1])
    }
}

fn posterior(guidance: impl NoisyFidelity) -> impl Denoiser {
    let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1, 1, 1]), PRIOR.variance);
    Posterior { prior, guidance }
}

fn pigdm() -> impl NoisyFidelity {
    let spread = Isotropic::new(PRIOR.variance).unwrap();
    Pigdm::new(Identity, exact(&[Y], [1, 1, 1, 1]), NOISE_STD, spread).unwrap()
}

fn output<M>(
    solver: &M,
    alpha: f64,
    schedule: Arc<dyn Schedule>,
    steps: usize,
    model: impl Denoiser,
) -> Moments
where
    M: for<'a> Solver<Reverse<Arc<dyn Schedule>, &'a dyn Denoiser<2>>, 2>,
{
    let model = Flat(model);
    let from = schedule.time_at(30.0);
    let grid = TimeGrid::uniform(from, schedule.time_at(0.02), steps).unwrap();
    let (s, sigma) = (schedule.scale(from), schedule.sigma(from));
    let target = exact_posterior();
    let start = Moments {
        mean: s * target.mean,
        variance: s * s * (target.variance + sigma * sigma),
    };
    let end = schedule.scale(grid.end());
    let process = Reverse::new(schedule, &model as &dyn Denoiser<2>, alpha).unwrap();
    let law = affine_law(steps, |x, noise| {
        integrate(&process, solver, x, &grid, noise, |_| ()).unwrap()
    })
    .output(start);
    Moments {
        mean: law.mean / end,
        variance: law.variance / (end * end) - 0.02f64.powi(2),
    }
}

fn error(got: Moments) -> f64 {
    let target = exact_posterior();
    (got.mean - target.mean)
        .abs()
        .max((got.variance - target.variance).abs())
}

#[test]
fn every_solver_converges_to_the_exact_posterior() {
    let schedules: [(&str, Arc<dyn Schedule>); 3] = [
        (
            "exploding",
            Arc::new(VarianceExploding::new(0.01, 50.0).unwrap()),
        ),
        (
            "preserving",
            Arc::new(VariancePreserving::new(0.1, 20.0).unwrap()),
        ),
        ("cosine", Arc::new(Cosine::new(0.008, 100.0).unwrap())),
    ];
    for (name, schedule) in schedules {
        let errors = |steps: usize| {
            let schedule = || schedule.clone();
            [
                (
                    "DDPM",
                    error(output(&Ddpm, 1.0, schedule(), steps, posterior(pigdm()))),
                ),
                (
                    "DDIM",
                    error(output(
                        &Ddim::new(0.0).unwrap(),
                        1.0,
                        schedule(),
                        steps,
                        posterior(pigdm()),
                    )),
                ),
                (
                    "EM",
                    error(output(
                        &EulerMaruyama,
                        1.0,
                        schedule(),
                        steps,
                        posterior(pigdm()),
                    )),
                ),
                (
                    "Heun",
                    error(output(&Heun, 0.0, schedule(), steps, posterior(pigdm()))),
                ),
            ]
        };
        for ((solver, coarse), (_, fine)) in errors(200).into_iter().zip(errors(800)) {
            // First order: four times the steps, a quarter of the error; 0.4 leaves room for terms of second order.
            assert!(
                fine < 0.4 * coarse,
                "{solver} on {name}: {coarse:e}, then {fine:e}"
            );
            assert!(fine < 5e-3, "{solver} on {name}: {fine:e}");
        }
    }
}

#[test]
fn annealed_dps_is_close_to_the_exact_posterior_here_and_the_published_form_is_not() {
    let schedule: Arc<dyn Schedule> = Arc::new(VariancePreserving::new(0.1, 20.0).unwrap());
    let y = || exact(&[Y], [1, 1, 1, 1]);
    let spread = Isotropic::new(PRIOR.variance).unwrap();
    let annealed = Dps::annealed(Identity, y(), NOISE_STD, spread).unwrap();
    // With A = I both guidances are the same formula.
    let got = output(&Ddpm, 1.0, schedule.clone(), 400, posterior(annealed));
    assert!(error(got) < 5e-3, "{got:?}");
    let published = Dps::new(Identity, y(), NOISE_STD).unwrap();
    let got = output(&Ddpm, 1.0, schedule, 400, posterior(published));
    assert!(got.variance < 0.8 * exact_posterior().variance, "{got:?}");
}

#[test]
fn draws_of_a_downsampled_image_have_the_posterior_law() {
    // y is the mean of two pixels: the posterior is correlated, and its marginals are known.
    let noise_std = 0.1;
    let operator = AverageDownsampling::new(2).unwrap();
    let y = exact(&[0.9], [1, 1, 1, 1]);
    let guidance = Pigdm::new(
        operator,
        y,
        noise_std,
        Isotropic::new(PRIOR.variance).unwrap(),
    )
    .unwrap();
    let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1, 1, 1]), PRIOR.variance);
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let sampler = DiffusionSampler::new(
        Reverse::sde(schedule, Posterior { prior, guidance }),
        Ddim::new(0.5).unwrap(),
        TimeGrid::karras(&schedule, 50.0, 1e-3, 7.0, 300)
            .unwrap()
            .then_zero(),
    );
    // A averages four pixels: A A^T = 1/4.
    let gain = PRIOR.variance / 4.0 / (PRIOR.variance / 4.0 + noise_std * noise_std);
    let mean = PRIOR.mean + gain * (0.9 - PRIOR.mean);
    let variance = PRIOR.variance * (1.0 - gain / 4.0);

    let samples = 4000;
    let config = DrawConfig::new(samples, 1000);
    let rng = Rng::seeded(21, &device()).with_dtype(DType::F64);
    let mut first = Vec::new();
    let draws = draw(&sampler, [1, 2, 2], config, &rng, |event| {
        if let Draw::Batch { samples, .. } = event {
            first.extend(values(samples).into_iter().step_by(4));
        }
    })
    .unwrap();
    let n = samples as f64;
    let (means, stds) = (values(&draws.mean), values(&draws.std.unwrap()));
    let (se_mean, se_variance) = ((variance / n).sqrt(), variance * (2.0 / n).sqrt());
    let estimates: Vec<f64> = means
        .iter()
        .copied()
        .chain(stds.iter().map(|s| s * s))
        .collect();
    let expected = [[mean; 4], [variance; 4]].concat();
    let errors = [[se_mean; 4], [se_variance; 4]].concat();
    assert_z("posterior", &estimates, &expected, &errors);
    // Negative control: the prior's variance, had the measurement been ignored.
    assert!(((stds[0] * stds[0] - PRIOR.variance) / se_variance).abs() > z_bound(8));
    assert_eq!(first.len(), samples);
}

#[test]
fn a_sampler_may_stop_before_time_zero() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.0);
    let sampler = DiffusionSampler::new(
        Reverse::flow(schedule, prior),
        Ddim::new(0.0).unwrap(),
        TimeGrid::uniform(1.0, 0.5, 4).unwrap(),
    );
    let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
    let start = values(&rng.clone().normal::<4>([3, 1, 1, 1]));
    let got = values(&sampler.sample([3, 1, 1, 1], &mut rng, &mut |_| ()).unwrap());
    // The image is in its own units, not in those of the scaled process.
    let (sigma, sigma_end) = (schedule.sigma(1.0), schedule.sigma(0.5));
    for (got, z) in got.iter().zip(start) {
        let expected = 0.5 + sigma_end / sigma * (sigma * z - 0.5);
        assert!((got - expected).abs() < 1e-12, "{got} {expected}");
    }
}

#[test]
fn denoising_the_last_state_gives_its_posterior_mean() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = || GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.04);
    let grid = TimeGrid::uniform(1.0, 0.05, 8).unwrap();
    let draw = |denoise: bool| {
        let process = Reverse::flow(schedule, prior());
        let mut sampler = DiffusionSampler::new(process, Ddim::new(0.0).unwrap(), grid.clone());
        if denoise {
            sampler = sampler.denoise_last();
        }
        let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
        values(&sampler.sample([5, 1, 1, 1], &mut rng, &mut |_| ()).unwrap())
    };
    let noise = schedule.sigma(0.05).powi(2);
    let gain = 0.04 / (0.04 + noise);
    for (noisy, clean) in draw(false).into_iter().zip(draw(true)) {
        let expected = 0.5 + gain * (noisy - 0.5);
        assert!((clean - expected).abs() < 1e-13, "{clean} {expected}");
        assert!((clean - noisy).abs() > 1e-3 * (noisy - 0.5).abs());
    }
}
