//! What a report tells, and its verdict.

use burn::tensor::Tensor;
use tweedie_mcmc::{ChainReport, Chains, MarkovKernel, Outcome, Reason, sample_chains};
use tweedie_metrics::StoredChains;
use tweedie_testkit::{assert_close, exact};

use crate::chains::{Counter, GO_ON, Independent, Walk, config, rng, zeros};

/// A run of four chains along two directions, the first of which is the slower.
fn report<K: MarkovKernel<2>>(kernel: K, iterations: usize, start: Tensor<2>) -> ChainReport {
    let chains = Chains::new(kernel, config(iterations, 20, 1))
        .unwrap()
        .with_direction("first", exact(&[1.0, 0.0], [1, 2]))
        .unwrap()
        .with_direction("second", exact(&[0.0, 1.0], [1, 2]))
        .unwrap();
    chains.run(start, &mut rng(), |_| GO_ON).unwrap().report()
}

#[test]
fn independent_draws_have_converged_once_they_are_enough() {
    let enough = report(Independent, 1020, zeros(4, 2));
    assert!(enough.verdict.converged, "{:?}", enough.verdict);
    assert_eq!(enough.verdict.reasons.len(), 2 + 2 * 3);
    let few = report(Independent, 70, zeros(4, 2));
    assert!(!few.verdict.converged);
    let failing = few.verdict.reasons.iter().filter(|reason| !reason.holds);
    assert!(
        failing
            .clone()
            .any(|reason| reason.quantity.contains("effective"))
    );
    // 400 for 4 chains, not 100.
    assert!(
        few.verdict
            .reasons
            .iter()
            .all(|reason| [1.01, 400.0].contains(&reason.bound))
    );
    let none = report(Independent, 22, zeros(4, 2));
    let unknown = |reason: &Reason| reason.found.is_none() && !reason.holds;
    assert!(!none.verdict.converged && none.verdict.reasons.iter().all(unknown));
    assert!(none.verdict.reasons[0].to_string().contains("not known"));
}

#[test]
fn chains_that_stand_apart_have_not_converged() {
    let apart = exact(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 900.0], [4, 2]);
    let slow = report(Walk { rho: 0.999 }, 1020, apart);
    assert!(!slow.verdict.converged);
    assert!(slow.pixel_rhat_max.unwrap() > 1.5);
    assert_eq!(slow.slowest[0].name, "second");
    // The same walk is fine where it forgets faster.
    let quick = report(Walk { rho: 0.0 }, 3020, zeros(4, 2));
    assert!(quick.verdict.converged, "{:?}", quick.verdict);
}

#[test]
fn the_numbers_are_those_of_the_stored_chains_the_slowest_first() {
    let chains = Chains::new(Walk { rho: 0.9 }, config(520, 20, 1))
        .unwrap()
        .with_direction("difference", exact(&[1.0, -1.0], [1, 2]))
        .unwrap()
        .with_direction("sum", exact(&[1.0, 1.0], [1, 2]))
        .unwrap();
    let run = chains.run(zeros(3, 2), &mut rng(), |_| GO_ON).unwrap();
    let report = run.report();
    assert_eq!(report.slowest.len(), 3);
    let sizes: Vec<f64> = report
        .slowest
        .iter()
        .map(|found| found.ess_bulk.unwrap())
        .collect();
    assert!(sizes.is_sorted() && sizes[0] < sizes[2]);
    for found in &report.slowest {
        let trace = run
            .traces
            .iter()
            .find(|trace| trace.name == found.name)
            .unwrap();
        let stored = StoredChains::new(&trace.chains).unwrap();
        assert_eq!(found.ess_bulk, Some(stored.bulk_ess()));
        assert_eq!(found.ess_tail, Some(stored.tail_ess()));
        assert_eq!(found.rhat, Some(stored.rank_rhat()));
        assert_eq!(found.mcse, Some(stored.mcse()));
        let mean = trace.chains.iter().flatten().sum::<f64>() / 1500.0;
        assert_close("mean", &[found.mean.unwrap()], &[mean], 1e-12);
    }
    let statistics = run.statistics.as_ref().unwrap();
    let extreme = |map: &Option<Tensor<2>>| tweedie_testkit::values(map.as_ref().unwrap());
    let ess = extreme(&statistics.ess);
    assert_eq!(report.pixel_ess_min, Some(ess[0].min(ess[1])));
    assert_eq!(report.pixel_ess_median, Some(0.5 * (ess[0] + ess[1])));
    let rhat = extreme(&statistics.rhat);
    assert_eq!(report.pixel_rhat_max, Some(rhat[0].max(rhat[1])));
}

#[test]
fn counts_and_steps_are_told() {
    let run = sample_chains(
        Counter::default(),
        zeros(2, 1),
        &config(21, 5, 3),
        &mut rng(),
        |_| GO_ON,
    );
    let report = run.unwrap().report();
    assert_eq!(report.kernel, "counter");
    assert_eq!(
        (report.step_size, report.step_bound),
        (Some(2.0), Some(1.0))
    );
    assert_eq!((report.chains, report.iterations, report.draws), (2, 21, 5));
    assert_eq!((report.burn_in, report.thinning), (5, 3));
    assert_eq!((report.gradients_per_iteration, report.gradients), (3, 63));
    assert_eq!(report.acceptance_rate, Some(0.25));
    assert_eq!(report.outcome, Outcome::Completed);
    // A probability of acceptance is no direction.
    assert_eq!(report.slowest.len(), 1);
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<ChainReport>(&text).unwrap(), report);
}
