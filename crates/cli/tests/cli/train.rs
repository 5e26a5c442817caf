//! What a run leaves behind, and what it says.

use std::fs;

use toml::{Table, Value};
use tweedie::{burn::tensor::Device, data::Image, models::Pretrained, training::TrainingConfig};

use crate::data::pictures;
use crate::run::{Place, checkpoint, record, rows};

#[test]
fn a_run_writes_its_files_and_says_where() {
    let place = Place::new();
    let done = place.succeed("train --config small.toml --out a/b --sample-every 2");
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
        "train --config small.toml --out run --steps 1 --seed 7 --loss huber --size 12 --parametrisation v --schedule cosine",
    );
    let record = record(&place, "run");
    let (training, task) = (&record["training"], &record["task"]);
    assert_eq!(training["steps"].as_integer(), Some(1));
    assert_eq!(training["seed"].as_integer(), Some(7));
    assert_eq!(training["batch_size"].as_integer(), Some(2));
    assert_eq!(task["objective"]["distance"].as_str(), Some("huber"));
    let model = &task["model"];
    assert_eq!(model["image_size"], Value::from(vec![12, 12]));
    assert_eq!(model["parametrisation"].as_str(), Some("v"));
    assert_eq!(model["schedule"]["type"].as_str(), Some("cosine"));
    assert_eq!(model["label"]["time"]["scale"].as_float(), Some(1000.0));
    assert_eq!(model["architecture"]["base_channels"].as_integer(), Some(8));
}

#[test]
fn words_of_options_are_the_settings_that_they_name() {
    let place = Place::new();
    pictures(&place, "pictures", 4);
    place.succeed(
        "train --config small.toml --data folder --path pictures --channels grey --size 8 --resize 12 --crop random --flip \
         --precision bf16 --learning-rate-decay cosine --schedule vp --loss l1 --out run",
    );
    let record = record(&place, "run");
    let (data, training, task) = (&record["data"], &record["training"], &record["task"]);
    assert_eq!(data["resize"]["shorter_side"].as_integer(), Some(12));
    assert_eq!(data["crop"].as_str(), Some("random"));
    assert_eq!(data["horizontal_flip"].as_bool(), Some(true));
    assert_eq!(training["precision"].as_str(), Some("bf16"));
    let decay = &training["learning_rate_decay"];
    assert_eq!(decay["type"].as_str(), Some("cosine"));
    assert_eq!(task["objective"]["distance"].as_str(), Some("l1"));
    let schedule = &task["model"]["schedule"];
    assert_eq!(schedule["beta_min"].as_float(), Some(0.1));
    assert_eq!(schedule["beta_max"].as_float(), Some(20.0));
}

#[test]
fn the_report_stands_alone_and_shows_all() {
    let place = Place::new();
    place.succeed(
        "train --config small.toml --out run --steps 4 --validate-every 2 --sample-every 2",
    );
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    for title in [
        "Loss",
        "Validation loss by noise level",
        "Learning rate",
        "Norm of the gradient",
        "Seconds per step",
        "Share of the time spent waiting for data",
    ] {
        assert!(page.contains(&format!("{title}\n")), "{title}");
    }
    assert_eq!(page.matches("data:image/png;base64,iVBORw0KGgo").count(), 2);
    assert!(page.find(">step 2<").unwrap() < page.find(">step 4<").unwrap());
    assert!(page.contains("base_channels = 8"));
    // The marks of an axis differ, also of what is constant, the learning rate, and of few steps.
    let charts = page.matches("<svg").count();
    let lines = |text: &str| page.lines().filter(|line| *line == text).count();
    assert_eq!(lines("0.001"), 1);
    for step in ["step", "3", "4"] {
        assert_eq!(lines(step), charts, "{step}");
    }
    for note in [
        "sigma in the network's",
        "before it is clipped",
        "50 steps of DDIM",
    ] {
        assert!(page.contains(note), "{note}");
    }
    // All that it refers to is inside; names of XML are no addresses.
    for outside in ["<script", "<link", "src=\"http", "href", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Every element is closed: what a browser would mend is an error here.
    for element in ["svg", "figure", "table", "pre", "div"] {
        let (open, close) = (format!("<{element}"), format!("</{element}>"));
        assert_eq!(
            page.matches(&open).count(),
            page.matches(&close).count(),
            "{element}"
        );
    }
}

#[test]
fn the_record_of_a_run_repeats_it() {
    let place = Place::new();
    place.succeed("train --config small.toml --out one --steps 2 --seed 5");
    place.succeed("train --config one/run.toml --out two");
    let weights = |run| fs::read(checkpoint(&place.path(run), 2).join("weights.safetensors"));
    assert_eq!(weights("one").unwrap(), weights("two").unwrap());
}

#[test]
fn the_help_quotes_the_true_defaults() {
    let help = Place::new().succeed("train --help").out;
    let flowing = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let defaults = Table::try_from(TrainingConfig::default()).unwrap();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        // One of several kinds, told apart by its type.
        Value::Table(kind) => kind["type"].as_str().unwrap().to_owned(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            values.join(",")
        }
        number => number.to_string(),
    };
    for (field, value) in &defaults {
        let option = format!("--{} <", field.replace('_', "-"));
        let (_, words) = flowing.split_once(&option).expect(&option);
        let (_, quoted) = words.split_once("[default: ").unwrap();
        let (quoted, _) = quoted.split_once(']').unwrap();
        let expected = text(value);
        match expected.parse::<f64>() {
            Ok(number) => assert_eq!(quoted.parse::<f64>().unwrap(), number, "{option}"),
            Err(_) => assert_eq!(quoted, expected, "{option}"),
        }
    }
}
