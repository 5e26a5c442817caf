//! Log-likelihoods against the exact density of a mixture.

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    AnalyticPrior, Denoiser, GaussianMixture, GaussianPrior, Rng, Schedule, TimeGrid,
    VarianceExploding, VariancePreserving,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{
    LogLikelihood, Probe, SolveError, Trace, bits_per_dimension, log_likelihood,
    pure_noise_log_density,
};
use tweedie_testkit::{assert_close, assert_z, device, exact, values};

const IMAGES: [f64; 10] = [0.2, 0.7, 0.5, 0.5, 0.95, 0.15, 0.4, 0.9, -0.2, 0.3];

fn mixture() -> GaussianMixture<2> {
    let means = exact(&[0.2, 0.8, 0.9, 0.1, 0.5, 0.4], [3, 2]);
    GaussianMixture::new(&[0.5, 0.3, 0.2], means, &[0.02, 0.01, 0.04]).unwrap()
}

fn exact_rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

/// Equal steps in `ln sigma`.
fn grid(schedule: &dyn Schedule, steps: usize) -> TimeGrid {
    let (low, high) = (0.05_f64.ln(), 40.0_f64.ln());
    let times = (0..=steps).map(|k| {
        let fraction = k as f64 / steps as f64;
        schedule.time_at((high + fraction * (low - high)).exp())
    });
    TimeGrid::new(times.collect()).unwrap()
}

/// Log-likelihood of `images` with the mixture's exact law at the noisy end.
fn evaluate<S: Schedule>(
    schedule: S,
    denoiser: impl Denoiser<2>,
    images: &[f64],
    steps: usize,
    trace: Trace,
) -> LogLikelihood {
    let grid = grid(&schedule, steps);
    log_likelihood(
        &Reverse::flow(schedule, denoiser),
        exact(images, [images.len() / 2, 2]),
        &grid,
        trace,
        |u, sigma| mixture().log_density(u, sigma),
        &mut exact_rng(2),
    )
    .unwrap()
}

fn truth() -> Vec<f64> {
    values(&mixture().log_density(exact(&IMAGES, [5, 2]), 0.05))
}

fn exploding() -> VarianceExploding {
    VarianceExploding::new(0.01, 50.0).unwrap()
}

#[test]
fn with_the_exact_trace_it_is_the_density_of_the_mixture() {
    let found = evaluate(exploding(), mixture(), &IMAGES, 100, Trace::Exact);
    assert_close("exploding", &values(&found.value), &truth(), 1e-4);
    assert!(found.standard_error.is_none());
    let preserving = VariancePreserving::new(0.1, 20.0).unwrap();
    let found = evaluate(preserving, mixture(), &IMAGES, 100, Trace::Exact);
    assert_close("preserving", &values(&found.value), &truth(), 1e-4);
}

#[test]
fn its_error_is_of_fourth_order() {
    let error = |steps| {
        let found = values(&evaluate(exploding(), mixture(), &IMAGES, steps, Trace::Exact).value);
        let gaps = found.iter().zip(truth()).map(|(a, b)| (a - b).powi(2));
        gaps.sum::<f64>().sqrt()
    };
    let order = (error(100) / error(200)).log2();
    assert!((order - 4.0).abs() < 0.2, "{order}");
}

/// A denoiser whose values are right and whose Jacobian, as seen by differentiation, is that of another.
struct WrongJacobian(f64);

impl Denoiser<2> for WrongJacobian {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        let clean = mixture().denoise(noisy, sigma);
        let value = clean.clone().detach();
        value.clone() + (clean - value) * self.0
    }
}

#[test]
fn a_wrong_divergence_is_seen() {
    for factor in [0.0, -1.0, 0.99] {
        let wrong = WrongJacobian(factor);
        let found = evaluate(exploding(), wrong, &IMAGES, 100, Trace::Exact);
        for (found, expected) in values(&found.value).iter().zip(truth()) {
            assert!(
                (found - expected).abs() > 1e-3,
                "{factor}: {found}, {expected}"
            );
        }
    }
}

/// Distance of each estimate to the truth, in standard errors.
fn deviations(denoiser: impl Denoiser<2>, trace: Trace) -> Vec<f64> {
    let found = evaluate(exploding(), denoiser, &IMAGES, 100, trace);
    let errors = values(&found.standard_error.unwrap());
    let gaps = values(&found.value)
        .into_iter()
        .zip(truth())
        .map(|(a, b)| a - b);
    gaps.zip(errors).map(|(gap, se)| gap / se).collect()
}

#[test]
fn hutchinson_is_within_three_standard_errors() {
    for probe in [Probe::Rademacher, Probe::Gaussian] {
        let trace = Trace::Hutchinson { probe, probes: 32 };
        let z = deviations(mixture(), trace);
        assert!(z.iter().all(|z| z.abs() < 3.0), "{probe:?}: {z:?}");
        let z = deviations(WrongJacobian(-1.0), trace);
        assert!(z.iter().all(|z| z.abs() > 3.0), "{probe:?}: {z:?}");
    }
}

#[test]
fn the_estimate_has_no_bias_and_the_spread_that_it_claims() {
    // One image many times: the rows are independent estimates.
    let rows = 300;
    let images = [0.35, 0.6].repeat(rows);
    let expected = evaluate(exploding(), mixture(), &images[..2], 20, Trace::Exact);
    let expected = values(&expected.value)[0];
    for probe in [Probe::Rademacher, Probe::Gaussian] {
        let trace = Trace::Hutchinson { probe, probes: 8 };
        let found = evaluate(exploding(), mixture(), &images, 20, trace);
        let value = values(&found.value);
        let mean = value.iter().sum::<f64>() / rows as f64;
        let variance = value.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (rows as f64 - 1.0);
        let claimed = values(&found.standard_error.unwrap());
        let claimed = claimed.iter().map(|se| se * se).sum::<f64>() / rows as f64;
        // The squares have relative standard errors sqrt(2/299) and sqrt(2/(7 * 300)).
        let z = [
            (mean - expected) / (variance / rows as f64).sqrt(),
            (claimed / variance - 1.0) / (2.0 / 299.0 + 2.0 / 2100.0_f64).sqrt(),
        ];
        assert_z("mean and spread", &z, &[0.0; 2], &[1.0; 2]);
    }
}

#[test]
fn a_row_does_not_see_its_batch() {
    let trace = Trace::Hutchinson {
        probe: Probe::Gaussian,
        probes: 2,
    };
    let schedule = exploding();
    let noisy = |images: &[f64], first: u64, trace| {
        let found = log_likelihood(
            &Reverse::flow(schedule, mixture()),
            exact(images, [images.len() / 2, 2]),
            &grid(&schedule, 8),
            trace,
            pure_noise_log_density,
            &mut exact_rng(5).starting_at(first),
        );
        values(&found.unwrap().value)
    };
    for trace in [trace, Trace::Exact] {
        let together = noisy(&IMAGES, 0, trace);
        for row in 0..5 {
            let alone = noisy(&IMAGES[2 * row..2 * row + 2], row as u64, trace);
            // Matrix products of other sizes round in another order.
            assert_close("alone", &alone, &together[row..=row], 1e-12);
        }
    }
}

#[test]
fn pure_noise_is_the_law_of_the_far_end_up_to_the_data() {
    let noise = pure_noise_log_density(exact(&[1.0, -2.0], [1, 2]), 3.0);
    let expected = -0.5 * (5.0 / 9.0) - (std::f64::consts::TAU * 9.0).ln();
    assert_close("N(0, 9 I)", &values(&noise), &[expected], 1e-14);
    // For a centred prior the next term is variance/sigma^2 a dimension.
    let schedule = VarianceExploding::new(0.05, 2000.0).unwrap();
    let prior = GaussianPrior::new(exact(&[0.0, 0.0], [1, 2]), 0.3);
    let found = log_likelihood(
        &Reverse::flow(schedule, prior.clone()),
        exact(&[0.3, -0.1], [1, 2]),
        &TimeGrid::uniform(1.0, 0.0, 200).unwrap(),
        Trace::Exact,
        pure_noise_log_density,
        &mut exact_rng(0),
    )
    .unwrap();
    let expected = values(&prior.log_density(exact(&[0.3, -0.1], [1, 2]), 0.05));
    assert_close("centred", &values(&found.value), &expected, 1e-5);
}

#[test]
fn a_uniform_density_takes_all_bits() {
    let bits = |log_density: f64, dimensions, levels| {
        values(&bits_per_dimension(
            exact(&[log_density], [1]),
            dimensions,
            levels,
        ))[0]
    };
    // Density 1 on [0, 1]^d.
    assert!((bits(0.0, 3072, 256) - 8.0).abs() < 1e-14);
    assert!((bits(0.0, 7, 32) - 5.0).abs() < 1e-14);
    // Uniform on half of each axis: one bit less.
    assert!((bits(3072.0 * 2.0_f64.ln(), 3072, 256) - 7.0).abs() < 1e-13);
}

#[test]
fn what_cannot_be_run_is_refused() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let refuse = |from, to, probes| {
        log_likelihood(
            &Reverse::flow(schedule, mixture()),
            exact(&IMAGES, [5, 2]),
            &TimeGrid::uniform(from, to, 4).unwrap(),
            Trace::Hutchinson {
                probe: Probe::Rademacher,
                probes,
            },
            pure_noise_log_density,
            &mut exact_rng(0),
        )
        .unwrap_err()
    };
    assert_eq!(refuse(1.0, 0.0, 1), SolveError::Undefined { time: 0.0 });
    assert_eq!(
        refuse(1.5, 0.1, 1),
        SolveError::OutsideHorizon {
            time: 1.5,
            horizon: 1.0
        }
    );
    let error = refuse(1.0, 0.1, 0).to_string();
    assert_eq!(error, "probes must be at least 1, found 0");
}

/// Not a number above a noise level.
struct Breaks;

impl Denoiser<2> for Breaks {
    fn denoise(&self, noisy: Tensor<2>, sigma: f64) -> Tensor<2> {
        let clean = mixture().denoise(noisy, sigma);
        if sigma > 1.0 { clean * f64::NAN } else { clean }
    }
}

#[test]
fn a_run_that_diverges_says_where() {
    let schedule = exploding();
    let grid = grid(&schedule, 20);
    let error = log_likelihood(
        &Reverse::flow(schedule, Breaks),
        exact(&IMAGES, [5, 2]),
        &grid,
        Trace::Exact,
        pure_noise_log_density,
        &mut exact_rng(0),
    )
    .unwrap_err();
    let SolveError::Diverged {
        step,
        steps: 20,
        time,
    } = error
    else {
        panic!("{error}");
    };
    let upwards: Vec<f64> = grid.times().iter().rev().copied().collect();
    assert_eq!(time, upwards[step]);
    assert!(schedule.sigma(time) > 1.0 && schedule.sigma(upwards[step - 1]) <= 1.0);
}
