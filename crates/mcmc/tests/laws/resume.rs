//! Runs that are interrupted and resumed are those that were not, bit for bit; checkpoints of other runs are refused.

use std::{fs, ops::ControlFlow, path::Path};

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_mcmc::{
    ChainConfig, ChainError, ChainEvent, ChainRun, Chains, MarkovKernel, Outcome, StopRule,
};
use tweedie_testkit::{device, exact, values};

use crate::chains::{Counter, GO_ON, Told, Walk, config, numbers, rng};

fn start() -> Tensor<2> {
    exact(&[0.5, -1.0, 2.0, 0.0, 1.0, -0.25], [3, 2])
}

/// All that a run may be asked for.
fn everything() -> ChainConfig {
    ChainConfig {
        quantiles: vec![0.1, 0.5],
        lags: vec![1, 3],
        keep: 4,
        check_every: 5,
        clip: Some([-3.0, 3.0]),
        ..config(31, 6, 2)
    }
}

fn chains<'a, K: MarkovKernel<2>>(
    kernel: K,
    config: ChainConfig,
    folder: &Path,
) -> Chains<'a, K, 2> {
    Chains::new(kernel, config)
        .unwrap()
        .with_function("square", |x| x.square())
        .unwrap()
        .with_direction("tilt", exact(&[0.3, -2.0], [1, 2]))
        .unwrap()
        .with_store(folder.join("draws.npy"))
        .with_checkpoint(folder.join("chains.checkpoint"), 1, "a walk")
        .unwrap()
}

const WALK: Walk = Walk { rho: 0.7 };

/// The run that is not interrupted, where its generator stands afterwards, and its file of draws.
fn uninterrupted() -> (ChainRun<2>, Rng, Vec<u8>, Told) {
    let folder = tempfile::tempdir().unwrap();
    let (mut rng, mut told) = (rng(), Told::default());
    let run = chains(WALK, everything(), folder.path()).run(start(), &mut rng, |event| {
        told.hear(&event);
        GO_ON
    });
    let draws = fs::read(folder.path().join("draws.npy")).unwrap();
    (run.unwrap(), rng, draws, told)
}

#[test]
fn a_run_killed_after_any_iteration_goes_on_bit_for_bit() {
    let (expected, end, expected_draws, expected_told) = uninterrupted();
    // Checkpoints as a run leaves them that is killed after each iteration, and a file of draws that has gone on since.
    let folder = tempfile::tempdir().unwrap();
    let (place, left) = (
        folder.path().join("chains.checkpoint"),
        folder.path().join("left"),
    );
    fs::create_dir(&left).unwrap();
    let run = chains(WALK, everything(), folder.path()).run(start(), &mut rng(), |event| {
        if let ChainEvent::Checkpoint { iteration, path } = event {
            fs::copy(path, left.join(iteration.to_string())).unwrap();
            fs::copy(
                folder.path().join("draws.npy"),
                left.join(format!("{iteration}.npy")),
            )
            .unwrap();
        }
        GO_ON
    });
    assert_eq!(numbers(&run.unwrap()), numbers(&expected));
    let at_the_end = fs::read(folder.path().join("draws.npy")).unwrap();
    for iteration in 1..=31 {
        let as_it_was = fs::read(left.join(format!("{iteration}.npy"))).unwrap();
        for draws in [&as_it_was, &at_the_end] {
            fs::copy(left.join(iteration.to_string()), &place).unwrap();
            fs::write(folder.path().join("draws.npy"), draws).unwrap();
            let (mut rng, mut told) = (rng(), Told::default());
            let chains = chains(WALK, everything(), folder.path());
            let resumed = chains.resume(&start(), &mut rng, |event| {
                if let ChainEvent::Resumed { iteration: done } = event {
                    assert_eq!(done, iteration);
                }
                // Indices of draws go on, too.
                if !matches!(event, ChainEvent::Draw { .. }) {
                    told.hear(&event);
                }
                GO_ON
            });
            assert_eq!(
                numbers(&resumed.unwrap()),
                numbers(&expected),
                "after {iteration}"
            );
            assert_eq!(rng.position(), end.position());
            assert_eq!(told.iterations, expected_told.iterations[iteration..]);
            let checks = expected_told
                .checks
                .iter()
                .filter(|check| check.0 > iteration);
            assert_eq!(told.checks, checks.cloned().collect::<Vec<_>>());
            let draws = fs::read(folder.path().join("draws.npy")).unwrap();
            assert_eq!(draws, expected_draws);
        }
    }
    // Another seed gives other numbers, so what was compared does depend on the generator.
    let folder = tempfile::tempdir().unwrap();
    let mut other = Rng::seeded(8, &device()).with_dtype(DType::F64);
    let run = chains(WALK, everything(), folder.path()).run(start(), &mut other, |_| GO_ON);
    assert_ne!(numbers(&run.unwrap()), numbers(&expected));
}

#[test]
fn a_run_stopped_by_its_observer_goes_on_bit_for_bit() {
    let (expected, ..) = uninterrupted();
    for last in [1, 6, 7, 10, 17, 30] {
        let folder = tempfile::tempdir().unwrap();
        let rare = |iterations| {
            let config = ChainConfig {
                iterations,
                ..everything()
            };
            // No checkpoint is due before the end.
            chains(WALK, config, folder.path())
                .with_checkpoint(folder.path().join("chains.checkpoint"), 1000, "a walk")
                .unwrap()
        };
        let mut rng = rng();
        let mut written = Vec::new();
        let run = rare(31).run(start(), &mut rng, |event| match event {
            ChainEvent::Iteration { iteration, .. } if iteration == last => ControlFlow::Break(()),
            ChainEvent::Checkpoint { iteration, .. } => {
                written.push(iteration);
                GO_ON
            }
            _ => GO_ON,
        });
        let run = run.unwrap();
        assert_eq!((run.outcome, run.iterations), (Outcome::Interrupted, last));
        assert_eq!(written, [last]);
        let resumed = rare(31)
            .resume(&start(), &mut crate::chains::rng(), |_| GO_ON)
            .unwrap();
        assert_eq!(numbers(&resumed), numbers(&expected));
        assert_eq!(resumed.outcome, Outcome::Completed);
        // A run that is over is what it was, and goes on where more iterations are asked for.
        let again = rare(31)
            .resume(&start(), &mut crate::chains::rng(), |_| GO_ON)
            .unwrap();
        assert_eq!(numbers(&again), numbers(&expected));
        let longer = rare(40)
            .resume(&start(), &mut crate::chains::rng(), |_| GO_ON)
            .unwrap();
        let fresh = tempfile::tempdir().unwrap();
        let config = ChainConfig {
            iterations: 40,
            ..everything()
        };
        let whole =
            chains(WALK, config, fresh.path()).run(start(), &mut crate::chains::rng(), |_| GO_ON);
        assert_eq!(numbers(&longer), numbers(&whole.unwrap()));
        assert_ne!(numbers(&longer), numbers(&expected));
        let failure = rare(39)
            .resume(&start(), &mut crate::chains::rng(), |_| GO_ON)
            .unwrap_err();
        let expected = (40, 39);
        assert!(
            matches!(failure.error, ChainError::AlreadyBeyond { done, iterations, .. } if (done, iterations) == expected)
        );
    }
}

#[test]
fn a_run_that_its_rule_stopped_stays_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = ChainConfig {
        stop: Some(StopRule {
            min_ess: Some(40.0),
            max_rhat: None,
        }),
        ..ChainConfig {
            iterations: 400,
            ..everything()
        }
    };
    // No checkpoint is due before the end.
    let chains = chains(&WALK, config, folder.path())
        .with_checkpoint(folder.path().join("chains.checkpoint"), 1000, "a walk")
        .unwrap();
    let run = chains.run(start(), &mut rng(), |_| GO_ON).unwrap();
    assert_eq!(run.outcome, Outcome::Stopped);
    let mut resumed_at = None;
    let resumed = chains.resume(&start(), &mut rng(), |event| {
        if let ChainEvent::Resumed { iteration } = event {
            resumed_at = Some(iteration);
        }
        GO_ON
    });
    let resumed = resumed.unwrap();
    assert_eq!(resumed_at, Some(run.iterations));
    assert_eq!(resumed.outcome, Outcome::Stopped);
    assert_eq!(numbers(&resumed), numbers(&run));
}

/// The part in which a run differs from the one of [`everything`] whose checkpoint lies in `folder`.
fn difference<K: MarkovKernel<2>>(
    chains: Chains<'_, K, 2>,
    start: &Tensor<2>,
    mut rng: Rng,
) -> String {
    let before = rng.position();
    let failure = chains.resume(start, &mut rng, |_| GO_ON).unwrap_err();
    assert!(failure.partial.is_none());
    // A run that is refused has drawn nothing.
    assert_eq!(rng.position(), before);
    let ChainError::OtherRun(other) = failure.error else {
        panic!("{failure}");
    };
    assert_ne!(other.found, other.expected);
    assert_ne!(other.found_hash, other.expected_hash);
    assert_eq!(other.found_hash.len(), 64);
    other.part
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let same = || chains(WALK, everything(), path);
    same().run(start(), &mut rng(), |_| GO_ON).unwrap();

    assert_eq!(
        difference(
            chains(Walk { rho: 0.71 }, everything(), path),
            &start(),
            rng()
        ),
        "kernel"
    );
    assert_eq!(
        difference(
            chains(Counter::default(), everything(), path),
            &start(),
            rng()
        ),
        "kernel"
    );
    let place = path.join("chains.checkpoint");
    let target = same().with_checkpoint(&place, 1, "another walk").unwrap();
    assert_eq!(difference(target, &start(), rng()), "target");
    let thinned = ChainConfig {
        thinning: 3,
        ..everything()
    };
    assert_eq!(
        difference(chains(WALK, thinned, path), &start(), rng()),
        "configuration"
    );
    let seed = Rng::seeded(8, &device()).with_dtype(DType::F64);
    assert_eq!(difference(same(), &start(), seed), "randomness");
    assert_eq!(
        difference(same(), &start(), rng().starting_at(1)),
        "randomness"
    );
    let mut used = rng();
    used.normal([1, 1]);
    assert_eq!(difference(same(), &start(), used), "randomness");
    assert_eq!(difference(same(), &(start() + 1e-15), rng()), "start");
    assert_eq!(difference(same(), &start().narrow(0, 0, 2), rng()), "start");
    let more = same().with_function("more", |x| x).unwrap();
    assert_eq!(difference(more, &start(), rng()), "functions");
    let more = same()
        .with_direction("more", exact(&[1.0, 0.0], [1, 2]))
        .unwrap();
    assert_eq!(difference(more, &start(), rng()), "directions");
    let bare = Chains::new(WALK, everything())
        .unwrap()
        .with_function("square", |x| x.square())
        .unwrap();
    let turned = exact(&[0.3, 2.0], [1, 2]);
    let turned = bare
        .with_direction("tilt", turned)
        .unwrap()
        .with_store(path.join("draws.npy"))
        .with_checkpoint(&place, 1, "a walk")
        .unwrap();
    assert_eq!(difference(turned, &start(), rng()), "directions");

    // How often checkpoints are written is no part of a run.
    let rare = same().with_checkpoint(&place, 7, "a walk").unwrap();
    rare.resume(&start(), &mut rng(), |_| GO_ON).unwrap();
}

fn refusal(chains: &Chains<'_, Walk, 2>) -> ChainError {
    chains
        .resume(&start(), &mut rng(), |_| GO_ON)
        .unwrap_err()
        .error
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("chains.checkpoint");
    let chains = chains(WALK, everything(), folder.path());
    assert!(matches!(refusal(&chains), ChainError::Read { path, .. } if path == place));
    chains.run(start(), &mut rng(), |_| GO_ON).unwrap();
    let whole = fs::read(&place).unwrap();
    for length in [0, 7, 11, 43] {
        fs::write(&place, &whole[..length]).unwrap();
        assert!(
            matches!(refusal(&chains), ChainError::NotACheckpoint { .. }),
            "{length}"
        );
    }
    for length in [44, whole.len() / 2, whole.len() - 1] {
        fs::write(&place, &whole[..length]).unwrap();
        assert!(
            matches!(refusal(&chains), ChainError::Damaged { .. }),
            "{length}"
        );
    }
    for byte in [12, 44, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1;
        fs::write(&place, flipped).unwrap();
        assert!(
            matches!(refusal(&chains), ChainError::Damaged { .. }),
            "{byte}"
        );
    }
    let mut newer = whole.clone();
    newer[8] = 9;
    fs::write(&place, newer).unwrap();
    assert!(matches!(
        refusal(&chains),
        ChainError::CheckpointFormat {
            found: 9,
            expected: 1,
            ..
        }
    ));
    fs::write(&place, "{}").unwrap();
    assert!(matches!(
        refusal(&chains),
        ChainError::NotACheckpoint { .. }
    ));
    fs::write(&place, whole).unwrap();
    chains.resume(&start(), &mut rng(), |_| GO_ON).unwrap();
    // Nothing but the checkpoint and the draws lies there.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_file_of_other_draws_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let draws = folder.path().join("draws.npy");
    let chains = chains(WALK, everything(), folder.path());
    chains.run(start(), &mut rng(), |_| GO_ON).unwrap();
    let whole = fs::read(&draws).unwrap();
    fs::write(&draws, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(refusal(&chains), ChainError::OtherDraws { .. }));
    let mut other = whole.clone();
    let four = other.windows(3).position(|bytes| bytes == b"<f8").unwrap();
    other[four + 2] = b'4';
    fs::write(&draws, other).unwrap();
    assert!(matches!(refusal(&chains), ChainError::OtherDraws { .. }));
    fs::remove_file(&draws).unwrap();
    assert!(matches!(refusal(&chains), ChainError::Read { .. }));
    fs::write(&draws, whole).unwrap();
    chains.resume(&start(), &mut rng(), |_| GO_ON).unwrap();
}

#[test]
fn a_run_without_checkpoints_cannot_be_resumed() {
    let chains = Chains::new(WALK, everything()).unwrap();
    assert!(matches!(refusal(&chains), ChainError::NoCheckpoint));
}

#[test]
fn a_run_that_diverged_keeps_its_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = Counter {
        bad: Some((1, 9.0)),
        instead: f64::NAN,
        refuses: false,
    };
    let config = ChainConfig {
        burn_in: 20,
        clip: None,
        ..everything()
    };
    let start = Tensor::zeros_like(&start());
    let chains = chains(kernel, config, folder.path());
    let failure = chains
        .run(start.clone(), &mut rng(), |_| GO_ON)
        .unwrap_err();
    assert!(matches!(
        failure.error,
        ChainError::Diverged {
            iteration: 9,
            chain: 1,
            ..
        }
    ));
    let mut resumed_at = None;
    let failure = chains.resume(&start, &mut rng(), |event| {
        if let ChainEvent::Resumed { iteration } = event {
            resumed_at = Some(iteration);
        }
        GO_ON
    });
    let failure = failure.unwrap_err();
    assert!(matches!(
        failure.error,
        ChainError::Diverged {
            iteration: 9,
            chain: 1,
            ..
        }
    ));
    assert_eq!(resumed_at, Some(8));
    assert_eq!(values(&start), vec![0.0; 6]);
}
