//! Samples: mean and variance of each law, rows, limits.

use tweedie_physics::{
    GammaNoise, LaplaceNoise, LogPoissonNoise, NoiseModel, PerSampleGaussianNoise,
    PoissonGaussianNoise, PoissonNoise, SaltPepperNoise, UniformNoise,
};
use tweedie_testkit::{assert_z, exact, values, z_bound};

use super::{all, clean, poisson, rng};

/// Mean, variance and fourth central moment.
struct Law {
    mean: f64,
    variance: f64,
    fourth: f64,
}

impl Law {
    /// Of a law with these values and probabilities.
    fn of(atoms: &[(f64, f64)]) -> Self {
        let expectation =
            |f: &dyn Fn(f64) -> f64| -> f64 { atoms.iter().map(|(v, p)| p * f(*v)).sum() };
        let mean = expectation(&|v| v);
        Self {
            mean,
            variance: expectation(&|v| (v - mean).powi(2)),
            fourth: expectation(&|v| (v - mean).powi(4)),
        }
    }

    /// Of `clean` with noise of that variance and kurtosis.
    fn around(mean: f64, variance: f64, kurtosis: f64) -> Self {
        let fourth = kurtosis * variance * variance;
        Self {
            mean,
            variance,
            fourth,
        }
    }
}

type Case = (&'static str, Box<dyn NoiseModel<2>>, f64, Law);

fn poisson_case(name: &'static str, gain: f64, clean: f64) -> Case {
    let atoms: Vec<(f64, f64)> = poisson(clean / gain)
        .into_iter()
        .enumerate()
        .map(|(k, p)| (gain * k as f64, p))
        .collect();
    let noise = Box::new(PoissonNoise::new(gain).unwrap());
    (name, noise, clean, Law::of(&atoms))
}

fn log_poisson_case(name: &'static str, photons: f64, mu: f64, clean: f64) -> Case {
    let measured = |k: usize| -((k as f64).max(0.1) / photons).ln() / mu;
    let atoms: Vec<(f64, f64)> = poisson(photons * (-mu * clean).exp())
        .into_iter()
        .enumerate()
        .map(|(k, p)| (measured(k), p))
        .collect();
    let noise = Box::new(LogPoissonNoise::new(photons, mu).unwrap());
    (name, noise, clean, Law::of(&atoms))
}

fn poisson_gaussian_case() -> Case {
    let (gain, std, clean): (f64, f64, f64) = (0.1, 0.2, 0.3);
    let counts = Law::of(
        &poisson(clean / gain)
            .into_iter()
            .enumerate()
            .map(|(k, p)| (gain * k as f64, p))
            .collect::<Vec<_>>(),
    );
    let reading = std * std;
    let law = Law {
        mean: clean,
        variance: counts.variance + reading,
        fourth: counts.fourth + 6.0 * counts.variance * reading + 3.0 * reading * reading,
    };
    let noise = PoissonGaussianNoise::new(gain, std).unwrap();
    ("Poisson-Gaussian", Box::new(noise), clean, law)
}

fn gamma_case(name: &'static str, looks: f64, clean: f64) -> Case {
    let law = Law::around(clean, clean * clean / looks, 3.0 + 6.0 / looks);
    (name, Box::new(GammaNoise::new(looks).unwrap()), clean, law)
}

fn cases() -> Vec<Case> {
    let salt_pepper = Law::of(&[(0.0, 0.1), (1.0, 0.3), (0.4, 0.6)]);
    vec![
        poisson_case("few counts", 0.1, 0.3),
        poisson_case("many counts", 0.1, 4.0),
        poisson_gaussian_case(),
        (
            "uniform",
            Box::new(UniformNoise::new(0.3).unwrap()),
            0.4,
            Law::around(0.4, 0.03, 1.8),
        ),
        (
            "salt and pepper",
            Box::new(SaltPepperNoise::new(0.1, 0.3).unwrap()),
            0.4,
            salt_pepper,
        ),
        (
            "Laplace",
            Box::new(LaplaceNoise::new(0.2).unwrap()),
            0.4,
            Law::around(0.4, 0.08, 6.0),
        ),
        log_poisson_case("log-Poisson", 50.0, 0.7, 1.1),
        log_poisson_case("log-Poisson in the dark", 3.0, 0.7, 1.0),
        gamma_case("Gamma", 2.5, 0.7),
        gamma_case("fewer than one look", 0.6, 1.3),
    ]
}

const ROWS: usize = 200;
const COLUMNS: usize = 400;

#[test]
fn mean_and_variance_are_those_of_the_law() {
    for (name, noise, clean, law) in cases() {
        let clean = exact(&vec![clean; ROWS * COLUMNS], [ROWS, COLUMNS]);
        let y = values(&noise.corrupt(clean, &mut rng(1)));
        let count = y.len() as f64;
        let mean = y.iter().sum::<f64>() / count;
        let variance = y.iter().map(|v| (v - law.mean).powi(2)).sum::<f64>() / count;
        let mean_se = (law.variance / count).sqrt();
        let variance_se = ((law.fourth - law.variance.powi(2)) / count).sqrt();
        assert_z(
            name,
            &[mean, variance],
            &[law.mean, law.variance],
            &[mean_se, variance_se],
        );
        let shifted = (mean - law.mean - 0.05 * law.variance.sqrt()) / mean_se;
        let widened = (variance - 1.05_f64.powi(2) * law.variance) / variance_se;
        assert!(
            shifted.abs() > z_bound(2) && widened.abs() > z_bound(2),
            "{name}: the test is blind to 5 %: z {shifted:.1}, {widened:.1}"
        );
    }
}

#[test]
fn each_sample_has_its_own_level() {
    let stds = [0.1, 0.4];
    let noise = PerSampleGaussianNoise::new(exact(&stds, [2])).unwrap();
    let count = 40_000;
    let y = noise.corrupt(exact(&vec![0.3; 2 * count], [2, count]), &mut rng(2));
    let y = values(&y);
    let mean_square =
        |row: &[f64]| row.iter().map(|v| (v - 0.3).powi(2)).sum::<f64>() / count as f64;
    let found: Vec<f64> = y.chunks(count).map(mean_square).collect();
    let expected = stds.map(|std| std * std);
    let se = expected.map(|variance| variance * (2.0 / count as f64).sqrt());
    assert_z("variances", &found, &expected, &se);
}

#[test]
fn a_row_has_its_own_noise() {
    for (name, noise) in all() {
        let two = noise.corrupt(clean(), &mut rng(3).starting_at(4));
        let again = noise.corrupt(clean(), &mut rng(3).starting_at(4));
        assert_eq!(values(&two), values(&again), "{name}");
        if name == "per sample" {
            continue;
        }
        let last = noise.corrupt(clean().narrow(0, 1, 1), &mut rng(3).starting_at(5));
        assert_eq!(values(&two.narrow(0, 1, 1)), values(&last), "{name}");
    }
}

#[test]
fn many_photons_leave_no_noise() {
    let gain = 1e-12;
    let y = PoissonNoise::new(gain)
        .unwrap()
        .corrupt(clean(), &mut rng(5));
    let bound = z_bound(6);
    for (y, clean) in values(&y).into_iter().zip(values(&clean())) {
        let std = (gain * clean).sqrt();
        assert!((y - clean).abs() <= bound * std, "{y} instead of {clean}");
    }
}

#[test]
fn no_photons_stay_none() {
    let dark = exact(&[0.0; 6], [2, 3]);
    let counts = PoissonNoise::new(0.1).unwrap();
    assert_eq!(values(&counts.corrupt(dark.clone(), &mut rng(1))), [0.0; 6]);
    let speckle = GammaNoise::new(1.0).unwrap();
    assert_eq!(values(&speckle.corrupt(dark, &mut rng(1))), [0.0; 6]);
}

#[test]
fn salt_alone_and_pepper_alone_are_certain() {
    let spoil = |pepper, salt| {
        let noise = SaltPepperNoise::new(pepper, salt).unwrap();
        values(&noise.corrupt(clean(), &mut rng(6)))
    };
    assert_eq!(spoil(1.0, 0.0), [0.0; 6]);
    assert_eq!(spoil(0.0, 1.0), [1.0; 6]);
    assert_eq!(spoil(0.0, 0.0), values(&clean()));
}

#[test]
#[should_panic(expected = "a mean number of counts must lie in [0, 1.8e19], found -2")]
fn negative_rates_have_no_counts() {
    let noise = PoissonNoise::new(0.5).unwrap();
    let _ = noise.corrupt(exact(&[-1.0], [1, 1]), &mut rng(1));
}
