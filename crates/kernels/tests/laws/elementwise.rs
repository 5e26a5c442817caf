//! Functions of single numbers against their definitions in `f64`.

use tweedie_kernels::{Level, elementwise as e};

use crate::numbers::{EPSILON, bits, check, on_threads, uniform, wide, worst};

/// None, less than a vector, several vectors and a rest, and enough for several threads.
const LENGTHS: [usize; 7] = [0, 1, 3, 17, 64, 1001, 70_003];

/// Numbers in [-30, 30), and those where functions change.
fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut x: Vec<f32> = uniform(seed, len).iter().map(|x| 30.0 * x).collect();
    let special = [0.0, -0.0, 1e-40, -1e-40, 120.0, -120.0, -87.5, 88.5];
    let len = len.min(special.len());
    x[..len].copy_from_slice(&special[..len]);
    x
}

/// Checks a function of two slices against the value and the bound of each pair.
fn check_pairs(
    what: &str,
    of: impl Fn(Level, &[f32], &[f32]) -> Vec<f32>,
    reference: impl Fn(f64, f64) -> (f64, f64),
) {
    for &level in Level::available() {
        for len in LENGTHS {
            let (x, y) = (
                numbers(1, len),
                numbers(2, len).into_iter().rev().collect::<Vec<_>>(),
            );
            let found = of(level, &x, &y);
            let pairs = wide(&x).into_iter().zip(wide(&y));
            let (expected, bounds): (Vec<_>, Vec<_>) = pairs.map(|(x, y)| reference(x, y)).unzip();
            check(&format!("{what}, {level:?}"), &found, &expected, &bounds);
        }
    }
}

/// Checks a function of one slice, and its version in place, against the value and the bound of each number.
fn check_single(
    what: &str,
    of: impl Fn(Level, &[f32]) -> Vec<f32>,
    in_place: impl Fn(Level, &mut [f32]),
    reference: impl Fn(f64) -> (f64, f64),
) {
    let both = |level: Level, x: &[f32], _: &[f32]| {
        let (found, mut own) = (of(level, x), x.to_vec());
        in_place(level, &mut own);
        assert_eq!(bits(&own), bits(&found), "{what} in place, {level:?}");
        found
    };
    check_pairs(what, both, |x, _| reference(x));
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Exponents are cut off at 88.
const SMALL: f64 = 1e-35;

#[test]
fn silu_is_its_definition() {
    check_single("silu", e::silu, e::silu_in_place, |x| {
        let y = x * sigmoid(x);
        (y, 6.0 * EPSILON * y.abs() + SMALL)
    });
    check_pairs("gradient of silu", e::silu_gradient, |dy, x| {
        let s = sigmoid(x);
        let size = s * (1.0 + (x * (1.0 - s)).abs() + x.abs());
        (
            dy * s * (1.0 + x * (1.0 - s)),
            6.0 * EPSILON * dy.abs() * size + 150.0 * SMALL,
        )
    });
}

#[test]
fn relu_is_its_definition_and_flat_at_zero() {
    check_single("relu", e::relu, e::relu_in_place, |x| (x.max(0.0), 0.0));
    check_pairs("gradient of relu", e::relu_gradient, |dy, x| {
        (if x > 0.0 { dy } else { 0.0 }, 0.0)
    });
}

#[test]
fn the_bounds_tell_functions_apart() {
    let x = uniform(3, 1000);
    let y = e::silu(Level::best(), &x);
    let (wrong, bounds): (Vec<_>, Vec<_>) = wide(&x)
        .into_iter()
        .map(|x| {
            (
                x * sigmoid(1.00001 * x),
                6.0 * EPSILON * (x * sigmoid(x)).abs(),
            )
        })
        .unzip();
    assert!(worst(&y, &wrong, &bounds) > 3.0);
}

#[test]
fn doubling_repeats_and_its_adjoint_sums() {
    for &level in Level::available() {
        for [planes, height, width] in [
            [1, 1, 1],
            [2, 3, 5],
            [3, 8, 17],
            [4, 33, 64],
            [2, 200, 150],
            [0, 2, 2],
            [2, 0, 3],
        ] {
            let x = uniform(6, planes * height * width);
            let y = e::double(level, [height, width], &x);
            let at = |p: usize, i: usize, j: usize| (p * height + i / 2) * width + j / 2;
            let mut expected = Vec::new();
            let mut sums = vec![0.0; x.len()];
            let dy = uniform(7, 4 * x.len());
            for p in 0..planes {
                for i in 0..2 * height {
                    for j in 0..2 * width {
                        sums[at(p, i, j)] += f64::from(dy[expected.len()]);
                        expected.push(x[at(p, i, j)]);
                    }
                }
            }
            assert_eq!(y, expected, "{level:?} {planes} {height} {width}");
            let dx = e::double_gradient(level, [height, width], &dy);
            check(
                "gradient of doubling",
                &dx,
                &sums,
                &vec![8.0 * EPSILON; sums.len()],
            );
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for &level in Level::available() {
        for len in [1, 16, 40] {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut x = vec![1.0; len];
                x[len - 1] = bad;
                let one = vec![1.0; len];
                let found = [
                    e::silu(level, &x),
                    e::relu(level, &x),
                    e::silu_gradient(level, &x, &one),
                    e::relu_gradient(level, &x, &one),
                    e::silu_gradient(level, &one, &x),
                ];
                for (which, found) in found.into_iter().enumerate() {
                    // A slope may be 0 or 1 at infinity.
                    let kept = which == 4 && bad == f32::INFINITY || !found[len - 1].is_finite();
                    assert!(
                        kept,
                        "{level:?}: function {which} of {bad} is {}",
                        found[len - 1]
                    );
                }
                assert!(e::relu_gradient(level, &x, &x)[len - 1].is_nan() == bad.is_nan());
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let (x, y) = (uniform(8, 150_000), uniform(9, 150_000));
    for &level in Level::available() {
        let run = |threads| on_threads(threads, || bits(&e::silu_gradient(level, &x, &y)));
        assert_eq!(run(1), run(3));
    }
}

#[test]
#[should_panic(expected = "lengths of slices taken together")]
fn lengths_must_agree() {
    e::relu_gradient(Level::best(), &[1.0, 2.0], &[1.0]);
}

#[test]
#[should_panic(expected = "10 numbers are no whole number of planes of 4")]
fn planes_must_be_whole() {
    e::double(Level::best(), [2, 2], &[0.0; 10]);
}
