//! `tweedie anomaly` on phantoms with lesions and on a picture.

use std::fs;

use serde_json::{Value, json};
use tweedie::{
    burn::tensor::Device,
    core::Schedule,
    data::{Image, LesionPhantoms},
    models::Pretrained,
};

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    finding::{Finding, Pixels},
    run::{Place, SETTINGS, checkpoint},
};

/// A place with a run of three steps, of a network that is told whether a phantom has a lesion.
fn trained() -> Place {
    let place = Place::new();
    let told = SETTINGS
        .replace(r#"type = "phantoms""#, r#"type = "lesions""#)
        .replace("groups = 4", "groups = 4\nclasses = 2")
        .replace("\"diffusion\"", "\"diffusion\"\nlabel_dropout = 0.1")
        .replace("[8, 8]", "[16, 16]");
    place.write("told.toml", told);
    place.succeed("train --config told.toml --out run");
    place
}

fn report(place: &Place, folder: &str) -> Value {
    let text = fs::read_to_string(place.path(&format!("{folder}/report.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// How well the distance to the mean of a thousand healthy phantoms finds the lesions of some phantoms of 16 x 16 pixels.
fn mean_of_healthy(seed: u64, images: u64) -> Value {
    let open = |seed| LesionPhantoms::new(seed, 0, 16, 16).unwrap();
    let others = open(seed ^ u64::from_be_bytes(*b"healthy\0"));
    let healthy = (0..1000).map(|index| others.example(2 * index).image);
    let healthy = Image::batch(&healthy.collect::<Vec<_>>(), &Device::flex()).unwrap();
    let mean: Vec<f64> = healthy.mean_dim(0).try_into_vec_as().unwrap();
    let set = open(seed);
    let (mut maps, mut phantoms) = (Vec::new(), Vec::new());
    for planted in (0..images).map(|index| set.planted(index)) {
        let pixels = planted.image.pixels();
        // In single precision, as the map is, whose ties count.
        let distances = pixels
            .iter()
            .zip(&mean)
            .map(|(&pixel, &mean)| (pixel - mean as f32).abs());
        maps.push(distances.map(f64::from).collect());
        phantoms.push(Pixels {
            is_ill: planted
                .mask
                .pixels()
                .iter()
                .map(|&pixel| pixel == 1.0)
                .collect(),
            is_head: pixels.iter().map(|&pixel| pixel > 0.0).collect(),
        });
    }
    json!(Finding::of(&maps, &phantoms))
}

#[test]
fn lesions_are_searched_in_phantoms_and_pictures() {
    let place = trained();
    let line = "anomaly --checkpoint run --images 5 --steps 4 --level 2 --seed 3";
    let done = place.succeed(&format!("{line} --batch-size 2 --out two"));
    for words in [
        "5 images",
        "level 2 of 4",
        "counterfactual: AUROC 0.",
        "mean of healthy: AUROC",
    ] {
        assert!(done.out.contains(words), "{words}: {done:?}");
    }
    let found = report(&place, "two");
    for map in ["counterfactual", "reconstruction", "mean"] {
        let auroc = found["findings"][map]["auroc"]["mean"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&auroc), "{map}: {auroc}");
    }
    assert_eq!(found["level"], 2);

    // The control: the guidance changes the one map alone.
    place.succeed(&format!("{line} --batch-size 2 --guidance 0 --out none"));
    let none = report(&place, "none");
    let of = |report: &Value, map: &str| report["findings"][map].clone();
    assert_eq!(of(&none, "counterfactual"), of(&none, "reconstruction"));
    assert_eq!(of(&none, "reconstruction"), of(&found, "reconstruction"));
    assert_ne!(of(&none, "counterfactual"), of(&found, "counterfactual"));

    // The mean of healthy phantoms knows no network: by hand.
    assert_eq!(of(&found, "mean"), mean_of_healthy(3, 5));
    let highest = Pretrained::open(&checkpoint(&place.path("run"), 3), &Device::flex());
    let schedule = highest.unwrap().schedule();
    let least = schedule.time_at(1.0 / 255.0);
    let top = schedule.sigma(least + 0.5 * (schedule.horizon() - least));
    let difference = found["top"].as_f64().unwrap() - top;
    assert!(difference.abs() < 1e-9 * top, "{difference}, {top}");

    // Without guidance both come down by the same noise.
    place.succeed(&format!("{line} --ascent noised --guidance 0 --out unled"));
    let unled = report(&place, "unled");
    assert_eq!(of(&unled, "counterfactual"), of(&unled, "reconstruction"));

    // Noise belongs to an image, not to its batch.
    for batch in [2, 5] {
        place.succeed(&format!(
            "{line} --ascent noised --batch-size {batch} --out noised{batch}"
        ));
    }
    let picture = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(
        picture("noised2/anomaly.png"),
        picture("noised5/anomaly.png")
    );
    assert_ne!(picture("noised2/anomaly.png"), picture("two/anomaly.png"));

    place.succeed("sample --checkpoint run --samples 1 --steps 2 --separate --out drawn");
    let done = place
        .succeed("anomaly --checkpoint run --steps 4 --input drawn/images/00000.png --out own");
    assert!(!done.out.contains("AUROC"), "{done:?}");
    assert!(place.path("own/counterfactual.png").exists());
    assert!(report(&place, "own")["findings"].is_null());

    // Where time is the noise level, its steps are those of Karras et al. 2022, eq. 5, from 80/2 to 1/255 in pixels of [0, 1].
    place.succeed(
        "train --config told.toml --set task.model.schedule.type=karras --set task.model.schedule.sigma_max=80.0 \
         --set task.model.parametrisation.edm.sigma_data=0.5 --set task.model.label.time.scale=1.0 --out karras",
    );
    place.succeed("anomaly --checkpoint karras --steps 4 --level 1 --images 2 --out high");
    let [low, high] = [1.0 / 255.0, 40.0].map(|sigma: f64| sigma.powf(1.0 / 7.0));
    let top = (low + 0.25 * (high - low)).powi(7);
    let found = report(&place, "high")["top"].as_f64().unwrap();
    assert!((found - top).abs() < 1e-9 * top, "{found}, {top}");

    let refused = place.run("anomaly --checkpoint run --healthy 5");
    assert_refused(&refused, USAGE, &["number 2", "class 5"]);
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let place = Place::new();
    for (line, words) in [
        ("anomaly --images 1", ["--images", "1"]),
        ("anomaly --guidance=-1", ["--guidance", "-1"]),
        ("anomaly --steps 3 --level 4", ["level", "4"]),
        ("anomaly --ascent up", ["up", "encoded"]),
        ("anomaly --input a.png --images 3", ["--input", "--images"]),
    ] {
        assert_refused(&place.run(line), USAGE, &words);
    }
    // The shipped network is told no classes.
    let done = place.run("anomaly --steps 3");
    assert_refused(&done, USAGE, &["class"]);
    let done = place.run("anomaly --classifier nowhere --steps 3");
    assert_refused(&done, FAILED, &["nowhere"]);
}
