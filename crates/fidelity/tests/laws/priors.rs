//! Priors, against their definitions.

use burn::tensor::Tensor;
use tweedie_core::GaussianPrior;
use tweedie_fidelity::{
    DataFidelity, Gradient, MoreauEnvelope, Proximal, ScorePrior, Tikhonov, TotalVariation,
    Wavelet, WaveletL1,
};
use tweedie_testkit::{assert_close, exact, values};

use crate::registry::{EXACT, IMAGE, normal};
use crate::support::{inner, largest, relative_gap, slope_gap};

const WEIGHT: f64 = 0.8;
/// Sides that two halvings divide.
const DYADIC: [usize; 4] = [3, 2, 4, 8];

trait Prior: DataFidelity + Proximal {}
impl<T: DataFidelity + Proximal> Prior for T {}

/// With the accuracy that the laws need.
fn priors(weight: f64) -> Vec<(&'static str, Box<dyn Prior>)> {
    let tv = |tv: TotalVariation, epsilon| {
        Box::new(tv.with_epsilon(epsilon).unwrap().with_iterations(2000))
    };
    let isotropic = || TotalVariation::isotropic(weight).unwrap();
    let anisotropic = || TotalVariation::anisotropic(weight).unwrap();
    let wavelet = |wavelet, levels| {
        Box::new(WaveletL1::new([DYADIC[2], DYADIC[3]], wavelet, levels, weight).unwrap())
    };
    vec![
        ("pixels", Box::new(Tikhonov::pixels(weight).unwrap())),
        (
            "differences",
            Box::new(Tikhonov::differences(weight).unwrap().with_cg(EXACT)),
        ),
        ("smoothed isotropic", tv(isotropic(), 0.3)),
        ("smoothed anisotropic", tv(anisotropic(), 0.3)),
        (
            "envelope",
            Box::new(MoreauEnvelope::new(wavelet(Wavelet::Haar, 2), 0.05).unwrap()),
        ),
        ("isotropic", tv(isotropic(), 0.0)),
        ("anisotropic", tv(anisotropic(), 0.0)),
        ("Haar", wavelet(Wavelet::Haar, 2)),
        ("Daubechies", wavelet(Wavelet::Daubechies4, 1)),
        ("Daubechies, two levels", wavelet(Wavelet::Daubechies4, 2)),
    ]
}

#[test]
fn gradients_are_those_of_the_values() {
    let (x, direction) = (normal(DYADIC, 1), normal(DYADIC, 2));
    for ((name, prior), (_, wrong)) in priors(WEIGHT).into_iter().zip(priors(1.01 * WEIGHT)) {
        let gap = |grad| slope_gap(|x| prior.value(x), &x, &direction, &grad);
        let found = gap(prior.grad(x.clone()));
        assert!(found < 1e-6, "{name}: the gradient is off by {found:e}");
        assert!(
            gap(wrong.grad(x.clone())) > 1e-3,
            "{name}: a wrong weight passes"
        );
    }
}

#[test]
fn rows_of_priors_do_not_meet() {
    let x = normal(DYADIC, 1);
    let row = x.clone().narrow(0, 1, 1);
    for (name, prior) in priors(WEIGHT) {
        let batch = values(&prior.value(x.clone()));
        assert_close(
            name,
            &values(&prior.value(row.clone())),
            &batch[1..2],
            1e-10,
        );
        let batch = prior.grad(x.clone()).narrow(0, 1, 1);
        assert!(
            relative_gap(&prior.grad(row.clone()), &batch) < 1e-10,
            "{name}"
        );
        let batch = prior.prox(x.clone(), 0.5).narrow(0, 1, 1);
        assert!(
            relative_gap(&prior.prox(row.clone(), 0.5), &batch) < 1e-10,
            "{name}"
        );
    }
}

#[test]
fn prox_of_smooth_priors_is_stationary() {
    let x = normal(DYADIC, 1);
    for (name, prior) in priors(WEIGHT).into_iter().take(5) {
        for step in [0.05, 1.5] {
            let gap = |u: Tensor<4>| {
                let slope = prior.grad(u.clone()).mul_scalar(step);
                largest(&(u + slope - x.clone()))
            };
            let found = gap(prior.prox(x.clone(), step));
            assert!(found < 1e-8, "{name}, step {step}: {found:e}");
            assert!(
                gap(prior.prox(x.clone(), 1.01 * step)) > 1e-4,
                "{name}: another step passes"
            );
        }
    }
}

/// A function with `f(c x) = c f(x)` has its proximal point at `u` if `f(u) = <x - u, u> / step`, and no `z` has
/// `f(z) < <x - u, z> / step`.
#[test]
fn prox_of_sparse_priors_is_optimal() {
    let x = normal(DYADIC, 1);
    let trials = normal([200, DYADIC[1], DYADIC[2], DYADIC[3]], 3);
    for (name, prior) in priors(WEIGHT).into_iter().skip(5) {
        for step in [0.05_f64, 0.7] {
            let equality = |u: Tensor<4>| {
                let pull = (x.clone() - u.clone()).mul_scalar(step.recip());
                let total: f64 = values(&prior.value(u.clone())).iter().sum();
                (total - inner(&values(&pull), &values(&u))).abs() / total
            };
            let u = prior.prox(x.clone(), step);
            let found = equality(u.clone());
            let tolerance = if name.contains("tropic") { 1e-5 } else { 1e-8 };
            assert!(found < tolerance, "{name}, step {step}: {found:e}");
            let control = equality(prior.prox(x.clone(), 1.05 * step));
            assert!(control > 1e-2, "{name}: another step, {control:e}");
            let first = (x.clone() - u).narrow(0, 0, 1).mul_scalar(step.recip());
            let [pull, trials_host] = [values(&first), values(&trials)];
            let bounds = values(&prior.value(trials.clone()));
            for (bound, trial) in bounds.iter().zip(trials_host.chunks(pull.len())) {
                let product = inner(&pull, trial);
                assert!(
                    product <= bound * (1.0 + 1e-9),
                    "{name}: {product} above {bound}"
                );
            }
        }
    }
}

/// Differences by loops: `(down, right)` of pixel `(i, j)`.
fn host_differences(x: &[f64], [height, width]: [usize; 2]) -> Vec<[f64; 2]> {
    let at = |i: usize, j: usize| x[i.min(height - 1) * width + j.min(width - 1)];
    (0..height * width)
        .map(|index| {
            let (i, j) = (index / width, index % width);
            [at(i + 1, j) - at(i, j), at(i, j + 1) - at(i, j)]
        })
        .collect()
}

/// `D^T p` by loops.
fn host_adjoint(p: &[[f64; 2]], [height, width]: [usize; 2]) -> Vec<f64> {
    let mut x = vec![0.0; height * width];
    for (index, [down, right]) in p.iter().enumerate() {
        let (i, j) = (index / width, index % width);
        if i + 1 < height {
            x[index] -= down;
            x[index + width] += down;
        }
        if j + 1 < width {
            x[index] -= right;
            x[index + 1] += right;
        }
    }
    x
}

fn host_total_variation(x: &[f64], size: [usize; 2], isotropic: bool) -> f64 {
    let lengths = host_differences(x, size).into_iter().map(|[a, b]| {
        if isotropic {
            a.hypot(b)
        } else {
            a.abs() + b.abs()
        }
    });
    lengths.sum()
}

/// A lower bound on `min_u strength TV(u) + |u - x|^2/2`, which is attained: the dual, by plain projected gradient.
fn dual_bound(x: &[f64], size: [usize; 2], strength: f64, isotropic: bool) -> f64 {
    let mut p = vec![[0.0; 2]; x.len()];
    let residual = |p: &[[f64; 2]]| -> Vec<f64> {
        let back = host_adjoint(p, size);
        x.iter().zip(back).map(|(x, b)| x - strength * b).collect()
    };
    for _ in 0..100_000 {
        let slope = host_differences(&residual(&p), size);
        for (p, slope) in p.iter_mut().zip(slope) {
            let moved = [0, 1].map(|axis| p[axis] + slope[axis] / (8.0 * strength));
            let length = moved[0].hypot(moved[1]).max(1.0);
            *p = moved.map(|v| {
                if isotropic {
                    v / length
                } else {
                    v.clamp(-1.0, 1.0)
                }
            });
        }
    }
    0.5 * (inner(x, x) - inner(&residual(&p), &residual(&p)))
}

#[test]
fn prox_of_total_variation_closes_the_duality_gap() {
    let size = [DYADIC[2], DYADIC[3]];
    let x = normal([1, 1, size[0], size[1]], 5);
    let host = values(&x);
    for (isotropic, name) in [(true, "isotropic"), (false, "anisotropic")] {
        let tv = match isotropic {
            true => TotalVariation::isotropic(WEIGHT),
            false => TotalVariation::anisotropic(WEIGHT),
        };
        let tv = tv.unwrap().with_iterations(5000);
        let total = WEIGHT * host_total_variation(&host, size, isotropic);
        assert_close(name, &values(&tv.value(x.clone())), &[total], 1e-12);
        for step in [0.1, 0.6] {
            let strength = step * WEIGHT;
            let bound = dual_bound(&host, size, strength, isotropic);
            let gap = |u: Tensor<4>| {
                let u = values(&u);
                let change: Vec<f64> = u.iter().zip(&host).map(|(u, x)| u - x).collect();
                let variation = host_total_variation(&u, size, isotropic);
                strength * variation + 0.5 * inner(&change, &change) - bound
            };
            let found = gap(tv.prox(x.clone(), step));
            assert!(
                (-1e-12..1e-8).contains(&found),
                "{name}, step {step}: {found:e}"
            );
            let control = gap(tv.prox(x.clone(), 1.05 * step));
            assert!(control > 1e-5, "{name}: another step, {control:e}");
        }
    }
}

/// Two pixels move towards each other by `weight step` each, and meet.
#[test]
fn prox_of_total_variation_of_two_pixels() {
    let tv = TotalVariation::isotropic(0.5).unwrap().with_iterations(200);
    for shape in [[2, 1, 1, 2], [2, 1, 2, 1]] {
        let x = exact(&[0.0, 3.0, 0.0, 0.5], shape);
        let expected = [0.5, 2.5, 0.25, 0.25];
        assert_close("two pixels", &values(&tv.prox(x, 1.0)), &expected, 1e-12);
    }
}

/// By hand: one block of 2 x 2 has the details `(a - b + c - d)/2`, `(a + b - c - d)/2`, `(a - b - c + d)/2`.
#[test]
fn haar_of_one_block() {
    let prior = WaveletL1::new([2, 2], Wavelet::Haar, 1, 1.0).unwrap();
    let x = exact(&[1.0, 2.0, 4.0, 9.0], [1, 1, 2, 2]);
    assert_close(
        "value",
        &values(&prior.value(x.clone())),
        &[3.0 + 5.0 + 2.0],
        1e-12,
    );
    // Soft thresholding by 2.5 leaves the details -0.5, -2.5 and 0, and the average 8.
    let expected = [2.5, 3.0, 5.0, 5.5];
    assert_close("prox", &values(&prior.prox(x, 2.5)), &expected, 1e-12);
}

/// The four taps see a linear ramp only where it wraps around, as `|g_2 + g_3| width = width / (2 sqrt(2))`; the
/// constant other axis gives `sqrt(2)`.
#[test]
fn daubechies_is_blind_to_ramps() {
    for width in [4, 16] {
        let prior = WaveletL1::new([2, width], Wavelet::Daubechies4, 1, 1.0).unwrap();
        let ramp: Vec<f64> = (0..2 * width).map(|index| (index % width) as f64).collect();
        let found = values(&prior.value(exact(&ramp, [1, 1, 2, width])));
        assert_close("ramp", &found, &[width as f64 / 2.0], 1e-10);
    }
}

/// Thresholds above all coefficients leave the coarsest averages: the mean, when halved to one pixel.
#[test]
fn wavelets_keep_the_mean() {
    for wavelet in [Wavelet::Haar, Wavelet::Daubechies4] {
        let prior = WaveletL1::new([4, 8], wavelet, 2, 1.0).unwrap();
        let x = normal(DYADIC, 1);
        let means = |x: Tensor<4>| values(&x.mean_dims(&[2, 3]));
        assert_close(
            "mean",
            &means(prior.prox(x.clone(), 0.4)),
            &means(x.clone()),
            1e-12,
        );
        // Orthonormal: the squares of averages and of what was taken away add up.
        let kept = prior.prox(x.clone(), 1e9);
        let energy = |x: &Tensor<4>| inner(&values(x), &values(x));
        let sum = energy(&kept) + energy(&(x.clone() - kept.clone()));
        assert_close("energy", &[sum], &[energy(&x)], 1e-10);
        assert!(
            values(&prior.value(kept))
                .iter()
                .all(|value| *value < 1e-10)
        );
    }
}

/// `-grad log N(m, v + sigma^2)`, times the weight.
#[test]
fn score_prior_of_a_gaussian_is_exact() {
    let (variance, sigma, weight) = (0.7, 0.4, 1.3);
    let mean = normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 6);
    let prior = ScorePrior::new(GaussianPrior::new(mean.clone(), variance), sigma, weight).unwrap();
    let x = normal(IMAGE, 1);
    let expected = (x.clone() - mean).mul_scalar(weight / (variance + sigma * sigma));
    assert!(relative_gap(&prior.grad(x), &expected) < 1e-12);
}
