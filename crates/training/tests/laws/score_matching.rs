//! Sliced and implicit score matching, whose means are known for a score that is affine in the noisy data.
//!
//! With `x_0 ~ N(m_0, C)`, `S = C + sigma^2 I` and the score `s(u) = A^T (u - m)`, the loss is
//! `sigma^2/d (tr A + tr(A^T S A)/2 + |A^T (m_0 - m)|^2/2)`.

use std::{array::from_fn, sync::Arc};

use burn::tensor::{Tensor, TensorData};
use tweedie_core::{
    Backbone, Coefficients, Conditioning, DdpmTable, Given, NoiseLabel, Parametrisation, Rng,
    Schedule,
};
use tweedie_models::UNetConfig;
use tweedie_testkit::{assert_close, assert_z, device, values, z_bound};
use tweedie_training::{
    DiffusionConfig, Hybrid, Implicit, Level, LevelDistribution, LevelsConfig, Objective,
    ObjectiveConfig, Prediction, Sliced, TrainingError,
};

use crate::support::{model, small};

const DIMENSIONS: usize = 3;
const ROWS: usize = 4096;
const SIGMA: f64 = 0.7;

/// Half the gap between 1 and the next single-precision number.
const ROUNDING: f64 = f32::EPSILON as f64 / 2.0;

type Matrix = [[f64; DIMENSIONS]; DIMENSIONS];
type Vector = [f64; DIMENSIONS];

/// Not symmetric, so that `A` and its transpose differ.
const SCORE: Matrix = [[-1.2, 0.4, -0.3], [0.1, -0.5, 0.6], [0.7, -0.2, -0.9]];
const CENTRE: Vector = [0.3, -0.6, 0.2];
const MEAN: Vector = [-0.4, 0.1, 0.8];
/// The factor of the covariance of the data.
const FACTOR: Matrix = [[0.6, 0.0, 0.0], [-0.3, 0.4, 0.0], [0.2, 0.5, 0.7]];

const PARAMETRISATIONS: [Parametrisation; 5] = [
    Parametrisation::Epsilon,
    Parametrisation::X0,
    Parametrisation::V,
    Parametrisation::Edm { sigma_data: 0.5 },
    Parametrisation::Score,
];

fn schedule() -> Arc<dyn Schedule> {
    Arc::new(DdpmTable::linear(100, 1e-3, 0.1).unwrap())
}

fn prediction(parametrisation: Parametrisation) -> Prediction {
    Prediction::new(schedule(), NoiseLabel::Time { scale: 1.0 }, parametrisation)
}

fn levels(rows: usize) -> Vec<Level> {
    let level = Level {
        time: schedule().time_at(SIGMA),
        sigma: SIGMA,
        weight: 1.0,
    };
    vec![level; rows]
}

fn tensor<const R: usize>(numbers: &[[f64; DIMENSIONS]; R]) -> Tensor<2> {
    let data = TensorData::new(numbers.concat(), [R, DIMENSIONS]);
    Tensor::from_data(data, &device())
}

/// The network whose score is affine.
struct Affine {
    matrix: Matrix,
    coefficients: Coefficients,
}

impl Affine {
    fn new(prediction: &Prediction) -> Self {
        Self {
            matrix: SCORE,
            coefficients: prediction.preconditioning.at(SIGMA),
        }
    }
}

impl Backbone<2> for Affine {
    fn forward(&self, x: Tensor<2>, _: Conditioning<2>) -> Tensor<2> {
        let c = self.coefficients;
        let u = x.mul_scalar(1.0 / c.input);
        let score = (u.clone() - tensor(&[CENTRE])).matmul(tensor(&self.matrix));
        u.mul_scalar((1.0 - c.skip) / c.out) + score.mul_scalar(SIGMA * SIGMA / c.out)
    }
}

fn data(rows: usize, rng: &mut Rng) -> Tensor<2> {
    rng.normal::<2>([rows, DIMENSIONS])
        .matmul(tensor(&transposed(&FACTOR)))
        + tensor(&[MEAN])
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    from_fn(|i| from_fn(|j| (0..DIMENSIONS).map(|k| a[i][k] * b[k][j]).sum()))
}

fn transposed(a: &Matrix) -> Matrix {
    from_fn(|i| from_fn(|j| a[j][i]))
}

fn trace(a: &Matrix) -> f64 {
    (0..DIMENSIONS).map(|i| a[i][i]).sum()
}

/// `(sigma^2/d tr A, sigma^2/d E|s|^2)`.
fn moments() -> (f64, f64) {
    let mut covariance = product(&FACTOR, &transposed(&FACTOR));
    for (i, row) in covariance.iter_mut().enumerate() {
        row[i] += SIGMA * SIGMA;
    }
    let spread = trace(&product(&product(&transposed(&SCORE), &covariance), &SCORE));
    let shift: f64 = (0..DIMENSIONS)
        .map(|j| {
            let entry: f64 = (0..DIMENSIONS)
                .map(|i| (MEAN[i] - CENTRE[i]) * SCORE[i][j])
                .sum();
            entry * entry
        })
        .sum();
    let unit = SIGMA * SIGMA / DIMENSIONS as f64;
    (unit * trace(&SCORE), unit * (spread + shift))
}

fn objectives(prediction: &Prediction) -> [Box<dyn Objective<2>>; 4] {
    let sliced = |projections, variance_reduction| Sliced {
        prediction: prediction.clone(),
        projections,
        variance_reduction,
    };
    [
        Box::new(sliced(1, false)),
        Box::new(sliced(3, false)),
        Box::new(sliced(1, true)),
        Box::new(Implicit {
            prediction: prediction.clone(),
        }),
    ]
}

/// The mean loss and its standard error.
fn measure(objective: &dyn Objective<2>, network: &Affine) -> (f64, f64) {
    let root = Rng::seeded(31, &device());
    let clean = data(ROWS, &mut root.fork(0));
    let losses = objective.losses(
        network,
        clean,
        Given::nothing(),
        &levels(ROWS),
        &mut root.fork(1),
    );
    let losses = values(&losses);
    let count = ROWS as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let squares: f64 = losses.iter().map(|l| (l - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

fn everything() -> (Vec<f64>, Vec<f64>) {
    let all = PARAMETRISATIONS.into_iter().flat_map(|parametrisation| {
        let prediction = prediction(parametrisation);
        let network = Affine::new(&prediction);
        objectives(&prediction).map(|objective| measure(&*objective, &network))
    });
    all.unzip()
}

#[test]
fn the_mean_of_every_form_is_known_for_an_affine_score() {
    let (means, errors) = everything();
    let (trace, squares) = moments();
    let expected = vec![trace + 0.5 * squares; means.len()];
    assert_z("score matching", &means, &expected, &errors);
}

/// The controls: the trace with the other sign, and the square without its half.
#[test]
fn a_wrong_loss_is_seen() {
    let (means, errors) = everything();
    let (trace, squares) = moments();
    for wrong in [0.5 * squares - trace, trace + squares] {
        for (mean, error) in means.iter().zip(&errors) {
            let z = (mean - wrong).abs() / error;
            assert!(z > z_bound(means.len()), "{mean} is near {wrong}: z {z}");
        }
    }
}

/// `sigma s`, the noise and the directions that a loss drew.
struct Drawn {
    scores: Vec<f64>,
    signs: Vec<f64>,
}

fn drawn(clean: &Tensor<2>, rng: &Rng) -> Drawn {
    let mut rng = rng.clone();
    let noise: Tensor<2> = rng.normal(clean.dims());
    let noisy = values(&(clean.clone() + noise.mul_scalar(SIGMA)));
    let uniform: Tensor<2> = rng.uniform(clean.dims());
    let scores = noisy.chunks(DIMENSIONS).flat_map(|u| {
        (0..DIMENSIONS).map(|j| {
            let terms = (0..DIMENSIONS).map(|i| (u[i] - CENTRE[i]) * SCORE[i][j]);
            SIGMA * terms.sum::<f64>()
        })
    });
    Drawn {
        scores: scores.collect(),
        signs: values(&uniform)
            .into_iter()
            .map(|u| if u >= 0.5 { -1.0 } else { 1.0 })
            .collect(),
    }
}

/// A difference of numbers of order 1, over the length 1/32 of a step, with some ten roundings each.
const DIFFERENCE: f64 = 32.0 * 10.0 * ROUNDING;

#[test]
fn every_row_has_the_exact_derivative_of_an_affine_score() {
    const FEW: usize = 16;
    for parametrisation in PARAMETRISATIONS {
        let prediction = prediction(parametrisation);
        let network = Affine::new(&prediction);
        let rng = Rng::seeded(8, &device());
        let clean = data(FEW, &mut rng.fork(0));
        let Drawn { scores, signs } = drawn(&clean, &rng);
        let [sliced, _, reduced, implicit] = objectives(&prediction).map(|objective| {
            let given = Given::nothing();
            let rows = objective.losses(
                &network,
                clean.clone(),
                given,
                &levels(FEW),
                &mut rng.clone(),
            );
            values(&rows)
        });
        // The network's output is larger than the score by 1/c_out, and the scores of some rows are as large as 5.
        let c = prediction.preconditioning.at(SIGMA);
        let size = 5.0 * (1.0 + c.out.abs().recip()) * (1.0 + c.out.abs());
        let name = format!("{parametrisation:?}");
        for row in 0..FEW {
            let part = row * DIMENSIONS..(row + 1) * DIMENSIONS;
            let (score, v) = (&scores[part.clone()], &signs[part]);
            let d = DIMENSIONS as f64;
            let squares = score.iter().map(|s| s * s).sum::<f64>() / d;
            let along = score.iter().zip(v).map(|(s, v)| s * v).sum::<f64>();
            let bilinear: f64 = (0..DIMENSIONS)
                .flat_map(|i| (0..DIMENSIONS).map(move |j| v[i] * SCORE[i][j] * v[j]))
                .sum();
            let unit = SIGMA * SIGMA / d;
            let expected = [
                unit * bilinear + 0.5 * along * along / d,
                unit * bilinear + 0.5 * squares,
                unit * trace(&SCORE) + 0.5 * squares,
            ];
            let found = [sliced[row], reduced[row], implicit[row]];
            assert_close(&name, &found, &expected, size * size * DIFFERENCE);
        }
    }
}

/// `F = sin(x)`, whose central difference is `cos(x) sin(a)/a` with the step `a`.
struct Sine;

impl Backbone<2> for Sine {
    fn forward(&self, x: Tensor<2>, _: Conditioning<2>) -> Tensor<2> {
        x.sin()
    }
}

#[test]
fn the_difference_is_of_second_order() {
    let prediction = prediction(Parametrisation::Epsilon);
    let c = prediction.preconditioning.at(SIGMA);
    let rng = Rng::seeded(4, &device());
    let clean = data(1, &mut rng.fork(0));
    let noise: Tensor<2> = rng.clone().normal(clean.dims());
    let noisy = values(&(clean.clone() + noise.mul_scalar(SIGMA)));
    let implicit = Implicit { prediction };
    let found =
        values(&implicit.losses(&Sine, clean, Given::nothing(), &levels(1), &mut rng.clone()))[0];
    // psi = -sin(c_in u).
    let per_pixel = |of: &dyn Fn(f64) -> f64| {
        noisy.iter().map(|u| of(c.input * u)).sum::<f64>() / DIMENSIONS as f64
    };
    let squares = 0.5 * per_pixel(&|x| x.sin().powi(2));
    let slope = c.input * SIGMA;
    let derivative = -slope * per_pixel(&f64::cos);
    let step = slope / 64.0;
    let difference = derivative * step.sin() / step;
    assert_close("loss", &[found], &[squares + difference], DIFFERENCE);
    let bound = slope * step * step / 6.0 + DIFFERENCE;
    assert_close("derivative", &[found], &[squares + derivative], bound);
}

#[test]
fn rows_do_not_see_each_other() {
    let prediction = prediction(Parametrisation::V);
    let network = Affine::new(&prediction);
    for objective in objectives(&prediction) {
        let rng = Rng::seeded(5, &device());
        let clean = data(4, &mut rng.fork(0));
        let losses = |clean: Tensor<2>, mut rng: Rng| {
            let rows = clean.dims()[0];
            values(&objective.losses(&network, clean, Given::nothing(), &levels(rows), &mut rng))
        };
        let all = losses(clean.clone(), rng.clone());
        let last = losses(clean.narrow(0, 3, 1), rng.starting_at(3));
        assert_eq!(all[3], last[0]);
    }
}

#[test]
#[should_panic(expected = "at most 64 dimensions, found 65")]
fn the_full_trace_is_for_small_dimensions() {
    let implicit = Implicit {
        prediction: prediction(Parametrisation::Epsilon),
    };
    let clean = Tensor::<2>::zeros([1, 65], &device());
    let mut rng = Rng::seeded(0, &device());
    implicit.losses(&Sine, clean, Given::nothing(), &levels(1), &mut rng);
}

fn refusal(objective: &ObjectiveConfig, unet: UNetConfig, size: usize) -> String {
    let mut model = model(unet);
    model.image_size = [size, size];
    let levels = LevelsConfig::default();
    objective.check(&model, &levels).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let sliced = ObjectiveConfig::Sliced {
        projections: 1,
        variance_reduction: true,
    };
    let dropping = || UNetConfig {
        dropout: 0.1,
        ..small()
    };
    let expected = "training setting dropout must be 0 for objectives that take differences of the network's outputs, found 0.1";
    assert_eq!(refusal(&sliced, dropping(), 8), expected);
    assert_eq!(
        refusal(&ObjectiveConfig::Implicit {}, dropping(), 8),
        expected
    );
    assert_eq!(
        refusal(&ObjectiveConfig::Implicit {}, small(), 10),
        "training setting channels times height times width must be at most 64 for the implicit objective (sliced has the same \
         mean), found 100"
    );
    let hybrid = ObjectiveConfig::Hybrid {};
    assert_eq!(
        refusal(&hybrid, small(), 8),
        "the variance of the reverse step was asked for, and the network has none: expected a unet with learned_sigma = true"
    );
    let learning = || UNetConfig {
        learned_sigma: true,
        ..small()
    };
    let between = LevelsConfig {
        distribution: LevelDistribution::One { sigma: 0.5 },
        ..LevelsConfig::default()
    };
    let refused = hybrid.check(&model(learning()), &between);
    assert!(matches!(refused, Err(TrainingError::OffTable { .. })));
    let mut unit = model(learning());
    unit.pixels = tweedie_models::Pixels::Unit;
    let refused = hybrid.check(&unit, &LevelsConfig::default());
    assert!(matches!(refused, Err(TrainingError::HybridPixels { .. })));
    let fine = DiffusionConfig {
        objective: hybrid,
        ..DiffusionConfig::default()
    };
    assert!(tweedie_training::Diffusion::new(model(learning()), fine).is_ok());
    assert_eq!(
        refusal(&ObjectiveConfig::default(), learning(), 8),
        "the network has a variance of the reverse step, which this objective does not train: expected the objective hybrid, or \
         learned_sigma = false"
    );
    let none = ObjectiveConfig::Sliced {
        projections: 0,
        variance_reduction: true,
    };
    assert_eq!(
        none.validate().unwrap_err().to_string(),
        "training setting projections must be at least 1, found 0"
    );
    let refused = Hybrid::new(prediction(Parametrisation::Epsilon));
    assert!(matches!(refused, Err(TrainingError::NoSteps { .. })));
}

#[test]
fn their_names_are_read_with_defaults() {
    let read = |text| serde_json::from_str::<ObjectiveConfig>(text);
    assert_eq!(
        read(r#"{"type": "sliced"}"#).unwrap(),
        ObjectiveConfig::Sliced {
            projections: 1,
            variance_reduction: true
        }
    );
    assert_eq!(
        read(r#"{"type": "implicit"}"#).unwrap(),
        ObjectiveConfig::Implicit {}
    );
    assert_eq!(
        read(r#"{"type": "hybrid"}"#).unwrap(),
        ObjectiveConfig::Hybrid {}
    );
    assert!(read(r#"{"type": "hybrid", "lambda": 1.0}"#).is_err());
}
