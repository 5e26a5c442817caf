//! A run that stops and goes on is the run that never stopped.

use std::{fs, path::Path, process::Stdio, thread, time::Duration};

use crate::run::{Place, checkpoint, rows};

/// The weights and their average; the optimiser's file holds its parameters in no fixed order.
fn assert_equal(one: &Path, other: &Path, step: u64) {
    for file in ["weights.safetensors", "ema.safetensors"] {
        let read = |run| fs::read(checkpoint(run, step).join(file)).unwrap();
        assert!(read(one) == read(other), "{file} of step {step} differs");
    }
}

#[test]
fn resumed_equals_uninterrupted() {
    let place = Place::new();
    place.succeed("train --config small.json --out whole --steps 5");
    place.succeed("train --config small.json --out parts --steps 2");
    let done = place.succeed("train --resume --out parts --steps 5");
    assert!(done.out.contains("after step 2 of 5"), "{done:?}");
    assert_equal(&place.path("whole"), &place.path("parts"), 5);
    assert_eq!(rows(&place.path("parts/steps.csv")), 5);
}

#[test]
fn another_seed_is_another_run() {
    let place = Place::new();
    place.succeed("train --config small.json --out one --steps 2");
    place.succeed("train --config small.json --out other --steps 2 --seed 1");
    let weights = |run| fs::read(checkpoint(&place.path(run), 2).join("weights.safetensors"));
    assert_ne!(weights("one").unwrap(), weights("other").unwrap());
}

#[test]
fn a_finished_run_has_nothing_to_resume() {
    let place = Place::new();
    place.succeed("train --config small.json --out run");
    let done = place.succeed("train --resume --out run");
    assert!(done.out.contains("Nothing to do"), "{done:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint_from_which_the_run_goes_on() {
    let place = Place::new();
    let run = place.path("run");
    let child = place
        .command("train --config small.json --out run --steps 1000000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let steps = run.join("steps.csv");
    let started = || fs::read_to_string(&steps).is_ok_and(|text| text.lines().count() > 3);
    for _ in 0..600 {
        if started() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    assert!(started(), "no step within a minute");
    let kill = std::process::Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status()
        .unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{out}");
    assert!(
        out.contains("cargo xtask train --resume --out run"),
        "{out}"
    );

    let step = rows(&steps) as u64;
    assert!(checkpoint(&run, step).is_dir(), "{out}");
    let more = step + 2;
    place.succeed(&format!("train --resume --out run --steps {more}"));
    place.succeed(&format!(
        "train --config small.json --out whole --steps {more}"
    ));
    assert_equal(&place.path("whole"), &run, more);
}
