//! The posterior under a discretised reverse chain, by quadrature: two pixels, a Gaussian mixture, one linear
//! measurement.

use tweedie_core::{Denoiser, GaussianMixture};
use tweedie_testkit::{exact, values};

/// The measured direction and its complement.
pub(crate) const SEEN: [f64; 2] = [0.8, 0.6];
/// The singular value of the measurement.
pub(crate) const SINGULAR: f64 = 1.3;

/// Three components, unlike in all respects.
pub(crate) fn mixture() -> GaussianMixture {
    let means = exact(&[-1.2, 0.4, 0.9, 1.1, 0.3, -1.0], [3, 1, 1, 2]);
    let variances = exact(&[0.09, 0.3, 0.2, 0.05, 0.04, 0.12], [3, 1, 1, 2]);
    GaussianMixture::diagonal(&[0.3, 0.5, 0.2], means, variances).unwrap()
}

/// `exp` of a Gaussian log-density with its constant.
pub(crate) fn gaussian(misfit: f64, variance: f64) -> f64 {
    (-0.5 * misfit * misfit / variance).exp() / (std::f64::consts::TAU * variance).sqrt()
}

/// `1, x_1, x_2, x_1^2, x_2^2, x_1 x_2`.
pub(crate) fn monomials(x: [f64; 2]) -> [f64; 6] {
    [1.0, x[0], x[1], x[0] * x[0], x[1] * x[1], x[0] * x[1]]
}

/// The mean of the last kernel at points of the last noisy level, each with its probability.
pub(crate) struct LastMeans {
    pub(crate) points: Vec<([f64; 2], f64)>,
    /// Variance of the last kernel.
    pub(crate) variance: f64,
}

/// Mean coefficient `kept` and variance of a step of DDIM.
fn step(from: f64, to: f64, eta: f64) -> (f64, f64) {
    let ratio = to / from;
    let fresh = eta * eta * (1.0 - ratio * ratio);
    (ratio * (1.0 - fresh).sqrt(), to * to * fresh)
}

/// Carries the law of the chain from level to level, by the trapezoidal rule.
pub(crate) fn last_means(prior: &dyn Denoiser, levels: &[f64], eta: f64) -> LastMeans {
    // Smooth at the scale of the kernel that made it.
    let axis = |sigma: f64, smooth: f64| {
        let half = 2.5 + 6.5 * sigma;
        let count = (2.0 * half / (0.5 * smooth)).ceil() as usize;
        let spacing = 2.0 * half / count as f64;
        let points = (0..=count).map(|i| -half + spacing * i as f64);
        (points.collect::<Vec<f64>>(), spacing)
    };
    let (mut points, mut spacing) = axis(levels[0], levels[0]);
    let first = |x: f64| gaussian(x, levels[0] * levels[0]);
    let mut law: Vec<f64> = points
        .iter()
        .flat_map(|x| points.iter().map(move |y| first(*x) * first(*y)))
        .collect();
    for (index, pair) in levels.windows(2).enumerate() {
        let (kept, variance) = step(pair[0], pair[1], eta);
        let pixels: Vec<f64> = points
            .iter()
            .flat_map(|x| points.iter().flat_map(move |y| [*x, *y]))
            .collect();
        let clean = values(&prior.denoise(exact(&pixels, [law.len(), 1, 1, 2]), pair[0]));
        let means: Vec<[f64; 2]> = pixels
            .chunks(2)
            .zip(clean.chunks(2))
            .map(|(u, d)| [0, 1].map(|i| kept * u[i] + (1.0 - kept) * d[i]))
            .collect();
        let masses = law.iter().map(|density| density * spacing * spacing);
        let atoms: Vec<([f64; 2], f64)> = means.into_iter().zip(masses).collect();
        if index + 2 == levels.len() {
            return LastMeans {
                points: atoms,
                variance,
            };
        }
        (points, spacing) = axis(pair[1], variance.sqrt());
        let side = points.len();
        law = vec![0.0; side * side];
        for (mean, mass) in atoms.into_iter().filter(|(_, mass)| *mass > 1e-16) {
            let along = |i: usize| points.iter().map(move |x| gaussian(x - mean[i], variance));
            let columns: Vec<f64> = along(1).collect();
            for (row, height) in law.chunks_mut(side).zip(along(0)) {
                let height = mass * height;
                if height > 1e-18 {
                    row.iter_mut()
                        .zip(&columns)
                        .for_each(|(p, c)| *p += height * c);
                }
            }
        }
    }
    unreachable!("two levels make a step")
}

impl LastMeans {
    /// `E[g(x) monomials(x)]` for a deterministic last step and any likelihood `g`.
    pub(crate) fn weighted(&self, likelihood: impl Fn([f64; 2]) -> f64) -> [f64; 6] {
        assert_eq!(self.variance, 0.0);
        self.sum(|x| monomials(x).map(|value| value * likelihood(x)))
    }

    /// The same for the likelihood `N(y; SINGULAR <SEEN, x>, noise_std^2)`; the last kernel has variance
    /// `seen_variance` along the measured direction.
    pub(crate) fn measured(&self, y: f64, noise_std: f64, seen_variance: f64) -> [f64; 6] {
        let (target, noise) = (y / SINGULAR, (noise_std / SINGULAR).powi(2));
        let gain = if seen_variance > 0.0 {
            seen_variance / (seen_variance + noise)
        } else {
            0.0
        };
        self.sum(|mean| {
            let seen = SEEN[0] * mean[0] + SEEN[1] * mean[1];
            let across = SEEN[0] * mean[1] - SEEN[1] * mean[0];
            let evidence = gaussian(target - seen, seen_variance + noise) / SINGULAR;
            let pulled = seen + gain * (target - seen);
            let (v, w) = (gain * noise, self.variance);
            let mut moments = monomials([
                SEEN[0] * pulled - SEEN[1] * across,
                SEEN[1] * pulled + SEEN[0] * across,
            ]);
            moments[3] += SEEN[0] * SEEN[0] * v + SEEN[1] * SEEN[1] * w;
            moments[4] += SEEN[1] * SEEN[1] * v + SEEN[0] * SEEN[0] * w;
            moments[5] += SEEN[0] * SEEN[1] * (v - w);
            moments.map(|value| value * evidence)
        })
    }

    fn sum(&self, term: impl Fn([f64; 2]) -> [f64; 6]) -> [f64; 6] {
        let mass: f64 = self.points.iter().map(|(_, mass)| mass).sum();
        assert!((mass - 1.0).abs() < 1e-7, "the chain has mass {mass}");
        let mut sum = [0.0; 6];
        for (mean, mass) in &self.points {
            for (sum, value) in sum.iter_mut().zip(term(*mean)) {
                *sum += mass * value;
            }
        }
        sum
    }
}
