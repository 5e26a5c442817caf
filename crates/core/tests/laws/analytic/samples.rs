//! Draws: their law, and what they depend on.

use tweedie_core::{AnalyticPrior, GaussianMixture};
use tweedie_testkit::{assert_close, assert_z, exact, values, z_bound};

use super::{MEAN, MEANS, VARIANCES, WEIGHTS, exact_rng, priors};

/// A law of two pixels by its components: weight, mean, covariance (`[xx, xy, yy]`).
type Law = Vec<(f64, [f64; 2], [f64; 3])>;

/// z-scores of the two means and the three second moments about the mean of the law.
fn moment_scores(draws: &[f64], law: &Law) -> [f64; 5] {
    let mean = [0, 1].map(|i| law.iter().map(|(w, m, _)| w * m[i]).sum::<f64>());
    let average = |of: &dyn Fn(f64, f64) -> f64| {
        let pairs = draws.chunks_exact(2);
        let count = pairs.len() as f64;
        pairs
            .map(|d| of(d[0] - mean[0], d[1] - mean[1]))
            .sum::<f64>()
            / count
    };
    // E[x^2], E[x y], ... of a Gaussian with mean a, b; and E[x^4], E[x^2 y^2].
    let expected = |of: &dyn Fn(f64, f64, [f64; 3]) -> f64| {
        law.iter()
            .map(|(w, m, c)| w * of(m[0] - mean[0], m[1] - mean[1], *c))
            .sum::<f64>()
    };
    let fourth = |a: f64, v: f64| a.powi(4) + 6.0 * a * a * v + 3.0 * v * v;
    let xx = expected(&|a, _, c| a * a + c[0]);
    let xy = expected(&|a, b, c| a * b + c[1]);
    let yy = expected(&|_, b, c| b * b + c[2]);
    let xxxx = expected(&|a, _, c| fourth(a, c[0]));
    let yyyy = expected(&|_, b, c| fourth(b, c[2]));
    let xxyy = expected(&|a, b, c| {
        (a * a + c[0]) * (b * b + c[2]) + 2.0 * c[1] * c[1] + 4.0 * a * b * c[1]
    });
    let count = (draws.len() / 2) as f64;
    let score =
        |got: f64, expected: f64, variance: f64| (got - expected) / (variance / count).sqrt();
    [
        score(average(&|x, _| x), 0.0, xx),
        score(average(&|_, y| y), 0.0, yy),
        score(average(&|x, _| x * x), xx, xxxx - xx * xx),
        score(average(&|x, y| x * y), xy, xxyy - xy * xy),
        score(average(&|_, y| y * y), yy, yyyy - yy * yy),
    ]
}

#[test]
fn samples_have_the_moments_of_the_law() {
    let component = |k: usize, variances: [f64; 2]| {
        let mean = [MEANS[2 * k], MEANS[2 * k + 1]];
        (WEIGHTS[k], mean, [variances[0], 0.0, variances[1]])
    };
    let of_mixture = [0.3, 0.8, 0.5];
    let laws: [Law; 5] = [
        vec![(1.0, MEAN, [0.4, 0.0, 0.4])],
        vec![(1.0, MEAN, [0.3, 0.0, 1.1])],
        vec![(1.0, MEAN, [0.9, -0.4, 0.5])],
        (0..3).map(|k| component(k, [of_mixture[k]; 2])).collect(),
        (0..3)
            .map(|k| component(k, [VARIANCES[2 * k], VARIANCES[2 * k + 1]]))
            .collect(),
    ];
    for ((name, prior, _), law) in priors().into_iter().zip(laws) {
        let draws = values(&prior.sample(100_000, &mut exact_rng(17)));
        assert_z(name, &moment_scores(&draws, &law), &[0.0; 5], &[1.0; 5]);
        // Controls: standard deviations five percent too large, weights of two components exchanged or pixels swapped.
        let wider: Vec<f64> = draws.iter().map(|x| 1.05 * x).collect();
        let swapped: Vec<f64> = draws.chunks_exact(2).flat_map(|d| [d[1], d[0]]).collect();
        for wrong in [wider, swapped] {
            let worst = moment_scores(&wrong, &law).map(f64::abs);
            assert!(worst.into_iter().fold(0.0, f64::max) > z_bound(5), "{name}");
        }
    }
}

#[test]
fn components_are_drawn_by_their_weights() {
    let apart = GaussianMixture::new(
        &[2.0, 5.0, 3.0],
        exact(&[0.0, 10.0, 20.0], [3, 1]),
        &[0.0; 3],
    );
    let draws = values(&apart.unwrap().sample(20_000, &mut exact_rng(4)));
    let shares = [0.0, 10.0, 20.0]
        .map(|mean| draws.iter().filter(|draw| **draw == mean).count() as f64 / 20_000.0);
    let se = WEIGHTS.map(|w| (w * (1.0 - w) / 20_000.0).sqrt());
    assert_z("shares", &shares, &WEIGHTS, &se);
    assert!((shares[1] - WEIGHTS[2]).abs() > z_bound(3) * se[2]);
}

#[test]
fn a_row_depends_on_itself_alone() {
    let all = exact_rng(9);
    for (name, prior, _) in priors() {
        let drawn = prior.sample(8, &mut all.clone());
        let denoised = prior.denoise(drawn.clone(), 0.6);
        let density = values(&prior.log_density(drawn.clone(), 0.6));
        for row in 0..8 {
            let alone = prior.sample(1, &mut all.clone().starting_at(row as u64));
            let pixels = 2 * row..2 * row + 2;
            // Matrix products of another size may add in another order.
            let rounding = if name == "full" { 1e-15 } else { 0.0 };
            let expected = &values(&drawn)[pixels.clone()];
            assert_close(name, &values(&alone), expected, rounding);
            let one = values(&prior.denoise(alone.clone(), 0.6));
            assert_close(name, &one, &values(&denoised)[pixels], 1e-14);
            let one = values(&prior.log_density(alone, 0.6));
            assert_close(name, &one, &density[row..=row], 1e-13);
        }
    }
}
