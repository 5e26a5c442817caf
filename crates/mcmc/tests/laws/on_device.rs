//! Chains on the device under test: single precision against double, their statistics, and a resumed run.

use std::ops::ControlFlow;

use burn::tensor::{DType, Tensor};
use tweedie_core::{GaussianPrior, Rng};
use tweedie_fidelity::{L2, ScorePrior};
use tweedie_mcmc::{
    Adaptive, ChainConfig, ChainRun, Chains, Mala, MarkovKernel, PosteriorDensity, SkRock,
};
use tweedie_physics::Inpainting;
use tweedie_testkit::{device, values};

type Target = PosteriorDensity<L2<Inpainting>, ScorePrior<GaussianPrior>>;

const DRAWS: usize = 64;

fn target(dtype: DType) -> Target {
    let options = (&device(), dtype);
    let operator = Inpainting::random([2, 4], 0.5, 3, options).unwrap();
    let y = Tensor::full([1, 1, 2, 4], 0.8, options);
    let prior = GaussianPrior::new(Tensor::full([1, 1, 2, 4], 0.4, options), 0.1);
    PosteriorDensity {
        fidelity: L2::new(operator, y, 0.1).unwrap(),
        prior: ScorePrior::new(prior, 0.05, 1.0).unwrap(),
    }
}

fn config() -> ChainConfig {
    ChainConfig {
        iterations: 20 + DRAWS,
        burn_in: 20,
        quantiles: vec![0.5],
        lags: vec![1],
        ..ChainConfig::default()
    }
}

fn start(dtype: DType) -> Tensor<4> {
    Tensor::full([3, 1, 2, 4], 0.5, (&device(), dtype))
}

fn run<K: MarkovKernel>(kernel: K, dtype: DType) -> ChainRun {
    let mut rng = Rng::seeded(5, &device()).with_dtype(dtype);
    let direction = Tensor::full([1, 1, 2, 4], 0.125, (&device(), dtype));
    let chains = Chains::new(kernel, config()).unwrap();
    let chains = chains.with_direction("average", direction).unwrap();
    chains
        .run(start(dtype), &mut rng, |_| ControlFlow::Continue(()))
        .unwrap()
}

#[test]
fn statistics_in_single_precision_follow_double() {
    let [single, double] = [DType::F32, DType::F64].map(|dtype| {
        let kernel = SkRock::new(target(dtype), 4, 0.05, 0.01).unwrap();
        let run = run(kernel, dtype);
        assert_eq!(run.draws, DRAWS);
        let found = run.statistics.unwrap();
        let maps = [
            Some(found.mean),
            found.std,
            found.rhat,
            found.mcse,
            found.quantiles,
            found.autocorrelation,
        ];
        let mut all: Vec<f64> = maps
            .iter()
            .flat_map(|map| values(map.as_ref().unwrap()))
            .collect();
        all.extend(&run.traces[0].chains[2]);
        all
    });
    assert_eq!(single.len(), double.len());
    for (index, (single, double)) in single.iter().zip(&double).enumerate() {
        // Chains that contract forget their rounding errors: some hundred operations matter, on numbers of about 1.
        let allowed = 500.0 * f64::from(f32::EPSILON);
        assert!(
            (single - double).abs() < allowed,
            "{index}: {single} and {double}"
        );
    }
}

#[test]
fn adapting_chains_stay_finite_and_are_accepted() {
    let kernel = Adaptive::new(Mala::new(target(DType::F32), 0.003).unwrap());
    let run = run(kernel, DType::F32);
    let report = run.report();
    let rate = report.acceptance_rate.unwrap();
    assert!(rate > 0.2 && rate < 1.0, "{rate}");
    let std = values(&run.statistics.unwrap().std.unwrap());
    assert!(std.iter().all(|std| *std > 0.0 && *std < 1.0), "{std:?}");
}

#[test]
fn a_run_resumes_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Adaptive::new(Mala::new(target(DType::F32), 0.003).unwrap());
    let run_to = |iterations: usize, resume: bool| {
        let config = ChainConfig {
            iterations,
            ..config()
        };
        let chains = Chains::new(&kernel, config).unwrap();
        let chains = chains
            .with_checkpoint(folder.path().join("chains"), 1000, "")
            .unwrap();
        let mut rng = Rng::seeded(5, &device());
        let (start, go_on) = (start(DType::F32), |_: tweedie_mcmc::ChainEvent<'_>| {
            ControlFlow::Continue(())
        });
        if resume {
            chains.resume(&start, &mut rng, go_on).unwrap()
        } else {
            chains.run(start, &mut rng, go_on).unwrap()
        }
    };
    let whole = run_to(20 + DRAWS, false);
    run_to(31, false);
    let resumed = run_to(20 + DRAWS, true);
    assert_eq!(values(&whole.position), values(&resumed.position));
    let mean = |run: ChainRun| values(&run.statistics.unwrap().mean);
    assert_eq!(mean(whole), mean(resumed));
}
