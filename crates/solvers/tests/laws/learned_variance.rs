//! Learnt variances: with the right ones the chain of a Gaussian prior is exact, whatever its steps are.
//!
//! In `u = x/s`, `p(u_s | u_t)` of a prior `N(m, c)` is normal, of the mean that DDPM's step has and the variance
//! `beta_tilde + (1 - r^2)^2 c sigma_t^2/(c + sigma_t^2)`, `beta_tilde = sigma_s^2 (1 - r^2)`, `r = sigma_s/sigma_t`.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, GaussianPrior, Schedule, TimeGrid};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddpm, LearnedDdpm, Solver, integrate};
use tweedie_testkit::{Moments, affine_law, exact};

use crate::support::{PRIOR, marginal, schedules};

/// A Gaussian prior that has learnt a share for each step of a grid.
struct Learned {
    prior: GaussianPrior<2>,
    /// The noise level at the start of a step, and the share.
    shares: Vec<(f64, f64)>,
}

impl Denoiser<2> for Learned {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        self.prior.denoise(noisy, sigma)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<2>,
        sigma: f64,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let step = self.shares.iter().find(|(level, _)| *level == sigma);
        let (_, share) = step.expect("the steps start at the levels of the grid");
        let shares = exact(&vec![*share; noisy.dims()[0]], noisy.dims());
        (self.denoise(noisy, sigma), Some(shares))
    }
}

/// `v` in `ln variance = v ln beta + (1 - v) ln beta_tilde`, for the variance of `p(x_s | x_t)`.
fn exact_share(schedule: &dyn Schedule, from: f64, to: f64) -> f64 {
    let (sigma, after) = (schedule.sigma(from), schedule.sigma(to));
    let (scale, scale_after) = (schedule.scale(from), schedule.scale(to));
    let removed = 1.0 - (after / sigma).powi(2);
    let least = scale_after.powi(2) * after.powi(2) * removed;
    let most = scale.powi(2) * (sigma.powi(2) - after.powi(2));
    let unknown = PRIOR.variance * sigma.powi(2) / (PRIOR.variance + sigma.powi(2));
    let variance = least + (scale_after * removed).powi(2) * unknown;
    (variance / least).ln() / (most / least).ln()
}

/// The law at the end of a grid, of a chain that starts with the right one.
fn law<S>(schedule: &Arc<dyn Schedule>, grid: &TimeGrid, solver: &S, share: Share) -> Moments
where
    S: Solver<Reverse<Arc<dyn Schedule>, Learned>, 2>,
{
    let spans: Vec<_> = grid.times().windows(2).map(|t| (t[0], t[1])).collect();
    let shares = spans.iter().map(|&(from, to)| {
        let share = match share {
            _ if schedule.sigma(to) == 0.0 => 0.0,
            Share::Exact => exact_share(schedule.as_ref(), from, to),
            Share::Fixed(share) => share,
        };
        (schedule.sigma(from), share)
    });
    let prior = Learned {
        prior: GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance),
        shares: shares.collect(),
    };
    let process = Reverse::sde(schedule.clone(), prior);
    let run = |start, noise: &mut dyn tweedie_core::Noise<2>| {
        integrate(&process, solver, start, grid, noise, |_| ()).unwrap()
    };
    let start = marginal(PRIOR, schedule.as_ref(), grid.start());
    affine_law(grid.steps(), run).output(start)
}

#[derive(Clone, Copy)]
enum Share {
    Exact,
    Fixed(f64),
}

/// Relative to the expected variance.
fn excess(got: Moments, expected: Moments) -> f64 {
    assert!((got.mean - expected.mean).abs() < 1e-10, "{got:?}");
    got.variance / expected.variance - 1.0
}

#[test]
fn the_right_variance_makes_any_step_exact() {
    for (name, schedule) in schedules() {
        for steps in [1, 2, 8] {
            let grid = TimeGrid::uniform(0.95, 0.02, steps).unwrap();
            let expected = marginal(PRIOR, schedule.as_ref(), grid.end());
            let error = excess(law(&schedule, &grid, &LearnedDdpm, Share::Exact), expected);
            assert!(error.abs() < 1e-10, "{name}, {steps} steps: {error}");
        }
    }
}

#[test]
fn the_two_ends_bound_it() {
    let (_, schedule) = schedules().remove(1);
    let grid = TimeGrid::uniform(0.95, 0.02, 8).unwrap();
    let expected = marginal(PRIOR, schedule.as_ref(), grid.end());
    let of = |share| {
        excess(
            law(&schedule, &grid, &LearnedDdpm, Share::Fixed(share)),
            expected,
        )
    };
    assert!(of(0.0) < -0.01, "{}", of(0.0));
    assert!(of(1.0) > 0.01, "{}", of(1.0));
    let posterior = excess(law(&schedule, &grid, &Ddpm, Share::Exact), expected);
    assert!((posterior - of(0.0)).abs() < 1e-10, "{posterior}");
}

#[test]
fn the_last_step_draws_nothing() {
    for (name, schedule) in schedules().into_iter().skip(1) {
        let grid = TimeGrid::uniform(0.95, 0.0, 3).unwrap();
        let before = TimeGrid::uniform(0.95, grid.times()[2], 2).unwrap();
        let noisy = marginal(PRIOR, schedule.as_ref(), before.end());
        let scale = schedule.scale(before.end());
        // The denoised image of a state that has the right law.
        let expected = Moments {
            mean: PRIOR.mean,
            variance: PRIOR.variance.powi(2) / (noisy.variance / scale.powi(2)),
        };
        let error = excess(law(&schedule, &grid, &LearnedDdpm, Share::Exact), expected);
        assert!(error.abs() < 1e-10, "{name}: {error}");
    }
}

#[test]
#[should_panic(expected = "learnt variances need a denoiser that has them")]
fn a_denoiser_without_a_variance_is_a_mistake() {
    let (_, schedule) = schedules().remove(1);
    let prior = GaussianPrior::new(exact(&[PRIOR.mean], [1, 1]), PRIOR.variance);
    let process = Reverse::sde(schedule, prior);
    let grid = TimeGrid::uniform(0.95, 0.02, 1).unwrap();
    let mut noise = tweedie_core::Rng::seeded(0, &tweedie_testkit::device());
    let start = exact(&[0.3], [1, 1]);
    let _ = integrate(&process, &LearnedDdpm, start, &grid, &mut noise, |_| ());
}
