//! A projected solver imposes the noised measurement, whatever the solver, the schedule and the operator.

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    GaussianPrior, Karras, PointMass, Schedule, Span, TimeGrid, VariancePreserving,
};
use tweedie_physics::{
    AverageDownsampling, ConjugateGradient, ForwardOperator, FourierBlur, Inpainting,
    LinearOperator, kernels,
};
use tweedie_samplers::{
    DiffusionSampler, Measurement, PosteriorSampler, Projected, ProjectionConfig, SampleError,
};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddim, DpmSolverPp2M, Heun, Solver, integrate};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::{
    pair::{self, Law},
    support::{Diagonal, Replay, assert_rows_are_independent, departure, rng},
};

const SCORE_SDE: ProjectionConfig = ProjectionConfig {
    lambda: 1.0,
    stop: 0.0,
};

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[0.5], [1, 1, 1, 1]), 0.05)
}

/// Of the first step from 2 to 0.5, with the numbers `noise` that it draws.
fn step<A: LinearOperator>(
    measurement: Measurement<A>,
    config: ProjectionConfig,
    x: &Tensor<4>,
    noise: &[Tensor<4>],
) -> Tensor<4> {
    let ddim = Ddim::new(1.0).unwrap();
    let solver = Projected::new(ddim, measurement, x.dims(), config).unwrap();
    let process = Reverse::sde(schedule(), prior());
    let noise: Vec<_> = noise.iter().map(values).collect();
    let mut replay = Replay(noise.into_iter());
    let moved = solver.step(&process, &mut (), x.clone(), span(), &mut replay);
    assert_eq!(replay.0.len(), 0, "a number was not drawn");
    moved
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

fn span() -> Span {
    Span { from: 0.5, to: 0.3 }
}

/// The step of DDPM that is projected.
fn unprojected(x: &Tensor<4>, fresh: &Tensor<4>) -> Tensor<4> {
    let process = Reverse::sde(schedule(), prior());
    let mut replay = Replay(vec![values(fresh)].into_iter());
    let ddim = Ddim::new(1.0).unwrap();
    ddim.step(&process, &mut (), x.clone(), span(), &mut replay)
}

#[test]
fn a_projection_is_the_formula() {
    let s = [0.0, 0.05, 0.3, 1.0, 2.0];
    let shape = [1, 1, 1, 5];
    let mut numbers = rng(1);
    let [x, y, fresh, z] = [(); 4].map(|()| numbers.normal(shape));
    let (scale, sigma) = (schedule().scale(0.3), schedule().sigma(0.3));
    let before = values(&unprojected(&x, &fresh));
    for (noise_std, lambda) in [(0.0, 1.0), (0.4, 1.0), (0.4, 0.3), (0.0, 0.6)] {
        let measurement = Measurement {
            operator: Diagonal::new(&s),
            y: y.clone(),
            noise_std,
        };
        let config = ProjectionConfig { lambda, stop: 0.0 };
        let got = step(measurement, config, &x, &[fresh.clone(), z.clone()]);
        let (y, z) = (values(&y), values(&z));
        let expected: Vec<f64> = (0..5)
            .map(|i| {
                let u = before[i] / scale;
                let damping = (noise_std / sigma).powi(2);
                let gain = match s[i] {
                    0.0 => 0.0,
                    s => s / (s * s + damping),
                };
                scale * (u + lambda * gain * (y[i] + sigma * s[i] * z[i] - s[i] * u))
            })
            .collect();
        // Conjugate gradients over five values, the least of which is 1/1600 of the largest.
        let name = format!("noise {noise_std}, lambda {lambda}");
        assert_close(&name, &values(&got), &expected, 1e-10);
    }
}

#[test]
fn it_is_ilvr_for_a_low_pass_filter() {
    let shape = [1, 1, 4, 6];
    let mut numbers = rng(3);
    let [x, reference, fresh, z] = [(); 4].map(|()| numbers.normal(shape));
    let operator = AverageDownsampling::new(2).unwrap();
    let filter = |x: Tensor<4>| {
        let low = operator.forward(x);
        operator.pseudo_inverse(low, ConjugateGradient::default())
    };
    let noised = |sigma: f64| {
        // y_t of the paper, the noised reference image.
        (reference.clone() + z.clone().mul_scalar(sigma)).mul_scalar(schedule().scale(0.3))
    };
    let moved = unprojected(&x, &fresh);
    let expected = |sigma| moved.clone() + filter(noised(sigma)) - filter(moved.clone());
    let measurement = || Measurement {
        operator,
        y: operator.forward(reference.clone()),
        noise_std: 0.0,
    };
    let sigma = schedule().sigma(0.3);
    let got = step(measurement(), SCORE_SDE, &x, &[fresh.clone(), z.clone()]);
    assert_close("image", &values(&got), &values(&expected(sigma)), 1e-13);
    // Negative control: a reference without its noise.
    assert!(departure(&values(&got), &values(&expected(0.0))) > 1e-2);

    // At the level where it stops the state is projected, and below it is not.
    let config = |stop| ProjectionConfig { lambda: 1.0, stop };
    let at = step(
        measurement(),
        config(sigma),
        &x,
        &[fresh.clone(), z.clone()],
    );
    assert_eq!(values(&at), values(&got));
    let below = config(sigma * 1.001);
    let below = step(measurement(), below, &x, std::slice::from_ref(&fresh));
    assert_eq!(values(&below), values(&moved));
}

/// The measurement of a sample of `solver`.
fn remeasured<S, M, A>(schedule: S, solver: M, operator: &A, y: &Tensor<4>, lambda: f64) -> Vec<f64>
where
    S: Schedule,
    M: Solver<Reverse<S, GaussianPrior>>,
    A: LinearOperator + Clone,
{
    let measurement = Measurement {
        operator: operator.clone(),
        y: y.clone(),
        noise_std: 0.0,
    };
    let shape = [2, 3, 6, 5];
    let config = ProjectionConfig { lambda, stop: 0.0 };
    let solver = Projected::new(solver, measurement, shape, config).unwrap();
    let process = Reverse::flow(schedule, prior());
    let grid = TimeGrid::uniform(1.0, 0.0, 6).unwrap();
    let sampler = DiffusionSampler::new(process, solver, grid);
    let sample = sampler.sample(shape, &mut rng(4), &mut |_| ()).unwrap();
    values(&operator.forward(sample))
}

#[test]
fn a_noiseless_measurement_holds_with_any_solver_schedule_and_operator() {
    let options = || (device(), DType::F64);
    let (to, dtype) = options();
    let mask = Inpainting::random([6, 5], 0.4, 3, (&to, dtype)).unwrap();
    let kernel = kernels::gaussian([3, 3], [0.5, 0.6], 0.0, (&to, dtype)).unwrap();
    let blur = FourierBlur::new(kernel.unsqueeze(), [6, 5]).unwrap();
    let clean: Tensor<4> = rng(2).uniform([2, 3, 6, 5]);
    let [masked, blurred] = [mask.forward(clean.clone()), blur.forward(clean)];
    let ddim = || Ddim::new(0.7).unwrap();
    let karras = || Karras::new(1.0).unwrap();
    for (name, got, y) in [
        (
            "ddim",
            remeasured(schedule(), ddim(), &mask, &masked, 1.0),
            &masked,
        ),
        (
            "heun",
            remeasured(karras(), Heun, &mask, &masked, 1.0),
            &masked,
        ),
        (
            "multistep",
            remeasured(schedule(), DpmSolverPp2M, &mask, &masked, 1.0),
            &masked,
        ),
        (
            "blur",
            remeasured(schedule(), ddim(), &blur, &blurred, 1.0),
            &blurred,
        ),
    ] {
        assert_close(name, &got, &values(y), 1e-13);
    }
    // Negative control.
    let half = remeasured(schedule(), ddim(), &mask, &masked, 0.5);
    assert!(departure(&half, &values(&masked)) > 1e-2);
}

#[test]
fn measured_entries_have_the_law_of_a_noised_image() {
    // For a known image the projected entry is `x_0 + sigma z`, whatever the state was.
    let (noise_std, clean) = (0.0, 0.3);
    let grid = TimeGrid::uniform(1.0, 0.3, 3).unwrap();
    let law = pair::law(7, |shape, noise| {
        let measurement = Measurement {
            operator: Diagonal::new(&[0.4, 2.0]),
            y: exact(&[0.4 * clean, 2.0 * clean], [1, 1, 1, 2]),
            noise_std,
        };
        let ddim = Ddim::new(0.4).unwrap();
        let solver = Projected::new(ddim, measurement, shape, SCORE_SDE)?;
        let point = PointMass::new(exact(&[clean; 2], [1, 1, 1, 2]));
        let process = Reverse::sde(schedule(), point);
        let start = noise.normal(shape);
        Ok(integrate(&process, &solver, start, &grid, noise, |_| ())?)
    });
    let (scale, sigma) = (schedule().scale(0.3), schedule().sigma(0.3));
    let variance = (scale * sigma).powi(2);
    assert_close("mean", &law.mean, &[scale * clean; 2], 1e-13);
    assert_close("spread", &law.spread, &[variance, variance, 0.0], 1e-13);
}

fn pair_law(noise_std: f64, config: ProjectionConfig) -> Law {
    pair::law(201, |shape, noise| {
        let ddim = Ddim::new(1.0)?;
        let solver = Projected::new(ddim, pair::measurement(noise_std), shape, config)?;
        let (schedule, grid) = (pair::schedule(), pair::grid(100));
        let spread = schedule.scale(grid.start()) * schedule.sigma(grid.start());
        let start = noise.normal(shape).mul_scalar(spread);
        let process = Reverse::sde(schedule, pair::prior());
        Ok(integrate(&process, &solver, start, &grid, noise, |_| ())?)
    })
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, documented) in [
        (0.0, [0.0, 0.0, -0.90, 1.12]),
        (0.05, [0.09, 0.43, -0.83, 1.09]),
        (0.2, [0.45, 0.46, -0.27, 0.94]),
        (0.8, [0.53, 0.66, 0.27, 0.83]),
    ] {
        let name = format!("noise {noise_std}");
        pair::assert_departures(&name, pair_law(noise_std, SCORE_SDE), noise_std, documented);
    }
    // Negative control.
    let other = pair_law(
        0.2,
        ProjectionConfig {
            lambda: 0.9,
            ..SCORE_SDE
        },
    );
    assert!((pair::departures(other, 0.2)[0] - 0.45).abs() > 0.01);
}

fn small(config: ProjectionConfig, noise_std: f64) -> Result<impl PosteriorSampler, SampleError> {
    let measurement = Measurement {
        operator: Diagonal::new(&[0.0, 0.3, 1.0]),
        y: exact(&[0.0, 0.2, 0.8], [1, 1, 1, 3]),
        noise_std,
    };
    let ddim = Ddim::new(1.0)?;
    let solver = Projected::new(ddim, measurement, [5, 1, 1, 3], config)?;
    let grid = TimeGrid::uniform(1.0, 0.0, 5)?;
    Ok(DiffusionSampler::new(
        Reverse::sde(schedule(), prior()),
        solver,
        grid,
    ))
}

#[test]
fn rows_are_independent() {
    assert_rows_are_independent(&small(SCORE_SDE, 0.1).unwrap(), [1, 1, 3]);
}

#[test]
fn bad_settings_are_refused() {
    for (expected, lambda, stop, noise_std) in [
        ("lambda", 1.1, 0.0, 0.1),
        ("lambda", f64::NAN, 0.0, 0.1),
        ("stop", 1.0, -0.1, 0.1),
        ("stop", 1.0, f64::INFINITY, 0.1),
        ("noise_std", 1.0, 0.0, f64::NAN),
    ] {
        match small(ProjectionConfig { lambda, stop }, noise_std)
            .err()
            .unwrap()
        {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let ddim = Ddim::new(1.0).unwrap();
    let error = Projected::new(ddim, pair::measurement(0.1), [2, 1, 1, 3], SCORE_SDE).unwrap_err();
    let mismatch = SampleError::Mismatch {
        image: vec![2, 1, 1, 3],
        measurement: vec![1, 1, 1, 2],
    };
    assert_eq!(error, mismatch);
    assert!(serde_json::from_str::<ProjectionConfig>(r#"{ "lamda": 1.0 }"#).is_err());
}
