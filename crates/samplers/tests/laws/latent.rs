//! Posterior sampling through a decoder: a measurement of the image is one of its latents, `y = A(dec(z)) + noise`.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::{DType, Tensor},
};
use nalgebra::{DMatrix, DVector};
use tweedie_core::{GaussianPrior, TimeGrid, VarianceExploding, VariancePreserving, value_and_vjp};
use tweedie_fidelity::{Dps, Isotropic, Posterior};
use tweedie_models::{Autoencoder, AutoencoderConfig};
use tweedie_physics::{
    AverageDownsampling, ForwardClosure, ForwardOperator, LinearOperator, MatrixOperator, Product,
    squared_norm,
};
use tweedie_samplers::{Decoded, DiffusionSampler, DpsConfig, DpsSampler, PosteriorSampler};
use tweedie_sde::Reverse;
use tweedie_solvers::Heun;
use tweedie_testkit::{assert_close, assert_vjp, assert_z, device, exact, values, z_bound};

use crate::support::rng;

const LATENT: [usize; 3] = [1, 2, 2];
const IMAGE: [usize; 3] = [1, 2, 3];
const MEASURED: [usize; 3] = [1, 1, 3];
const PRIOR_VARIANCE: f64 = 1.3;
const NOISE_STD: f64 = 0.4;

/// `y = A (b + W z) + noise` with `A W W^T A^T = I`, for which the guidance of [`Dps::annealed`] is exact; neither `A` nor `W` is
/// orthogonal.
struct Affine {
    operator: DMatrix<f64>,
    decoder: DMatrix<f64>,
    shift: DVector<f64>,
    prior_mean: DVector<f64>,
    y: DVector<f64>,
}

/// Numbers without a pattern, in [-1, 1].
fn numbers(rows: usize, columns: usize, phase: f64) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |i, j| {
        (phase + 2.3 * i as f64 + 1.7 * j as f64 + 0.9 * (i * j) as f64).sin()
    })
}

impl Affine {
    fn new() -> Self {
        let operator = numbers(3, 6, 0.4);
        let square = &operator * operator.transpose();
        let inverse = operator.transpose() * square.try_inverse().unwrap();
        let rows = numbers(4, 3, 1.1).qr().q().transpose();
        let blind = DMatrix::identity(6, 6) - &inverse * &operator;
        Self {
            decoder: inverse * rows + blind * numbers(6, 4, 2.2),
            operator,
            shift: numbers(6, 1, 0.7).column(0).into(),
            prior_mean: numbers(4, 1, 3.1).column(0).into(),
            y: numbers(3, 1, 5.0).column(0) * 2.0,
        }
    }

    /// Mean and covariance of the image given `y`.
    fn posterior(&self) -> (DVector<f64>, DMatrix<f64>) {
        let seen = &self.operator * &self.decoder;
        let precision =
            DMatrix::identity(4, 4) / PRIOR_VARIANCE + seen.transpose() * &seen / NOISE_STD.powi(2);
        let covariance = precision.try_inverse().unwrap();
        let misfit = &self.y - &self.operator * &self.shift - &seen * &self.prior_mean;
        let latent = &self.prior_mean + &covariance * seen.transpose() * misfit / NOISE_STD.powi(2);
        (
            &self.shift + &self.decoder * latent,
            &self.decoder * covariance * self.decoder.transpose(),
        )
    }

    fn a(&self) -> MatrixOperator {
        MatrixOperator::new(matrix(&self.operator), IMAGE).unwrap()
    }

    /// `b + W z`, with `b` times `share`.
    fn decode(&self, share: f64) -> ForwardClosure<impl Fn(Tensor<4>) -> Tensor<4> + use<>> {
        let decoder = MatrixOperator::new(matrix(&self.decoder), LATENT).unwrap();
        let shift = exact(self.shift.as_slice(), with_rows(1, IMAGE)).mul_scalar(share);
        ForwardClosure::new(LATENT, IMAGE, move |z| {
            let image = decoder.forward(z);
            let rows = image.dims()[0];
            image.reshape(with_rows(rows, IMAGE)) + shift.clone()
        })
    }

    /// Draws of the image.
    fn draws(&self, share: f64, count: usize) -> Vec<f64> {
        let y = exact(self.y.as_slice(), with_rows(1, MEASURED));
        let operator = Product::new(self.a(), self.decode(share));
        let spread = Isotropic::new(PRIOR_VARIANCE).unwrap();
        let guidance = Dps::annealed(operator, y, NOISE_STD, spread).unwrap();
        let mean = exact(self.prior_mean.as_slice(), with_rows(1, LATENT));
        let prior = GaussianPrior::new(mean, PRIOR_VARIANCE);
        let schedule = VarianceExploding::new(0.002, 80.0).unwrap();
        let grid = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, 60)
            .unwrap()
            .then_zero();
        let process = Reverse::flow(schedule, Posterior { prior, guidance });
        let sampler = DiffusionSampler::new(process, Heun, grid);
        let latents = sampler
            .sample(with_rows(count, LATENT), &mut rng(4), &mut |_| ())
            .unwrap();
        values(&self.decode(1.0).forward(latents))
    }
}

fn matrix(values: &DMatrix<f64>) -> Tensor<2> {
    let rows = values.transpose();
    exact(rows.as_slice(), [values.nrows(), values.ncols()])
}

fn with_rows(rows: usize, [channels, height, width]: [usize; 3]) -> [usize; 4] {
    [rows, channels, height, width]
}

#[test]
fn the_composition_is_the_product_and_its_transpose() {
    let problem = Affine::new();
    let operator = Product::new(problem.a(), problem.decode(1.0));
    assert_eq!(
        operator.measurement_shape(with_rows(5, LATENT)).unwrap(),
        with_rows(5, MEASURED)
    );
    assert!(operator.measurement_shape(with_rows(5, IMAGE)).is_err());
    let (z, v) = (numbers(4, 1, 0.2), numbers(3, 1, 0.9));
    let rows = exact(z.as_slice(), with_rows(1, LATENT));
    let expected = &problem.operator * (&problem.shift + &problem.decoder * z.column(0));
    let found = operator.forward(rows.clone());
    assert_close("y", &values(&found), expected.as_slice(), 1e-12);
    let expected = problem.decoder.transpose() * problem.operator.transpose() * &v;
    let back = operator.vjp(rows, exact(v.as_slice(), with_rows(1, MEASURED)));
    assert_close("vjp", &values(&back), expected.as_slice(), 1e-12);
}

#[test]
fn draws_through_an_affine_decoder_are_of_the_posterior() {
    let problem = Affine::new();
    let count = 4000;
    let (mean, covariance) = problem.posterior();
    let fitted = |samples: &[f64]| {
        let rows = DMatrix::from_row_slice(count, 6, samples);
        let mean = rows.row_mean();
        let centred = DMatrix::from_fn(count, 6, |i, j| rows[(i, j)] - mean[j]);
        let covariance = centred.transpose() * &centred / (count as f64 - 1.0);
        (mean.transpose(), covariance)
    };
    let (found, spread) = fitted(&problem.draws(1.0, count));
    let variance = |i: usize| covariance[(i, i)];
    let errors: Vec<f64> = (0..6)
        .map(|i| (variance(i) / count as f64).sqrt())
        .collect();
    assert_z("mean", found.as_slice(), mean.as_slice(), &errors);
    let of_covariance: Vec<f64> = (0..36)
        .map(|k| (k / 6, k % 6))
        .map(|(i, j)| {
            let squared = variance(i) * variance(j) + covariance[(i, j)].powi(2);
            (squared / (count as f64 - 1.0)).sqrt()
        })
        .collect();
    assert_z(
        "covariance",
        spread.as_slice(),
        covariance.as_slice(),
        &of_covariance,
    );
    // The control: latents drawn through a decoder without its shift.
    let (wrong, _) = fitted(&problem.draws(0.0, count));
    let furthest = (0..6).map(|i| ((wrong[i] - mean[i]) / errors[i]).abs());
    assert!(furthest.fold(0.0, f64::max) > 3.0 * z_bound(6));
}

/// A network with every weight awake, in double precision.
fn autoencoder() -> Autoencoder {
    struct Awake(u64);
    impl ModuleMapper for Awake {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let mut rng = tweedie_core::Rng::seeded(8, &device()).starting_at(self.0);
            param.map(|x| {
                let noise = rng.normal([1, x.shape().num_elements()]).reshape(x.dims());
                (x + noise.mul_scalar(0.1)).cast(DType::F64)
            })
        }
    }
    let config = AutoencoderConfig {
        latent_channels: 2,
        base_channels: 4,
        channel_multipliers: vec![1, 2],
        groups: 2,
        ..AutoencoderConfig::default()
    };
    config.init(3, &device()).unwrap().map(&mut Awake(0))
}

#[test]
fn a_network_decodes_inside_an_operator() {
    let network = autoencoder();
    let decode = ForwardClosure::new([2, 4, 4], [1, 8, 8], |z| network.decode(z));
    let operator = Product::new(AverageDownsampling::new(2).unwrap(), decode);
    let (z, direction) = (rng(1).normal([2, 2, 4, 4]), rng(2).normal([2, 2, 4, 4]));
    let v = rng(3).normal([2, 1, 4, 4]);
    let forward = |z: Tensor<4>| operator.forward(z);
    let by_tape = value_and_vjp(z.clone(), forward, |_| v.clone()).1;
    let back = operator.vjp(z.clone(), v.clone());
    assert_close("tape", &values(&by_tape), &values(&back), 1e-10);
    assert_vjp("composition", forward, &z, &direction, &v, &back);
}

/// Half of the latents' misfit at the least: guidance that saw no gradient would leave it as the prior has it.
#[test]
fn guided_latents_decode_to_what_was_measured() {
    let network = autoencoder();
    let decode = ForwardClosure::new([2, 4, 4], [1, 8, 8], |z| network.decode(z));
    let operator = Product::new(AverageDownsampling::new(2).unwrap(), decode);
    let y = operator.forward(rng(7).normal([1, 2, 4, 4]));
    let misfit = |zeta: f64| {
        let prior = GaussianPrior::new(exact(&[0.0; 32], [1, 2, 4, 4]), 1.0);
        let sampler = DpsSampler::new(
            VariancePreserving::new(0.1, 20.0).unwrap(),
            prior,
            &operator,
            y.clone(),
            TimeGrid::uniform(1.0, 0.0, 60).unwrap(),
            DpsConfig { zeta, eta: 1.0 },
        );
        let latents = sampler
            .unwrap()
            .sample([6, 2, 4, 4], &mut rng(5), &mut |_| ())
            .unwrap();
        let misfit = squared_norm(operator.forward(latents) - y.clone());
        values(&misfit).iter().sum::<f64>()
    };
    let (guided, free) = (misfit(1.0), misfit(0.0));
    assert!(guided < 0.25 * free, "{guided} of {free}");
}

/// Latents of another height than width, of which [`enlarged`] makes an [`IMAGE`].
const FLAT: [usize; 3] = [2, 1, 3];

fn enlarged(latents: Tensor<4>) -> Tensor<4> {
    latents.sum_dim(1).repeat_dim(2, 2)
}

/// Draws latents of the standard normal law.
fn latents() -> impl PosteriorSampler {
    let schedule = VarianceExploding::new(0.002, 80.0).unwrap();
    let prior = GaussianPrior::new(exact(&[0.0; 6], with_rows(1, FLAT)), 1.0);
    let grid = TimeGrid::karras(&schedule, 80.0, 0.002, 7.0, 3).unwrap();
    DiffusionSampler::new(Reverse::flow(schedule, prior), Heun, grid)
}

#[test]
fn decoded_draws_are_the_images_of_draws() {
    let run = |sampler: &dyn PosteriorSampler, shape: [usize; 3]| {
        let mut states = Vec::new();
        let drawn = sampler.sample(with_rows(2, shape), &mut rng(6), &mut |step| {
            states.push(values(step.state));
        });
        (drawn.unwrap(), states)
    };
    let (drawn, expected) = run(&latents(), FLAT);
    let (images, states) = run(&Decoded::new(latents(), FLAT, enlarged), IMAGE);
    assert_eq!(values(&images), values(&enlarged(drawn)));
    // An observer sees the latents.
    assert_eq!(states.len(), 3);
    assert_eq!(states, expected);
}

#[test]
#[should_panic(expected = "shape of the decoded images")]
fn images_of_another_shape_are_not_decoded() {
    let decoded = Decoded::new(latents(), FLAT, enlarged);
    let _ = decoded.sample(with_rows(2, [1, 3, 2]), &mut rng(6), &mut |_| ());
}

#[test]
fn a_linear_decoder_keeps_the_operator_linear() {
    let problem = Affine::new();
    let decoder = MatrixOperator::new(matrix(&problem.decoder), LATENT).unwrap();
    let a = MatrixOperator::new(matrix(&problem.operator), [1, 1, 6]).unwrap();
    let v = numbers(3, 1, 0.9);
    let back = Product::new(a, decoder).adjoint(exact(v.as_slice(), with_rows(1, MEASURED)));
    let expected = problem.decoder.transpose() * problem.operator.transpose() * v;
    assert_close("adjoint", &values(&back), expected.as_slice(), 1e-12);
}
