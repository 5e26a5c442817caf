//! Samples drawn with the variance that the network has learnt.

use std::fs;

use crate::{
    bad_input::{USAGE, assert_refused},
    run::Place,
};

/// A network told two classes, with a variance, after three steps.
const HYBRID: &str = "train --config small.toml --data lesions --set task.model.architecture.classes=2 --set task.label_dropout=0.2 \
                      --set task.model.architecture.learned_sigma=true --set task.objective.type=hybrid --out hybrid";

#[test]
fn it_is_the_variance_of_all_steps_but_the_last() {
    let place = Place::new();
    place.succeed(HYBRID);
    for class in ["", "--class 1 --guidance 2"] {
        let image = |options: &str| {
            let line =
                format!("sample --checkpoint hybrid --samples 2 {class} {options} --out drawn");
            let done = place.succeed(&line);
            let count = done.out.lines().last().unwrap_or_default().to_owned();
            (fs::read(place.path("drawn/samples.png")).unwrap(), count)
        };
        let (learned, count) = image("--steps 4 --learned-variance");
        let (posterior, expected) = image("--steps 4");
        assert_ne!(learned, posterior, "{class}");
        assert_eq!(count, expected, "{class}");
        assert_eq!(
            image("--steps 1 --learned-variance"),
            image("--steps 1"),
            "{class}"
        );
        let (alone, _) = image("--steps 4 --learned-variance --batch-size 1");
        assert_eq!(alone, learned, "{class}");
    }
}

#[test]
fn it_is_refused_where_there_is_none() {
    let place = Place::new();
    place.succeed(HYBRID);
    for (line, words) in [
        ("", ["learned_sigma", "checkpoints/phantoms"]),
        (
            "--checkpoint hybrid --solver heun",
            ["--solver ddpm", "heun"],
        ),
        (
            "--checkpoint hybrid --self-ensemble",
            ["as it is", "averaged"],
        ),
        (
            "--checkpoint hybrid --tile 32 --tile-overlap 0",
            ["as it is", "in tiles of 32"],
        ),
    ] {
        let done = place.run(&format!("sample --learned-variance {line}"));
        assert_refused(&done, USAGE, &words);
    }
}
