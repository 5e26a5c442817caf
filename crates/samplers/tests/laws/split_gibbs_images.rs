//! With their default settings the split Gibbs samplers are close to the posterior of a correlated image.
//!
//! A round is affine in the image before it and in its noises. Its coefficients follow from one run on unit vectors,
//! and the exact law of a whole run by composing the rounds.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, FullGaussian};
use tweedie_physics::{ConjugateGradient, FourierBlur, Inpainting, LinearOperator};
use tweedie_samplers::{Dpnp, DpnpConfig, Measurement, PnpDm, PnpDmConfig};
use tweedie_testkit::{assert_close, exact, values};

use crate::{
    likelihood_step::UnitProbe,
    split_gibbs::{at_level, couplings},
    support::{Golden, SHAPE},
};

/// A Gaussian law of images as vectors: its mean `[1, n]` and covariance `[n, n]`.
#[derive(Clone)]
struct Law {
    mean: Tensor<2>,
    covariance: Tensor<2>,
}

impl Law {
    /// `N(0, variance I)`.
    fn white(pixels: usize, variance: f64) -> Self {
        let covariance = eye(pixels).mul_scalar(variance);
        let mean = exact(&vec![0.0; pixels], [1, pixels]);
        Self { mean, covariance }
    }

    /// The law after a round.
    fn after(&self, round: &AffineRound) -> Self {
        let AffineRound {
            offset,
            start,
            noises,
        } = round;
        let kept = start
            .clone()
            .transpose()
            .matmul(self.covariance.clone())
            .matmul(start.clone());
        Self {
            mean: offset.clone() + self.mean.clone().matmul(start.clone()),
            covariance: kept + noises.clone().transpose().matmul(noises.clone()),
        }
    }

    /// The prior given a measurement.
    fn posterior<A: LinearOperator>(
        &self,
        measurement: &Measurement<A>,
        image: [usize; 3],
    ) -> Self {
        let [channels, height, width] = image;
        let pixels = channels * height * width;
        let apply = |x: Tensor<2>| {
            let rows = x.dims()[0];
            let y = measurement
                .operator
                .forward(x.reshape([rows, channels, height, width]));
            let measured = y.dims()[1..].iter().product();
            y.reshape([rows, measured])
        };
        let back = |y: Tensor<2>| {
            let rows = y.dims()[0];
            let [_, c, h, w] = measurement.y.dims();
            let x = measurement.operator.adjoint(y.reshape([rows, c, h, w]));
            x.reshape([rows, pixels])
        };
        let variance = measurement.noise_std * measurement.noise_std;
        let cg = ConjugateGradient {
            iterations: 2 * pixels,
        };
        // Row i is (A C A^T + variance I)^-1 A C e_i.
        let gain = cg.solve(
            |y| apply(back(y.clone()).matmul(self.covariance.clone())) + y.mul_scalar(variance),
            apply(self.covariance.clone()),
        );
        let measured = gain.dims()[1];
        let misfit = measurement.y.clone().reshape([1, measured]) - apply(self.mean.clone());
        Self {
            mean: self.mean.clone() + misfit.matmul(gain.clone().transpose()),
            covariance: self.covariance.clone()
                - gain.matmul(apply(self.covariance.clone()).transpose()),
        }
    }

    /// Error of the mean, in standard deviations of `target`, root mean square; mean ratio of the standard deviations;
    /// 2-Wasserstein distance relative to the root of the trace of its covariance.
    fn errors(&self, target: &Self) -> [f64; 3] {
        let diagonal = |m: &Tensor<2>| {
            let n = m.dims()[0];
            let all = values(m);
            (0..n).map(|i| all[i * n + i]).collect::<Vec<f64>>()
        };
        let (got, expected) = (diagonal(&self.covariance), diagonal(&target.covariance));
        let n = got.len() as f64;
        let shift = values(&(self.mean.clone() - target.mean.clone()));
        let relative = shift.iter().zip(&expected).map(|(d, v)| d * d / v);
        let ratios = got.iter().zip(&expected).map(|(g, e)| (g / e).sqrt());
        let half = root(target.covariance.clone());
        let cross = root(half.clone().matmul(self.covariance.clone()).matmul(half));
        let trace = |v: &[f64]| v.iter().sum::<f64>();
        let squared = shift.iter().map(|d| d * d).sum::<f64>() + trace(&got) + trace(&expected)
            - 2.0 * trace(&diagonal(&cross));
        [
            (relative.sum::<f64>() / n).sqrt(),
            ratios.sum::<f64>() / n,
            (squared.max(0.0) / trace(&expected)).sqrt(),
        ]
    }
}

fn eye(n: usize) -> Tensor<2> {
    let entries: Vec<f64> = (0..n * n).map(|k| f64::from(k % (n + 1) == 0)).collect();
    exact(&entries, [n, n])
}

/// Square root of a positive definite matrix, by the coupled iteration of Newton and Schulz.
fn root(matrix: Tensor<2>) -> Tensor<2> {
    let n = matrix.dims()[0];
    let size = values(&matrix)
        .iter()
        .map(|entry| entry * entry)
        .sum::<f64>()
        .sqrt();
    let unit = eye(n);
    let (mut y, mut z) = (matrix.div_scalar(size), unit.clone());
    for _ in 0..40 {
        let step = (unit.clone().mul_scalar(3.0) - z.clone().matmul(y.clone())).div_scalar(2.0);
        y = y.matmul(step.clone());
        z = step.matmul(z);
    }
    y.mul_scalar(size.sqrt())
}

/// `z' = offset + z start + n noises`, for images as rows.
struct AffineRound {
    offset: Tensor<2>,
    start: Tensor<2>,
    noises: Tensor<2>,
}

impl AffineRound {
    /// All coefficients of a run of one round, whose first call for noise is its start.
    fn of<P: Denoiser, A: LinearOperator + Clone>(
        prior: &P,
        measurement: &Measurement<A>,
        config: PnpDmConfig,
        image: [usize; 3],
    ) -> Self {
        let [channels, height, width] = image;
        let pixels = channels * height * width;
        let measured: usize = measurement.y.dims().iter().product();
        let rows = 1 + (1 + config.prior_steps) * pixels + measured;
        let sampler = PnpDm::new(prior, measurement.clone(), config).unwrap();
        let mut noise = UnitProbe { next: 1 };
        let shape = [rows, channels, height, width];
        let drawn = sampler.sample_with(shape, &mut noise, &mut |_| ()).unwrap();
        assert_eq!(noise.next, rows);
        let drawn = drawn.reshape([rows, pixels]);
        let offset = drawn.clone().slice(0..1);
        let effects = drawn - offset.clone();
        Self {
            offset,
            start: effects
                .clone()
                .slice(1..1 + pixels)
                .div_scalar(config.rho_max),
            noises: effects.slice(1 + pixels..rows),
        }
    }
}

/// The law that a sampler with the couplings `levels` ends with, exactly.
fn composed<P: Denoiser, A: LinearOperator + Clone>(
    prior: &P,
    measurement: &Measurement<A>,
    levels: &[f64],
    prior_steps: usize,
    image: [usize; 3],
) -> Law {
    let mut law = Law::white(image.iter().product(), levels[0] * levels[0]);
    let mut last: Option<(f64, AffineRound)> = None;
    for &rho in levels {
        let round = match last.take() {
            Some((level, round)) if level == rho => round,
            _ => {
                let config = PnpDmConfig {
                    sigma_min: 0.005,
                    ..at_level(rho, 1, prior_steps)
                };
                AffineRound::of(prior, measurement, config, image)
            }
        };
        law = law.after(&round);
        last = Some((rho, round));
    }
    law
}

/// Errors of both samplers with their default settings.
fn default_errors<A: LinearOperator + Clone>(
    prior: &FullGaussian,
    law: &Law,
    measurement: &Measurement<A>,
    image: [usize; 3],
) -> [[f64; 3]; 2] {
    let target = law.posterior(measurement, image);
    let (pnp_dm, dpnp) = (PnpDmConfig::default(), DpnpConfig::default());
    let levels = [
        couplings(
            &PnpDm::new(prior, measurement.clone(), pnp_dm).unwrap(),
            image,
        ),
        couplings(&Dpnp::new(prior, measurement.clone(), dpnp).unwrap(), image),
    ];
    assert_eq!(pnp_dm.sigma_min, 0.005);
    assert_eq!(
        (dpnp.sigma_min, dpnp.prior_steps),
        (0.005, pnp_dm.prior_steps)
    );
    levels.map(|levels| {
        let got = composed(prior, measurement, &levels, pnp_dm.prior_steps, image);
        got.errors(&target)
    })
}

#[test]
fn default_settings_give_nearly_the_posterior_of_an_image() {
    let golden = Golden::read();
    let image = [1, 4, 4];
    let law = Law {
        mean: exact(&golden.mean, [1, 16]),
        covariance: exact(&golden.covariance.concat(), [16, 16]),
    };
    let y = |operator: &str| {
        let run = golden.runs.iter().find(|run| run.operator == operator);
        exact(&run.unwrap().y, SHAPE)
    };
    let noise_std = golden.noise_std;
    let operator = Inpainting::new(exact(&golden.mask, SHAPE)).unwrap();
    let y_seen = y("inpaint");
    let inpainting = Measurement {
        operator,
        y: y_seen,
        noise_std,
    };
    let operator = FourierBlur::new(exact(&golden.kernel, [1, 1, 3, 3]), [4, 4]).unwrap();
    let blur = Measurement {
        operator,
        y: y("blurfft"),
        noise_std,
    };
    let found = [
        default_errors(&golden.prior(), &law, &inpainting, image),
        default_errors(&golden.prior(), &law, &blur, image),
    ];
    for (name, found, documented) in [
        ("PnP-DM, inpainting", found[0][0], [0.06, 1.0, 0.05]),
        ("DPnP, inpainting", found[0][1], [0.05, 1.0, 0.06]),
        ("PnP-DM, blur", found[1][0], [0.01, 0.99, 0.02]),
        ("DPnP, blur", found[1][1], [0.02, 0.99, 0.03]),
    ] {
        assert_close(name, &found, &documented, 0.005);
    }
    // Rounds at the last level alone have not come far.
    let levels = [PnpDmConfig::default().rho_min; 40];
    let [.., distance] = composed(&golden.prior(), &inpainting, &levels, 7, image)
        .errors(&law.posterior(&inpainting, image));
    assert!(distance > 0.3, "{distance}");
}
