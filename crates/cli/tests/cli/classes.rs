//! Samples of a class: by a network that is told it, and by a classifier of noisy images.

use std::fs;

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    run::Place,
};

/// A network told the two classes of lesions, after three steps.
fn told(place: &Place) {
    place.succeed(
        "train --config small.toml --data lesions --set task.model.architecture.classes=2 --set task.label_dropout=0.2 --out told",
    );
}

const CLASSIFIER: &str = r#"
[data]
type = "phantoms"

[task]
type = "classifier"

[task.model]
format = 1
schedule = { type = "ddpm", steps = 1000, beta_min = 1e-4, beta_max = 0.02 }
label.step.steps = 1000
image_size = [32, 32]

[task.model.architecture]
classes = 2

[task.model.architecture.encoder]
channels = 1
base_channels = 8
channel_multipliers = [1, 2]
blocks_per_level = 1
attention_levels = []
heads = 1
groups = 4
dropout = 0.0
time_injection = "scale_shift"

[training]
steps = 3
batch_size = 2
warmup_steps = 1
"#;

#[test]
fn classes_follow_one_another_whatever_the_batch() {
    let place = Place::new();
    told(&place);
    for batch in [1, 3] {
        let done = place.succeed(&format!(
            "sample --checkpoint told --class all --guidance 3 --samples 4 --steps 4 --separate --batch-size {batch} --out all{batch}"
        ));
        // Two for each step and batch.
        let evaluations = if batch == 1 { 32 } else { 16 };
        assert!(
            done.out.contains(&format!("\n{evaluations} evaluations")),
            "{done:?}"
        );
    }
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    for index in 0..4 {
        let image = |batch| read(&format!("all{batch}/images/0000{index}.png"));
        assert_eq!(image(1), image(3), "{index}");
    }
    for class in [0, 1] {
        place.succeed(&format!(
            "sample --checkpoint told --class {class} --guidance 3 --samples 4 --steps 4 --separate --out of{class}"
        ));
    }
    for index in 0..4 {
        let [all, own, other] = [
            "all1".to_owned(),
            format!("of{}", index % 2),
            format!("of{}", (index + 1) % 2),
        ]
        .map(|folder| read(&format!("{folder}/images/0000{index}.png")));
        assert_eq!(all, own, "{index}");
        assert_ne!(all, other, "{index}");
    }
}

#[test]
fn guidance_acts_within_its_interval() {
    let place = Place::new();
    told(&place);
    // The first of four steps is above the interval, the last below.
    let line =
        "sample --checkpoint told --class 1 --guidance 3 --samples 1 --steps 4 --solver ddim";
    let done = place.succeed(&format!("{line} --guidance-interval 0.1,10"));
    assert!(done.out.contains("\n7 evaluations"), "{done:?}");
    let done = place.succeed(&format!("{line} --guidance-interval 100,200"));
    assert!(done.out.contains("\n4 evaluations"), "{done:?}");
}

#[test]
fn a_classifier_leads_a_network_that_is_told_nothing() {
    let place = Place::new();
    place.write("classifier.toml", CLASSIFIER);
    place.succeed("train --config classifier.toml --data lesions --out classifier");
    place.succeed("train --config small.toml --out plain");
    for (class, scale) in [(0, 1), (1, 1), (1, 1000)] {
        place.succeed(&format!(
            "sample --checkpoint plain --class {class} --classifier classifier --classifier-scale {scale} --size 32 --samples 2 \
             --steps 3 --out drawn{class}{scale}"
        ));
    }
    let read = |name: &str| fs::read(place.path(&format!("{name}/samples.png"))).unwrap();
    assert_ne!(read("drawn11"), read("drawn11000"));
    let done = place.run("sample --checkpoint plain --class 2 --classifier classifier");
    assert_refused(&done, USAGE, &["number 2", "--class 2"]);
    let line = "sample --checkpoint plain --class 1 --classifier classifier --guidance 2";
    assert_refused(&place.run(line), USAGE, &["--guidance needs", "told none"]);
}

#[test]
fn classes_that_cannot_be_drawn_are_refused() {
    let place = Place::new();
    told(&place);
    place.succeed("train --config small.toml --out plain");
    for (line, words) in [
        ("plain --class 1", ["told no classes", "--classifier"]),
        ("told --class 2", ["number 2", "--class 2"]),
        ("told --class two", ["or all", "two"]),
        ("told --guidance 2", ["--guidance", "--class"]),
        ("told --class 1 --guidance=-1", ["--guidance", "-1"]),
        (
            "told --class 1 --guidance 2 --guidance-interval 5,1",
            ["LOW < HIGH", "5,1"],
        ),
        (
            "told --class 1 --guidance-interval 1,5",
            ["--guidance", "required"],
        ),
        (
            "told --class 1 --classifier-scale 2",
            ["--classifier", "required"],
        ),
    ] {
        let done = place.run(&format!("sample --checkpoint {line}"));
        assert_refused(&done, USAGE, &words);
    }
    // It has never learnt what no class is.
    place.succeed(
        "train --config small.toml --data lesions --set task.model.architecture.classes=2 --out always",
    );
    for line in [
        "sample --checkpoint always",
        "sample --checkpoint always --class 1 --guidance 2",
        "restore --checkpoint always/checkpoints/step-00000003",
        "anomaly --checkpoint always",
        "mcmc --prior model --checkpoint always",
    ] {
        assert_refused(&place.run(line), USAGE, &["always", "label_dropout = 0"]);
    }
    place.succeed("sample --checkpoint always --class 1 --samples 1 --steps 2 --out drawn");
    let done = place.run("sample --checkpoint plain --class 1 --classifier plain");
    assert_refused(&done, FAILED, &["plain", "classifier.json"]);
}

#[test]
fn a_network_that_is_to_be_shown_an_image_is_refused() {
    let place = Place::new();
    place.succeed(
        "train --config small.toml --set task.model.architecture.condition_channels=1 \
         --set task.measurement.operator.inpainting.missing=0.5 --set task.measurement.noise_std=0.1 --out shown",
    );
    for verb in ["sample", "restore"] {
        let done = place.run(&format!("{verb} --checkpoint shown"));
        assert_refused(&done, USAGE, &["1 channel(s) beside its input"]);
    }
}
