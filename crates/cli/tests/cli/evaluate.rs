//! `tweedie evaluate`.

use std::fs;

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    run::Place,
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
    let done = place.run("evaluate --images 2 --variance learned --ode-steps 0");
    assert_refused(&done, FAILED, &["learned_sigma = true"]);
}
