//! Particle methods on Gaussian priors: no bias, and how far the chain itself is from the posterior.

use tweedie_core::{PointMass, Schedule, TimeGrid, VariancePreserving};
use tweedie_samplers::{McgDiff, McgDiffConfig, Tds, TdsConfig};
use tweedie_testkit::{assert_close, assert_z, exact, values, z_bound};

use crate::{
    chain::gaussian,
    particles_support::{diagonal, gauss, gaussian_prior, means, preserving, weighted, worst_z},
    support::rng,
};

/// Mean and variance of an entry of the chain's last state, from those at the first of `sigmas`.
fn chain_law(prior: (f64, f64), start: (f64, f64), sigmas: &[f64]) -> (f64, f64) {
    let (mut m, mut v) = start;
    for pair in sigmas.windows(2) {
        let kept = (pair[1] / pair[0]).powi(2);
        let gain = prior.1 / (prior.1 + pair[0] * pair[0]);
        let slope = kept + (1.0 - kept) * gain;
        m = slope * m + (1.0 - kept) * (1.0 - gain) * prior.0;
        v = slope * slope * v + pair[1] * pair[1] * (1.0 - kept);
    }
    (m, v)
}

/// Evidence of the measured entries of [`gauss`], and the posterior's first and second moments, for entries of these
/// laws.
fn gaussian_posterior(laws: &[(f64, f64)], noise_std: f64) -> (f64, [f64; 9]) {
    let noise = noise_std * noise_std;
    let mut evidence = 1.0;
    let mut moments = [1.0; 9];
    for (i, (m, v)) in laws.iter().enumerate() {
        let s = gauss::S[i];
        let total = s * s * v + noise;
        let misfit = gauss::Y[i] - s * m;
        let mean = m + s * v / total * misfit;
        moments[1 + i] = mean;
        moments[5 + i] = mean * mean + v * noise / total;
        if s > 0.0 {
            evidence *= gaussian(misfit, total);
        }
    }
    (evidence, moments)
}

#[test]
fn both_estimate_a_gaussian_posterior_without_bias() {
    let noise_std: f64 = 0.3;
    let (schedule, grid) = preserving();
    let sigmas: Vec<f64> = grid.times().iter().map(|t| schedule.sigma(*t)).collect();
    let priors: Vec<(f64, f64)> = gauss::MEAN.into_iter().zip(gauss::VARIANCE).collect();
    let start = (0.0, sigmas[0] * sigmas[0]);
    let laws: Vec<_> = priors
        .iter()
        .map(|prior| chain_law(*prior, start, &sigmas))
        .collect();
    let (evidence, moments) = gaussian_posterior(&laws, noise_std);
    let (_, of_the_prior) = gaussian_posterior(&priors, noise_std);
    let config = TdsConfig {
        particles: 16,
        ..TdsConfig::default()
    };
    // The unmeasured entry is part of this `y`: its noise is exactly 0.
    let blind = gaussian(0.0, noise_std * noise_std);
    let tds = Tds::new(
        schedule,
        gaussian_prior(),
        diagonal(noise_std),
        grid.clone(),
        config,
    );
    let config = McgDiffConfig {
        particles: 16,
        ..McgDiffConfig::default()
    };
    let mcg = McgDiff::new(
        schedule,
        gaussian_prior(),
        diagonal(noise_std),
        grid,
        config,
    );
    let shape = [2000, 1, 1, 4];
    for (name, evidence, particles) in [
        (
            "TDS",
            evidence * blind,
            tds.unwrap().run(shape, &mut rng(5), &mut |_| ()).unwrap(),
        ),
        (
            "MCGDiff",
            evidence,
            mcg.unwrap().run(shape, &mut rng(6), &mut |_| ()).unwrap(),
        ),
    ] {
        let mut rows = weighted(&particles, |x| {
            let mut statistic = [1.0; 9];
            for i in 0..4 {
                statistic[1 + i] = x[i];
                statistic[5 + i] = x[i] * x[i];
            }
            statistic
        });
        for (row, log) in rows.iter_mut().zip(&particles.log_normalizer) {
            *row = row.map(|value| value * log.exp());
        }
        let (mean, error) = means(&rows);
        assert_z(name, &mean, &moments.map(|value| value * evidence), &error);
        // Negative control: the prior itself, which so few steps do not reach.
        let wrong = of_the_prior.map(|value| value * evidence);
        assert!(worst_z(&rows, &wrong) > 2.0 * z_bound(9), "{name}");
    }
}

#[test]
fn the_twists_of_a_point_mass_are_exact() {
    let noise_std = 0.3;
    let (schedule, grid) = preserving();
    let prior = PointMass::new(exact(&gauss::MEAN, [1, 1, 1, 4]));
    let config = TdsConfig {
        particles: 5,
        ..TdsConfig::default()
    };
    let sampler = Tds::new(schedule, prior, diagonal(noise_std), grid, config).unwrap();
    let particles = sampler.run([2, 1, 1, 4], &mut rng(7), &mut |_| ()).unwrap();
    let log_density: f64 = (0..4)
        .map(|i| {
            gaussian(
                gauss::Y[i] - gauss::S[i] * gauss::MEAN[i],
                noise_std * noise_std,
            )
            .ln()
        })
        .sum();
    assert_close(
        "normaliser",
        &particles.log_normalizer,
        &[log_density; 2],
        1e-12,
    );
    assert_close(
        "weights",
        &particles.log_weights,
        &[-(5f64.ln()); 10],
        1e-12,
    );
    assert_eq!(particles.ess.len(), gauss::STEPS + 1);
    assert_close("ess", &particles.ess.concat(), &[5.0; 18], 1e-12);
}

#[test]
fn noiseless_entries_are_the_measurement() {
    let (schedule, grid) = preserving();
    let config = McgDiffConfig {
        particles: 4,
        ..McgDiffConfig::default()
    };
    let sampler = McgDiff::new(schedule, gaussian_prior(), diagonal(0.0), grid, config).unwrap();
    let particles = sampler.run([3, 1, 1, 4], &mut rng(8), &mut |_| ()).unwrap();
    let expected = [1, 2, 3].map(|i| gauss::Y[i] * (1.0 / gauss::S[i]));
    for image in values(&particles.positions).chunks(4) {
        assert_eq!(image[1..], expected);
    }
}

/// The error of the mean in posterior standard deviations, and the ratio of standard deviations, for the pixel of the
/// tables of other samplers: of the chain itself and of one that is held at the measurement where the noise levels are
/// closest.
fn departures(noise_std: f64, steps: usize) -> [f64; 4] {
    let (mean, variance, y) = (0.6, 0.09, 1.1);
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let grid = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, steps - 1)
        .unwrap()
        .then_zero();
    let sigmas: Vec<f64> = grid.times().iter().map(|t| schedule.sigma(*t)).collect();
    let noise: f64 = noise_std * noise_std;
    let gain = variance / (variance + noise);
    let (exact_mean, spread) = (mean + gain * (y - mean), (gain * noise).sqrt());
    let relative = |m: f64, v: f64| [(m - exact_mean) / spread, v.sqrt() / spread];

    let prior = (mean, variance);
    let (m, v) = chain_law(prior, (0.0, sigmas[0] * sigmas[0]), &sigmas);
    let gain = v / (v + noise);
    let [a, b] = relative(m + gain * (y - m), gain * noise);

    let distance = |i: &usize| (sigmas[*i] - noise_std).abs();
    let nearest = (0..steps)
        .min_by(|i, j| distance(i).total_cmp(&distance(j)))
        .unwrap();
    let (m, v) = chain_law(prior, (y, 0.0), &sigmas[nearest..]);
    let [c, d] = relative(m, v);
    [a, b, c, d]
}

#[test]
fn departures_are_as_documented() {
    for (steps, noise_std, documented) in [
        (100, 0.05, [-0.04, 1.00, 0.02, 0.80]),
        (100, 0.2, [-0.08, 0.98, 0.00, 0.89]),
        (100, 0.8, [-0.02, 0.94, -0.01, 0.93]),
        (20, 0.2, [-0.42, 0.89, -0.01, 0.53]),
    ] {
        let name = format!("{steps} steps, noise {noise_std}");
        assert_close(&name, &departures(noise_std, steps), &documented, 0.005);
    }
}
