//! Averages of another width, made after a run.

use std::fs;

use crate::{
    bad_input::{USAGE, assert_refused},
    run::{Place, checkpoint},
};

fn trained() -> Place {
    let place = Place::new();
    place.succeed("train --config small.toml --out run --steps 6 --set training.post_hoc.every=2");
    place
}

#[test]
fn widths_are_compared_by_their_validation_loss() {
    let place = trained();
    let done = place.succeed("average --run run --width 0.05,0.1,0.2");
    let losses: Vec<f64> = done
        .out
        .lines()
        .filter_map(|line| line.trim().strip_prefix("0."))
        .map(|line| line.split_whitespace().last().unwrap().parse().unwrap())
        .collect();
    assert_eq!(losses.len(), 3, "{}", done.out);
    assert!(losses.iter().all(|loss| loss.is_finite() && *loss > 0.0));
    assert!(
        losses[0] != losses[1] && losses[1] != losses[2],
        "{losses:?}"
    );
}

#[test]
fn an_average_is_a_model_that_samples() {
    let place = trained();
    let done = place.succeed("average --run run --width 0.08 --out model");
    assert!(done.out.contains("--checkpoint model"), "{}", done.out);
    place.succeed("sample --checkpoint model --samples 1 --steps 2 --out drawn");
    // What the network has learnt is known of it too.
    let record = |folder: &str| fs::read(place.path(folder).join("run.toml")).unwrap();
    assert_eq!(record("model"), record("run"));
}

/// A folder with files in it may be a checkpoint.
#[test]
fn a_folder_with_files_is_left_as_it_is() {
    let place = trained();
    let folder = checkpoint(&place.path("run"), 6);
    let weights = || fs::read(folder.join("ema.safetensors")).unwrap();
    let before = weights();
    for out in ["run/checkpoints/step-00000006", "run"] {
        let done = place.run(&format!("average --run run --width 0.1 --out {out}"));
        assert_refused(&done, USAGE, &["--out", out, "new or empty"]);
    }
    assert_eq!(weights(), before);
    assert!(!place.path("run/model.json").exists());

    fs::create_dir(place.path("empty")).unwrap();
    place.succeed("average --run run --width 0.1 --out empty");
    let written = fs::read(place.path("empty/ema.safetensors")).unwrap();
    assert_ne!(written, before);
}

#[test]
fn what_cannot_be_is_refused() {
    let place = trained();
    for (line, code, word) in [
        (
            "average --run run --width 0.05,0.1 --out model",
            2,
            "found 2 widths",
        ),
        ("average --run run --width 0.5", 2, "0.288"),
        ("average --run nowhere --width 0.1", 1, "nowhere"),
    ] {
        let done = place.run(line);
        assert_eq!(done.code, Some(code), "{line}: {done:?}");
        assert!(done.err.contains(word), "{line}: {done:?}");
    }
    place.succeed("train --config small.toml --out bare --steps 1");
    let done = place.run("average --run bare --width 0.1");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.err.contains("post_hoc"), "{done:?}");
}
