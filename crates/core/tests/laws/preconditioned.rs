//! Exact networks of a Gaussian prior: each parametrisation makes of its own the exact denoiser, at any noise level.
//!
//! The prior is `N(m, v)`, so `E[x_0 | x_0 + sigma n = x] = m + v (x - m)/(v + sigma^2)`. A network here knows its input and its label
//! alone, as a trained one does, and reads the noise level off the label.

use std::sync::Arc;

use burn::tensor::Tensor;
use tweedie_core::{
    Backbone, Conditioning, DdpmTable, Denoiser, Edm, FlowMatching, GaussianPrior, NoiseLabel,
    Parametrisation, Preconditioned, Preconditioning, Schedule, VarianceExploding,
    VariancePreserving, value_and_vjp,
};
use tweedie_testkit::{assert_close, exact, values};

const MEAN: f64 = 0.4;
const VARIANCE: f64 = 0.3;

fn posterior_mean(x: f64, sigma: f64) -> f64 {
    MEAN + VARIANCE / (VARIANCE + sigma * sigma) * (x - MEAN)
}

/// What a network of this kind answers to `z` if the level is `sigma` and the schedule's scale there `scale`; written from
/// what it was trained to predict.
fn answer(kind: Parametrisation, z: f64, sigma: f64, scale: f64) -> f64 {
    // The signal and the noise of a variance-preserving state, alpha^2 + beta^2 = 1.
    let angle = sigma.atan();
    let (alpha, beta) = (angle.cos(), angle.sin());
    let clean = posterior_mean(z / alpha, sigma);
    let noise = (z - alpha * clean) / beta;
    match kind {
        Parametrisation::Epsilon => noise,
        Parametrisation::X0 => clean,
        Parametrisation::V => alpha * noise - beta * clean,
        Parametrisation::Edm { sigma_data } => {
            // The target of training, whose mean given the input it is.
            let x = z * (sigma * sigma + sigma_data * sigma_data).sqrt();
            let c = Edm { sigma_data }.at(sigma);
            (posterior_mean(x, sigma) - c.skip * x) / c.out
        }
        Parametrisation::Score => {
            // Of N(s m, s^2 (v + sigma^2)).
            -(z - scale * MEAN) / (scale * scale * (VARIANCE + sigma * sigma))
        }
        Parametrisation::Denoised => posterior_mean(z, sigma),
        Parametrisation::Residual => z - posterior_mean(z, sigma),
        Parametrisation::Flow => {
            // z is on the straight path at t = sigma/(1 + sigma).
            let x = z * (1.0 + sigma);
            let clean = posterior_mean(x, sigma);
            (x - clean) / sigma - clean
        }
        _ => panic!("{kind:?} has no exact network here"),
    }
}

/// An exact network: `level` makes sigma and scale of the label, `factor` spoils its answer.
struct Exact<F> {
    kind: Parametrisation,
    level: F,
    factor: f64,
}

impl<F: Fn(f64) -> (f64, f64)> Backbone<2> for Exact<F> {
    fn forward(&self, x: Tensor<2>, conditioning: Conditioning<2>) -> Tensor<2> {
        let label = values(&conditioning.noise)[0];
        let (sigma, scale) = (self.level)(label);
        // Affine in the input: two values are enough, and a gradient passes.
        let at = |z: f64| self.factor * answer(self.kind, z, sigma, scale);
        x.mul_scalar(at(1.0) - at(0.0)).add_scalar(at(0.0))
    }
}

const NOISY: [f64; 4] = [1.3, -0.8, 0.45, 6.0];

fn noisy() -> Tensor<2> {
    exact(&NOISY, [4, 1])
}

/// The largest error of the denoiser at `sigma`, in units of the largest number that occurs.
fn error(
    kind: Parametrisation,
    schedule: &Arc<dyn Schedule>,
    label: NoiseLabel,
    sigma: f64,
    factor: f64,
) -> f64 {
    let level = |told: f64| match (kind, label) {
        (Parametrisation::Edm { .. }, _) => ((4.0 * told).exp(), 1.0),
        (Parametrisation::Denoised | Parametrisation::Residual, _) => (told, 1.0),
        (_, NoiseLabel::Time { scale }) => level_at(&**schedule, told / scale),
        (_, NoiseLabel::Step { steps } | NoiseLabel::NearestStep { steps }) => {
            level_at(&**schedule, (told + 1.0) / steps as f64)
        }
        _ => panic!("{label:?} is unknown here"),
    };
    let denoiser = Preconditioned {
        backbone: Exact {
            kind,
            level,
            factor,
        },
        preconditioning: kind.preconditioning(schedule.clone(), label),
    };
    let found = values(&denoiser.denoise(noisy(), sigma));
    let errors = found
        .iter()
        .zip(NOISY)
        .map(|(found, x)| (found - posterior_mean(x, sigma)).abs());
    largest(errors)
}

/// What is no number is larger than all.
fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.max_by(f64::total_cmp).unwrap()
}

fn level_at(schedule: &dyn Schedule, t: f64) -> (f64, f64) {
    (schedule.sigma(t), schedule.scale(t))
}

const ALL: [Parametrisation; 8] = [
    Parametrisation::Epsilon,
    Parametrisation::X0,
    Parametrisation::V,
    Parametrisation::Edm { sigma_data: 0.5 },
    Parametrisation::Score,
    Parametrisation::Denoised,
    Parametrisation::Residual,
    Parametrisation::Flow,
];

const STEPS: usize = 1000;

fn table() -> Arc<dyn Schedule> {
    Arc::new(DdpmTable::linear(STEPS, 1e-4, 0.02).unwrap())
}

/// Schedules with what their networks predict: states of a variance-exploding process are not what the first three see.
fn pairs() -> Vec<(Arc<dyn Schedule>, NoiseLabel, &'static [Parametrisation])> {
    let preserving = VariancePreserving::new(0.1, 20.0).unwrap();
    let exploding = VarianceExploding::new(0.005, 100.0).unwrap();
    let own = NoiseLabel::Time { scale: 999.0 };
    vec![
        (Arc::new(preserving), own, &ALL),
        (Arc::new(exploding), own, &ALL[3..]),
        (table(), NoiseLabel::Step { steps: STEPS }, &ALL),
        (Arc::new(FlowMatching::new(99.0).unwrap()), own, &ALL[3..]),
    ]
}

/// Between the ends of all three schedules, off the levels of the table.
const LEVELS: [f64; 6] = [0.0123, 0.1, 0.77, 3.1, 20.0, 80.0];

/// Rounding of the label: sigma is read off it to some 1e-16 times its rate, 10 per unit of time, at 1e3 steps; what is
/// denoised is of order 10, and the answers are scaled by as much as sigma.
const ROUNDING: f64 = 1e-10;

#[test]
fn an_exact_network_is_an_exact_denoiser_at_any_level() {
    for (schedule, label, kinds) in pairs() {
        for &kind in kinds {
            for sigma in LEVELS {
                let error = error(kind, &schedule, label, sigma, 1.0);
                assert!(
                    error < ROUNDING,
                    "{kind:?}, {label:?} at {sigma}: {error:e}"
                );
            }
        }
    }
}

#[test]
fn a_wrong_sign_or_scale_is_an_error() {
    for (schedule, label, kinds) in pairs() {
        for &kind in kinds {
            for factor in [-1.0, 1.01] {
                let errors = LEVELS.map(|sigma| error(kind, &schedule, label, sigma, factor));
                let worst = errors.into_iter().fold(0.0, f64::max);
                assert!(worst > 1e-3, "{kind:?} times {factor}: {worst:e}");
            }
        }
    }
}

/// A network taken for one of another kind.
#[test]
fn parametrisations_are_not_each_other() {
    let label = NoiseLabel::Step { steps: STEPS };
    for kind in ALL {
        for other in ALL.into_iter().filter(|&other| other != kind) {
            let denoiser = Preconditioned {
                // Told the level itself, so that labels cannot be what differs.
                backbone: Exact {
                    kind,
                    level: |_| level_at(&*table(), table().time_at(0.77)),
                    factor: 1.0,
                },
                preconditioning: other.preconditioning(table(), label),
            };
            let found = values(&denoiser.denoise(noisy(), 0.77));
            let errors = found.iter().zip(NOISY);
            let worst = errors
                .map(|(found, x)| (found - posterior_mean(x, 0.77)).abs())
                .fold(0.0, f64::max);
            assert!(worst > 1e-2, "{kind:?} taken for {other:?}: {worst:e}");
        }
    }
}

/// A network told the nearest step of its table answers for a level `sigma'` in the place of `sigma`, with
/// `|ln sigma' - ln sigma| = d`, at most half a step of the table. For epsilon, with `z = x/sqrt(1 + sigma^2)`,
/// `F = g z - h m`, `g = s sqrt(1 + s^2)/(v + s^2)`, `h = s/(v + s^2)`, at `s = sigma'`. Both have derivatives by `ln s` of at most
/// twice and once their size, and `g <= 1/v` for `v <= 1`, `h <= 1/(2 sqrt v)`, so the denoised image is off by no more than
/// `sigma d (2 |z|/v + |m|/(2 sqrt v))`.
#[test]
fn the_nearest_step_costs_no_more_than_half_a_step() {
    let schedule = table();
    let nearest = NoiseLabel::NearestStep { steps: STEPS };
    let mut worst = 0.0_f64;
    for sigma in LEVELS {
        let t = schedule.time_at(sigma);
        let step = nearest.at(t);
        assert_eq!(step.fract(), 0.0);
        let told = (step + 1.0) / STEPS as f64;
        assert!((told - t).abs() <= 0.5 / STEPS as f64 + 1e-12);
        let distance = (schedule.sigma(told) / sigma).ln().abs();
        let largest = NOISY.iter().fold(0.0_f64, |m, x| m.max(x.abs())) / sigma.hypot(1.0);
        let bound = sigma * distance * (2.0 * largest / VARIANCE + MEAN / (2.0 * VARIANCE.sqrt()));
        let found = error(Parametrisation::Epsilon, &schedule, nearest, sigma, 1.0);
        assert!(
            found <= bound + ROUNDING,
            "at {sigma}: {found:e} > {bound:e}"
        );
        worst = worst.max(found);
    }
    // Rounding is done at all, and is no rounding of floating point.
    assert!(worst > 1e-3, "{worst:e}");
    // At the levels of the table both labels are the same.
    for step in [0, 17, 999] {
        let sigma = schedule.sigma((step + 1) as f64 / STEPS as f64);
        let found = error(Parametrisation::Epsilon, &schedule, nearest, sigma, 1.0);
        assert!(found < ROUNDING, "step {step}: {found:e}");
    }
}

#[test]
fn labels_between_steps_are_rounded_or_not() {
    let (step, nearest) = (
        NoiseLabel::Step { steps: 10 },
        NoiseLabel::NearestStep { steps: 10 },
    );
    // Time, interpolated, nearest: before the first level and after the last there is nothing to go to.
    let cases = [
        (0.0, 0.0, 0.0),
        (0.1, 0.0, 0.0),
        (0.114, 0.14, 0.0),
        (0.376, 2.76, 3.0),
        (1.0, 9.0, 9.0),
        (1.3, 9.0, 9.0),
    ];
    for (t, between, whole) in cases {
        assert!((step.at(t) - between).abs() < 1e-12);
        assert_eq!(nearest.at(t), whole);
    }
}

/// The label of an EDM network is that of its noise level, whatever schedule and label a sampler has.
#[test]
fn an_edm_network_is_told_a_quarter_of_the_logarithm() {
    let kind = Parametrisation::Edm { sigma_data: 0.5 };
    for (schedule, label, _) in pairs() {
        for sigma in LEVELS {
            let told = kind
                .preconditioning(schedule.clone(), label)
                .at(sigma)
                .noise;
            assert!((told - sigma.ln() / 4.0).abs() < 1e-15);
        }
    }
}

#[test]
fn gradients_are_those_of_the_exact_denoiser() {
    for (schedule, label, kinds) in pairs() {
        for &kind in kinds {
            let level = |told: f64| match kind {
                Parametrisation::Edm { .. } => ((4.0 * told).exp(), 1.0),
                Parametrisation::Denoised | Parametrisation::Residual => (told, 1.0),
                _ => level_at(&*schedule, schedule.time_at(0.77)),
            };
            let denoiser = Preconditioned {
                backbone: Exact {
                    kind,
                    level,
                    factor: 1.0,
                },
                preconditioning: kind.preconditioning(schedule.clone(), label),
            };
            let run = |x: Tensor<2>| denoiser.denoise(x, 0.77);
            let (_, slope) = value_and_vjp(noisy(), run, |y| y.ones_like());
            let prior = GaussianPrior::new(exact::<2>(&[MEAN], [1, 1]), VARIANCE);
            let own = |x: Tensor<2>| prior.denoise(x, 0.77);
            let (_, expected) = value_and_vjp(noisy(), own, |y| y.ones_like());
            let name = format!("{kind:?}");
            assert_close(&name, &values(&slope), &values(&expected), ROUNDING);
        }
    }
}
