//! `tweedie evaluate`.

use std::{
    f64::consts::{LN_2, TAU},
    fs,
};

use tweedie::{burn::tensor::Device, core::Schedule, models::Pretrained};

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    data::{digits, pictures},
    flow::{first_time, grid},
    run::{Place, checkpoint},
};

fn number(report: &serde_json::Value, path: &str) -> f64 {
    let found = report.pointer(path).and_then(serde_json::Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {path} in {report}"))
}

#[test]
fn the_bound_has_three_terms_and_does_not_depend_on_the_batch_size() {
    let place = Place::new();
    let evaluate = |batch: u32| {
        place.succeed(&format!(
            "evaluate --images 4 --batch-size {batch} --ranges 12 --ode-steps 4 --json {batch}.json"
        ));
        let text = fs::read_to_string(place.path(&format!("{batch}.json"))).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let (whole, parts) = (evaluate(4), evaluate(3));
    let sum: f64 = ["prior", "denoising", "reconstruction"]
        .iter()
        .map(|term| number(&whole, &format!("/bound/{term}/mean")))
        .sum();
    let total = number(&whole, "/bound/total/mean");
    assert!((sum - total).abs() < 1e-9 * total, "{sum}, {total}");
    assert!(total > 0.0 && number(&whole, "/flow/total/standard_error") > 0.0);
    assert_eq!(whole["bound"]["terms"][0]["first_step"], 2);
    assert_eq!(whole["bound"]["terms"][11]["last_step"], 1000);
    for path in ["/bound/total/mean", "/flow/total/mean"] {
        let (one, other) = (number(&whole, path), number(&parts, path));
        assert!((one - other).abs() < 1e-3, "{path}: {one}, {other}");
    }
}

/// An untrained network of `v` answers nothing, and is exact for white noise.
#[test]
fn white_noise_has_the_bits_of_its_law() {
    let place = Place::new();
    digits(&place, 9, 5);
    // White, and black where they are padded: a half away from grey.
    let path = place.path("digits/t10k-images-idx3-ubyte");
    let mut bytes = fs::read(&path).unwrap();
    bytes[16..].fill(255);
    fs::write(&path, bytes).unwrap();
    place.succeed(
        "train --config small.toml --set task.model.parametrisation=v --steps 1 \
         --set training.learning_rate=1e-9 --set task.model.schedule.beta_max=2e-4 --out white",
    );
    place.succeed(
        "evaluate --checkpoint white --data mnist --path digits --images 4 --ranges 2 \
         --json white.json",
    );
    let text = fs::read_to_string(place.path("white.json")).unwrap();
    let report = serde_json::from_str(&text).unwrap();

    let kept: f64 = (0..1000)
        .map(|k| 1.0 - 1e-4 * (1.0 + f64::from(k) / 999.0))
        .product();
    let prior = -0.5 * (1.0 - kept).ln() / LN_2;
    let found = number(&report, "/bound/prior/mean");
    assert!((found - prior).abs() < 1e-5, "{found}, {prior}");

    // In pixels of [0, 1], with the noise of the first step.
    let variance = 0.25 / (1.0 - 1e-4);
    let middle = 0.5 - 0.5 / 256.0;
    let square = middle * middle + 1.0 / (12.0 * 256.0 * 256.0);
    let flow = 8.0 + 0.5 * (TAU * variance).log2() + 0.5 * square / (variance * LN_2);
    let found = number(&report, "/flow/total/mean");
    // Five standard errors of the uniform numbers, each 2 middle/(256 sqrt(12)) in a square.
    let error = middle / (256.0 * 12.0_f64.sqrt()) / (variance * LN_2) / 256.0_f64.sqrt();
    assert!(
        (found - flow).abs() < 5.0 * error,
        "{found}, {flow} +- {error}"
    );
    // Found of four images, so within a small factor: nothing else is random.
    let found = number(&report, "/flow/total/standard_error");
    assert!(
        (0.1 * error..4.0 * error).contains(&found),
        "{found}, {error}"
    );
}

#[test]
fn a_run_is_evaluated_and_a_model_without_steps_has_no_bound() {
    let place = Place::new();
    let done = place.succeed("train --config small.toml --out run");
    assert!(done.out.contains("step"), "{done:?}");
    let line = "evaluate --images 2 --ranges 3 --ode-steps 2 --checkpoint";
    let done = place.succeed(&format!("{line} run --variance beta"));
    assert!(done.out.contains("Beta variance"), "{done:?}");
    place.succeed("train --config small.toml --schedule vp --out continuous");
    let done = place.succeed(&format!("{line} continuous"));
    assert!(done.out.contains("no variational bound"), "{done:?}");
    assert!(done.out.contains("probability flow"), "{done:?}");
    // Nothing would be left.
    let done = place.run("evaluate --images 2 --checkpoint continuous --ode-steps 0");
    let words = ["--ode-steps 0", "expected the noise label step", "Time"];
    assert_refused(&done, USAGE, &words);
}

#[test]
fn the_flow_has_equal_steps_of_the_logarithm_down_to_the_first_level() {
    let place = Place::new();
    place.succeed("train --config small.toml --steps 1 --out run");
    let model = Pretrained::open(&checkpoint(&place.path("run"), 1), &Device::flex()).unwrap();
    let schedule = model.schedule();
    let first = first_time(model.config(), &schedule);
    // The first of a thousand steps, whose noise is the first beta.
    let expected = 0.5 * (1e-4_f64 / (1.0 - 1e-4)).sqrt();
    assert!((schedule.sigma(first) / expected - 1.0).abs() < 1e-9);
    let grid = grid(&schedule, first, 5).unwrap();
    let levels: Vec<f64> = grid
        .times()
        .iter()
        .map(|&time| schedule.sigma(time).ln())
        .collect();
    assert_eq!(levels.len(), 6);
    let step = (levels[5] - levels[0]) / 5.0;
    assert!((levels[5] - expected.ln()).abs() < 1e-9);
    for pair in levels.windows(2) {
        // Times are found to 1e-12 of the horizon.
        assert!(
            (pair[1] - pair[0] - step).abs() < 1e-6 * step.abs(),
            "{levels:?}"
        );
    }
}

/// What the network is told, how it is asked, and of what.
#[test]
fn classes_variances_and_probes_reach_the_numbers() {
    let place = Place::new();
    digits(&place, 9, 5);
    place.succeed(
        "train --config small.toml --data mnist --path digits --size 8 --set task.model.architecture.classes=10 \
         --set task.model.architecture.learned_sigma=true --set task.objective.type=hybrid --learning-rate 0.1 --out run",
    );
    let line =
        "evaluate --checkpoint run --data mnist --path digits --images 4 --ranges 4 --ode-steps 2";
    let evaluate = |options: &str| {
        let done = place.succeed(&format!("{line} {options} --json report.json"));
        let text = fs::read_to_string(place.path("report.json")).unwrap();
        let report = serde_json::from_str(&text).unwrap();
        let totals = ["/bound/total/mean", "/flow/total/mean"].map(|path| number(&report, path));
        (totals, done.out)
    };
    let (threes, out) = evaluate("");
    assert!(out.contains("Learned variance"), "{out}");
    let (posterior, _) = evaluate("--variance posterior");
    assert_ne!(threes[0], posterior[0]);
    let (probed, _) = evaluate("--probes 2");
    assert_eq!(threes[0], probed[0]);
    assert_ne!(threes[1], probed[1]);
    let labels = place.path("digits/t10k-labels-idx1-ubyte");
    let mut bytes = fs::read(&labels).unwrap();
    bytes[8..].fill(4);
    fs::write(&labels, bytes).unwrap();
    let (fours, _) = evaluate("");
    assert!(
        threes[0] != fours[0] && threes[1] != fours[1],
        "{threes:?}, {fours:?}"
    );
}

#[test]
fn images_of_another_shape_are_refused() {
    let place = Place::new();
    place.succeed("train --config small.toml --set task.model.image_size=[8,12] --out oblong");
    pictures(&place, "pictures", 3);
    let done = place.run("evaluate --checkpoint oblong --data folder --path pictures --images 2");
    assert_refused(&done, USAGE, &["square", "8 x 12"]);

    pictures(&place, "coloured", 3);
    place.succeed(
        "train --config small.toml --data folder --path coloured --size 8 --channels rgb --out coloured-run",
    );
    let done = place.run("evaluate --checkpoint coloured-run --data cifar10 --path none");
    assert_refused(&done, USAGE, &["[3, 32, 32]", "[3, 8, 8]"]);
}

#[test]
fn what_cannot_be_evaluated_is_refused() {
    let place = Place::new();
    for (line, words) in [
        ("evaluate --images 1", vec!["--images", "1"]),
        ("evaluate --images 300", vec!["300", "256"]),
        ("evaluate --ranges 0", vec!["--ranges", "0"]),
        ("evaluate --data mnist", vec!["--data mnist", "--path DIR"]),
        (
            "evaluate --data cifar10 --path .",
            vec!["[3] channel(s)", "takes 1"],
        ),
        ("evaluate --variance small", vec!["small", "posterior"]),
    ] {
        assert_refused(&place.run(line), USAGE, &words);
    }
    let done = place.run("evaluate --path .");
    assert_refused(&done, USAGE, &["--path", "phantoms"]);
    let done = place.run("evaluate --images 2 --variance learned --ode-steps 0");
    assert_refused(&done, FAILED, &["learned_sigma = true"]);
}
