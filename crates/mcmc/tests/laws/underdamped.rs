//! Underdamped Langevin steps: their exact discrete law, and where there is one.

use nalgebra::{Matrix2, Vector2};
use tweedie_mcmc::{ChainError, ChainState, MarkovKernel, Underdamped};
use tweedie_testkit::{assert_close, exact, values};

use crate::{affine::AffineStep, support::Quadratic};

const MEAN: f64 = 0.7;
/// Curvature, step and friction; the last two steps are near `2/sqrt(p)`.
const SETTINGS: [(f64, f64, f64); 5] = [
    (4.0, 0.1, 1.0),
    (4.0, 0.5, 8.0),
    (0.5, 1.0, 0.3),
    (4.0, 0.95, 4.0),
    (0.25, 3.9, 20.0),
];

fn step_of(precision: f64, h: f64, friction: f64) -> AffineStep {
    let kernel = Underdamped::new(Quadratic::pixel(MEAN, precision), h, friction).unwrap();
    AffineStep::of::<2>(&kernel, [1, 1], 2, 1)
}

/// The parts of the splitting on `(x - m, v)`, as they act one after the other: matrix and noise.
struct Word {
    matrix: Matrix2<f64>,
    injected: Matrix2<f64>,
}

impl Word {
    fn of(letters: &str, precision: f64, h: f64, friction: f64) -> Self {
        let count = |letter: char| letters.chars().filter(|c| *c == letter).count() as f64;
        let mut word = Self {
            matrix: Matrix2::identity(),
            injected: Matrix2::zeros(),
        };
        for letter in letters.chars() {
            let t = h / count(letter);
            let kept = (-friction * t).exp();
            let (matrix, noise) = match letter {
                'A' => (Matrix2::new(1.0, t, 0.0, 1.0), 0.0),
                'B' => (Matrix2::new(1.0, 0.0, -t * precision, 1.0), 0.0),
                _ => (Matrix2::new(1.0, 0.0, 0.0, kept), 1.0 - kept * kept),
            };
            word.matrix = matrix * word.matrix;
            word.injected = matrix * word.injected * matrix.transpose();
            word.injected[(1, 1)] += noise;
        }
        word
    }

    /// The variance of the positions.
    fn variance(&self) -> f64 {
        let (mut power, mut covariance) = (self.matrix, self.injected);
        for _ in 0..60 {
            covariance += power * covariance * power.transpose();
            power *= power;
        }
        covariance[(0, 0)]
    }
}

#[test]
fn a_step_is_baoab() {
    for (precision, h, friction) in SETTINGS {
        let step = step_of(precision, h, friction);
        let word = Word::of("BAOAB", precision, h, friction);
        assert_close(
            "matrix",
            step.matrix.as_slice(),
            word.matrix.as_slice(),
            1e-13,
        );
        let injected = &step.noise * step.noise.transpose();
        assert_close(
            "noise",
            injected.as_slice(),
            word.injected.as_slice(),
            1e-13,
        );
        let other = Word::of("OBABO", precision, h, friction);
        assert!((other.matrix - word.matrix).norm() > 1e-3);
    }
}

#[test]
fn positions_have_the_law_of_the_target_at_any_step() {
    for (precision, h, friction) in SETTINGS {
        let (mean, covariance) = step_of(precision, h, friction).stationary();
        assert_close("mean", mean.as_slice(), &[MEAN, 0.0], 1e-12);
        let quarter = 0.25 * h * h * precision;
        let expected = [1.0 / precision, 0.0, 0.0, 1.0 - quarter];
        assert_close("covariance", covariance.as_slice(), &expected, 1e-11);
        // Negative control: the other order has too wide positions, by `1/(1 - h^2 p/4)`.
        let other = Word::of("OBABO", precision, h, friction).variance() * precision;
        assert_close("other order", &[other * (1.0 - quarter)], &[1.0], 1e-10);
        assert!(other > 1.009, "{other}");
    }
}

#[test]
fn there_is_a_law_below_twice_the_period() {
    for precision in [0.3_f64, 25.0] {
        let limit = 2.0 / precision.sqrt();
        assert!(step_of(precision, 0.999 * limit, 1.0 / limit).radius() < 1.0);
        assert!(step_of(precision, 1.001 * limit, 1.0 / limit).radius() > 1.0);
        let at_bound = Underdamped::at_bound(Quadratic::pixel(0.0, precision), 1.0).unwrap();
        let step = MarkovKernel::<2>::step_size(&at_bound).unwrap();
        assert_eq!(step.bound, Some(step.value));
        assert!((step.value - limit / 2.0_f64.sqrt()).abs() < 1e-12 * limit);
    }
}

/// Two frictions: at the critical one of a direction its slowest mode is forgotten as `exp(-sqrt(p) h)`.
#[test]
fn the_critical_friction_forgets_fastest() {
    let (precision, h) = (0.04_f64, 0.2);
    let critical = 2.0 * precision.sqrt();
    let rate = |friction| -step_of(precision, h, friction).radius().ln() / h;
    // The two modes meet there, where each is the root of its distance from the limit of small steps.
    assert!((rate(critical) / precision.sqrt() - 1.0).abs() < 0.05);
    assert!(rate(0.5 * critical) < 0.6 * rate(critical));
    assert!(rate(2.0 * critical) < 0.6 * rate(critical));
}

#[test]
fn chains_start_at_rest_and_may_be_moved() {
    let kernel = Underdamped::new(Quadratic::pixel(MEAN, 4.0), 0.1, 1.0).unwrap();
    let start = kernel.init(exact::<2>(&[0.3, -0.2], [2, 1]));
    assert_eq!(values(start.velocity()), [0.0, 0.0]);
    let parts = vec![exact::<2>(&[0.3], [1, 1]), exact(&[0.6], [1, 1])];
    let state = kernel.restore(parts).unwrap();
    let moved = kernel.moved(state, exact(&[1.5], [1, 1])).unwrap();
    // The gradient is that of where the chain is now.
    let again = kernel.restore(moved.parts()).unwrap();
    let at = |state| {
        let mut rng = tweedie_core::Rng::seeded(1, &tweedie_testkit::device());
        rng = rng.with_dtype(burn::tensor::DType::F64);
        values(kernel.step(state, &mut rng).0.position())
    };
    assert_eq!(values(moved.velocity()), [0.6]);
    assert_eq!(at(moved), at(again));
}

#[test]
fn settings_out_of_range_are_refused() {
    let target = || Quadratic::pixel(0.0, 1.0);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Underdamped::new(target(), bad, 1.0).is_err());
        assert!(matches!(
            Underdamped::new(target(), 1.0, bad),
            Err(ChainError::OutOfRange {
                name: "friction",
                ..
            })
        ));
    }
}

/// From rest the first half of a step is the gradient's alone.
#[test]
fn one_step_by_hand() {
    let (h, friction, p) = (0.5_f64, 2.0_f64, 4.0);
    let step = step_of(p, h, friction);
    let kept = (-friction * h).exp();
    let start = Vector2::new(1.0, 0.0);
    let x = 1.0 - 0.25 * h * h * p * (1.0 + kept);
    let v = -0.5 * h * p * (kept + x);
    let found = &step.matrix * start;
    assert_close("a step", found.as_slice(), &[x, v], 1e-14);
}
