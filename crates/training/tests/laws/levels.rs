//! Noise levels: their laws and their spread over a batch.

use std::sync::Arc;

use tweedie_core::{
    Karras, NoiseLabel, Parametrisation, Rng, Schedule, ScheduleConfig, VariancePreserving,
};
use tweedie_testkit::{assert_close, assert_z, device};
use tweedie_training::{Level, LevelDistribution, Levels, LevelsConfig, Prediction, TrainingError};

use crate::objective::schedules;

fn prediction(config: &ScheduleConfig, label: NoiseLabel) -> Prediction {
    Prediction::new(config.build().unwrap(), label, Parametrisation::Epsilon)
}

pub(crate) fn continuous() -> Prediction {
    let label = NoiseLabel::Time { scale: 1.0 };
    let schedule = Arc::new(VariancePreserving::new(0.1, 20.0).unwrap());
    Prediction::new(schedule, label, Parametrisation::Epsilon)
}

pub(crate) fn table(steps: usize) -> Prediction {
    let config = ScheduleConfig::Ddpm {
        steps,
        beta_min: 2e-3,
        beta_max: 0.05,
    };
    prediction(&config, NoiseLabel::Step { steps })
}

/// Levels are in the units of a denoiser, which is told its level.
fn denoiser() -> Prediction {
    let label = NoiseLabel::Time { scale: 1.0 };
    Prediction::new(
        Arc::new(Karras::new(80.0).unwrap()),
        label,
        Parametrisation::Denoised,
    )
}

pub(crate) fn levels(distribution: LevelDistribution, prediction: Prediction) -> Levels {
    let config = LevelsConfig {
        distribution,
        stratified: false,
    };
    Levels::new(config, prediction).unwrap()
}

fn stratified(distribution: LevelDistribution, prediction: Prediction) -> Levels {
    let config = LevelsConfig {
        distribution,
        stratified: true,
    };
    Levels::new(config, prediction).unwrap()
}

pub(crate) fn rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device())
}

/// The way from the first time of [`continuous`] to the last.
pub(crate) fn continuous_share(level: &Level) -> f64 {
    (level.time - 1e-5) / (1.0 - 1e-5)
}

/// `Phi`.
fn normal_share(z: f64) -> f64 {
    0.5 * libm::erfc(-z / 2f64.sqrt())
}

/// Each distribution with a network, and the share of its levels below one.
type Law = (LevelDistribution, Prediction, fn(&Level) -> f64);

fn laws() -> [Law; 6] {
    use LevelDistribution::{LogNormal, LogSigma, LogitNormal, Sigma, Uniform};
    let (mean, std) = (-1.2, 1.2);
    [
        (Uniform, continuous(), continuous_share),
        // The number that was drawn lies anywhere in the step: a middle one is taken.
        (Uniform, table(1000), |l| l.time - 0.0005),
        (LogNormal { mean, std }, denoiser(), |l| {
            normal_share((l.sigma.ln() + 1.2) / 1.2)
        }),
        (
            LogitNormal {
                mean: 0.5,
                std: 0.8,
            },
            continuous(),
            |l| {
                let way = continuous_share(l);
                normal_share(((way / (1.0 - way)).ln() - 0.5) / 0.8)
            },
        ),
        (
            Sigma {
                low: 0.0,
                high: 0.2,
            },
            denoiser(),
            |l| l.sigma / 0.2,
        ),
        (
            LogSigma {
                low: 0.01,
                high: 10.0,
            },
            denoiser(),
            |l| (l.sigma / 0.01).ln() / 1000f64.ln(),
        ),
    ]
}

/// Uniform numbers have mean 1/2, variance 1/12, and their squares mean 1/3 and variance 4/45.
pub(crate) fn assert_uniform(name: &str, numbers: &[f64]) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let square = numbers.iter().map(|u| u * u).sum::<f64>() / n;
    let errors = [(1.0 / 12.0 / n).sqrt(), (4.0 / 45.0 / n).sqrt()];
    assert_z(name, &[mean, square], &[0.5, 1.0 / 3.0], &errors);
}

#[test]
fn levels_have_their_distributions() {
    for (distribution, prediction, share) in laws() {
        let name = format!("{distribution:?}");
        let drawn = levels(distribution, prediction).draw(20_000, &mut rng(1));
        assert_uniform(&name, &drawn.iter().map(share).collect::<Vec<f64>>());
        assert!(drawn.iter().all(|level| level.weight == 1.0), "{name}");
    }
}

/// Every row of a stratified batch has the distribution too.
#[test]
fn rows_of_a_stratified_batch_have_their_distributions() {
    for (distribution, prediction, share) in laws() {
        let levels = stratified(distribution, prediction);
        let of_row = |row: usize| -> Vec<f64> {
            (0..3000)
                .map(|seed| share(&levels.draw(7, &mut rng(seed))[row]))
                .collect()
        };
        assert_uniform(&format!("{distribution:?}, row 0"), &of_row(0));
        assert_uniform(&format!("{distribution:?}, row 5"), &of_row(5));
    }
}

/// How many of a batch lie in each of ten equally likely ranges.
fn counts(levels: &Levels, share: fn(&Level) -> f64) -> [usize; 10] {
    let mut counts = [0; 10];
    for level in levels.draw(200, &mut rng(1)) {
        counts[((10.0 * share(&level)) as usize).min(9)] += 1;
    }
    counts
}

#[test]
fn a_stratified_batch_covers_all_levels_evenly() {
    for (distribution, prediction, share) in laws() {
        // Points 1/200 apart: 20 in each tenth, but for one at either end and the steps of the table.
        let even = counts(&stratified(distribution, prediction.clone()), share);
        assert!(
            even.iter().all(|count| (19..=21).contains(count)),
            "{distribution:?}: {even:?}"
        );
        // The control: a count of independent levels has standard deviation 4.2.
        let uneven = counts(&levels(distribution, prediction), share);
        assert!(
            uneven.iter().any(|count| !(19..=21).contains(count)),
            "{distribution:?}: {uneven:?}"
        );
    }
}

/// Down to the least uniform numbers and up to the greatest.
#[test]
fn normal_quantiles_are_exact_to_rounding() {
    let distribution = LevelDistribution::LogNormal {
        mean: 0.0,
        std: 1.0,
    };
    let levels = stratified(distribution, denoiser());
    let rows = 200_000;
    let first = rng(1).uniform_per_row(1)[0];
    let drawn = levels.draw(rows, &mut rng(1));
    let mut ends = [f64::INFINITY, 0.0_f64];
    for (row, level) in drawn.iter().enumerate() {
        let u = (first + row as f64 / rows as f64).fract();
        let z = level.sigma.ln();
        ends = [ends[0].min(z), ends[1].max(z)];
        // A relative error of z moves the tail by z^2 as much; the logarithm of sigma is rounded, and so is 1 - u.
        let tail = u.min(1.0 - u);
        let found = normal_share(-z.abs());
        assert_close("tail", &[found], &[tail], 1e-13 * tail + f64::EPSILON);
        assert_eq!(z < 0.0, u < 0.5, "{u}");
    }
    assert!(ends[0] < -4.0 && ends[1] > 4.0, "{ends:?}");
}

#[test]
fn one_level_is_always_the_same() {
    let levels = levels(LevelDistribution::One { sigma: 0.3 }, denoiser());
    for level in levels.draw(5, &mut rng(1)) {
        assert_eq!((level.sigma, level.time, level.weight), (0.3, 0.3, 1.0));
    }
}

#[test]
fn a_level_is_that_of_its_time() {
    for (config, label) in schedules() {
        let prediction = prediction(&config, label);
        let schedule = prediction.schedule.clone();
        for level in levels(LevelDistribution::Uniform, prediction).draw(64, &mut rng(3)) {
            assert_eq!(level.sigma, schedule.sigma(level.time));
            assert!(level.time > 0.0 && level.time <= schedule.horizon());
        }
    }
}

#[test]
fn levels_of_a_batch_are_uniform_on_the_table() {
    const STEPS: usize = 8;
    const N: usize = 40_000;
    let mut counts = [0.0; STEPS];
    for level in levels(LevelDistribution::Uniform, table(STEPS)).draw(N, &mut rng(1)) {
        let step = (level.time * STEPS as f64).round();
        assert_eq!(level.time, step / STEPS as f64);
        counts[step as usize - 1] += 1.0;
    }
    let (n, p) = (N as f64, 1.0 / STEPS as f64);
    let error = (n * p * (1.0 - p)).sqrt();
    assert_z("counts", &counts, &[n * p; STEPS], &[error; STEPS]);
}

/// A cosine schedule of four steps whose noise ends after 2.4 of them: three levels are left, the last at the horizon.
#[test]
fn steps_beyond_the_horizon_are_left_out() {
    let full = tweedie_core::Cosine::new(0.008, 1e6).unwrap();
    let config = ScheduleConfig::Cosine {
        offset: 0.008,
        sigma_max: full.sigma(0.6),
    };
    let prediction = prediction(&config, NoiseLabel::Step { steps: 4 });
    let drawn = stratified(LevelDistribution::Uniform, prediction).draw(3, &mut rng(1));
    let mut times: Vec<f64> = drawn.iter().map(|level| level.time).collect();
    times.sort_by(f64::total_cmp);
    assert_close("times", &times, &[0.25, 0.5, 0.6], 1e-12);
}

#[test]
fn parameters_out_of_range_are_named() {
    use LevelDistribution::{LogNormal, LogSigma, LogitNormal, One, Sigma};
    let (mean, std) = (0.0, 1.0);
    for (distribution, expected) in [
        (LogNormal { mean, std: 0.0 }, "levels.std"),
        (
            LogNormal {
                mean: f64::NAN,
                std,
            },
            "levels.mean",
        ),
        (LogitNormal { mean, std: -1.0 }, "levels.std"),
        (
            Sigma {
                low: -0.1,
                high: 1.0,
            },
            "levels.low",
        ),
        (
            Sigma {
                low: 1.0,
                high: 1.0,
            },
            "levels.high",
        ),
        (
            LogSigma {
                low: 0.0,
                high: 1.0,
            },
            "levels.low",
        ),
        (
            LogSigma {
                low: 1.0,
                high: f64::INFINITY,
            },
            "levels.high",
        ),
        (One { sigma: 0.0 }, "levels.sigma"),
        // In range, but infinite beyond the first few standard deviations.
        (
            LogNormal {
                mean: 700.0,
                std: 10.0,
            },
            "levels",
        ),
        // And nothing there.
        (
            LogNormal {
                mean: -700.0,
                std: 10.0,
            },
            "levels",
        ),
    ] {
        let config = LevelsConfig {
            distribution,
            stratified: false,
        };
        match Levels::new(config, denoiser()).err() {
            Some(TrainingError::Setting { field, .. }) => assert_eq!(field, expected),
            other => panic!("{distribution:?}: {other:?}"),
        }
    }
}

#[test]
fn settings_are_read_from_files() {
    let read = |text: &str| serde_json::from_str::<LevelsConfig>(text);
    let edm = read(r#"{"distribution": {"type": "log_normal", "mean": -1.2, "std": 1.2}}"#);
    let expected = LevelDistribution::LogNormal {
        mean: -1.2,
        std: 1.2,
    };
    assert_eq!(edm.unwrap().distribution, expected);
    assert_eq!(read("{}").unwrap(), LevelsConfig::default());
    assert!(read(r#"{"distribution": {"type": "one", "sigma": 1, "low": 2}}"#).is_err());
    assert!(read(r#"{"stratify": true}"#).is_err());
}
