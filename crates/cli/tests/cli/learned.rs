//! Restoration by a network that has learnt `p(x | y)` itself.

use std::fs;

use crate::{
    bad_input::{USAGE, assert_refused},
    run::Place,
};

/// A network that has seen blurred images for three steps.
const BLURRED: &str = "train --config small.toml --set task.model.architecture.condition_channels=1 \
                       --set task.measurement.operator.blur.sigma=0.5 --set task.measurement.noise_std=0.1 --out seeing";

/// As an error says it.
const BLUR: &str = r#"{"blur":{"sigma":0.5}}"#;

const ASKED: &str = "restore --learned --checkpoint seeing --operator blur --blur-sigma 0.5 --noise-std 0.1 --samples 3 --steps 4";

#[test]
fn the_measurement_makes_the_samples() {
    let place = Place::new();
    let trained = place.succeed(BLURRED);
    let next = "Next: cargo xtask restore --learned --checkpoint seeing";
    assert!(trained.out.contains(next), "{trained:?}");
    let sheet = |options: &str| {
        let done = place.succeed(&format!("{ASKED} {options} --out restored"));
        assert!(!done.err.contains("note:"), "{done:?}");
        fs::read(place.path("restored/samples.png")).unwrap()
    };
    let samples = sheet("--input phantom:1");
    assert_eq!(sheet("--input phantom:1 --batch-size 1"), samples);
    assert_ne!(sheet("--input phantom:2"), samples);
    let report = fs::read_to_string(place.path("restored/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["method"], "learned");
    assert_eq!(report["nfe_per_sample"], 4);
    let newest = "--checkpoint seeing/checkpoints/step-00000003 --input phantom:1";
    let line = ASKED.replace("--checkpoint seeing", newest);
    place.succeed(&format!("{line} --out restored"));
    assert_eq!(
        fs::read(place.path("restored/samples.png")).unwrap(),
        samples
    );
}

#[test]
fn measurements_that_it_does_not_know_are_refused() {
    let place = Place::new();
    place.succeed(BLURRED);
    place.succeed("train --config small.toml --out blind");
    for (change, to, words) in [
        (
            "--noise-std 0.1",
            "--noise-std 0.2",
            ["noise 0.1", "noise 0.2"],
        ),
        ("sigma 0.5", "sigma 0.6", [BLUR, "--seed"]),
        (
            "blur --blur-sigma 0.5",
            "super-resolution",
            [BLUR, "--seed"],
        ),
        ("seeing", "blind", ["task.measurement", "sees none"]),
        (
            "--learned",
            "--learned --method dps",
            ["--learned", "--method"],
        ),
        (
            "--learned",
            "--learned --self-ensemble",
            ["--self-ensemble", "beside"],
        ),
        (
            "--learned ",
            "",
            ["1 channel(s) beside its input", "restore --learned"],
        ),
    ] {
        let line = ASKED.replacen(change, to, 1);
        assert_ne!(line, ASKED);
        assert_refused(&place.run(&line), USAGE, &words);
    }
}

#[test]
fn without_a_record_it_says_so() {
    let place = Place::new();
    place.succeed(BLURRED);
    fs::remove_file(place.path("seeing/run.toml")).unwrap();
    let done = place.succeed(&ASKED.replace("0.1", "0.3"));
    assert!(done.err.contains("no run.toml"), "{done:?}");
}

#[test]
fn a_mask_is_seen_with_the_same_holes() {
    let place = Place::new();
    place.succeed(&BLURRED.replace("blur.sigma=0.5", "inpainting.missing=0.5"));
    let line = ASKED.replace("--operator blur --blur-sigma 0.5", "--missing 0.5");
    place.succeed(&line);
    let other = format!("{line} --seed 1");
    let words = [r#"{"inpainting":{"missing":0.5}}"#, "with seed 0"];
    assert_refused(&place.run(&other), USAGE, &words);
}
