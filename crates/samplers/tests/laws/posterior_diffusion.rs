//! The default sampler draws from the posterior of two Gaussian problems, in less than 100 evaluations of the prior.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use serde::Deserialize;
use tweedie_core::{
    Counted, FullGaussian, GaussianPrior, Karras, TimeGrid, VarianceExploding, VariancePreserving,
};
use tweedie_fidelity::{Ald, Mmps, Posterior};
use tweedie_physics::{FourierBlur, Identity, Inpainting, LinearOperator};
use tweedie_samplers::{DiffusionSampler, PosteriorDiffusion, PosteriorSampler, SampleError};
use tweedie_sde::Reverse;
use tweedie_solvers::EulerMaruyama;
use tweedie_testkit::{assert_close, exact, golden, values};

use crate::support::{assert_rows_are_independent, rng};

const PIXELS: usize = 64;
const IMAGE: [usize; 4] = [1, 1, 8, 8];

/// `toy_*.json`.
#[derive(Deserialize)]
struct Toy {
    noise_std: f64,
    prior_mean: Vec<f64>,
    y: Vec<f64>,
    posterior_mean: Vec<f64>,
    posterior_std: Vec<f64>,
    mask: Option<Vec<f64>>,
    kernel: Option<Vec<f64>>,
}

struct Gaussian {
    mean: DVector<f64>,
    covariance: DMatrix<f64>,
}

impl Gaussian {
    /// Of rows of samples.
    fn fitted(samples: &[f64]) -> Self {
        let rows = DMatrix::from_row_slice(samples.len() / PIXELS, PIXELS, samples);
        let mean = rows.row_mean();
        let centred = DMatrix::from_fn(rows.nrows(), PIXELS, |i, j| rows[(i, j)] - mean[j]);
        Self {
            covariance: centred.transpose() * &centred / (rows.nrows() as f64 - 1.0),
            mean: mean.transpose(),
        }
    }

    /// 2-Wasserstein distance from `truth`, relative to its total standard deviation.
    fn distance(&self, truth: &Self) -> f64 {
        let root = root(&truth.covariance);
        let cross = self::root(&(&root * &self.covariance * &root));
        let spread = (&truth.covariance + &self.covariance - cross * 2.0).trace();
        let squared = (&self.mean - &truth.mean).norm_squared() + spread;
        (squared.max(0.0) / truth.covariance.trace()).sqrt()
    }
}

/// Square root of a symmetric matrix without negative eigenvalues but for rounding.
fn root(matrix: &DMatrix<f64>) -> DMatrix<f64> {
    let SymmetricEigen {
        eigenvectors,
        eigenvalues,
    } = SymmetricEigen::new((matrix + matrix.transpose()) / 2.0);
    let roots = DMatrix::from_diagonal(&eigenvalues.map(|value| value.max(0.0).sqrt()));
    &eigenvectors * roots * eigenvectors.transpose()
}

impl Toy {
    fn read(name: &str) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/toy_");
        golden(format!("{folder}{name}.json"))
    }

    fn operator(&self) -> Box<dyn LinearOperator> {
        match (&self.mask, &self.kernel) {
            (Some(mask), _) => Box::new(Inpainting::new(exact(mask, IMAGE)).unwrap()),
            (_, Some(kernel)) => {
                Box::new(FourierBlur::new(exact(kernel, [1, 1, 5, 5]), [8, 8]).unwrap())
            }
            _ => panic!("no operator"),
        }
    }

    /// `0.15^2 exp(-|p - q|^2/(2 2^2)) + 0.03^2 [p = q]` for pixels `p`, `q`.
    fn covariance() -> DMatrix<f64> {
        DMatrix::from_fn(PIXELS, PIXELS, |p, q| {
            let apart = |a: usize, b: usize| (a as f64 - b as f64).powi(2);
            let squared = apart(p / 8, q / 8) + apart(p % 8, q % 8);
            0.0225 * (-squared / 8.0).exp() + 0.0009 * f64::from(p == q)
        })
    }

    fn prior(&self) -> FullGaussian {
        let covariance = exact(Self::covariance().as_slice(), [PIXELS, PIXELS]);
        FullGaussian::new(exact(&self.prior_mean, IMAGE), covariance).unwrap()
    }

    /// The exact posterior, by the formula for Gaussians.
    fn posterior(&self) -> Gaussian {
        let unit = DMatrix::<f64>::identity(PIXELS, PIXELS);
        let rows = values(
            &self
                .operator()
                .forward(exact(unit.as_slice(), [PIXELS, 1, 8, 8])),
        );
        let a = DMatrix::from_column_slice(PIXELS, PIXELS, &rows);
        let (prior, covariance) = (
            DVector::from_column_slice(&self.prior_mean),
            Self::covariance(),
        );
        let total = &a * &covariance * a.transpose() + unit * self.noise_std * self.noise_std;
        let gain = &covariance * a.transpose() * total.try_inverse().unwrap();
        let y = DVector::from_column_slice(&self.y);
        Gaussian {
            mean: &prior + &gain * (y - &a * &prior),
            covariance: &covariance - gain * &a * &covariance,
        }
    }

    fn draws(&self, sampler: &dyn PosteriorSampler, rows: usize) -> Vec<f64> {
        let samples = sampler.sample([rows, 1, 8, 8], &mut rng(7), &mut |_| ());
        values(&samples.unwrap())
    }
}

const PROBLEMS: [&str; 2] = ["inpaint", "blur"];

#[test]
fn the_problems_are_those_of_the_reference() {
    for name in PROBLEMS {
        let toy = Toy::read(name);
        let posterior = toy.posterior();
        assert_close(name, posterior.mean.as_slice(), &toy.posterior_mean, 1e-6);
        let std: Vec<f64> = posterior
            .covariance
            .diagonal()
            .iter()
            .map(|v| v.sqrt())
            .collect();
        assert_close(name, &std, &toy.posterior_std, 1e-6);
    }
}

#[test]
fn the_default_draws_from_the_posterior_in_98_evaluations() {
    for (name, documented) in PROBLEMS.into_iter().zip([0.070, 0.068]) {
        let toy = Toy::read(name);
        let prior = Counted::new(toy.prior());
        let y = exact(&toy.y, IMAGE);
        let sampler = PosteriorDiffusion::new(&prior, toy.operator(), y, toy.noise_std).unwrap();
        let drawn = Gaussian::fitted(&toy.draws(&sampler, 2000));
        let distance = drawn.distance(&toy.posterior());
        assert_eq!(prior.evaluations(), 98);
        assert_close(name, &[distance], &[documented], 0.0005);
        // 2000 exact draws have 0.069. Negative control: the prior.
        let prior = Gaussian {
            mean: DVector::from_column_slice(&toy.prior_mean),
            covariance: Toy::covariance(),
        };
        assert!(distance < 0.08 && prior.distance(&toy.posterior()) > 1.0);
    }
}

/// With as many iterations as measurements a run of the default solver is affine in its start: one row more than pixels
/// gives its law, without the error of a sample.
fn law(toy: &Toy, sigma_max: f64, sigma_min: f64, levels: usize) -> f64 {
    let guidance = Mmps::new(toy.operator(), exact(&toy.y, IMAGE), toy.noise_std)
        .and_then(|guidance| guidance.with_iterations(PIXELS))
        .unwrap();
    let schedule = Karras::new(sigma_max).unwrap();
    let sampler = PosteriorDiffusion::guided(toy.prior(), guidance)
        .with_schedule(schedule)
        .and_then(|sampler| {
            sampler.with_grid(TimeGrid::log_snr(
                &schedule,
                sigma_max,
                sigma_min,
                levels - 1,
            )?)
        })
        .unwrap();
    let rows = PIXELS + 1;
    let z = values(&rng(7).normal::<4>([rows, 1, 8, 8]));
    let out = DMatrix::from_row_slice(rows, PIXELS, &toy.draws(&sampler, rows));
    let inputs = DMatrix::from_fn(rows, rows, |row, column| match column {
        PIXELS => 1.0,
        _ => z[row * PIXELS + column],
    });
    let coefficients = inputs.lu().solve(&out).unwrap();
    let linear = coefficients.rows(0, PIXELS).into_owned();
    let output = Gaussian {
        mean: coefficients.row(PIXELS).transpose(),
        covariance: linear.transpose() * &linear,
    };
    output.distance(&toy.posterior())
}

#[test]
fn the_law_of_the_default_converges() {
    for name in PROBLEMS {
        let toy = Toy::read(name);
        let default = law(&toy, 80.0, 0.002, 14);
        assert!(default < 0.02, "{name}: {default:e}");
        // What is left is the start from black instead of the mean, of the order of |mean|/sigma_max.
        let finer = law(&toy, 2000.0, 0.0002, 40);
        assert!(finer < 0.002, "{name}: {finer:e}");
        // Negative control: the default's steps from a start that the image shows through.
        let late = law(&toy, 2.0, 0.002, 14);
        assert!(late > 0.1, "{name}: {late:e}");
    }
}

fn pixel_prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[0.6], [1, 1, 1, 1]), 0.09)
}

#[test]
fn its_parts_can_be_chosen() {
    let shape = [3, 1, 1, 2];
    let guidance = || Ald::new(Identity, exact(&[0.2, 0.8], [1, 1, 1, 2]), 0.1).unwrap();
    let schedule = || VariancePreserving::new(0.1, 20.0).unwrap();
    let built = PosteriorDiffusion::guided(pixel_prior(), guidance())
        .with_schedule(schedule())
        .unwrap()
        .with_steps(9)
        .unwrap()
        .with_solver(EulerMaruyama)
        .with_alpha(0.5)
        .unwrap();
    assert_eq!(built.grid().steps(), 8);
    let posterior = Posterior {
        prior: pixel_prior(),
        guidance: guidance(),
    };
    let grid = TimeGrid::log_snr(&schedule(), 80.0, 0.002, 8).unwrap();
    let process = Reverse::new(schedule(), posterior, 0.5).unwrap();
    let by_hand = DiffusionSampler::new(process, EulerMaruyama, grid).denoise_last();
    let run = |sampler: &dyn PosteriorSampler| {
        values(&sampler.sample(shape, &mut rng(3), &mut |_| ()).unwrap())
    };
    assert_eq!(run(&built), run(&by_hand));
    // Negative control.
    let other = built.with_alpha(1.0).unwrap();
    assert_ne!(run(&other), run(&by_hand));
    assert_rows_are_independent(&other, [1, 1, 2]);
}

#[test]
fn a_schedule_that_ends_with_noise_or_starts_with_less_is_walked_whole() {
    let sampler =
        || PosteriorDiffusion::new(pixel_prior(), Identity, exact(&[0.5], [1, 1, 1, 1]), 0.1);
    let narrow = VarianceExploding::new(0.01, 20.0).unwrap();
    let grid = sampler()
        .unwrap()
        .with_schedule(narrow)
        .unwrap()
        .grid()
        .clone();
    assert_eq!((grid.start(), grid.end(), grid.steps()), (1.0, 0.0, 13));
    let fewer = sampler().and_then(|sampler| sampler.with_steps(9)?.with_schedule(narrow));
    assert_eq!(fewer.unwrap().grid().steps(), 8);
    let own = TimeGrid::new(vec![3.0, 1.0, 0.0]).unwrap();
    let sampler = sampler().unwrap().with_grid(own.clone()).unwrap();
    assert_eq!(sampler.grid(), &own);
}

#[test]
fn bad_settings_are_refused() {
    let new = |noise_std| {
        PosteriorDiffusion::new(
            pixel_prior(),
            Identity,
            exact(&[0.5], [1, 1, 1, 1]),
            noise_std,
        )
    };
    for noise_std in [-0.1, f64::NAN, f64::INFINITY] {
        match new(noise_std).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, "noise_std"),
            other => panic!("{other}"),
        }
    }
    assert!(new(0.0).is_ok());
    for steps in [0, 1] {
        let error = new(0.1).unwrap().with_steps(steps).err();
        assert!(matches!(error, Some(SampleError::Grid(_))), "{steps}");
    }
    assert!(new(0.1).unwrap().with_alpha(1.5).is_err());
    let late = TimeGrid::new(vec![81.0, 1.0]).unwrap();
    assert!(new(0.1).unwrap().with_grid(late).is_err());
    assert!(
        new(0.1)
            .unwrap()
            .with_schedule(Karras::new(0.001).unwrap())
            .is_err()
    );
}
