//! The signals of `reproduce levy`.

#[path = "../../src/reproduce/levy/builders.rs"]
mod builders;
#[allow(dead_code, reason = "the program uses the rest")]
#[path = "../../src/reproduce/levy/methods.rs"]
mod methods;
#[path = "../../src/reproduce/levy/operators.rs"]
mod operators;
#[path = "../../src/reproduce/levy/problem.rs"]
mod problem;
#[path = "../../src/reproduce/levy/score.rs"]
mod score;
#[path = "../../src/reproduce/levy/search.rs"]
mod search;

use std::{f64::consts::TAU, fs};

use nalgebra::{Cholesky, DMatrix};
use serde_json::Value;
use tweedie::{
    burn::tensor::{DType, Device, Tensor, TensorData},
    core::AnalyticPrior,
    physics::{ForwardOperator, FourierBlur, check_operator, check_svd},
    samplers::PosteriorDiffusion,
};

use self::{
    builders::built,
    methods::{Build, METHODS, Values},
    operators::{OPERATORS, Operator, SIGNAL},
    problem::{Problem, Purpose, rng},
    score::{LEVEL, Score, exact_gap, score},
};
use crate::{
    bad_input::{USAGE, assert_refused},
    run::Place,
};

/// Standard deviations beyond which a figure is wrong: one run in ten thousand.
const BEYOND: f64 = 3.9;

fn problem(operator: &Operator, tests: usize) -> Problem {
    Problem::new(operator, tests, 1).unwrap()
}

/// Its rows are those of the tensor.
fn host(tensor: Tensor<4>) -> DMatrix<f64> {
    let [rows, _, _, entries] = tensor.dims();
    DMatrix::from_row_slice(rows, entries, &tensor.try_to_vec_as::<f64>().unwrap())
}

fn device_tensor<const D: usize>(values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    let options = (&Device::flex(), DType::F64);
    Tensor::from_data(TensorData::new(values, shape), options)
}

#[test]
fn operators_have_their_laws() {
    for operator in &OPERATORS {
        let dense = problem(operator, 2).operator;
        let shape = [2, 1, 1, SIGNAL];
        check_operator(&dense, shape, &mut rng(Purpose::Draws)).unwrap();
        check_svd(&dense, shape, &mut rng(Purpose::Draws)).unwrap();
    }
}

#[test]
fn operators_are_what_their_names_say() {
    let problems = OPERATORS.each_ref().map(|operator| problem(operator, 3));
    let measured = |index: usize| {
        let problem = &problems[index];
        assert_eq!(problem.name, OPERATORS[index].name);
        let x = &problem.tests.x;
        (host(x.clone()), host(problem.operator.forward(x.clone())))
    };
    let close = |found: DMatrix<f64>, expected: DMatrix<f64>| {
        assert_eq!(found.shape(), expected.shape());
        let difference = (found - expected).amax();
        assert!(difference < 1e-12, "{difference}");
    };

    let (x, y) = measured(0);
    close(y, x);

    let weights: Vec<f64> = (-6..=6).map(|k| (-f64::from(k * k) / 8.0).exp()).collect();
    let total: f64 = weights.iter().sum();
    let kernel = weights.iter().map(|weight| weight / total).collect();
    let blur = FourierBlur::new(device_tensor(kernel, [1, 1, 1, 13]), [1, SIGNAL]).unwrap();
    let expected = host(blur.forward(problems[1].tests.x.clone()));
    close(measured(1).1, expected);

    let (x, y) = measured(2);
    let kept = [
        0, 3, 6, 8, 9, 12, 13, 17, 18, 19, 21, 25, 27, 29, 31, 32, 33, 35, 38, 39, 42, 43, 44, 47,
        48, 50, 53, 55, 57, 58, 60, 62, 63,
    ];
    close(y, x.select_columns(&kept));

    let (x, y) = measured(3);
    let kept = [
        0, 1, 2, 3, 4, 6, 8, 9, 12, 13, 17, 18, 19, 21, 25, 27, 29, 31, 32,
    ];
    let part = |frequency: usize, wave: fn(f64) -> f64| {
        let weights = DMatrix::from_fn(SIGNAL, 1, |sample, _| {
            wave(-TAU * (frequency * sample) as f64 / SIGNAL as f64) / 8.0
        });
        (&x * weights).column(0).into_owned()
    };
    let real = kept.iter().map(|&frequency| part(frequency, f64::cos));
    let imaginary = kept[1..18]
        .iter()
        .map(|&frequency| part(frequency, f64::sin));
    close(
        y,
        DMatrix::from_columns(&real.chain(imaginary).collect::<Vec<_>>()),
    );
}

#[test]
fn signals_have_independent_increments_and_the_noise_its_level() {
    const SIGNALS: usize = 400;
    for operator in &OPERATORS {
        let problem = problem(operator, SIGNALS);
        let x = host(problem.tests.x.clone());
        let clean = host(problem.operator.forward(problem.tests.x.clone()));
        let mut powers: Vec<f64> = clean.row_iter().map(|row| row.norm_squared()).collect();
        powers.sort_unstable_by(f64::total_cmp);
        let median = (powers[SIGNALS / 2 - 1] + powers[SIGNALS / 2]) / 2.0;
        let ratio = median / clean.ncols() as f64 / problem.noise_std.powi(2);
        assert!((10.0 * ratio.log10() - 25.0).abs() < 1e-9, "{ratio}");

        // Sums of squares over the variances are chi-square variables; so is each of the two lags' product in the mean.
        let increments = DMatrix::from_fn(SIGNALS, SIGNAL, |row, column| {
            let before = if column == 0 {
                0.0
            } else {
                x[(row, column - 1)]
            };
            (x[(row, column)] - before) / 0.5
        });
        let noise = (host(problem.tests.y.clone()) - clean) / problem.noise_std;
        for normal in [&increments, &noise] {
            let count = normal.len() as f64;
            let z = (normal.norm_squared() - count) / (2.0 * count).sqrt();
            let next = normal.columns(1, normal.ncols() - 1);
            let product = normal.columns(0, normal.ncols() - 1).dot(&next);
            let lag = product / (next.len() as f64).sqrt();
            assert!(z.abs() < BEYOND && lag.abs() < BEYOND, "{z}, {lag}");
        }
    }
}

#[test]
fn the_posterior_is_that_of_the_covariance() {
    let prior = DMatrix::from_fn(SIGNAL, SIGNAL, |i, j| 0.25 * (i.min(j) + 1) as f64);
    for operator in &OPERATORS {
        let problem = problem(operator, 5);
        let a = (operator.matrix)();
        let seen = &a * &prior;
        let noise = DMatrix::identity(a.nrows(), a.nrows()) * problem.noise_std.powi(2);
        let gain = Cholesky::new(&seen * a.transpose() + noise)
            .unwrap()
            .solve(&seen);
        let mean = host(problem.tests.y.clone()) * &gain;
        let error = (host(problem.tests.mean.clone()) - mean).amax();
        assert!(error < 1e-9, "{}: {error}", operator.name);

        // What a Gaussian leaves unknown below noise of any size is its covariance.
        let identity = device_tensor(
            DMatrix::<f64>::identity(SIGNAL, SIGNAL).as_slice().to_vec(),
            [SIGNAL, 1, 1, SIGNAL],
        );
        let posterior = &prior - gain.transpose() * seen;
        for (law, expected) in [(&problem.prior, &prior), (&problem.spread, &posterior)] {
            let found = host(law.posterior_covariance(identity.clone(), 1e7));
            let error = (found - expected).amax() / expected.amax();
            assert!(error < 1e-9, "{}: {error}", operator.name);
        }
    }
}

#[test]
fn densities_differ_as_those_of_the_posterior() {
    for operator in &OPERATORS {
        let problem = problem(operator, 4);
        let centre = &problem.tests.mean;
        let offset = problem.spread.sample(4, &mut rng(Purpose::Draws));
        let density = |x: Tensor<4>| problem.log_density(x, problem.tests.y.clone());
        let found = density(centre.clone() + offset.clone()) - density(centre.clone());
        let zero = Tensor::zeros([1, 1, 1, SIGNAL], (&Device::flex(), DType::F64));
        let law = |x: Tensor<4>| problem.spread.log_density(x, 0.0);
        let expected = law(offset) - law(zero);
        let difference = (found - expected).abs().max().into_scalar::<f64>();
        assert!(difference < 1e-7, "{}: {difference}", operator.name);
    }
}

/// Of the gap and of the coverage.
fn z(score: &Score, draws: usize) -> [f64; 2] {
    [
        (score.gap - exact_gap(draws)) / score.gap_se,
        (score.coverage.fraction() - LEVEL) / score.coverage.standard_error(),
    ]
}

#[test]
fn only_exact_draws_score_as_exact_draws() {
    const SIGNALS: usize = 300;
    const DRAWS: usize = 19;
    assert_eq!(LEVEL, 0.9, "the published level");
    // 10 log10(20/19).
    assert!((exact_gap(DRAWS) - 0.222_763_947).abs() < 1e-9);
    for operator in &OPERATORS {
        let problem = problem(operator, SIGNALS);
        let signals = &problem.tests;
        let mean = signals.repeat(DRAWS).mean;
        let offset = problem
            .spread
            .sample(SIGNALS * DRAWS, &mut rng(Purpose::Draws));
        let scored = |factor: f64, centre: Tensor<4>| {
            let draws = centre + offset.clone().mul_scalar(factor);
            z(&score(&problem, signals, draws).unwrap(), DRAWS)
        };
        let exact = scored(1.0, mean.clone());
        assert!(exact.iter().all(|z| z.abs() < BEYOND), "{exact:?}");

        let [_, coverage] = scored(0.9, mean.clone());
        assert!(coverage < -BEYOND, "{coverage}");
        let [_, coverage] = scored(1.1, mean.clone());
        assert!(coverage > BEYOND, "{coverage}");
        let [gap, _] = scored(1.0, mean.mul_scalar(0.9));
        assert!(gap > BEYOND, "{gap}");
    }
}

#[test]
fn the_program_scores_exact_draws() {
    let place = Place::new();
    let done = place.succeed("reproduce levy --tests 200 --method exact --json exact.json");
    let text = fs::read_to_string(place.path("exact.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(rows.len(), OPERATORS.len());
    for (row, operator) in rows.iter().zip(&OPERATORS) {
        let keys: Vec<&String> = row.as_object().unwrap().keys().collect();
        let expected = [
            "calls",
            "coverage",
            "coverage_se",
            "gap_db",
            "gap_se",
            "method",
            "operator",
            "published_gap_db",
        ];
        assert_eq!(keys, expected);
        assert_eq!(row["operator"], operator.name);
        assert!(
            row["calls"] == 0 && row["published_gap_db"].is_null(),
            "{row}"
        );
        let figure = |key: &str| row[key].as_f64().unwrap();
        let z = [
            (figure("gap_db") - exact_gap(50)) / figure("gap_se"),
            (figure("coverage") - LEVEL) / figure("coverage_se"),
        ];
        assert!(z.iter().all(|z| z.abs() < BEYOND), "{row}: {z:?}");
    }
    assert!(done.out.contains("0.086"), "{done:?}");
}

#[test]
fn a_setting_is_searched_and_the_best_one_drawn_with() {
    // The noise that a sampler is told, in units of the true one.
    let values = Values::new("factor", [-1.0, 1.0], 3);
    let problem = Problem::new(&OPERATORS[0], 3, search::SIGNALS).unwrap();
    let build = Build::Searched(values, |case, prior, factor| {
        let told = case.noise_std * factor;
        built(PosteriorDiffusion::new(
            prior,
            case.operator(),
            case.y.clone(),
            told,
        )?)
    });
    let found = search::draw(&problem, build, 9).unwrap();
    assert_eq!(found.setting, Some(1.0));
    let fixed = Build::Fixed(|case, prior| {
        let (operator, y) = (case.operator(), case.y.clone());
        built(PosteriorDiffusion::new(prior, operator, y, case.noise_std)?)
    });
    let expected = search::draw(&problem, fixed, 9).unwrap();
    assert_eq!((expected.setting, expected.calls), (None, found.calls));
    assert_eq!(host(found.draws), host(expected.draws));
}

#[test]
fn published_gaps_stand_beside_two_operators() {
    let of = |text: &str| {
        let method = METHODS
            .iter()
            .find(|method| method.name.contains(text))
            .unwrap();
        OPERATORS
            .each_ref()
            .map(|operator| method.published(operator.name))
    };
    assert_eq!(of("C-DPS"), [Some(0.12), Some(0.12), None, None]);
    assert_eq!(of("DiffPIR"), [Some(0.16), Some(0.07), None, None]);
    assert_eq!(of("40 rounds"), [Some(0.24), Some(0.10), None, None]);
    assert_eq!(of("exact"), [None; 4]);
}

#[test]
fn wrong_arguments_are_refused() {
    let place = Place::new();
    for (line, words) in [
        ("--method magic", &["`magic`", "exact draws", "PnP-DM"][..]),
        ("--draws 8", &["--draws", "8"]),
        ("--tests 1", &["--tests", "1"]),
    ] {
        assert_refused(&place.run(&format!("reproduce levy {line}")), USAGE, words);
    }
}
