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
        ("--ema-decays 1", &["ema_decays", "[0, 1)"]),
        ("--network huge", &["huge", "tiny, small, ddpm-cifar10"]),
        ("--preset huge", &["huge", "phantoms, mnist"]),
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
        ("--devices cpu:1", &["one cpu"]),
        ("--devices cpu,tpu", &["tpu", "cpu, wgpu or cuda"]),
        ("--devices cpu,cpu,cpu --batch-size 2", &["accumulate"]),
        ("--devices cpu --device cpu", &["--devices", "--device"]),
        (
            "--set training.steps",
            &["training.steps", "KEY.PATH=VALUE"],
        ),
        ("--set training..steps=1", &["KEY.PATH=VALUE"]),
        (
            "--set training.stepz=5",
            &["`training`", "stepz", "batch_size"],
        ),
        ("--set training.steps=many", &["`training.steps`", "many"]),
        (
            "--set task.model.parametrisation=x1",
            &["`task.model.parametrisation`", "x1", "epsilon"],
        ),
        (
            "--set task.model.architecture.width=5",
            &["`task.model.architecture`", "width", "base_channels"],
        ),
        ("--set task.levels.low=1", &["`task.levels`", "low"]),
        ("--set task.type=gan", &["gan", "diffusion, classifier"]),
        ("--set net.width=5", &["`net`", "`training`"]),
        (
            "--set task.model.architecture.classes=3",
            &["phantoms", "no classes", "3"],
        ),
        (
            "--data lesions --set task.model.architecture.classes=3",
            &["lesions", "2 classes", "3"],
        ),
        (
            "--seed 9223372036854775808",
            &["`training.seed`", "at most 9223372036854775807"],
        ),
        ("--set task.model.format=2", &["format must be 1", "2"]),
        (
            "--schedule vp --set task.objective.type=hybrid --set task.model.architecture.learned_sigma=true",
            &["noise label step", "Time"],
        ),
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
    place.write("odd.toml", SETTINGS.replace("steps = 3", "stepz = 3"));
    let done = place.run("train --config odd.toml");
    assert_refused(&done, USAGE, &["`training`", "stepz", "batch_size"]);

    let odd = SETTINGS.replace(r#"type = "phantoms""#, "type = \"phantoms\"\nsize = 3");
    place.write("odd.toml", odd);
    let done = place.run("train --config odd.toml");
    assert_refused(&done, USAGE, &["`data`", "size"]);

    place.write("odd.toml", "preset = \"huge\"");
    let done = place.run("train --config odd.toml");
    assert_refused(&done, USAGE, &["huge", "phantoms, mnist"]);

    place.write("odd.toml", "[training]\nsteps = 3");
    let done = place.run("train --config odd.toml");
    assert_refused(&done, USAGE, &["no table `data`"]);

    place.write("odd.toml", "steps : 3");
    let done = place.run("train --config odd.toml");
    assert_refused(&done, USAGE, &["odd.toml", "line 1"]);
}

#[test]
fn a_settings_file_for_another_number_of_channels() {
    let place = Place::new();
    place.write(
        "odd.toml",
        SETTINGS.replace("\nchannels = 1", "\nchannels = 3"),
    );
    let done = place.run("train --config odd.toml");
    assert_refused(&done, USAGE, &["phantoms", "[1]", "3"]);
}

#[test]
fn missing_files() {
    let place = Place::new();
    for (line, words) in [
        ("--config none.toml", &["none.toml", "cannot read"][..]),
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
    let done = place.run("train --config small.toml --out file/run");
    assert_refused(&done, FAILED, &["file/run"]);
}

#[test]
fn a_folder_that_holds_another_run() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run --steps 1");
    let before = fs::read(place.path("run/run.toml")).unwrap();
    let done = place.run("train --config small.toml --out run --steps 2");
    assert_refused(
        &done,
        FAILED,
        &["run", "resume it or choose another folder"],
    );
    assert_eq!(fs::read(place.path("run/run.toml")).unwrap(), before);
}

#[test]
fn a_damaged_checkpoint() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run --steps 1");
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
    let done = place.run("train --config small.toml --out run --steps 9 --learning-rate 1e30");
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    // The report shows what there was, and has no legend of validations that were never made.
    assert!(page.contains("Loss\n") && page.contains("> training"));
    assert!(!page.contains("> validation"));
    assert_refused(
        &Done {
            // Progress lines come before the error.
            err: done.err.lines().last().unwrap_or_default().to_owned(),
            ..done
        },
        FAILED,
        &[
            "the loss of step",
            "noise level",
            "has norm",
            "no checkpoint",
        ],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Place::new()
        .command("train --config small.toml --out run")
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
