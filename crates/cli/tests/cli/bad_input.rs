//! Everything that can be wrong with what the program is given: a clear line, the right exit code, no panic.

use std::fs;

use crate::run::{Done, Place, SETTINGS, checkpoint};

pub(crate) const USAGE: i32 = 2;
pub(crate) const FAILED: i32 = 1;

/// The program refused with one clear line and the right exit code.
pub(crate) fn assert_refused(done: &Done, code: i32, words: &[&str]) {
    assert_eq!(done.code, Some(code), "{done:?}");
    assert!(done.err.starts_with("error: "), "{done:?}");
    for word in words {
        assert!(done.err.contains(word), "no {word:?} in {done:?}");
    }
    for word in ["panicked", "internal error", "RUST_BACKTRACE"] {
        assert!(!done.err.contains(word), "{done:?}");
    }
}

#[test]
fn wrong_arguments() {
    let place = Place::new();
    for (line, words) in [
        ("", &["requires a subcommand"][..]),
        ("--learning-rate -1", &["learning_rate", "above 0", "-1"]),
        ("--learning-rate nan", &["learning_rate", "NaN"]),
        ("--steps -3", &["--steps", "-3"]),
        ("--steps 0", &["steps", "at least 1"]),
        ("--batch-size 0", &["batch_size", "at least 1"]),
        ("--ema-decay 1", &["ema_decay", "[0, 1)"]),
        ("--preset huge", &["huge", "tiny, small, ddpm-cifar10"]),
        ("--size 30", &["multiples of 4", "30 x 30"]),
        ("--size 0", &["--size", "0"]),
        ("--data imagenet", &["imagenet", "phantoms"]),
        ("--data mnist", &["--path DIR"]),
        (
            "--data cifar10 --path x --channels grey",
            &["--channels", "cifar10"],
        ),
        ("--path x", &["--path", "phantoms"]),
        ("--flip", &["--flip", "phantoms"]),
        ("--crop random", &["--crop", "phantoms"]),
        ("--resize 0", &["--resize", "crop"]),
        ("--device tpu", &["tpu", "cpu, wgpu, cuda"]),
        (
            "--resume --learning-rate 1",
            &["--resume", "--learning-rate"],
        ),
        ("--resume --data phantoms", &["--resume", "--data"]),
        ("--dashboard", &["terminal"]),
    ] {
        let line = match line {
            "" => String::new(),
            options => format!("train {options}"),
        };
        let done = place.run(&line);
        if line.is_empty() {
            assert_eq!(done.code, Some(USAGE), "{done:?}");
            assert!(done.err.contains("Usage:"), "{done:?}");
        } else {
            assert_refused(&done, USAGE, words);
        }
    }
    assert!(!place.path("runs").exists(), "a refused run left a folder");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_device_that_is_not_compiled_in() {
    let done = Place::new().run("train --device cuda");
    assert_refused(&done, USAGE, &["cuda", "cargo xtask", "--features cuda"]);
}

#[test]
fn a_settings_file_with_an_unknown_field() {
    let place = Place::new();
    place.write("odd.json", SETTINGS.replace("\"steps\": 3", "\"stepz\": 3"));
    let done = place.run("train --config odd.json");
    assert_refused(&done, USAGE, &["odd.json", "stepz", "batch_size"]);

    let odd = SETTINGS.replace(r#""type": "phantoms""#, r#""type": "phantoms", "size": 3"#);
    place.write("odd.json", odd);
    let done = place.run("train --config odd.json");
    assert_refused(&done, USAGE, &["odd.json", "size"]);
}

#[test]
fn a_settings_file_for_another_number_of_channels() {
    let place = Place::new();
    place.write(
        "odd.json",
        SETTINGS.replace("\"channels\": 1", "\"channels\": 3"),
    );
    let done = place.run("train --config odd.json");
    assert_refused(&done, USAGE, &["phantoms", "[1]", "3"]);
}

#[test]
fn missing_files() {
    let place = Place::new();
    for (line, words) in [
        ("--config none.json", &["none.json", "cannot read"][..]),
        ("--data mnist --path none", &["none", "train-images"]),
        ("--data cifar10 --path none", &["none", "data_batch_1.bin"]),
        ("--data folder --path none", &["none", "cannot read"]),
        ("--resume --out none", &["none", "no checkpoint"]),
    ] {
        let done = place.run(&format!("train {line}"));
        assert_refused(&done, FAILED, words);
    }
}

#[test]
fn a_folder_that_cannot_be_written() {
    let place = Place::new();
    place.write("file", "");
    let done = place.run("train --config small.json --out file/run");
    assert_refused(&done, FAILED, &["file/run"]);
}

#[test]
fn a_folder_that_holds_another_run() {
    let place = Place::new();
    place.succeed("train --config small.json --out run --steps 1");
    let before = fs::read(place.path("run/run.json")).unwrap();
    let done = place.run("train --config small.json --out run --steps 2");
    assert_refused(
        &done,
        FAILED,
        &["run", "resume it or choose another folder"],
    );
    assert_eq!(fs::read(place.path("run/run.json")).unwrap(), before);
}

#[test]
fn a_damaged_checkpoint() {
    let place = Place::new();
    place.succeed("train --config small.json --out run --steps 1");
    let folder = checkpoint(&place.path("run"), 1);
    for file in [
        "weights.safetensors",
        "ema.safetensors",
        "optimizer.bpk",
        "training.json",
        "model.json",
    ] {
        let path = folder.join(file);
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() / 2], b"", b"not what it was"] {
            fs::write(&path, damaged).unwrap();
            let done = place.run("train --resume --out run --steps 2");
            assert_refused(&done, FAILED, &[file]);
        }
        fs::write(&path, &whole).unwrap();
    }
    place.succeed("train --resume --out run --steps 2");
}

#[test]
fn a_run_that_diverges() {
    let place = Place::new();
    let done = place.run("train --config small.json --out run --steps 9 --learning-rate 1e30");
    assert_refused(
        &Done {
            // Progress lines come before the error.
            err: done.err.lines().last().unwrap_or_default().to_owned(),
            ..done
        },
        FAILED,
        &["the loss of step"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Place::new()
        .command("train --config small.json --out run")
        .stdout(full)
        .output()
        .unwrap();
    let done = Done {
        code: output.status.code(),
        out: String::new(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert_refused(&done, FAILED, &["stdout"]);
}
