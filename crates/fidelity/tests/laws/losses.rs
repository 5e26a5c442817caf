//! Data terms for noise other than Gaussian, against their definitions.

use burn::tensor::Tensor;
use tweedie_fidelity::{
    Admm, Amplitude, Ball, DataFidelity, Gradient, L1, L2, Poisson, PoissonGaussian, Proximal,
    Stacked,
};
use tweedie_physics::{ConjugateGradient, Identity, LinearOperator, squared_norm};
use tweedie_testkit::{assert_close, exact, values};

use crate::registry::{EXACT, IMAGE, Measurement, Square, differentiable, linear, normal};
use crate::support::{inner, largest, relative_gap, slope_gap};

const GAIN: f64 = 0.3;
const BACKGROUND: f64 = 4.0;
const SCALE: f64 = 0.7;
const STEPS: [f64; 2] = [0.05, 1.5];
const LONG: Admm = Admm {
    iterations: 1000,
    damping: 0.5,
    cg: ConjugateGradient { iterations: 30 },
};

/// Measurements of counts, 0.1 or more, and 0 where `dark`.
fn counts(case: &Measurement<impl LinearOperator + ?Sized>) -> Tensor<4> {
    let seen = case
        .operator
        .forward(normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 4));
    seen.abs().mul_scalar(3.0).add_scalar(0.1)
}

fn positive() -> Tensor<4> {
    normal(IMAGE, 1).abs().add_scalar(0.3)
}

type Term = (String, Box<dyn DataFidelity>);

/// All smooth terms, and each once more with a wrong parameter.
fn terms(wrong: f64) -> Vec<Term> {
    let mut all: Vec<Term> = Vec::new();
    let mut add = |name: &str, kind: &str, term: Box<dyn DataFidelity>| {
        all.push((format!("{kind}, {name}"), term));
    };
    for case in differentiable() {
        let (name, y) = (case.name, case.y);
        let l1 = L1::new(case.operator, y, SCALE * wrong).unwrap();
        add(name, "L1", Box::new(l1));
    }
    for case in linear() {
        let y = counts(&case);
        let poisson = Poisson::new(case.operator, y, GAIN * wrong, BACKGROUND).unwrap();
        add(case.name, "Poisson", Box::new(poisson));
    }
    for case in differentiable() {
        let (name, y) = (case.name, case.y);
        let term = PoissonGaussian::new(case.operator, y, GAIN * wrong, 2.0).unwrap();
        add(name, "Poisson-Gaussian", Box::new(term));
    }
    let y = normal(IMAGE, 5).square();
    let amplitude = Amplitude::new(Square, y.clone(), SCALE * wrong).unwrap();
    add("square", "amplitude", Box::new(amplitude));
    let first: Box<dyn DataFidelity> = Box::new(L2::new(Identity, y.clone(), wrong).unwrap());
    let second: Box<dyn DataFidelity> = Box::new(L1::new(Square, y, SCALE).unwrap());
    add(
        "two",
        "stacked",
        Box::new(Stacked::new(vec![first, second]).unwrap()),
    );
    all
}

#[test]
fn gradients_are_those_of_the_values() {
    let (x, direction) = (positive(), normal(IMAGE, 2));
    for ((name, term), (_, wrong)) in terms(1.0).into_iter().zip(terms(1.01)) {
        let gap = |grad| slope_gap(|x| term.value(x), &x, &direction, &grad);
        let found = gap(term.grad(x.clone()));
        assert!(found < 1e-6, "{name}: the gradient is off by {found:e}");
        let control = gap(wrong.grad(x.clone()));
        assert!(
            control > 1e-4,
            "{name}: a wrong parameter is off by {control:e}"
        );
    }
}

#[test]
fn rows_of_terms_do_not_meet() {
    let x = positive();
    let row = x.clone().narrow(0, 1, 1);
    let alone = terms(1.0).into_iter().filter(|(name, _)| {
        !name.contains("each") && !name.starts_with("amp") && !name.starts_with("stack")
    });
    for (name, term) in alone {
        let batch = values(&term.value(x.clone()));
        assert_close(&name, &values(&term.value(row.clone())), &batch[1..2], 1e-9);
        let batch = term.grad(x.clone()).narrow(0, 1, 1);
        assert!(
            relative_gap(&term.grad(row.clone()), &batch) < 1e-10,
            "{name}"
        );
    }
    for case in linear() {
        let y = case.y.clone();
        let short = Admm {
            iterations: 3,
            ..LONG
        };
        let terms: [Box<dyn Proximal + '_>; 3] = [
            Box::new(
                L1::new(&case.operator, y.clone(), SCALE)
                    .unwrap()
                    .with_admm(short)
                    .unwrap(),
            ),
            Box::new(
                Poisson::new(&case.operator, counts(&case), GAIN, BACKGROUND)
                    .unwrap()
                    .with_admm(short)
                    .unwrap(),
            ),
            Box::new(Ball::new(&case.operator, y, 1.0).unwrap()),
        ];
        for term in terms {
            let batch = term.prox(x.clone(), 0.5).narrow(0, 1, 1);
            let gap = relative_gap(&term.prox(row.clone(), 0.5), &batch);
            assert!(gap < 1e-10, "{}: {gap:e}", case.name);
        }
    }
}

/// Each row's sum over its entries of `entry(z, y)`.
fn host(z: &Tensor<4>, y: &Tensor<4>, entry: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let (z, y) = (values(z), values(y));
    z.chunks(y.len())
        .map(|row| row.iter().zip(&y).map(|(&z, &y)| entry(z, y)).sum())
        .collect()
}

#[test]
fn values_are_the_negative_log_densities() {
    let y = normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 4);
    let x = positive();

    let l1 = L1::new(Identity, y.clone(), SCALE).unwrap();
    let expected = host(&x, &y, |x, y| (x - y).abs() / SCALE);
    assert_close("L1", &values(&l1.value(x.clone())), &expected, 1e-10);

    let term = PoissonGaussian::new(Identity, y.clone(), GAIN, 0.2).unwrap();
    let expected = host(&x, &y, |x, y| {
        let std = (GAIN * x + 0.04_f64).sqrt();
        -((-0.5 * ((y - x) / std).powi(2)).exp() / std).ln()
    });
    assert_close(
        "Poisson-Gaussian",
        &values(&term.value(x.clone())),
        &expected,
        1e-10,
    );

    let intensity = y.clone().square();
    let term = Amplitude::new(Identity, intensity.clone(), 0.5_f64.sqrt()).unwrap();
    let expected = host(&x, &intensity, |x, y| (x.sqrt() - y.sqrt()).powi(2));
    assert_close(
        "amplitude",
        &values(&term.value(x.clone())),
        &expected,
        1e-10,
    );

    // Whole counts k, 0 among them: -log p = lambda - k log lambda + log k!, by a product over the counts.
    let k = y.abs().mul_scalar(3.0).floor();
    assert!(values(&k).contains(&0.0) && values(&k).contains(&2.0));
    let pmf = |lambda: f64, k: f64| {
        let ratios = (1..=k as usize).map(|j| lambda / j as f64);
        (-lambda).exp() * ratios.product::<f64>()
    };
    let log_factorial = |k: f64| (1..=k as usize).map(|j| (j as f64).ln()).sum::<f64>();
    let term = Poisson::new(Identity, k.clone().mul_scalar(GAIN), GAIN, 0.5).unwrap();
    let expected = host(&x, &k, |x, k| {
        -pmf((x + 0.5) / GAIN, k).ln() - log_factorial(k)
    });
    assert_close("Poisson", &values(&term.value(x)), &expected, 1e-10);
}

#[test]
fn terms_are_infinite_outside_of_their_domain() {
    let y = exact(&[0.0, 0.3], [1, 1, 1, 2]);
    let points = [[0.0, 1.0], [-0.1, 1.0], [1.0, 0.0], [1.0, -0.1]].concat();
    let x = exact(&points, [4, 1, 1, 2]);
    let poisson = values(
        &Poisson::new(Identity, y.clone(), 1.0, 0.0)
            .unwrap()
            .value(x.clone()),
    );
    assert_close("at 0 without counts", &poisson[..1], &[1.0], 1e-12);
    assert_eq!(poisson[1..], [f64::INFINITY; 3]);
    let grad = Poisson::new(Identity, y.clone(), 1.0, 0.0)
        .unwrap()
        .grad(x.clone().narrow(0, 0, 1));
    assert_close(
        "gradient at 0 without counts",
        &values(&grad),
        &[1.0, 0.7],
        1e-12,
    );
    let read = PoissonGaussian::new(Identity, y, 1.0, 0.1).unwrap();
    let outside = values(&read.value(x));
    assert!(outside[0].is_finite() && outside[2].is_finite());
    assert_eq!([outside[1], outside[3]], [f64::INFINITY; 2]);
}

#[test]
fn amplitude_is_finite_at_zero() {
    let y = exact(&[0.5, 0.0], [1, 1, 1, 2]);
    let term = Amplitude::new(Square, y.clone(), 1.0).unwrap();
    assert_eq!(values(&term.grad(y.zeros_like())), [0.0; 2]);
    assert_close(
        "value",
        &values(&term.value(y.zeros_like())),
        &[0.25],
        1e-12,
    );
}

/// The operators with `A A^T = c I`.
fn frames() -> Vec<(Measurement<dyn LinearOperator>, f64)> {
    let of = |name: &str| linear().into_iter().find(|case| case.name == name).unwrap();
    vec![(of("identity"), 1.0), (of("downsampling"), 0.25)]
}

/// `u - x + step grad f(u)`, which is 0 at the proximal point of a smooth `f`.
fn stationarity(term: &impl Gradient, u: &Tensor<4>, x: &Tensor<4>, step: f64) -> f64 {
    largest(&(u.clone() + term.grad(u.clone()).mul_scalar(step) - x.clone()))
}

#[test]
fn prox_of_poisson_is_stationary() {
    let x = normal(IMAGE, 1);
    for step in STEPS {
        for (case, bound) in frames() {
            let term = Poisson::new(&case.operator, counts(&case), GAIN, 0.2).unwrap();
            let wrong = term.clone().with_frame_bound(1.05 * bound).unwrap();
            let term = term.with_frame_bound(bound).unwrap();
            let gap = stationarity(&term, &term.prox(x.clone(), step), &x, step);
            assert!(gap < 1e-8, "{}, step {step}: {gap:e}", case.name);
            let control = stationarity(&term, &wrong.prox(x.clone(), step), &x, step);
            assert!(control > 1e-3, "{}: another bound, {control:e}", case.name);
        }
        for case in linear() {
            let term = Poisson::new(&case.operator, counts(&case), GAIN, 0.2).unwrap();
            let short = Admm {
                iterations: 2,
                ..LONG
            };
            let [term, wrong] = [LONG, short].map(|admm| term.clone().with_admm(admm).unwrap());
            let gap = stationarity(&term, &term.prox(x.clone(), step), &x, step);
            assert!(gap < 1e-8, "ADMM, {}, step {step}: {gap:e}", case.name);
            let control = stationarity(&term, &wrong.prox(x.clone(), step), &x, step);
            assert!(control > 1e-6, "two iterations, {}: {control:e}", case.name);
        }
    }
}

#[test]
fn prox_of_poisson_without_counts_stops_at_darkness() {
    let y = exact(&[0.0; 3], [1, 1, 1, 3]);
    let x = exact(&[2.0, -1.0, 1e6], [1, 1, 1, 3]);
    let term = Poisson::new(Identity, y, 0.5, 0.25)
        .unwrap()
        .with_frame_bound(1.0)
        .unwrap();
    let expected = [2.0 - 0.6, -0.25, 1e6 - 0.6];
    assert_close("dark", &values(&term.prox(x, 0.3)), &expected, 1e-9);
    // Far outside of the domain the textbook formula for the root cancels to 0.
    let y = exact(&[1.0], [1, 1, 1, 1]);
    let term = Poisson::new(Identity, y, 1.0, 0.0)
        .unwrap()
        .with_frame_bound(1.0)
        .unwrap();
    let u = values(&term.prox(exact(&[-1e9], [1, 1, 1, 1]), 1.0))[0];
    assert!((u * 1e9 - 1.0).abs() < 1e-8, "{u:e}");
}

/// How far `u` is from the proximal point of `|A u - y|_1 / SCALE` at `x`: with `p` the least-norm solution of
/// `A^T p = (x - u)/step`, all of that is 0: `A^T p - (x - u)/step`, the excess of `|p|` over `1/SCALE`, and
/// `f(u) - <p, A u - y>`.
fn l1_optimality(
    case: &Measurement<dyn LinearOperator>,
    u: &Tensor<4>,
    x: &Tensor<4>,
    step: f64,
) -> f64 {
    let operator = &case.operator;
    let pull = (x.clone() - u.clone()).mul_scalar(step.recip());
    let p = operator.forward(operator.solve_normal(pull.clone(), 0.0, EXACT));
    let range = largest(&(operator.adjoint(p.clone()) - pull));
    let excess = (largest(&p) - SCALE.recip()).max(0.0);
    let misfit = operator.forward(u.clone()) - case.y.clone();
    let complementarity: f64 = values(&misfit)
        .iter()
        .zip(values(&p))
        .map(|(r, p)| (r.abs() / SCALE - p * r).abs())
        .fold(0.0, f64::max);
    range.max(excess).max(complementarity)
}

#[test]
fn prox_of_l1_is_optimal() {
    let x = normal(IMAGE, 1);
    for step in STEPS {
        for (case, bound) in frames() {
            let term = L1::new(&case.operator, case.y.clone(), SCALE).unwrap();
            let term = term.with_frame_bound(bound).unwrap();
            let gap = l1_optimality(&case, &term.prox(x.clone(), step), &x, step);
            assert!(gap < 1e-8, "{}, step {step}: {gap:e}", case.name);
            let control = l1_optimality(&case, &term.prox(x.clone(), 1.01 * step), &x, step);
            assert!(control > 1e-3, "{}: another step, {control:e}", case.name);
        }
        for case in linear() {
            let term = L1::new(&case.operator, case.y.clone(), SCALE)
                .unwrap()
                .with_admm(LONG)
                .unwrap();
            let gap = l1_optimality(&case, &term.prox(x.clone(), step), &x, step);
            assert!(gap < 1e-8, "ADMM, {}, step {step}: {gap:e}", case.name);
        }
    }
}

#[test]
fn default_admm_is_as_good_as_documented() {
    let case = linear().remove(0);
    let x = normal(IMAGE, 1);
    let term = L1::new(&case.operator, case.y.clone(), SCALE).unwrap();
    let gap = l1_optimality(&case, &term.prox(x.clone(), 0.5), &x, 0.5);
    assert!(gap < 1e-10, "{gap:e}");
}

/// How far `u` is from the projection of `x` on `|A u - y| <= radius`, row by row: the excess of the residual `r` over
/// the radius, and the part of `u - x` that is no positive multiple of `A^T r`, or all of it where the residual is
/// smaller.
fn ball_optimality(
    case: &Measurement<dyn LinearOperator>,
    radius: f64,
    u: &Tensor<4>,
    x: &Tensor<4>,
) -> f64 {
    let r = case.y.clone() - case.operator.forward(u.clone());
    let distances = values(&squared_norm(r.clone()));
    let (normal, change) = (case.operator.adjoint(r), u.clone() - x.clone());
    let (normal, change) = (values(&normal), values(&change));
    let length = IMAGE[1..].iter().product();
    let rows = normal.chunks(length).zip(change.chunks(length));
    rows.zip(distances)
        .map(|((normal, change), squared)| {
            let distance = squared.sqrt();
            let on_boundary = (distance - radius).abs() < 1e-8;
            let multiplier = inner(normal, change) / inner(normal, normal);
            let multiplier = if on_boundary {
                multiplier.max(0.0)
            } else {
                0.0
            };
            let stray = normal
                .iter()
                .zip(change)
                .map(|(n, c)| (c - multiplier * n).abs());
            stray.fold(distance - radius, f64::max)
        })
        .fold(0.0, f64::max)
}

#[test]
fn projections_on_a_ball_are_optimal() {
    let x = normal(IMAGE, 1).mul_scalar(2.0);
    for case in linear() {
        let start = squared_norm(case.operator.forward(x.clone()) - case.y.clone());
        let distances = values(&start.sqrt());
        // Radii that exclude all rows, or some, or none.
        let middle = distances.iter().sum::<f64>() / distances.len() as f64;
        for radius in [0.5 * middle, middle, 2.0 * middle] {
            let set = Ball::new(&case.operator, case.y.clone(), radius)
                .unwrap()
                .with_cg(EXACT);
            let u = set.prox(x.clone(), 1.0);
            let gap = ball_optimality(&case, radius, &u, &x);
            assert!(gap < 1e-8, "{}, radius {radius}: {gap:e}", case.name);
            let inside = values(&set.value(x.clone()));
            let expected: Vec<f64> = distances
                .iter()
                .map(|&d| if d > radius { f64::INFINITY } else { 0.0 })
                .collect();
            assert_eq!(inside, expected, "{}", case.name);
        }
        let set = Ball::new(&case.operator, case.y.clone(), 0.51 * middle).unwrap();
        let u = set.with_cg(EXACT).prox(x.clone(), 1.0);
        let control = ball_optimality(&case, 0.5 * middle, &u, &x);
        assert!(control > 1e-3, "{}: another radius, {control:e}", case.name);

        let exact = Ball::new(&case.operator, case.y.clone(), 0.0)
            .unwrap()
            .with_cg(EXACT);
        let misfit = case.operator.forward(exact.prox(x.clone(), 1.0)) - case.y.clone();
        assert!(largest(&misfit) < 1e-8, "{}: radius 0", case.name);
    }
    for (case, bound) in frames() {
        for radius in [0.1, 4.0, 100.0] {
            let set = Ball::new(&case.operator, case.y.clone(), radius).unwrap();
            let found = set
                .clone()
                .with_frame_bound(bound)
                .unwrap()
                .prox(x.clone(), 1.0);
            let gap = ball_optimality(&case, radius, &found, &x);
            assert!(gap < 1e-8, "{}, radius {radius}: {gap:e}", case.name);
        }
    }
}

#[test]
fn projection_stays_finite_where_no_image_meets_the_ball() {
    let case = linear()
        .into_iter()
        .find(|case| case.name == "inpainting")
        .unwrap();
    // The missing pixels of this measurement are not 0, so that no image explains them.
    let y = normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 8);
    let set = Ball::new(&case.operator, y.clone(), 0.01)
        .unwrap()
        .with_cg(EXACT);
    let u = set.prox(normal(IMAGE, 1), 1.0);
    let misfit = case.operator.forward(u.clone()) - case.operator.forward(y);
    assert!(values(&u).iter().all(|v| v.is_finite()));
    assert!(largest(&misfit) < 0.1, "{}", largest(&misfit));
}

#[test]
fn stacked_terms_add_up() {
    let x = positive();
    let l1 = |y| L1::new(Square, y, SCALE).unwrap();
    let [a, b, c] = [4, 5, 6].map(|seed| l1(normal(IMAGE, seed)));
    let expected = a.grad(x.clone()) + b.grad(x.clone()) + c.grad(x.clone());
    let total = values(&(a.value(x.clone()) + b.value(x.clone()) + c.value(x.clone())));
    let sum = Stacked::new(vec![a, b, c]).unwrap();
    assert_close("value", &values(&sum.value(x.clone())), &total, 1e-9);
    assert!(relative_gap(&sum.grad(x), &expected) < 1e-12);
}
