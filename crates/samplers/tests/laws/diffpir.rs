//! DiffPIR is its formula, and has the numbers of a reference up to the steps that the reference gets wrong.

use burn::tensor::{DType, Tensor};
use tweedie_core::{
    Clipped, Counted, DdpmTable, GaussianPrior, GridError, Karras, Scaled, Schedule, TimeGrid,
    VariancePreserving,
};
use tweedie_fidelity::{L2, Proximal};
use tweedie_physics::{ForwardOperator, FourierBlur, Identity, Inpainting, LinearOperator};
use tweedie_samplers::{DiffPir, DiffPirConfig, PosteriorSampler, SampleError};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::support::{
    Golden, Replay, Run, SHAPE, assert_departure, assert_rows_are_independent, departure, laws, rng,
};

const PRIOR_MEAN: f64 = 0.6;
const PRIOR_VARIANCE: f64 = 0.09;

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[PRIOR_MEAN], [1, 1, 1, 1]), PRIOR_VARIANCE)
}

#[test]
fn steps_are_the_formula() {
    let (from, to, noise_std, y): (f64, f64, f64, f64) = (2.0, 0.5, 0.2, 1.1);
    let config = DiffPirConfig {
        lambda: 3.0,
        zeta: 0.3,
    };
    let grid = TimeGrid::new(vec![from, to, 0.0]).unwrap();
    let laws = laws(&[y], 2, 1.0, |y, (shape, noise, observe)| {
        let data = L2::new(Identity, y, noise_std).unwrap();
        DiffPir::new(Karras::new(from).unwrap(), prior(), data, grid, config)?
            .sample_with(shape, noise, observe)
    });
    // As the paper writes it: argmin |x - y|^2 + rho |x - D|^2.
    let clean = |u: f64, sigma: f64, y: f64| {
        let gain = PRIOR_VARIANCE / (PRIOR_VARIANCE + sigma * sigma);
        let denoised = PRIOR_MEAN + gain * (u - PRIOR_MEAN);
        let rho = 3.0 * noise_std * noise_std / (sigma * sigma);
        (y + rho * denoised) / (1.0 + rho)
    };
    let first = |z: [f64; 2], y: f64| {
        let u = from * z[0];
        let clean = clean(u, from, y);
        let predicted = (u - clean) / from;
        clean + to * (0.7f64.sqrt() * predicted + 0.3f64.sqrt() * z[1])
    };
    let both = |z, y| [first(z, y), clean(first(z, y), to, y)];
    let origin = both([0.0, 0.0], y);
    let [start, fresh, shifted] = [
        both([1.0, 0.0], y),
        both([0.0, 1.0], y),
        both([0.0, 0.0], y + 1.0),
    ];
    for (step, law) in laws.iter().enumerate() {
        let law = &law[0];
        let got = [law.offset, law.noises[0], law.noises[1], law.measurement];
        let expected = [
            origin[step],
            start[step] - origin[step],
            fresh[step] - origin[step],
            shifted[step] - origin[step],
        ];
        assert_close(&format!("step {step}"), &got, &expected, 1e-14);
    }
}

/// The reference's run up to its last noise level, where it stops: its last evaluation changes nothing.
fn reference_run<A: LinearOperator + Clone>(
    golden: &Golden,
    run: &Run,
    operator: A,
    config: DiffPirConfig,
) -> Vec<f64> {
    let table = DdpmTable::linear(1000, 1e-4, 0.02).unwrap();
    // Steps of the reference: 999 - floor(sqrt(linspace(0, 10^6, 8))), the last one 0, counted from 0.
    let steps = (0..8).map(|k| 999 - ((k as f64 * 1e6 / 7.0).sqrt() as usize).min(999));
    let times = steps.map(|step| table.time_of(step + 1)).collect();
    let grid = TimeGrid::new(times).unwrap();
    let (first, last) = (table.sigma(1.0), table.scale(grid.end()));
    let y = exact(&run.y, SHAPE);

    // It starts from 2 A^T y - 1 plus noise in [-1, 1], and takes that for a state of its first level.
    let spread = (first * first - 4.0 * golden.noise_std * golden.noise_std).sqrt();
    let sigma = 0.5 * first;
    let back = values(&operator.adjoint(y.clone()));
    let start = back
        .iter()
        .zip(&run.noise[0])
        .map(|(back, z)| (back + 0.5 * spread * z) / sigma)
        .collect();
    let noise: Vec<Vec<f64>> = [start].into_iter().chain(run.noise[1..].to_vec()).collect();

    let data = L2::new(operator, y, golden.noise_std).unwrap();
    let clipped = Clipped::unit(golden.prior());
    let schedule = Scaled::new(table, 0.5);
    let sampler = DiffPir::new(schedule, clipped, data, grid, config).unwrap();
    let mut noise = Replay(noise.into_iter());
    let image = sampler.sample_with(SHAPE, &mut noise, &mut |_| ()).unwrap();
    // It returns the scaled state, moved to [0, 1].
    let scaled = |pixel: &f64| 0.5 * last * (2.0 * pixel - 1.0) + 0.5;
    values(&image).iter().map(scaled).collect()
}

#[test]
fn the_reference_is_followed_to_its_last_level() {
    let golden = Golden::read();
    let runs = &golden.runs[1..];
    assert_eq!(runs.len(), 2);
    let config = |lambda, zeta| DiffPirConfig { lambda, zeta };
    for run in runs {
        assert_eq!(run.sampler, "DiffPIR");
        let output = |config| match run.operator.as_str() {
            "inpaint" => {
                let operator = Inpainting::new(exact(&golden.mask, SHAPE)).unwrap();
                reference_run(&golden, run, operator, config)
            }
            "blurfft" => {
                let kernel = exact(&golden.kernel, [1, 1, 3, 3]);
                let operator = FourierBlur::new(kernel, [4, 4]).unwrap();
                reference_run(&golden, run, operator, config)
            }
            other => panic!("no such operator: {other}"),
        };
        // Its 7 is half as much in the paper's terms: it counts pixels in [-1, 1] and noise_std in [0, 1], and twice
        // the penalty.
        let error = departure(&output(config(3.5, 0.1)), &run.output);
        assert!(error < 1e-4, "{}: {error:e}", run.operator);
        for wrong in [config(7.0, 0.1), config(3.5, 0.2)] {
            let error = departure(&output(wrong), &run.output);
            assert!(error > 1e-3, "{}, {wrong:?}: {error:e}", run.operator);
        }
    }
}

#[test]
fn exact_data_end_in_the_measurement() {
    /// The set of images with the observed pixels: any data term with a proximal operator will do.
    struct Observed(Inpainting, Tensor<4>);
    impl Proximal for Observed {
        fn prox(&self, x: Tensor<4>, _: f64) -> Tensor<4> {
            x.clone() - self.0.forward(x) + self.1.clone()
        }
    }
    let operator = Inpainting::random([4, 5], 0.5, 2, (&device(), DType::F64)).unwrap();
    let y = operator.forward(rng(3).uniform([2, 1, 4, 5]));
    let sampler = DiffPir::new(
        VariancePreserving::new(0.1, 20.0).unwrap(),
        prior(),
        Observed(operator.clone(), y.clone()),
        TimeGrid::uniform(1.0, 0.0, 5).unwrap(),
        DiffPirConfig::default(),
    )
    .unwrap();
    let got = sampler
        .sample([2, 1, 4, 5], &mut rng(4), &mut |_| ())
        .unwrap();
    assert_eq!(values(&operator.forward(got)), values(&y));
}

fn small(config: DiffPirConfig, from: f64) -> Result<impl PosteriorSampler, SampleError> {
    let data = L2::new(Identity, exact(&[0.2, 0.8], [1, 1, 1, 2]), 0.2).unwrap();
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    DiffPir::new(
        schedule,
        prior(),
        data,
        TimeGrid::uniform(from, 0.0, 5)?,
        config,
    )
}

#[test]
fn rows_are_independent() {
    let sampler = small(DiffPirConfig::default(), 1.0).unwrap();
    assert_rows_are_independent(&sampler, [1, 1, 2]);
}

#[test]
fn a_step_is_one_evaluation_and_the_last_one_counts() {
    let run = |last_to: f64| {
        let prior = Counted::new(prior());
        let data = L2::new(Identity, exact(&[0.8], [1, 1, 1, 1]), 0.2).unwrap();
        let grid = TimeGrid::new(vec![1.0, 0.3, 0.1, last_to]).unwrap();
        let config = DiffPirConfig::default();
        let sampler = DiffPir::new(Karras::new(1.0).unwrap(), &prior, data, grid, config).unwrap();
        let image = sampler
            .sample([1, 1, 1, 1], &mut rng(1), &mut |_| ())
            .unwrap();
        assert_eq!(prior.evaluations(), 3);
        values(&image)[0]
    };
    assert_ne!(run(0.0), run(0.01));
}

#[test]
fn distance_from_the_gaussian_posterior_is_as_documented() {
    for (noise_std, lambda, documented) in [
        (0.05, 7.0, [-0.89, 2.16]),
        (0.2, 7.0, [-0.62, 1.37]),
        (0.8, 7.0, [0.0, 0.99]),
        (0.2, 1.0, [0.32, 0.86]),
    ] {
        assert_departure(noise_std, documented, |case, (shape, noise, observe)| {
            let data = L2::new(Identity, case.y, noise_std).unwrap();
            let config = DiffPirConfig { lambda, zeta: 0.1 };
            DiffPir::new(case.schedule, case.prior, data, case.grid, config)?
                .sample_with(shape, noise, observe)
        });
    }
}

#[test]
fn bad_settings_are_refused() {
    let config = |lambda, zeta| DiffPirConfig { lambda, zeta };
    for (expected, config) in [
        ("lambda", config(0.0, 0.1)),
        ("lambda", config(f64::INFINITY, 0.1)),
        ("zeta", config(7.0, 1.5)),
        ("zeta", config(7.0, f64::NAN)),
    ] {
        match small(config, 1.0).err().unwrap() {
            SampleError::Parameter { name, .. } => assert_eq!(name, expected),
            other => panic!("{other}"),
        }
    }
    let error = small(DiffPirConfig::default(), 1.5).err().unwrap();
    let beyond = GridError::BeyondHorizon {
        time: 1.5,
        horizon: 1.0,
    };
    assert_eq!(error, SampleError::Grid(beyond));
}
