//! Log-likelihoods: total probability 1, exact values, sums over entries, single precision.

use burn::tensor::{DType, Tensor};
use tweedie_physics::{
    GammaNoise, GaussianNoise, LaplaceNoise, LogPoissonNoise, NoiseModel, PerSampleGaussianNoise,
    PoissonGaussianNoise, PoissonNoise, SaltPepperNoise, UniformNoise,
};
use tweedie_testkit::{assert_close, device, exact, values};

use super::{all, clean, column, poisson, rng};

/// Midpoints of `cells` equal cells, and the length of a cell.
fn midpoints(from: f64, to: f64, cells: usize) -> (Vec<f64>, f64) {
    let width = (to - from) / cells as f64;
    let points = (0..cells).map(|i| from + (i as f64 + 0.5) * width);
    (points.collect(), width)
}

/// `exp` of the log-likelihood at each point.
fn likelihoods(noise: &dyn NoiseModel<2>, clean: f64, points: &[f64]) -> Vec<f64> {
    let found = values(&noise.log_likelihood(column(points), column(&[clean])));
    assert_eq!(found.len(), points.len());
    found.into_iter().map(f64::exp).collect()
}

/// Name, model, both ends of the axis, tolerance.
type Density = (&'static str, Box<dyn NoiseModel<2>>, f64, f64, f64);

#[test]
fn densities_integrate_to_one() {
    let looks = 4.5;
    // Midpoints are exact to rounding for smooth densities; a kink of slope `1/scale^2` costs `width^2 / (24 scale^2)`.
    let (scale, cells) = (0.2, 20_000);
    let kink = (80.0_f64 / f64::from(cells)).powi(2) / 24.0;
    let models: [Density; 5] = [
        (
            "Gaussian",
            Box::new(GaussianNoise::new(0.05).unwrap()),
            -0.3,
            0.9,
            1e-11,
        ),
        (
            "Poisson-Gaussian",
            Box::new(PoissonGaussianNoise::new(0.1, 0.05).unwrap()),
            -2.0,
            2.6,
            1e-11,
        ),
        (
            "uniform",
            Box::new(UniformNoise::new(0.2).unwrap()),
            -0.1,
            0.7,
            1e-11,
        ),
        (
            "Laplace",
            Box::new(LaplaceNoise::new(scale).unwrap()),
            0.3 - 40.0 * scale,
            0.3 + 40.0 * scale,
            1.01 * kink,
        ),
        (
            "Gamma",
            Box::new(GammaNoise::new(looks).unwrap()),
            0.0,
            6.0,
            1e-11,
        ),
    ];
    for (name, noise, from, to, tolerance) in models {
        let (points, width) = midpoints(from, to, cells as usize);
        let densities = likelihoods(&*noise, 0.3, &points);
        let total = densities.iter().sum::<f64>() * width;
        assert_close(name, &[total], &[1.0], tolerance);
        let part = densities[..cells as usize / 16].iter().sum::<f64>() * width;
        assert!(part < 1.0 - 1e-5, "{name}: a part of the axis holds {part}");
    }
}

#[test]
fn each_sample_has_its_own_density() {
    let stds = [0.1, 0.4];
    let noise = PerSampleGaussianNoise::new(exact(&stds, [2])).unwrap();
    let y = exact(&[0.1, 0.5, 0.9, 0.2, 0.4, 0.0], [2, 3]);
    let found = values(&noise.log_likelihood(y.clone(), clean()));
    for (row, std) in stds.into_iter().enumerate() {
        let one = |x: Tensor<2>| x.narrow(0, row, 1);
        let alone = GaussianNoise::new(std).unwrap();
        let expected = values(&alone.log_likelihood(one(y.clone()), one(clean())));
        assert_close("row", &found[row..=row], &expected, 1e-12);
    }
}

#[test]
fn counts_have_the_probabilities_of_the_recursion() {
    let (gain, photons, mu): (f64, f64, f64) = (0.1, 60.0, 0.7);
    let noise = PoissonNoise::new(gain).unwrap();
    let tomography = LogPoissonNoise::new(photons, mu).unwrap();
    for rate in [0.0, 0.2, 3.0, 47.0] {
        let expected = poisson(rate);
        let counts: Vec<f64> = (0..expected.len()).map(|k| k as f64).collect();
        let y: Vec<f64> = counts.iter().map(|k| gain * k).collect();
        let found = likelihoods(&noise, gain * rate, &y);
        assert_close("Poisson", &found, &expected, 1e-13);
        assert_close("in all", &[found.iter().sum()], &[1.0], 1e-12);
        if rate > 0.0 {
            let y: Vec<f64> = counts
                .iter()
                .map(|k| -(k.max(0.1) / photons).ln() / mu)
                .collect();
            let found = likelihoods(&tomography, -(rate / photons).ln() / mu, &y);
            assert_close("log-Poisson", &found, &expected, 1e-12);
        }
    }
}

#[test]
fn negative_measurements_are_impossible() {
    let counts = PoissonNoise::new(0.1).unwrap();
    let speckle = GammaNoise::new(2.0).unwrap();
    let one_look = GammaNoise::new(1.0).unwrap();
    let models: [&dyn NoiseModel<2>; 3] = [&counts, &speckle, &one_look];
    for noise in models {
        assert_eq!(likelihoods(noise, 0.3, &[-0.1]), [0.0]);
    }
    // One look: `exp(-y / clean) / clean`, which has a value at 0.
    assert_close("at 0", &likelihoods(&one_look, 0.5, &[0.0]), &[2.0], 1e-14);
}

#[test]
fn salt_and_pepper_have_atoms() {
    let noise = SaltPepperNoise::new(0.1, 0.3).unwrap();
    let at = |clean, points: &[f64]| likelihoods(&noise, clean, points);
    let inside = at(0.4, &[0.0, 1.0, 0.4, 0.5]);
    assert_close("between", &inside, &[0.1, 0.3, 0.6, 0.0], 1e-15);
    assert_close("white", &at(1.0, &[0.0, 1.0]), &[0.1, 0.9], 1e-15);
    assert_close("black", &at(0.0, &[0.0, 1.0]), &[0.7, 0.3], 1e-15);
}

/// The convolution, term by term.
fn camera_density(y: f64, rate: f64, gain: f64, std: f64) -> f64 {
    let reading = |d: f64| (-0.5 * (d / std).powi(2)).exp() / (std * std::f64::consts::TAU.sqrt());
    let terms = poisson(rate).into_iter().enumerate();
    terms.map(|(k, p)| p * reading(y - gain * k as f64)).sum()
}

#[test]
fn the_exact_camera_density_is_the_sum_over_counts() {
    for (gain, std) in [(0.1, 0.02), (0.1, 0.15), (0.3, 1.0)] {
        let noise = PoissonGaussianNoise::new(gain, std).unwrap();
        for rate in [0.0, 0.4, 5.0, 60.0] {
            let spread = (gain * gain * rate + std * std).sqrt();
            let points: Vec<f64> = (-2..=6)
                .map(|i| gain * rate + f64::from(i) * spread)
                .collect();
            let found = noise.exact_log_likelihood(column(&points), column(&[gain * rate]));
            let expected: Vec<f64> = points
                .iter()
                .map(|&y| camera_density(y, rate, gain, std).ln())
                .collect();
            assert_close("log density", &values(&found), &expected, 1e-10);
        }
    }
}

#[test]
fn the_camera_density_tends_to_its_gaussian() {
    // Edgeworth: at the mean the logarithms differ by `1 / (12 rate)` at first order.
    let gap = |rate: f64| {
        let noise = PoissonGaussianNoise::new(1.0, 1.0).unwrap();
        let at = || column(&[rate]);
        let exact = values(&noise.exact_log_likelihood(at(), at()))[0];
        (exact - values(&noise.log_likelihood(at(), at()))[0]).abs()
    };
    for rate in [200.0, 2000.0] {
        let relative = 12.0 * rate * gap(rate);
        assert!((relative - 1.0).abs() < 10.0 / rate, "{rate}: {relative}");
    }
    assert!(gap(1.0) > 1e-3, "at one photon they differ");
}

#[test]
fn a_sample_is_the_sum_of_its_entries() {
    for (name, noise) in all() {
        if name == "per sample" {
            continue;
        }
        let y = noise.corrupt(clean().narrow(0, 0, 1), &mut rng(4));
        let clean = if name == "salt and pepper" {
            clean().narrow(0, 0, 1).repeat_dim(0, 2)
        } else {
            clean()
        };
        let clean = if name == "uniform" {
            y.clone().repeat_dim(0, 2)
        } else {
            clean
        };
        let found = values(&noise.log_likelihood(y.clone(), clean.clone()));
        assert_eq!(found.len(), 2, "{name}");
        for (row, &found) in found.iter().enumerate() {
            let entry = |j: usize| {
                let y = y.clone().narrow(1, j, 1);
                let clean = clean.clone().narrow(0, row, 1).narrow(1, j, 1);
                values(&noise.log_likelihood(y, clean))[0]
            };
            let expected: f64 = (0..3).map(entry).sum();
            assert!(expected.is_finite(), "{name}");
            assert_close(name, &[found], &[expected], 1e-11);
        }
    }
}

#[test]
fn many_counts_survive_single_precision() {
    let single = |x: f64| Tensor::<2>::full([1, 1], x, (&device(), DType::F32));
    let noise = PoissonNoise::new(1e-5).unwrap();
    let (y, clean) = (single(0.99), single(1.0));
    // On the numbers that single precision holds, so that only the arithmetic differs.
    let (exact_y, exact_clean) = (values(&y)[0], values(&clean)[0]);
    let found = values(&noise.log_likelihood(y, clean))[0];
    let expected = values(&noise.log_likelihood(column(&[exact_y]), column(&[exact_clean])))[0];
    // The counts, 99 000, are rounded to single precision, and the slope in them is the log of their ratio, 0.01.
    let rounding = 4.0 * f64::from(f32::EPSILON) * 1e5 * 0.01;
    assert_close("log-probability", &[found], &[expected], rounding);
}

#[test]
fn uniform_noise_contains_its_own_samples_in_single_precision() {
    let noise = UniformNoise::new(1e-4).unwrap();
    let clean = Tensor::<2>::full([4, 50_000], 0.7, (&device(), DType::F32));
    let mut generator = rng(7).with_dtype(DType::F32);
    let y = noise.corrupt(clean.clone(), &mut generator);
    let found = values(&noise.log_likelihood(y.clone(), clean.clone()));
    assert!(found.iter().all(|value| value.is_finite()), "{found:?}");
    let off_centre = noise.log_likelihood(y, clean.add_scalar(1e-6));
    assert!(
        values(&off_centre)
            .iter()
            .all(|&value| value == f64::NEG_INFINITY)
    );
}
