//! Which states are draws, what is computed of them, and when a run ends.

use std::ops::ControlFlow;

use burn::tensor::Tensor;
use tweedie_mcmc::{
    ChainConfig, ChainError, ChainEvent, Chains, Outcome, Phase, StopRule, sample_chains,
};
use tweedie_metrics::{Autocorrelation, ChainMoments, StreamingQuantiles};
use tweedie_testkit::{assert_close, exact, values};

use crate::chains::{Counter, FROZEN, GO_ON, Independent, Told, Walk, config, rng, zeros};

#[test]
fn every_thinning_th_state_after_the_burn_in_is_a_draw() {
    let kernel = Counter::default();
    for (iterations, burn_in, thinning, expected) in [
        (21, 5, 3, vec![8.0, 11.0, 14.0, 17.0, 20.0]),
        (20, 5, 3, vec![8.0, 11.0, 14.0, 17.0, 20.0]),
        (19, 5, 3, vec![8.0, 11.0, 14.0, 17.0]),
        (4, 0, 1, vec![1.0, 2.0, 3.0, 4.0]),
        (4, 3, 1, vec![4.0]),
    ] {
        let config = ChainConfig {
            keep: 2,
            ..config(iterations, burn_in, thinning)
        };
        assert_eq!(config.draws(), expected.len());
        let mut told = Told::default();
        // A reference to a kernel is one.
        let run = sample_chains(&kernel, zeros(2, 1), &config, &mut rng(), |event| {
            told.hear(&event);
            GO_ON
        })
        .unwrap();
        let draws: Vec<f64> = expected.iter().map(|draw| draw + FROZEN).collect();
        let pairs: Vec<Vec<f64>> = draws.iter().map(|draw| vec![*draw; 2]).collect();
        assert_eq!(told.draws, pairs);
        assert_eq!((run.draws, run.iterations), (expected.len(), iterations));
        assert_eq!(run.outcome, Outcome::Completed);
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let found = run.statistics.unwrap();
        assert_close("mean", &values(&found.mean), &[mean], 1e-12 * FROZEN);
        let kept: Vec<Vec<f64>> = run.kept.iter().map(values).collect();
        assert_eq!(kept, pairs[..pairs.len().min(2)]);

        let phase = |iteration| {
            let sampling = iteration > burn_in;
            (
                iteration,
                if sampling {
                    Phase::Sampling
                } else {
                    Phase::BurnIn
                },
            )
        };
        assert_eq!(
            told.iterations,
            (1..=iterations).map(phase).collect::<Vec<_>>()
        );
        assert_eq!(told.steps_above, 1);
        // The start is none, nor would be the state of one iteration before.
        assert_ne!(draws[0], FROZEN);
        assert_ne!(told.draws[0], vec![draws[0] - 1.0; 2]);
    }
}

type Function = fn(Tensor<2>) -> Tensor<2>;

#[test]
fn statistics_are_those_of_the_draws() {
    let config = ChainConfig {
        quantiles: vec![0.1, 0.5],
        lags: vec![1, 3],
        check_every: 7,
        keep: usize::MAX,
        ..config(100, 10, 2)
    };
    let chains = Chains::new(Walk { rho: 0.7 }, config)
        .unwrap()
        .with_function("square", |x| x.square())
        .unwrap()
        .with_function("sum", |x: Tensor<2>| x.sum_dim(1))
        .unwrap();
    let run = chains.run(zeros(3, 2), &mut rng(), |_| GO_ON).unwrap();
    assert_eq!(run.kept.len(), 45);

    let functions: [(&str, Function); 3] = [
        ("x", |x| x),
        ("square", |x| x.square()),
        ("sum", |x| x.sum_dim(1)),
    ];
    let found: Vec<_> = run
        .functions
        .iter()
        .map(|(name, found)| (name.as_str(), found))
        .collect();
    assert_eq!((found[0].0, found[1].0), ("square", "sum"));
    let all = [run.statistics.as_ref().unwrap(), found[0].1, found[1].1];
    for ((name, g), found) in functions.into_iter().zip(all) {
        let mut moments = ChainMoments::<2>::default();
        let mut quantiles = StreamingQuantiles::new(&[0.1, 0.5]);
        let mut autocorrelation = Autocorrelation::new(&[1, 3]);
        let draws: Vec<Tensor<2>> = run.kept.iter().map(|draws| g(draws.clone())).collect();
        for draws in &draws {
            moments.update(draws.clone());
            quantiles.update(draws.clone());
            autocorrelation.update(draws.clone());
        }
        let equal = |what: &str, found: Option<&Tensor<2>>, expected: Option<Tensor<2>>| {
            let (found, expected) = (values(found.unwrap()), values(&expected.unwrap()));
            assert_eq!(found, expected, "{what} of {name}");
        };
        equal("mean", Some(&found.mean), moments.mean());
        equal("std", found.std.as_ref(), moments.std());
        equal("ess", found.ess.as_ref(), moments.ess());
        equal("rhat", found.rhat.as_ref(), moments.split_rhat());
        equal("mcse", found.mcse.as_ref(), moments.mcse());
        equal("quantiles", found.quantiles.as_ref(), quantiles.quantiles());
        let expected = autocorrelation.autocorrelation();
        equal("autocorrelation", found.autocorrelation.as_ref(), expected);

        // On the host, in two passes; and not the mean of other draws.
        let rows = Tensor::cat(draws, 0);
        let pixels = rows.dims()[1];
        let rows = values(&rows);
        let mean = |from: usize| {
            let mean = |pixel| {
                let pixel = rows.iter().skip(pixel).step_by(pixels).skip(from);
                pixel.clone().sum::<f64>() / pixel.count() as f64
            };
            (0..pixels).map(mean).collect::<Vec<f64>>()
        };
        assert_close(name, &values(&found.mean), &mean(0), 1e-12);
        assert!((values(&found.mean)[0] - mean(1)[0]).abs() > 1e-6);
    }
}

#[test]
fn traces_are_inner_products_and_what_the_kernel_tells() {
    let config = ChainConfig {
        keep: usize::MAX,
        check_every: 4,
        ..config(23, 3, 2)
    };
    let direction = [0.3, -2.0];
    let chains = Chains::new(Walk { rho: 0.7 }, config.clone())
        .unwrap()
        .with_direction("tilt", exact(&direction, [1, 2]))
        .unwrap();
    let run = chains.run(zeros(3, 2), &mut rng(), |_| GO_ON).unwrap();
    let names: Vec<&str> = run.traces.iter().map(|trace| trace.name.as_str()).collect();
    assert_eq!(names, ["tilt", "energy"]);
    for chain in 0..3 {
        let of_chain = |draws: &Tensor<2>| values(draws)[2 * chain..][..2].to_vec();
        let draws: Vec<Vec<f64>> = run.kept.iter().map(of_chain).collect();
        let along = |x: &Vec<f64>| direction[0] * x[0] + direction[1] * x[1];
        let tilt: Vec<f64> = draws.iter().map(along).collect();
        assert_close("tilt", &run.traces[0].chains[chain], &tilt, 1e-13);
        let energy: Vec<f64> = draws.iter().map(|x| x[0] * x[0] + x[1] * x[1]).collect();
        assert_close("energy", &run.traces[1].chains[chain], &energy, 1e-12);
    }
    let counted = sample_chains(Counter::default(), zeros(1, 2), &config, &mut rng(), |_| {
        GO_ON
    });
    let traces = counted.unwrap().traces;
    assert_eq!(traces[1].name, "acceptance_rate");
    assert_eq!(traces[1].chains, [vec![0.25; 10]]);
    let energies = (0..10).map(|draw| 2.0 * (FROZEN + f64::from(5 + 2 * draw)));
    assert_eq!(traces[0].chains, [energies.collect::<Vec<_>>()]);
}

#[test]
fn a_chain_does_not_depend_on_those_beside_it() {
    let config = ChainConfig {
        keep: usize::MAX,
        ..config(30, 5, 1)
    };
    let kernel = Walk { rho: 0.7 };
    let together = sample_chains(&kernel, zeros(3, 2), &config, &mut rng(), |_| GO_ON).unwrap();
    let mut second = rng().starting_at(1);
    let alone = sample_chains(&kernel, zeros(1, 2), &config, &mut second, |_| GO_ON).unwrap();
    for (together, alone) in together.kept.iter().zip(&alone.kept) {
        assert_eq!(values(together)[2..4], values(alone));
        assert_ne!(values(together)[..2], values(alone));
    }
    assert_eq!(together.traces[0].chains[1], alone.traces[0].chains[0]);
}

#[test]
fn states_are_clipped_after_each_step() {
    let free = ChainConfig {
        keep: usize::MAX,
        ..config(40, 0, 1)
    };
    let clipped = ChainConfig {
        clip: Some([-0.5, 0.75]),
        ..free.clone()
    };
    let start = exact(&[-9.0, 2.0, 0.1, 0.2], [2, 2]);
    let draws = |config: &ChainConfig| {
        let run = sample_chains(Walk { rho: 0.7 }, start.clone(), config, &mut rng(), |_| {
            GO_ON
        });
        values(&Tensor::cat(run.unwrap().kept, 0))
    };
    let inside = |x: &f64| (-0.5..=0.75).contains(x);
    let (clipped, free) = (draws(&clipped), draws(&free));
    assert!(clipped.iter().all(inside));
    assert!(clipped.contains(&-0.5) && clipped.contains(&0.75));
    assert!(!free.iter().all(inside));
    // The next step starts in the box: clipping afterwards gives other chains.
    let afterwards: Vec<f64> = free.iter().map(|x| x.clamp(-0.5, 0.75)).collect();
    assert_ne!(clipped, afterwards);
    // The start is clipped, too: the lower end and nine steps.
    let config = ChainConfig {
        clip: Some([-3.0, 40.0]),
        ..config(10, 10 - 1, 1)
    };
    let below = exact(&[-9.0], [1, 1]);
    let early = sample_chains(
        Counter::default(),
        below,
        &config,
        &mut rng(),
        |event| match event {
            ChainEvent::Iteration { iteration: 8, .. } => ControlFlow::Break(()),
            _ => GO_ON,
        },
    );
    assert_eq!(values(&early.unwrap().position), [5.0]);
}

#[test]
fn a_chain_that_leaves_the_numbers_ends_the_run_with_its_place() {
    let clip = Some([-10.0, 10.0]);
    for (burn_in, thinning, check_every, clip) in [
        (2, 1, 100, None),
        (2, 3, 100, None),
        (2, 3, 2, None),
        (30, 1, 4, None),
        (30, 1, 100, None),
        (30, 1, 4, clip),
    ] {
        for instead in [f64::NAN, f64::INFINITY] {
            let kernel = Counter {
                bad: Some((2, if burn_in == 2 { FROZEN + 7.0 } else { 7.0 })),
                instead,
                refuses: false,
            };
            let config = ChainConfig {
                check_every,
                clip,
                keep: usize::MAX,
                ..config(40, burn_in, thinning)
            };
            let mut told = Told::default();
            let failure = sample_chains(kernel, zeros(4, 2), &config, &mut rng(), |event| {
                told.hear(&event);
                GO_ON
            })
            .unwrap_err();
            let ChainError::Diverged {
                iteration,
                chain,
                iterations,
            } = failure.error
            else {
                panic!("{failure}");
            };
            assert_eq!((iteration, chain, iterations), (7, 2, 40));
            // Found with the next draw or check, and no later.
            let noticed = told.iterations.last().unwrap().0;
            assert!(noticed < 7 + check_every.min(if burn_in == 2 { thinning } else { 30 }));
            // Draws before it were counted, those after were not.
            let counted = if burn_in == 2 {
                (6 - burn_in) / thinning
            } else {
                0
            };
            let partial = failure.partial.unwrap();
            assert_eq!(partial.outcome, Outcome::Failed);
            assert_eq!((partial.draws, told.draws.len()), (counted, counted));
            assert_eq!(partial.kept.len(), counted);
            assert_eq!(partial.statistics.is_some(), counted > 0);
            for draws in &partial.kept {
                assert!(values(draws).iter().all(|x| x.is_finite()));
            }
            if let Some(statistics) = partial.statistics {
                let mean = told.draws.iter().map(|draws| draws[0]).sum::<f64>() / counted as f64;
                assert_close("mean", &values(&statistics.mean), &[mean; 2], 1e-9);
            }
        }
    }
    // Without the bad state nothing is found.
    let run = sample_chains(
        Counter::default(),
        zeros(4, 2),
        &config(40, 2, 1),
        &mut rng(),
        |_| GO_ON,
    );
    assert_eq!(run.unwrap().outcome, Outcome::Completed);
}

#[test]
fn a_function_that_leaves_the_numbers_is_named() {
    let chains = Chains::new(Counter::default(), config(20, 0, 2))
        .unwrap()
        .with_function("fine", |x| x)
        .unwrap()
        .with_function("reciprocal", |x: Tensor<2>| (x - (FROZEN + 6.0)).recip())
        .unwrap();
    let failure = chains.run(zeros(2, 2), &mut rng(), |_| GO_ON).unwrap_err();
    let ChainError::FunctionNotFinite {
        name,
        iteration,
        chain,
    } = failure.error
    else {
        panic!("{failure}");
    };
    assert_eq!((name.as_str(), iteration, chain), ("reciprocal", 6, 0));
    assert_eq!(failure.partial.unwrap().draws, 2);
}

#[test]
fn a_stop_rule_ends_the_run_at_the_first_check_where_it_holds() {
    let all = ChainConfig {
        check_every: 20,
        ..config(600, 50, 1)
    };
    let mut told = Told::default();
    let mut hear = |event: ChainEvent<'_, 2>| {
        told.hear(&event);
        GO_ON
    };
    let run = sample_chains(Independent, zeros(4, 5), &all, &mut rng(), &mut hear).unwrap();
    // The worst pixel is told.
    let statistics = run.statistics.unwrap();
    let [ess, rhat] = [statistics.ess, statistics.rhat].map(|map| values(&map.unwrap()));
    let smallest = ess.into_iter().reduce(f64::min);
    let largest = rhat.into_iter().reduce(f64::max);
    assert_eq!(told.checks.last(), Some(&(600, smallest, largest)));
    // Every 20th iteration after the burn-in.
    let checks: Vec<usize> = told.checks.iter().map(|check| check.0).collect();
    assert_eq!(checks, (60..=600).step_by(20).collect::<Vec<_>>());
    let first = |rule: &dyn Fn(f64, f64) -> bool| {
        let holds = |check: &&(usize, Option<f64>, Option<f64>)| {
            check
                .1
                .zip(check.2)
                .is_some_and(|(ess, rhat)| rule(ess, rhat))
        };
        told.checks.iter().find(holds).unwrap().0
    };
    let rules = [
        (Some(400.0), None, first(&|ess, _| ess >= 400.0)),
        (None, Some(1.05), first(&|_, rhat| rhat <= 1.05)),
        (
            Some(400.0),
            Some(1.02),
            first(&|ess, rhat| ess >= 400.0 && rhat <= 1.02),
        ),
    ];
    for (min_ess, max_rhat, expected) in rules {
        let config = ChainConfig {
            stop: Some(StopRule { min_ess, max_rhat }),
            ..all.clone()
        };
        let run = sample_chains(Independent, zeros(4, 5), &config, &mut rng(), |_| GO_ON).unwrap();
        assert_eq!((run.outcome, run.iterations), (Outcome::Stopped, expected));
        assert_eq!(run.draws, expected - 50);
        assert!(expected > 60 && expected < 600);
    }
    // A rule that never holds changes nothing.
    let config = ChainConfig {
        stop: Some(StopRule {
            min_ess: Some(1e9),
            max_rhat: None,
        }),
        ..all
    };
    let run = sample_chains(Independent, zeros(4, 5), &config, &mut rng(), |_| GO_ON).unwrap();
    assert_eq!((run.outcome, run.iterations), (Outcome::Completed, 600));
}

#[test]
fn the_observer_may_end_a_run() {
    let mut told = Told::default();
    let run = sample_chains(
        Counter::default(),
        zeros(1, 1),
        &config(50, 3, 1),
        &mut rng(),
        |event| {
            told.hear(&event);
            match event {
                ChainEvent::Iteration { iteration: 9, .. } => ControlFlow::Break(()),
                _ => GO_ON,
            }
        },
    )
    .unwrap();
    assert_eq!(run.outcome, Outcome::Interrupted);
    assert_eq!((run.iterations, run.draws, told.draws.len()), (9, 6, 6));
    assert_eq!(run.traces[0].chains[0].len(), 6);
}

#[test]
fn the_default_runs() {
    let config = ChainConfig::default();
    let run = sample_chains(Walk { rho: 0.5 }, zeros(2, 2), &config, &mut rng(), |_| {
        GO_ON
    })
    .unwrap();
    assert_eq!((run.draws, run.iterations), (800, 1000));
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ChainConfig>(&text).unwrap(), config);
    assert_eq!(serde_json::from_str::<ChainConfig>("{}").unwrap(), config);
    assert!(serde_json::from_str::<ChainConfig>(r#"{ "thining": 2 }"#).is_err());
}
