//! Draws near a centre have the law of their two factors.

use burn::tensor::Tensor;
use tweedie_fidelity::{ConditionalDraw, L2, Nearby, Tikhonov};
use tweedie_physics::{AverageDownsampling, Identity};
use tweedie_testkit::{Moments, UnitNoise, affine_law, assert_close, exact, values};

use crate::registry::EXACT;
use crate::support::inner;

const SPREAD: f64 = 0.3;
const CENTRE: [f64; 4] = [0.1, 0.7, 0.4, 0.6];
const PIXELS: usize = CENTRE.len();

/// Mean and covariance of a draw of 2 by 2 pixels that takes `numbers` normal numbers.
fn law(term: &dyn ConditionalDraw, numbers: usize) -> ([f64; PIXELS], [[f64; PIXELS]; PIXELS]) {
    let centre = exact(&CENTRE, [1, 1, 2, 2]).expand([1 + numbers, 1, 2, 2]);
    let near = Nearby {
        centre,
        spread: SPREAD,
    };
    let mut noise = UnitNoise::from_row(1);
    let drawn = values(&term.draw_near(near, &mut noise));
    assert_eq!(noise.next_row(), 1 + numbers);
    let mean: [f64; PIXELS] = drawn[..PIXELS].try_into().unwrap();
    let mut covariance = [[0.0; PIXELS]; PIXELS];
    for row in drawn.chunks(PIXELS).skip(1) {
        for i in 0..PIXELS {
            for j in 0..PIXELS {
                covariance[i][j] += (row[i] - mean[i]) * (row[j] - mean[j]);
            }
        }
    }
    (mean, covariance)
}

/// How far the law is from `N(P^-1 b, P^-1)`: of `P m - b` and `P C - I` the largest entry.
fn gap(
    term: &dyn ConditionalDraw,
    numbers: usize,
    precision: impl Fn(usize, usize) -> f64,
    pull: f64,
) -> f64 {
    let (mean, covariance) = law(term, numbers);
    let mut worst = 0.0_f64;
    for (i, centre) in CENTRE.iter().enumerate() {
        let both = |j| precision(i, j) + f64::from(i == j) / (SPREAD * SPREAD);
        let row: Vec<f64> = (0..PIXELS).map(both).collect();
        worst = worst.max((inner(&row, &mean) - centre / (SPREAD * SPREAD) - pull).abs());
        // A covariance is symmetric: its rows are its columns.
        for (j, column) in covariance.iter().enumerate() {
            worst = worst.max((inner(&row, column) - f64::from(i == j)).abs());
        }
    }
    worst
}

#[test]
fn exact_draws_have_the_product_of_their_factors() {
    let noise_std = 0.2_f64;
    let weight = noise_std.powi(-2) / 16.0;
    let mean = L2::new(
        AverageDownsampling::new(2).unwrap(),
        exact(&[0.9], [1, 1, 1, 1]),
        noise_std,
    );
    // |A x - y|^2 / (2 noise_std^2) with A = (1, 1, 1, 1)/4.
    let (mean, pull) = (mean.unwrap(), 4.0 * 0.9 * weight);
    assert!(gap(&mean, 5, |_, _| weight, pull) < 1e-11);
    assert!(gap(&mean, 5, |_, _| 1.01 * weight, pull) > 1e-3);

    let pixels = Tikhonov::pixels(7.0).unwrap();
    let diagonal = |weight: f64| move |i, j| weight * f64::from(i == j);
    assert!(gap(&pixels, 4, diagonal(7.0), 0.0) < 1e-11);
    assert!(gap(&pixels, 4, diagonal(7.1), 0.0) > 1e-3);

    // Four pixels in a ring: each has two neighbours.
    let differences = Tikhonov::differences(7.0).unwrap().with_cg(EXACT);
    let ring = |weight: f64| {
        move |i: usize, j: usize| match i ^ j {
            0 => 2.0 * weight,
            3 => 0.0,
            _ => -weight,
        }
    };
    assert!(gap(&differences, 12, ring(7.0), 0.0) < 1e-11);
    assert!(gap(&differences, 12, ring(7.1), 0.0) > 1e-3);
}

#[test]
fn langevin_steps_have_the_stationary_law_of_the_module() {
    let (y, noise_std, centre) = (1.1, 0.2_f64, 0.4);
    let data = L2::new(Identity, exact(&[y], [1, 1]), noise_std).unwrap();
    let (p, variance) = (noise_std.powi(-2), SPREAD * SPREAD);
    let precision = p + variance.recip();
    for h in [0.001, 0.04, 0.07] {
        let law = affine_law(1, |x: Tensor<2>, noise| {
            let near = Nearby {
                centre: x.full_like(centre),
                spread: SPREAD,
            };
            near.langevin(&data, x, h, noise)
        });
        let square = law.noises[0] * law.noises[0];
        let got = Moments {
            mean: law.offset / (1.0 - law.start),
            variance: square / (1.0 - law.start * law.start),
        };
        let mean = (p * y + centre / variance) / precision;
        assert_close("mean", &[got.mean], &[mean], 1e-12);
        let inflation = (1.0 - variance * p * (0.5 * h / variance).tanh()).recip();
        assert_close("variance", &[got.variance * precision], &[inflation], 1e-11);
        // Above the law itself, and below what Euler's step of the data term alone adds.
        assert!(inflation > 1.0 + 0.4 * h * p && inflation < (1.0 - 0.5 * h * p).recip());
    }
}
