//! What a run leaves behind, and what it says.

use std::fs;

use tweedie::{burn::tensor::Device, data::Image, models::Pretrained, training::TrainingConfig};

use crate::run::{Place, checkpoint, rows};

#[test]
fn a_run_writes_its_files_and_says_where() {
    let place = Place::new();
    let done = place.succeed("train --config small.json --out a/b --sample-every 2");
    let run = place.path("a/b");

    assert_eq!(rows(&run.join("steps.csv")), 3);
    assert_eq!(rows(&run.join("validation.csv")), 1);
    for sheet in ["step-00000002.png", "step-00000003.png"] {
        let sheet = Image::load(run.join("samples").join(sheet), None).unwrap();
        // Four by four images, two pixels apart.
        assert_eq!(sheet.shape(), [1, 4 * 8 + 6, 4 * 8 + 6]);
    }
    let model = Pretrained::open(&checkpoint(&run, 3), &Device::flex()).unwrap();
    assert_eq!(model.config().image_size, [8, 8]);

    for word in ["phantoms", "cpu", "a/b", "step-00000003", "steps.csv"] {
        assert!(done.out.contains(word), "{word} in {done:?}");
    }
    let next = "cargo xtask sample --checkpoint a/b/checkpoints/step-00000003";
    assert!(done.out.contains(next), "{done:?}");
    // No terminal here, so plain lines.
    assert!(done.err.contains("step 3/3  loss"), "{done:?}");
    assert!(done.err.contains("validation loss"), "{done:?}");
}

#[test]
fn options_override_the_file_and_the_record_says_so() {
    let place = Place::new();
    place.succeed(
        "train --config small.json --out run --steps 1 --seed 7 --loss huber --size 12 --parametrisation v --schedule cosine",
    );
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(place.path("run/run.json")).unwrap()).unwrap();
    assert_eq!(record["training"]["steps"], 1);
    assert_eq!(record["training"]["seed"], 7);
    assert_eq!(record["training"]["loss"], "huber");
    assert_eq!(record["training"]["batch_size"], 2);
    assert_eq!(record["model"]["image_size"], serde_json::json!([12, 12]));
    assert_eq!(record["model"]["parametrisation"], "v");
    assert_eq!(record["model"]["schedule"]["type"], "cosine");
    assert_eq!(record["model"]["label"]["time"]["scale"], 1000.0);
    assert_eq!(record["model"]["architecture"]["base_channels"], 8);
}

#[test]
fn the_record_of_a_run_repeats_it() {
    let place = Place::new();
    place.succeed("train --config small.json --out one --steps 2 --seed 5");
    place.succeed("train --config one/run.json --out two");
    let weights = |run| fs::read(checkpoint(&place.path(run), 2).join("weights.safetensors"));
    assert_eq!(weights("one").unwrap(), weights("two").unwrap());
}

#[test]
fn the_help_quotes_the_true_defaults() {
    let help = Place::new().succeed("train --help").out;
    let flowing = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let defaults = serde_json::to_value(TrainingConfig::default()).unwrap();
    for (field, value) in defaults.as_object().unwrap() {
        let option = format!("--{} <", field.replace('_', "-"));
        let (_, text) = flowing.split_once(&option).expect(&option);
        let (_, quoted) = text.split_once("[default: ").unwrap();
        let (quoted, _) = quoted.split_once(']').unwrap();
        match value.as_f64() {
            Some(number) => assert_eq!(quoted.parse::<f64>().unwrap(), number, "{option}"),
            None => assert_eq!(quoted, value.as_str().unwrap(), "{option}"),
        }
    }
}
