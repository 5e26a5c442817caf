//! The published DPS is its algorithm in the paper's own variables.

use burn::tensor::Tensor;
use tweedie_core::{
    Denoiser, GaussianPrior, GridError, Karras, PointMass, TimeGrid, VariancePreserving,
};
use tweedie_physics::{ForwardOperator, Identity, Saturation};
use tweedie_samplers::{
    DiffusionSampler, DpsConfig, DpsSampler, DrawConfig, PosteriorSampler, SampleError, draw,
};
use tweedie_sde::Reverse;
use tweedie_solvers::Ddim;
use tweedie_testkit::{assert_close, exact, values};

use crate::support::{Diagonal, Replay, assert_rows_are_independent, departure, rng};

const MEAN: f64 = 0.6;
const VARIANCE: f64 = 0.09;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[MEAN], [1, 1, 1, 1]), VARIANCE)
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

/// A step of algorithm 1 from `x` at the paper's `alpha_bar`, for images in [-1, 1] and their measurement `y`.
fn published(
    x: &[f64],
    z: &[f64],
    [before, after]: [f64; 2],
    a: &[f64],
    y: &[f64],
    zeta: f64,
) -> Vec<f64> {
    let (mean, variance) = (2.0 * MEAN - 1.0, 4.0 * VARIANCE);
    let gain = variance / (variance + (1.0 - before) / before);
    let clean: Vec<f64> = x
        .iter()
        .map(|x| mean + gain * (x / before.sqrt() - mean))
        .collect();
    let misfit: Vec<f64> = (0..x.len()).map(|i| y[i] - a[i] * clean[i]).collect();
    let norm = misfit.iter().map(|r| r * r).sum::<f64>().sqrt();
    let alpha = before / after;
    let beta = 1.0 - alpha;
    (0..x.len())
        .map(|i| {
            let ancestral = alpha.sqrt() * (1.0 - after) / (1.0 - before) * x[i]
                + after.sqrt() * beta / (1.0 - before) * clean[i]
                + ((1.0 - after) / (1.0 - before) * beta).sqrt() * z[i];
            let gradient = -2.0 * misfit[i] * a[i] * gain / before.sqrt();
            ancestral - zeta / norm * gradient
        })
        .collect()
}

#[test]
fn a_step_is_the_published_one() {
    let (from, to): (f64, f64) = (2.0, 0.5);
    let (a, y, zeta) = ([0.4, 1.0, 1.7], [0.2, 1.1, 0.9], 0.7);
    let (start, z) = ([0.3, -1.2, 0.8], [1.1, 0.4, -0.6]);
    let grid = TimeGrid::new(vec![from, to]).unwrap();
    let config = DpsConfig { zeta, eta: 1.0 };
    let sampler = DpsSampler::new(
        Karras::new(from).unwrap(),
        prior(),
        Diagonal::new(&a),
        exact(&y, [1, 1, 1, 3]),
        grid,
        config,
    );
    let mut noise = Replay(vec![start.to_vec(), z.to_vec()].into_iter());
    let got = sampler
        .unwrap()
        .sample_with([1, 1, 1, 3], &mut noise, &mut |_| ())
        .unwrap();
    // sigma doubles with the range of the pixels.
    let bar = |sigma: f64| 1.0 / (1.0 + 4.0 * sigma * sigma);
    let x: Vec<f64> = start
        .iter()
        .map(|z| bar(from).sqrt() * (2.0 * from * z - 1.0))
        .collect();
    let measured: Vec<f64> = (0..3).map(|i| 2.0 * y[i] - a[i]).collect();
    let expected: Vec<f64> = published(&x, &z, [bar(from), bar(to)], &a, &measured, zeta)
        .iter()
        .map(|x| (x / bar(to).sqrt() + 1.0) / 2.0)
        .collect();
    assert_close("step", &values(&got), &expected, 1e-13);
    // Negative control: half the length, that of the paper's program.
    let half = published(&x, &z, [bar(from), bar(to)], &a, &measured, zeta / 2.0);
    assert!((half[1] / bar(to).sqrt() + 1.0 - 2.0 * expected[1]).abs() > 1e-2);
}

#[test]
fn without_a_misfit_it_is_ddim() {
    let grid = || TimeGrid::uniform(1.0, 0.0, 7).unwrap();
    let shape = [3, 1, 1, 2];
    let clean = exact(&[0.3, 0.8], [1, 1, 1, 2]);
    for (eta, zeta, point) in [(0.0, 1.0, true), (0.6, 1.0, true), (1.0, 0.0, false)] {
        let config = DpsConfig { zeta, eta };
        let run = |prior: &dyn Denoiser| {
            let sampler =
                DpsSampler::new(schedule(), prior, Identity, clean.clone(), grid(), config);
            let dps = sampler
                .unwrap()
                .sample(shape, &mut rng(3), &mut |_| ())
                .unwrap();
            let process = Reverse::flow(schedule(), prior);
            let ddim = DiffusionSampler::new(process, Ddim::new(eta).unwrap(), grid());
            let ddim = ddim.sample(shape, &mut rng(3), &mut |_| ()).unwrap();
            departure(&values(&dps), &values(&ddim))
        };
        // A point mass on the measurement has no misfit at all, so nothing to divide by.
        let error = match point {
            true => run(&PointMass::new(clean.clone())),
            false => run(&prior()),
        };
        assert!(error < 1e-12, "eta {eta}: {error:e}");
        // Negative control.
        assert!(zeta == 0.0 || run(&prior()) > 1e-2);
    }
}

fn small(zeta: f64, eta: f64, from: f64) -> Result<impl PosteriorSampler, SampleError> {
    let y = Saturation::hard(2.0, 1.0)
        .unwrap()
        .forward(exact(&[0.3, 0.4], [1, 1, 1, 2]));
    let grid = TimeGrid::uniform(from, 0.0, 5)?;
    let operator = Saturation::hard(2.0, 1.0).unwrap();
    DpsSampler::new(
        schedule(),
        prior(),
        operator,
        y,
        grid,
        DpsConfig { zeta, eta },
    )
}

#[test]
fn rows_are_independent() {
    assert_rows_are_independent(&small(0.2, 1.0, 1.0).unwrap(), [1, 1, 2]);
}

#[test]
fn bad_settings_are_refused() {
    for (expected, zeta, eta) in [
        ("zeta", -0.1, 1.0),
        ("zeta", f64::NAN, 1.0),
        ("zeta", f64::INFINITY, 1.0),
        ("eta", 1.0, 1.1),
        ("eta", 1.0, f64::NAN),
    ] {
        match small(zeta, eta, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    assert_eq!(small(1.0, 1.0, 1.5).err(), Some(SampleError::Grid(beyond)));
    let error = small(1.0, 1.0, 1.0)
        .unwrap()
        .sample([1, 1, 1, 3], &mut rng(1), &mut |_| ());
    assert!(matches!(error, Err(SampleError::Mismatch { .. })));
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, documented) in [
        (0.05, [0.28, 1.26]),
        (0.2, [0.93, 0.37]),
        (0.8, [1.56, 0.22]),
    ] {
        let y = MEAN + 0.5;
        let grid = TimeGrid::karras(&schedule(), 80.0, 0.002, 7.0, 99)
            .unwrap()
            .then_zero();
        let measured = Tensor::full(
            [1, 1, 8, 8],
            y,
            (&exact(&[0.0], [1]).device(), burn::tensor::DType::F64),
        );
        let sampler = DpsSampler::new(
            schedule(),
            prior(),
            Identity,
            measured,
            grid,
            DpsConfig::default(),
        );
        let draws = draw(
            &sampler.unwrap(),
            [1, 8, 8],
            DrawConfig::new(400, 400),
            &rng(2),
            |_| (),
        )
        .unwrap();
        let gain = VARIANCE / (VARIANCE + noise_std * noise_std);
        let spread = (VARIANCE * (1.0 - gain)).sqrt();
        let average = |all: Vec<f64>| all.iter().sum::<f64>() / all.len() as f64;
        let found = [
            (average(values(&draws.mean)) - MEAN - gain * (y - MEAN)) / spread,
            average(values(&draws.std.unwrap())) / spread,
        ];
        assert_close(&format!("noise {noise_std}"), &found, &documented, 0.005);
    }
}
