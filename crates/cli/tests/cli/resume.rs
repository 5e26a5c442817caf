//! A run that stops and goes on is the run that never stopped.

use std::{fs, path::Path, process::Stdio, thread, time::Duration};

use crate::{
    bad_input::{USAGE, assert_refused},
    run::{Place, checkpoint, rows},
};

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
    place.succeed("train --config small.toml --out whole --steps 5");
    place.succeed("train --config small.toml --out parts --steps 2");
    let done = place.succeed("train --resume --out parts --steps 5");
    assert!(done.out.contains("after step 2 of 5"), "{done:?}");
    assert_equal(&place.path("whole"), &place.path("parts"), 5);
    assert_eq!(rows(&place.path("parts/steps.csv")), 5);
}

#[test]
fn another_seed_is_another_run() {
    let place = Place::new();
    place.succeed("train --config small.toml --out one --steps 2");
    place.succeed("train --config small.toml --out other --steps 2 --seed 1");
    let weights = |run| fs::read(checkpoint(&place.path(run), 2).join("weights.safetensors"));
    assert_ne!(weights("one").unwrap(), weights("other").unwrap());
}

#[test]
fn a_finished_run_has_nothing_to_resume() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run");
    let done = place.succeed("train --resume --out run");
    assert!(done.out.contains("Nothing to do"), "{done:?}");
    let done = place.run("train --resume --out run --steps 2");
    assert_refused(&done, USAGE, &["run", "3 steps", "asked for 2"]);
    let done = place.succeed("train --config run/run.toml --out again");
    assert!(done.out.contains("Done: 3 steps"), "{done:?}");
}

/// The settings that a run of a former version has are named, whatever else its folder lacks.
#[test]
fn a_run_of_another_version_is_refused_by_the_setting_that_differs() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run --steps 1");
    let state = checkpoint(&place.path("run"), 1).join("training.json");
    let text = fs::read_to_string(&state).unwrap();
    assert!(text.contains("\"ema_decays\""), "{text}");
    fs::write(&state, text.replace("\"ema_decays\"", "\"ema_decay\"")).unwrap();
    fs::remove_file(place.path("run/run.toml")).unwrap();
    let done = place.run("train --resume --out run --steps 2");
    assert_eq!(done.code, Some(1), "{done:?}");
    for word in ["training.json", "cannot resume", "`ema_decay`"] {
        assert!(done.err.contains(word), "{done:?}");
    }
    // Its model can be used all the same.
    place.succeed(
        "sample --checkpoint run/checkpoints/step-00000001 --samples 1 --steps 2 --out drawn",
    );
}

/// All that a run keeps from step to step.
const ALL: &str = "--set training.accumulate=2 --set training.ema_decays=[0.9,0.5] --set training.patience=9 \
    --set training.post_hoc.every=3 --set task.levels.distribution.type=importance";

/// The newest checkpoint on disk.
fn newest(run: &Path) -> Option<u64> {
    let entries = fs::read_dir(run.join("checkpoints")).ok()?;
    let step = |name: String| name.strip_prefix("step-")?.parse().ok();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(step).max()
}

/// Killed at any moment, with no chance to write anything.
#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let place = Place::new();
    let run = place.path("run");
    let train = format!("train --config small.toml {ALL}");
    let mut child = place
        .command(&format!(
            "{train} --out run --steps 1000000 --checkpoint-every 2"
        ))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if newest(&run).is_some_and(|step| step >= 4) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let more = newest(&run).unwrap() + 3;
    place.succeed(&format!("train --resume --out run --steps {more}"));
    assert_eq!(rows(&run.join("steps.csv")) as u64, more);
    assert_eq!(newest(&run), Some(more));
    place.succeed(&format!("{train} --out whole --steps {more}"));
    let whole = place.path("whole");
    assert_equal(&whole, &run, more);
    for file in ["ema-0.5.safetensors", "power-0.05.safetensors"] {
        let read = |run: &Path| fs::read(checkpoint(run, more).join(file)).unwrap();
        assert!(read(&run) == read(&whole), "{file} differs");
    }
}

/// The limit on the size of a file stands for a full disk: writing fails in the middle of one.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up_leaves_the_previous_checkpoint() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run --steps 2");
    let run = place.path("run");
    let names = || {
        let entries = fs::read_dir(run.join("checkpoints")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let weights = checkpoint(&run, 2).join("weights.safetensors");
    // In blocks of 512 bytes, which some shells take for 1024: both are less than the file needs.
    let blocks = fs::metadata(&weights).unwrap().len() / 1024 - 2;
    let program = env!("CARGO_BIN_EXE_tweedie");
    let script = format!(
        "trap '' XFSZ; ulimit -f {blocks}; \
         exec {program} train --resume --out run --steps 1000 --checkpoint-every 1"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("cannot write"), "{error}");
    assert!(error.contains("weights.safetensors"), "{error}");
    assert_eq!(names(), before);

    place.succeed("train --resume --out run --steps 4");
    place.succeed("train --config small.toml --out whole --steps 4");
    assert_equal(&place.path("whole"), &run, 4);
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_a_checkpoint_from_which_the_run_goes_on() {
    let place = Place::new();
    let run = place.path("run");
    let child = place
        .command("train --config small.toml --out run --steps 1000000")
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
        "train --config small.toml --out whole --steps {more}"
    ));
    assert_equal(&place.path("whole"), &run, more);
}
