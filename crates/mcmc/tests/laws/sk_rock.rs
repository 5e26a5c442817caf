//! The exact discrete law of SK-ROCK, up to where it is stable, and its steps.

use tweedie_core::Noise;
use tweedie_mcmc::{ChainError, ChainState, MarkovKernel, SkRock, StepSize, Ula};
use tweedie_testkit::{AffineLaw, affine_law, assert_close};

use crate::support::{Quadratic, stationary};

const MEAN: f64 = 0.7;
const PRECISION: f64 = 4.0;

/// `T_s(u)` and `U_{s-1}(u)` for `u = cosh(a)`.
fn hyperbolic(s: usize, a: f64) -> [f64; 2] {
    let n = s as f64;
    [(n * a).cosh(), (n * a).sinh() / a.sinh()]
}

/// The same for `|u| <= 1`, from the angle with `cos(t) = 1 - 2 sin(t/2)^2`.
fn circular(s: usize, u: f64) -> [f64; 2] {
    let n = s as f64;
    let t = 2.0 * (0.5 * (1.0 - u)).sqrt().asin();
    [(n * t).cos(), (n * t).sin() / t.sin()]
}

/// `T_s(w_0)`, `U_{s-1}(w_0)`, `w_0` and `w_1`.
fn levels(s: usize, eta: f64) -> [f64; 4] {
    let beyond = eta / (s * s) as f64;
    let [t, u] = hyperbolic(s, (beyond + (beyond * (2.0 + beyond)).sqrt()).ln_1p());
    [t, u, 1.0 + beyond, t / (s as f64 * u)]
}

/// `A(z)` and `B(z)`.
fn polynomials(s: usize, eta: f64, z: f64) -> [f64; 2] {
    let [t0, u0, w0, w1] = levels(s, eta);
    let size = (w0 - w1 * z).abs();
    let [t, u] = match size <= 1.0 {
        true => circular(s, size),
        false => hyperbolic(s, size.acosh()),
    };
    // T_s and U_{s-1} are even or odd, and not both the same.
    let odd = if s.is_multiple_of(2) { 1.0 } else { -1.0 };
    let [t, u] = match w0 < w1 * z {
        true => [odd * t, -odd * u],
        false => [t, u],
    };
    [t / t0, u / u0 * (1.0 - 0.5 * w1 * z)]
}

/// Up to where a step is stable.
fn limit(s: usize, eta: f64) -> f64 {
    let [_, _, w0, w1] = levels(s, eta);
    2.0 * w0 / w1
}

fn kernel(s: usize, eta: f64, step: f64) -> SkRock<Quadratic> {
    SkRock::new(Quadratic::pixel(MEAN, PRECISION), s, eta, step).unwrap()
}

fn one_step(s: usize, eta: f64, z: f64) -> AffineLaw {
    let kernel = kernel(s, eta, z / PRECISION);
    affine_law(1, |x, noise: &mut dyn Noise<2>| {
        let (state, _) = kernel.step(kernel.init(x), noise);
        state.position().clone()
    })
}

fn step_of(kernel: &SkRock<Quadratic>) -> StepSize {
    MarkovKernel::<2>::step_size(kernel).unwrap()
}

#[test]
fn a_step_has_the_polynomials_of_chebyshev() {
    for (s, eta) in [(2, 0.05), (3, 0.05), (3, 0.5), (10, 0.05), (15, 0.05)] {
        let compare = |z: f64| {
            let law = one_step(s, eta, z);
            let [a, b] = polynomials(s, eta, z);
            let spread = (2.0 * z / PRECISION).sqrt();
            let got = [law.start, law.offset, law.noises[0]];
            (got, [a, (1.0 - a) * MEAN, b * spread])
        };
        for share in [0.003, 0.1, 0.37, 0.5, 0.81, 0.999] {
            let (got, expected) = compare(share * limit(s, eta));
            assert_close(&format!("{s}, {eta}, {share}"), &got, &expected, 1e-12);
        }
        // Negative control: the law of other damping is another one.
        let (got, _) = compare(3.0);
        assert!((got[0] - polynomials(s, eta + 0.05, 3.0)[0]).abs() > 1e-4);
    }
}

#[test]
fn the_stationary_law_is_that_of_the_discrete_chain() {
    for (s, z) in [(2, 1.0), (5, 20.0), (10, 1.0), (10, 60.0), (15, 150.0)] {
        let law = stationary(&kernel(s, 0.05, z / PRECISION), 1);
        let [a, b] = polynomials(s, 0.05, z);
        let variance = 2.0 * z / PRECISION * b * b / (1.0 - a * a);
        assert_close("mean", &[law.mean], &[MEAN], 1e-12);
        assert_close("variance", &[law.variance], &[variance], 1e-12);
        // The law of the diffusion itself is another one.
        assert!(variance * PRECISION < 0.98, "{s}, {z}: {variance}");
    }
    // Slow directions keep their variance: the docs name a loss of a hundredth.
    let slow = stationary(&kernel(10, 0.05, 0.5 / PRECISION), 1).variance * PRECISION;
    assert_close("s = 10, z = 0.5", &[slow], &[0.99], 0.005);
    // In a direction with U_{s-1}(u) = 0 there is no noise at all.
    let [_, _, w0, w1] = levels(10, 0.05);
    let blind = (w0 - (0.3 * std::f64::consts::PI).cos()) / w1;
    assert!(one_step(10, 0.05, blind).noises[0].abs() < 1e-12);
}

#[test]
fn steps_are_stable_up_to_the_limit_and_not_above() {
    for (s, eta) in [(2, 0.05), (5, 0.05), (10, 0.05), (15, 0.05), (10, 0.9)] {
        let limit = limit(s, eta);
        let growth = |z: f64| one_step(s, eta, z).start.abs();
        for share in 1..1000 {
            assert!(
                growth(limit * f64::from(share) * 1e-3) < 1.0,
                "{s}, {share}"
            );
        }
        assert!(growth(limit * (1.0 - 1e-6)) < 1.0);
        assert!(growth(limit * (1.0 + 1e-6)) > 1.0);
        let bound = step_of(&kernel(s, eta, 1.0)).bound.unwrap() * PRECISION;
        assert!(bound < limit, "{s}, {eta}: {bound} above {limit}");
    }
}

/// The step for a gradient, in units of `1/L`, which the docs give.
#[test]
fn steps_grow_with_the_square_of_the_stages() {
    for (s, gain) in [(5, 7.5), (10, 17.3), (15, 27.0)] {
        let kernel = SkRock::at_bound(Quadratic::pixel(MEAN, PRECISION), s).unwrap();
        let step = step_of(&kernel);
        assert_eq!(Some(step.value), step.bound);
        let found = step.value * PRECISION / s as f64;
        assert_close("gain", &[found], &[gain], 0.05);
        let kernel = SkRock::at_share(Quadratic::pixel(MEAN, PRECISION), s, 0.5).unwrap();
        assert_eq!(step_of(&kernel).value, 0.5 * step.value);
        assert_eq!(step_of(&kernel).bound, step.bound);
    }
}

/// The slowest direction of a condition number of 1000 forgets its start as fast as the steps are long.
#[test]
fn slow_directions_move_with_the_length_of_the_step() {
    let target = || Quadratic::pixel(0.0, 1e-3);
    let rate = |start: f64, gradients: usize| -start.ln() / gradients as f64;
    let forget = |kernel: &dyn Fn(f64) -> AffineLaw, h: f64| kernel(h).start;
    let euler = |h: f64| {
        let kernel = Ula::new(target(), h).unwrap();
        affine_law(1, |x, noise: &mut dyn Noise<2>| {
            kernel.step(kernel.init(x), noise).0.position().clone()
        })
    };
    for (s, gain) in [(5, 7.5), (10, 17.3), (15, 27.0)] {
        let rock = |h: f64| {
            let kernel = SkRock::new(target(), s, 0.05, h).unwrap();
            affine_law(1, |x, noise: &mut dyn Noise<2>| {
                kernel.step(kernel.init(x), noise).0.position().clone()
            })
        };
        let h = step_of(&SkRock::at_bound(Quadratic::pixel(0.0, 1.0), s).unwrap()).value;
        let found = rate(forget(&rock, h), s) / rate(forget(&euler, 1.0), 1);
        // The rate is the step times the precision up to a share of z/2 < 0.21, by -ln A = z + z^2/2 - ...
        let curvature = 0.5 * h * 1e-3;
        assert!(
            found > gain - 0.05 && found < gain * (1.0 + curvature) + 0.05,
            "s = {s}: {found}"
        );
    }
}

#[test]
fn settings_that_are_none_are_refused() {
    let name_of = |s, eta, step| {
        let target = Quadratic::pixel(MEAN, PRECISION);
        match SkRock::new(target, s, eta, step).unwrap_err() {
            ChainError::OutOfRange { name, .. } => name,
            other => panic!("{other}"),
        }
    };
    for stages in [0, 1] {
        assert_eq!(name_of(stages, 0.05, 0.1), "stages");
    }
    for eta in [0.0, -0.1, 1.0, f64::NAN] {
        assert_eq!(name_of(3, eta, 0.1), "eta");
    }
    for step in [0.0, f64::NAN, f64::INFINITY] {
        assert_eq!(name_of(3, 0.05, step), "step_size");
    }
    for share in [0.0, 1.1, f64::NAN] {
        let error = SkRock::at_share(Quadratic::pixel(MEAN, PRECISION), 3, share).unwrap_err();
        assert!(matches!(
            error,
            ChainError::OutOfRange { name: "share", .. }
        ));
    }
}
