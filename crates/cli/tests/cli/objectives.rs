//! What is trained on digits and judged: `reproduce objectives` and `reproduce digits-by-class`.

use std::fs;

use serde_json::{Value, json};

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    data::digits_of,
    denoising::sure_of,
    run::{Place, checkpoint, rows},
};

/// With 28 pixels, and a judge to whom everything is a 3, with probability 0.526.
fn with_digits() -> Place {
    let place = Place::new();
    digits_of(28, &place, 8, 4);
    sure_of(3, 2.3, &place.path("judge.safetensors"));
    place
}

fn read(place: &Place, file: &str) -> Value {
    let text = fs::read_to_string(place.path(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn objectives_need_their_digits_their_judge_and_a_name() {
    let place = Place::new();
    let line = "reproduce objectives --data none --classifier none";
    assert_refused(&place.run(line), FAILED, &["none"]);
    let done = place.run(&format!("{line} --objectives gan"));
    assert_refused(&done, USAGE, &["gan", "ddpm-simple", "flow-matching"]);
}

#[test]
fn objectives_are_trained_drawn_and_judged() {
    let place = with_digits();
    let line = "reproduce objectives --data digits --classifier judge.safetensors --samples 2 --json out.json --picture out.png --out runs";
    let images = |name: &str| {
        let figures = read(&place, "out.json");
        for row in figures.as_array().unwrap() {
            assert_eq!(row["share"], 1.0, "{row}");
            assert_eq!(row["digits"], json!([0, 0, 0, 2, 0, 0, 0, 0, 0, 0]));
        }
        let names = figures.as_array().unwrap().iter();
        let names: Vec<&str> = names.map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names.join(" "), name);
        let picture = fs::read(place.path("out.png")).unwrap();
        let height = u32::from_be_bytes(picture[20..24].try_into().unwrap());
        assert_eq!(height as usize, names.len() * 30 - 2);
        picture
    };

    let pixels = format!("{line} --steps 2 --batch-size 4 --objectives x0");
    place.succeed(&pixels);
    images("(test digits) (noise) x0");
    assert!(!place.path("runs/autoencoder").exists());

    let latents = format!("{pixels},sliced-latent,implicit-latent");
    place.succeed(&latents);
    let all =
        "(test digits) (noise) (autoencoded) (white latents) x0 sliced-latent implicit-latent";
    let first = images(all);
    for (run, batch_size) in [
        ("autoencoder", 4),
        ("sliced-latent", 4),
        ("implicit-latent", 2),
    ] {
        let folder = place.path(&format!("runs/{run}"));
        assert_eq!(rows(&folder.join("steps.csv")), 2, "{run}");
        let state = fs::read_to_string(checkpoint(&folder, 2).join("training.json")).unwrap();
        let state: Value = serde_json::from_str(&state).unwrap();
        assert_eq!(state["config"]["batch_size"], batch_size, "{run}");
    }

    // What was trained is not trained again.
    place.succeed(&latents);
    assert_eq!(images(all), first);
    assert_eq!(rows(&place.path("runs/implicit-latent/steps.csv")), 2);

    let other = latents.replace("--batch-size 4", "--batch-size 2");
    assert_refused(
        &place.run(&other),
        USAGE,
        &["autoencoder", "--batch-size", "--out"],
    );
    fs::rename(place.path("digits"), place.path("fashion")).unwrap();
    let other = latents.replace("--data digits", "--data fashion");
    assert_refused(&place.run(&other), USAGE, &["digits", "fashion", "--out"]);
    let many = other
        .replace("--samples 2", "--samples 3")
        .replace("--out runs", "--out more");
    assert_refused(&place.run(&many), USAGE, &["has 4 images", "at least 6"]);
}

/// One step of each: a combination that no run can have would show after hours.
#[test]
fn every_objective_has_a_run() {
    let place = with_digits();
    place.succeed(
        "reproduce objectives --data digits --classifier judge.safetensors --samples 2 --steps 1 --batch-size 2 --json out.json --out runs",
    );
    assert_eq!(read(&place, "out.json").as_array().unwrap().len(), 4 + 14);
}

#[test]
fn samples_of_asked_digits_are_counted_by_what_they_are_taken_for() {
    let place = with_digits();
    place.succeed(
        "train --preset mnist --data mnist --path digits --set task.model.architecture.classes=10 --set task.label_dropout=0.1 --steps 2 --batch-size 2 --out run",
    );
    let line = "reproduce digits-by-class --checkpoint run --judge judge.safetensors --solver ddim --steps 2 --json out.json";
    place.succeed(&format!("{line} --samples 5 --picture out.png"));
    let figures = read(&place, "out.json");
    assert_eq!(figures["samples"], 5);
    assert_eq!(figures["right"], 0.2);
    assert_eq!(figures["sure"], 1.0);
    assert_eq!(figures["evaluations"], 2);
    for asked in 0..10 {
        let mut taken = [0; 10];
        taken[3] = i32::from(asked < 5);
        assert_eq!(figures["taken"][asked], json!(taken), "{asked}");
    }
    assert!(place.path("out.png").exists());

    place.succeed(&format!("{line} --samples 4 --class 3 --guidance 2"));
    let figures = read(&place, "out.json");
    assert_eq!(figures["right"], 1.0);
    assert_eq!(figures["evaluations"], 4);
    assert_eq!(figures["taken"][3][3], 4);
}
