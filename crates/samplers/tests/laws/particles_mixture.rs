//! Particle methods on a Gaussian mixture: the posterior of the chain, without bias at any number of particles, and in
//! the limit.

use burn::tensor::Tensor;
use tweedie_core::{Karras, Rng, TimeGrid};
use tweedie_physics::{DenseSvd, ForwardOperator, MatrixOperator, PhysicsError};
use tweedie_samplers::{McgDiff, McgDiffConfig, Measurement, Particles, Tds, TdsConfig};
use tweedie_testkit::{exact, z_bound};

use crate::{
    chain::{SEEN, SINGULAR, gaussian, last_means, mixture, monomials},
    particles_support::{weighted, worst_z},
    support::rng,
};

const Y: f64 = 0.9;
const NOISE_STD: f64 = 0.4;

fn rotated(noise_std: f64) -> Measurement<DenseSvd> {
    let row = SEEN.map(|entry| SINGULAR * entry);
    let matrix = MatrixOperator::new(exact(&row, [1, 2]), [1, 1, 2]).unwrap();
    Measurement {
        operator: DenseSvd::new(matrix).unwrap(),
        y: exact(&[Y], [1, 1, 1, 1]),
        noise_std,
    }
}

fn grid(levels: &[f64]) -> TimeGrid {
    TimeGrid::new(levels.to_vec()).unwrap()
}

fn mcg(
    levels: &[f64],
    noise_std: f64,
    config: McgDiffConfig,
) -> impl Fn(usize, &mut Rng) -> Particles {
    let schedule = Karras::new(levels[0]).unwrap();
    let sampler = McgDiff::new(
        schedule,
        mixture(),
        rotated(noise_std),
        grid(levels),
        config,
    )
    .unwrap();
    move |runs, rng| sampler.run([runs, 1, 1, 2], rng, &mut |_| ()).unwrap()
}

fn tds<A: ForwardOperator>(
    levels: &[f64],
    measurement: Measurement<A>,
    config: TdsConfig,
) -> impl Fn(usize, &mut Rng) -> Particles {
    let schedule = Karras::new(levels[0]).unwrap();
    let sampler = Tds::new(schedule, mixture(), measurement, grid(levels), config).unwrap();
    move |runs, rng| sampler.run([runs, 1, 1, 2], rng, &mut |_| ()).unwrap()
}

fn pair(pixels: &[f64]) -> [f64; 2] {
    [pixels[0], pixels[1]]
}

/// Largest `|z|` of the unbiased estimates of `E[g(x) monomials(x)]`.
fn unbiased_z(particles: &Particles, expected: &[f64; 6]) -> f64 {
    let mut rows = weighted(particles, |x| monomials(pair(x)));
    for (row, log) in rows.iter_mut().zip(&particles.log_normalizer) {
        *row = row.map(|value| value * log.exp());
    }
    worst_z(&rows, expected)
}

const CLOSED: [f64; 6] = [3.0, 1.5, 0.8, 0.4, 0.2, 0.0];
const OPEN: [f64; 5] = [3.0, 1.5, 0.8, 0.4, 0.2];

#[test]
fn mcg_diff_estimates_the_mixture_without_bias() {
    for (levels, noise_std, eta, ess_threshold) in [
        (&CLOSED[..], NOISE_STD, 1.0, 1.0),
        (&OPEN[..], NOISE_STD, 0.7, 0.5),
        (&OPEN[..], 0.0, 1.0, 1.0),
        (&CLOSED[..], 0.0, 0.7, 1.0),
    ] {
        let law = last_means(&mixture(), levels, eta);
        let seen_variance = match law.variance {
            0.0 if noise_std == 0.0 => 0.04,
            variance => variance,
        };
        let expected = law.measured(Y, noise_std, seen_variance);
        let config = McgDiffConfig {
            particles: 8,
            ess_threshold,
            eta,
            ..McgDiffConfig::default()
        };
        let mut particles = mcg(levels, noise_std, config)(4000, &mut rng(1));
        let z = unbiased_z(&particles, &expected);
        let bound = z_bound(6);
        assert!(
            z < bound,
            "{levels:?}, noise {noise_std}, eta {eta}: z {z:.2}"
        );
        // Negative control: without the weights of the last step.
        particles.log_weights.fill(-8f64.ln());
        let z = unbiased_z(&particles, &expected);
        assert!(
            z > 2.0 * bound,
            "{levels:?}, noise {noise_std}, eta {eta}: z {z:.2}"
        );
    }
}

#[test]
fn tds_estimates_the_mixture_without_bias() {
    for (levels, eta, prior_variance, ess_threshold) in
        [(&CLOSED[..], 1.0, 0.8, 0.5), (&OPEN[..], 0.7, 0.3, 1.0)]
    {
        let law = last_means(&mixture(), levels, eta);
        let expected = law.measured(Y, NOISE_STD, law.variance);
        let config = TdsConfig {
            particles: 8,
            ess_threshold,
            eta,
            prior_variance,
        };
        let mut particles = tds(levels, rotated(NOISE_STD), config)(4000, &mut rng(2));
        let z = unbiased_z(&particles, &expected);
        let bound = z_bound(6);
        assert!(z < bound, "{levels:?}, eta {eta}: z {z:.2}");
        // Negative control: without the weights since the last resampling.
        particles.log_weights.fill(-8f64.ln());
        let z = unbiased_z(&particles, &expected);
        assert!(z > 2.0 * bound, "{levels:?}, eta {eta}: z {z:.2}");
    }
}

/// `A(x) = x + 0.4 x^2`, entry by entry.
struct Bent;

impl ForwardOperator for Bent {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x.clone() + x.square().mul_scalar(0.4)
    }
}

#[test]
fn tds_takes_operators_that_are_not_linear() {
    let y = [0.7, 1.1];
    let expected = last_means(&mixture(), &CLOSED, 1.0).weighted(|x| {
        let misfit = |i: usize| y[i] - x[i] - 0.4 * x[i] * x[i];
        gaussian(misfit(0), 0.25) * gaussian(misfit(1), 0.25)
    });
    let measurement = Measurement {
        operator: Bent,
        y: exact(&y, [1, 1, 1, 2]),
        noise_std: 0.5,
    };
    let config = TdsConfig {
        particles: 8,
        ..TdsConfig::default()
    };
    let particles = tds(&CLOSED, measurement, config)(4000, &mut rng(3));
    let z = unbiased_z(&particles, &expected);
    assert!(z < z_bound(6), "z {z:.2}");
}

/// Largest `|z|` of the moments that `total` particles estimate in runs of `particles`.
fn posterior_z(
    run: &dyn Fn(usize, &mut Rng) -> Particles,
    total: usize,
    particles: usize,
    expected: &[f64; 6],
) -> f64 {
    let estimates = weighted(&run(total / particles, &mut rng(4)), |x| monomials(pair(x)));
    let moments: Vec<[f64; 5]> = estimates.iter().map(|[_, rest @ ..]| *rest).collect();
    let [evidence, rest @ ..] = *expected;
    worst_z(&moments, &rest.map(|value| value / evidence))
}

#[test]
fn both_reach_the_posterior_of_a_mixture_as_particles_grow() {
    let law = last_means(&mixture(), &CLOSED, 1.0);
    let expected = law.measured(Y, NOISE_STD, 0.0);
    for particles in [1, 2, 4, 16, 128, 512] {
        let mcg = mcg(
            &CLOSED,
            NOISE_STD,
            McgDiffConfig {
                particles,
                ..McgDiffConfig::default()
            },
        );
        let tds = tds(
            &CLOSED,
            rotated(NOISE_STD),
            TdsConfig {
                particles,
                prior_variance: 0.8,
                ..TdsConfig::default()
            },
        );
        for (name, run) in [
            ("MCGDiff", &mcg as &dyn Fn(usize, &mut Rng) -> Particles),
            ("TDS", &tds),
        ] {
            let z = posterior_z(run, 32768, particles, &expected);
            match particles {
                128.. => assert!(z < z_bound(5), "{name}, {particles} particles: z {z:.2}"),
                // Negative control: few particles are no sample of the posterior.
                ..=4 => assert!(
                    z > 1.5 * z_bound(5),
                    "{name}, {particles} particles: z {z:.2}"
                ),
                _ => {}
            }
        }
    }
}

/// `E[g(x) monomials(x)]` of the mixture itself: each component is conditioned on the measurement.
fn mixture_posterior() -> [f64; 6] {
    let components = [
        (0.3, [-1.2, 0.4], [0.09, 0.3]),
        (0.5, [0.9, 1.1], [0.2, 0.05]),
        (0.2, [0.3, -1.0], [0.04, 0.12]),
    ];
    let row = SEEN.map(|entry| SINGULAR * entry);
    let mut sum = [0.0; 6];
    for (weight, mean, variance) in components {
        let covariance = [0, 1].map(|i| row[i] * variance[i]);
        let total = row[0] * covariance[0] + row[1] * covariance[1] + NOISE_STD * NOISE_STD;
        let misfit = Y - row[0] * mean[0] - row[1] * mean[1];
        let mut moments = monomials([0, 1].map(|i| mean[i] + covariance[i] / total * misfit));
        for (i, (a, b)) in [(0, 0), (1, 1), (0, 1)].into_iter().enumerate() {
            let own = if a == b { variance[a] } else { 0.0 };
            moments[3 + i] += own - covariance[a] * covariance[b] / total;
        }
        let evidence = weight * gaussian(misfit, total);
        for (sum, moment) in sum.iter_mut().zip(moments) {
            *sum += evidence * moment;
        }
    }
    sum
}

#[test]
fn the_posterior_of_the_chain_approaches_that_of_the_mixture() {
    let fine = [3.0, 2.1, 1.5, 1.1, 0.8, 0.57, 0.4, 0.28, 0.2, 0.14, 0.0];
    let [evidence, rest @ ..] = mixture_posterior();
    let expected = rest.map(|value| value / evidence);
    let error = |levels: &[f64]| {
        let [evidence, rest @ ..] = last_means(&mixture(), levels, 1.0).measured(Y, NOISE_STD, 0.0);
        let errors = rest
            .iter()
            .zip(expected)
            .map(|(got, expected)| (got / evidence - expected).abs());
        errors.fold(0.0, f64::max)
    };
    // Order 1.
    let (coarse, fine) = (error(&CLOSED), error(&fine));
    assert!(fine < 0.5 * coarse && fine < 0.1, "{coarse}, then {fine}");
}
