//! How far from the posterior of a Gaussian prior each guidance ends, in the limit of many steps.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use tweedie_core::{Denoiser, FullGaussian};
use tweedie_fidelity::{
    Ald, Diagonal, Dps, Full, GaussianGuidance, Isotropic, Mmps, NoisyFidelity, Pigdm, Posterior,
    ReconstructionGuidance, Sda, Tmpd,
};
use tweedie_physics::{ConjugateGradient, FourierBlur, Inpainting, LinearOperator};
use tweedie_testkit::{assert_close, device, exact, golden, values};

use crate::correlated::solved;

const PIXELS: usize = 16;
const STEPS: usize = 60;
/// Noise levels from the first to the last.
const LEVELS: [f64; 2] = [100.0, 1e-3];

type Matrix = Vec<Vec<f64>>;

/// An affine map of images. As a map of standard normal numbers it is a Gaussian: a mean, and a factor of a covariance.
#[derive(Clone)]
struct Affine {
    offset: Vec<f64>,
    /// What each unit vector adds.
    columns: Matrix,
}

impl Affine {
    /// Of a denoiser that is affine.
    fn of(denoiser: &dyn Denoiser, sigma: f64) -> Self {
        let options = (&device(), DType::F64);
        let units = Tensor::<2>::eye(PIXELS, options.0).cast(DType::F64);
        let nothing = Tensor::zeros([1, PIXELS], options);
        let probes = Tensor::cat(vec![nothing, units], 0).reshape([PIXELS + 1, 1, 4, 4]);
        let rows = values(&denoiser.denoise(probes, sigma));
        let mut rows = rows.chunks(PIXELS).map(<[f64]>::to_vec);
        let offset = rows.next().unwrap();
        let columns = rows
            .map(|row| row.iter().zip(&offset).map(|(a, b)| a - b).collect())
            .collect();
        Self { offset, columns }
    }

    fn linear(&self, v: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; PIXELS];
        for (weight, column) in v.iter().zip(&self.columns) {
            sum.iter_mut()
                .zip(column)
                .for_each(|(sum, entry)| *sum += weight * entry);
        }
        sum
    }

    /// `self` after `first`.
    fn after(&self, first: &Self) -> Self {
        let offset = self.linear(&first.offset);
        Self {
            offset: offset
                .iter()
                .zip(&self.offset)
                .map(|(a, b)| a + b)
                .collect(),
            columns: first.columns.iter().map(|v| self.linear(v)).collect(),
        }
    }

    fn plus(&self, scale: f64, other: &Self) -> Self {
        let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + scale * b).collect();
        let columns = self.columns.iter().zip(&other.columns);
        Self {
            offset: sum(&self.offset, &other.offset),
            columns: columns.map(|(a, b)| sum(a, b)).collect(),
        }
    }
}

/// Where the probability flow `du / d ln sigma = u - D(u; sigma)` takes the images that start as `start`: Runge's and
/// Kutta's method of order 4, and the denoised estimate at the end.
fn flow(denoiser: &dyn Denoiser, start: Affine) -> Affine {
    let [first, last] = LEVELS.map(f64::ln);
    let step = (last - first) / STEPS as f64;
    let level = |half_steps: usize| (first + 0.5 * step * half_steps as f64).exp();
    let slope = |map: &Affine, u: &Affine| u.plus(-1.0, &map.after(u));
    let mut u = start;
    let mut map = Affine::of(denoiser, level(0));
    for index in 0..STEPS {
        let [middle, end] = [1, 2].map(|half| Affine::of(denoiser, level(2 * index + half)));
        let k1 = slope(&map, &u);
        let k2 = slope(&middle, &u.plus(0.5 * step, &k1));
        let k3 = slope(&middle, &u.plus(0.5 * step, &k2));
        let k4 = slope(&end, &u.plus(step, &k3));
        for (weight, k) in [(1.0, k1), (2.0, k2), (2.0, k3), (1.0, k4)] {
            u = u.plus(step * weight / 6.0, &k);
        }
        map = end;
    }
    map.after(&u)
}

/// Correlated pixels on a 4 x 4 image, and one measurement of them.
struct Toy {
    prior: FullGaussian,
    mean: Vec<f64>,
    covariance: Tensor<2>,
    operator: Box<dyn LinearOperator>,
    y: Tensor<4>,
    noise_std: f64,
}

impl Toy {
    fn new(name: &str) -> Self {
        let golden: BTreeMap<String, Vec<f64>> = golden(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/golden/guidance.json"
        ));
        let image = |key: &str| exact(&golden[key], [1, 1, 4, 4]);
        let covariance = exact(&golden["covariance"], [PIXELS, PIXELS]);
        let operator: Box<dyn LinearOperator> = match name {
            "inpaint" => Box::new(Inpainting::new(image("mask")).unwrap()),
            _ => {
                let kernel = exact(&golden["kernel"], [1, 1, 3, 3]);
                Box::new(FourierBlur::new(kernel, [4, 4]).unwrap())
            }
        };
        Self {
            prior: FullGaussian::new(image("mean"), covariance.clone()).unwrap(),
            mean: golden["mean"].clone(),
            covariance,
            operator,
            y: image(&format!("{name} y")),
            noise_std: golden["sigma_y"][0],
        }
    }

    /// Mean and variances of the posterior, from its precision `C^-1 + A^T A / noise_std^2`.
    fn posterior(&self) -> (Vec<f64>, Vec<f64>) {
        let rows =
            |flat: Vec<f64>| -> Matrix { flat.chunks(PIXELS).map(<[f64]>::to_vec).collect() };
        let unit = rows(values(
            &Tensor::<2>::eye(PIXELS, &device()).cast(DType::F64),
        ));
        let units = exact(&unit.concat(), [PIXELS, 1, 4, 4]);
        let seen = self.operator.adjoint(self.operator.forward(units));
        let weight = 1.0 / (self.noise_std * self.noise_std);
        let prior_precision = solved(&rows(values(&self.covariance)), &unit);
        let precision: Matrix = prior_precision
            .iter()
            .zip(rows(values(&seen)))
            .map(|(prior, seen)| {
                prior
                    .iter()
                    .zip(seen)
                    .map(|(p, s)| p + weight * s)
                    .collect()
            })
            .collect();
        let pull = values(&self.operator.adjoint(self.y.clone()));
        let right: Matrix = prior_precision
            .iter()
            .zip(pull)
            .map(|(row, pull)| {
                let prior: f64 = row.iter().zip(&self.mean).map(|(p, m)| p * m).sum();
                vec![prior + weight * pull]
            })
            .collect();
        let covariance = solved(&precision, &unit);
        let variances = (0..PIXELS).map(|i| covariance[i][i]).collect();
        (solved(&precision, &right).concat(), variances)
    }

    /// Root mean square error of the mean in standard deviations of the posterior, and the mean ratio of standard
    /// deviations.
    fn departure(&self, guidance: &dyn NoisyFidelity) -> [f64; 2] {
        let posterior = Posterior {
            prior: &self.prior,
            guidance,
        };
        // The law of the prior under so much noise: the measurement has told nothing yet.
        let identity = |scale: f64| -> Matrix {
            (0..PIXELS)
                .map(|i| {
                    (0..PIXELS)
                        .map(|j| if i == j { scale } else { 0.0 })
                        .collect()
                })
                .collect()
        };
        let start = Affine {
            offset: self.mean.clone(),
            columns: identity(LEVELS[0]),
        };
        let end = flow(&posterior, start);
        let (mean, variances) = self.posterior();
        let pixels = (0..PIXELS).map(|i| {
            let variance: f64 = end.columns.iter().map(|column| column[i].powi(2)).sum();
            let error = (end.offset[i] - mean[i]).powi(2) / variances[i];
            [error, (variance / variances[i]).sqrt()]
        });
        let [errors, ratios] = pixels.fold([0.0; 2], |[a, b], [c, d]| [a + c, b + d]);
        [(errors / PIXELS as f64).sqrt(), ratios / PIXELS as f64]
    }
}

/// Fails unless the guidance departs from the posterior as the docs of [`NoisyFidelity`] state, to two digits:
/// inpainting in columns 0 and 1, blur in 2 and 3.
fn assert_documented(problem: &str, columns: [usize; 2]) {
    let toy = Toy::new(problem);
    let (operator, noise_std, y) = (&toy.operator, toy.noise_std, || toy.y.clone());
    let pixels = values(&toy.covariance).into_iter().step_by(PIXELS + 1);
    let pixels: Vec<f64> = pixels.collect();
    let spread = Isotropic::new(pixels.iter().sum::<f64>() / PIXELS as f64).unwrap();
    let diagonal = Diagonal::new(exact(&pixels, [1, 1, 4, 4])).unwrap();
    let diagonal = GaussianGuidance::new(operator, y(), noise_std, diagonal).unwrap();
    let full = Full::new(toy.prior.clone());
    let full = GaussianGuidance::new(operator, y(), noise_std, full).unwrap();
    let rows: [(&str, Box<dyn NoisyFidelity + '_>, [f64; 4]); 10] = [
        (
            "full",
            Box::new(full.with_cg(ConjugateGradient { iterations: 16 })),
            [0.00, 1.00, 0.00, 1.00],
        ),
        (
            "MMPS",
            Box::new(Mmps::new(operator, y(), noise_std).unwrap()),
            [0.02, 1.00, 0.00, 1.00],
        ),
        (
            "PiGDM",
            Box::new(Pigdm::new(operator, y(), noise_std, spread).unwrap()),
            [0.39, 0.93, 0.21, 0.91],
        ),
        (
            "diagonal",
            Box::new(diagonal.with_cg(ConjugateGradient { iterations: 8 })),
            [0.39, 0.93, 0.21, 0.91],
        ),
        (
            "annealed DPS",
            Box::new(Dps::annealed(operator, y(), noise_std, spread).unwrap()),
            [0.39, 0.93, 0.35, 1.08],
        ),
        (
            "TMPD",
            Box::new(Tmpd::new(operator, y(), noise_std).unwrap()),
            [0.48, 1.09, 0.58, 1.24],
        ),
        (
            "SDA",
            Box::new(Sda::new(operator, y(), noise_std, 1.0).unwrap()),
            [0.58, 1.32, 0.68, 1.31],
        ),
        (
            "ALD",
            Box::new(Ald::new(operator, y(), noise_std).unwrap()),
            [0.41, 0.69, 0.48, 0.46],
        ),
        (
            "DPS",
            Box::new(Dps::new(operator, y(), noise_std).unwrap()),
            [0.60, 0.66, 0.58, 0.77],
        ),
        (
            "reconstruction guidance",
            Box::new(ReconstructionGuidance::new(operator, y(), 1.0).unwrap()),
            [2.08, 0.34, 1.29, 0.50],
        ),
    ];
    for (name, guidance, documented) in rows {
        let found = toy.departure(&guidance);
        let documented = columns.map(|column| documented[column]);
        assert_close(&format!("{problem} {name}"), &found, &documented, 0.0051);
    }
}

#[test]
fn bias_of_inpainting_is_as_documented() {
    assert_documented("inpaint", [0, 1]);
}

#[test]
fn bias_of_deblurring_is_as_documented() {
    assert_documented("blurfft", [2, 3]);
}
