//! Settings and starts that make no sense are refused, with what was found and what was expected.

use burn::tensor::{DType, Tensor};
use tweedie_core::{DenoiserFn, Rng};
use tweedie_fidelity::{MoreauEnvelope, ScorePrior};
use tweedie_mcmc::{
    AnnealedLangevin, ChainConfig, ChainError, ChainEvent, Chains, Hmc, LangevinDraw, Mala,
    MarkovKernel, Myula, PixelBox, PnpUla, ProjectedUla, ReflectedUla, SkRock, Start, StepSize,
    StopRule, Ula, Underdamped, sample_chains,
};
use tweedie_physics::{AverageDownsampling, ConjugateGradient, ForwardOperator, LinearOperator};
use tweedie_testkit::{assert_z, device, exact, values};

use crate::chains::{Counter, GO_ON, Walk, config, rng, zeros};
use crate::support::Quadratic;

fn refusal(config: ChainConfig) -> ChainError {
    let found = Chains::<_, 2>::new(Counter::default(), config.clone()).err();
    let failure = sample_chains(Counter::default(), zeros(1, 1), &config, &mut rng(), |_| {
        GO_ON
    });
    let failure = failure.unwrap_err();
    assert!(failure.partial.is_none());
    assert_eq!(failure.to_string(), found.as_ref().unwrap().to_string());
    found.unwrap()
}

#[test]
fn settings_out_of_range_are_refused() {
    let fine = ChainConfig::default();
    let stop = |min_ess, max_rhat| Some(StopRule { min_ess, max_rhat });
    let refused = [
        (
            "iterations",
            0.0,
            ChainConfig {
                iterations: 0,
                ..fine.clone()
            },
        ),
        (
            "thinning",
            0.0,
            ChainConfig {
                thinning: 0,
                ..fine.clone()
            },
        ),
        (
            "check_every",
            0.0,
            ChainConfig {
                check_every: 0,
                ..fine.clone()
            },
        ),
        (
            "quantiles",
            1.5,
            ChainConfig {
                quantiles: vec![0.5, 1.5],
                ..fine.clone()
            },
        ),
        (
            "quantiles",
            -0.1,
            ChainConfig {
                quantiles: vec![-0.1],
                ..fine.clone()
            },
        ),
        (
            "lags",
            0.0,
            ChainConfig {
                lags: vec![1, 0],
                ..fine.clone()
            },
        ),
        (
            "min_ess",
            0.0,
            ChainConfig {
                stop: stop(Some(0.0), None),
                ..fine.clone()
            },
        ),
        (
            "max_rhat",
            1.0,
            ChainConfig {
                stop: stop(None, Some(1.0)),
                ..fine.clone()
            },
        ),
    ];
    for (setting, value, config) in refused {
        let error = refusal(config);
        let ChainError::OutOfRange {
            name,
            found,
            expected,
        } = error
        else {
            panic!("{setting}: {error}");
        };
        assert_eq!((name, found), (setting, value));
        assert!(!expected.is_empty());
    }
    let error = refusal(ChainConfig {
        quantiles: vec![f64::NAN],
        ..fine.clone()
    });
    assert!(matches!(
        error,
        ChainError::OutOfRange {
            name: "quantiles",
            ..
        }
    ));
    for (iterations, burn_in, thinning) in [(10, 10, 1), (10, 11, 1), (10, 5, 6)] {
        let error = refusal(config(iterations, burn_in, thinning));
        let text = format!("burn_in {burn_in}, thinning {thinning}, iterations {iterations}");
        assert!(error.to_string().contains(&text), "{error}");
    }
    for clip in [[1.0, 0.0], [1.0, 1.0], [f64::NAN, 1.0], [0.0, f64::NAN]] {
        let error = refusal(ChainConfig {
            clip: Some(clip),
            ..fine.clone()
        });
        assert!(matches!(error, ChainError::EmptyBox { .. }));
    }
    let error = refusal(ChainConfig {
        stop: stop(None, None),
        ..fine
    });
    assert!(matches!(error, ChainError::EmptyStopRule));
    // Each of the least that makes sense runs.
    let least = ChainConfig {
        check_every: 1,
        quantiles: vec![0.0, 1.0],
        lags: vec![1],
        ..config(10, 5, 5)
    };
    let run = sample_chains(Counter::default(), zeros(1, 1), &least, &mut rng(), |_| {
        GO_ON
    });
    assert_eq!(run.unwrap().draws, 1);
}

/// What a run tells of its step, before anything else.
fn warnings(step_size: f64) -> Vec<StepSize> {
    let kernel = Ula::new(Quadratic::pixel(0.0, 4.0), step_size).unwrap();
    let (mut warned, mut events) = (Vec::new(), 0);
    let run = sample_chains(kernel, zeros(2, 1), &config(3, 0, 1), &mut rng(), |event| {
        if let ChainEvent::StepAboveBound(step) = event {
            assert_eq!(events, 0, "the warning comes late");
            warned.push(step);
        }
        events += 1;
        GO_ON
    });
    run.unwrap();
    warned
}

#[test]
fn a_step_above_its_bound_is_told_once_with_the_bound() {
    let too_long = StepSize {
        value: 0.26,
        bound: Some(0.25),
    };
    assert_eq!(warnings(0.26), [too_long]);
    assert_eq!(warnings(0.25), []);
}

#[test]
fn steps_that_are_none_are_refused_by_every_kernel_that_takes_one() {
    let target = || Quadratic::pixel(0.0, 4.0);
    let walls = || MoreauEnvelope::new(PixelBox::UNIT, 0.1).unwrap();
    let denoiser = DenoiserFn::new(|x: Tensor<2>, _| x);
    let score = || ScorePrior::new(denoiser, 0.5, 1.0).unwrap();
    for h in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let errors = [
            Ula::new(target(), h).err(),
            SkRock::new(target(), 5, 0.05, h).err(),
            Myula::new(target(), walls(), h).err(),
            PnpUla::new(target(), score(), walls(), h).err(),
            ProjectedUla::new(target(), PixelBox::UNIT, h).err(),
            ReflectedUla::new(target(), PixelBox::UNIT, h).err(),
            AnnealedLangevin::new(vec![(0.1, target())], 1, h).err(),
            Mala::new(target(), h).err(),
            Hmc::new(target(), h, 2).err(),
            Underdamped::new(target(), h, 1.0).err(),
            LangevinDraw::new(target(), 1, h).err(),
        ];
        for (kernel, error) in errors.into_iter().enumerate() {
            let Some(ChainError::OutOfRange { name, found, .. }) = error else {
                panic!("kernel {kernel} takes a step of {h}: {error:?}");
            };
            assert_eq!((name, found.to_bits()), ("step_size", h.to_bits()));
        }
    }
}

#[test]
fn kernels_with_a_metropolis_test_are_not_clipped() {
    let kernel = Counter {
        refuses: true,
        ..Counter::default()
    };
    let config = ChainConfig {
        clip: Some([0.0, 1.0]),
        ..config(10, 5, 1)
    };
    let failure = sample_chains(kernel, zeros(1, 1), &config, &mut rng(), |_| {
        panic!("it began")
    });
    let ChainError::NoClipping { kernel } = failure.unwrap_err().error else {
        panic!("clipped");
    };
    assert_eq!(kernel, "counter");
}

fn run_from<K: MarkovKernel<2>>(chains: &Chains<'_, K, 2>, start: Tensor<2>) -> ChainError {
    chains.run(start, &mut rng(), |_| GO_ON).unwrap_err().error
}

#[test]
fn starts_that_are_none_are_refused() {
    let chains = Chains::new(Counter::default(), config(10, 5, 1)).unwrap();
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = run_from(&chains, exact(&[0.0, 1.0, 2.0, bad], [2, 2]));
        assert!(
            matches!(error, ChainError::StartNotFinite { chain: 1 }),
            "{error}"
        );
    }
    for (values, shape) in [(vec![], [0, 2]), (vec![], [2, 0])] {
        let error = run_from(&chains, exact(&values, shape));
        assert!(matches!(error, ChainError::EmptyStart { .. }), "{error}");
    }
    let named = chains.with_direction("tilt", zeros(1, 3)).unwrap();
    let error = run_from(&named, zeros(2, 2));
    assert!(
        error
            .to_string()
            .contains("\"tilt\" has the shape [1, 3], expected [1, 2]"),
        "{error}"
    );
    let rows = Chains::new(Counter::default(), config(10, 5, 1))
        .unwrap()
        .with_function("mean", |x: Tensor<2>| x.mean_dim(0))
        .unwrap();
    let error = run_from(&rows, zeros(2, 2));
    assert!(
        error
            .to_string()
            .contains("\"mean\" gives the shape [1, 2], expected 2 rows"),
        "{error}"
    );
}

#[test]
fn names_are_names_of_their_own() {
    let chains = || {
        Chains::<_, 2>::new(Walk { rho: 0.5 }, config(10, 5, 1))
            .unwrap()
            .with_function("g", |x| x)
            .unwrap()
    };
    for name in ["", "g", "x", "energy", "acceptance_rate"] {
        let refused = [
            chains().with_function(name, |x| x).err(),
            chains().with_direction(name, zeros(1, 1)).err(),
        ];
        for error in refused {
            assert!(
                matches!(error.unwrap(), ChainError::Name { name: found, .. } if found == name)
            );
        }
    }
    assert!(chains().with_direction("d", zeros(1, 1)).is_ok());
    let every = chains().with_checkpoint("nowhere", 0, "").err().unwrap();
    assert!(matches!(
        every,
        ChainError::OutOfRange { name: "every", .. }
    ));
}

fn file_refusal(chains: Chains<'_, Walk, 2>) -> (ChainError, bool) {
    let failure = chains.run(zeros(1, 1), &mut rng(), |_| GO_ON).unwrap_err();
    (failure.error, failure.partial.is_some())
}

#[test]
fn files_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("none").join("file");
    let chains = || Chains::new(Walk { rho: 0.5 }, config(10, 5, 1)).unwrap();
    let (error, began) = file_refusal(chains().with_store(&nowhere));
    assert!(matches!(error, ChainError::Write { path, .. } if path == nowhere) && !began);
    // What was computed before is not lost.
    let (error, began) = file_refusal(chains().with_checkpoint(&nowhere, 7, "").unwrap());
    assert!(matches!(error, ChainError::Write { path, .. } if path == nowhere) && began);
    let run = chains().run(zeros(1, 1), &mut rng(), |_| GO_ON).unwrap();
    let error = run.export_npz(&nowhere).unwrap_err();
    assert!(matches!(error, ChainError::Write { path, .. } if path == nowhere));
}

#[test]
fn starts_are_made_of_the_measurement() {
    let operator = AverageDownsampling::new(2).unwrap();
    let shape = [1, 1, 4, 4];
    let truth = Rng::seeded(3, &device())
        .with_dtype(DType::F64)
        .normal(shape);
    let y = operator.forward(truth.clone());
    let cg = ConjugateGradient::default();
    let adjoint = Start::adjoint(&operator, y.clone(), shape).unwrap();
    let inverse = Start::pseudo_inverse(&operator, y.clone(), shape, cg).unwrap();
    let starts = [
        (adjoint, operator.adjoint(y.clone())),
        (inverse, operator.pseudo_inverse(y.clone(), cg)),
        (Start::given(truth.clone()), truth),
    ];
    for (start, expected) in starts {
        let found = values(&start.chains(3, &rng()).unwrap());
        assert_eq!(found, values(&expected).repeat(3));
    }
    let error = Start::adjoint(&operator, y.clone(), [1, 1, 8, 8]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("[1, 1, 2, 2], expected [1, 1, 4, 4]"),
        "{error}"
    );
    let error = Start::pseudo_inverse(&operator, y, [1, 1, 3, 3], cg).unwrap_err();
    assert!(matches!(error, ChainError::Physics(_)), "{error}");
    let three = Start::given(exact::<2>(&[1.0, 2.0, 3.0], [3, 1]));
    assert_eq!(values(&three.chains(3, &rng()).unwrap()), [1.0, 2.0, 3.0]);
    let error = three.chains(4, &rng()).unwrap_err();
    assert!(matches!(
        error,
        ChainError::StartCount {
            found: 3,
            chains: 4
        }
    ));
    assert!(matches!(
        three.chains(0, &rng()),
        Err(ChainError::OutOfRange { name: "chains", .. })
    ));
    for std in [-1.0, f64::NAN, f64::INFINITY] {
        let error = Start::given(zeros(1, 1)).over_dispersed(std).unwrap_err();
        assert!(matches!(error, ChainError::OutOfRange { name: "std", .. }));
    }
}

#[test]
fn over_dispersed_starts_have_the_spread_asked_for() {
    let (chains, pixels) = (400, 50);
    let start = Start::given(Tensor::<2>::full([1, pixels], 0.3, (&device(), DType::F64)));
    let wide = start.over_dispersed(2.0).unwrap();
    let before = rng().position();
    let mut generator = rng();
    let found = wide.chains(chains, &generator).unwrap();
    assert_eq!(generator.position(), before);
    // A chain starts where it would start alone, and not where the noise of its run begins.
    let few = values(&wide.chains(3, &generator).unwrap());
    assert_eq!(few, values(&found)[..3 * pixels]);
    let noise = values(&generator.normal([3, pixels]));
    assert!((few[0] - 0.3 - 2.0 * noise[0]).abs() > 1e-3);
    let (n, found) = ((chains * pixels) as f64, values(&found));
    let mean = found.iter().sum::<f64>() / n;
    let square = found.iter().map(|x| (x - 0.3).powi(2)).sum::<f64>() / n;
    assert_z(
        "start",
        &[mean, square],
        &[0.3, 4.0],
        &[2.0 / n.sqrt(), 4.0 * (2.0 / n).sqrt()],
    );
}
