//! Where the settings of a run come from: presets, files, `--set`, options, in rising order of precedence.

use std::fs;

use clap::ValueEnum;
use toml::{Table, Value};
use tweedie::{
    data::Image,
    models::{Architecture, DrunetConfig, ModelConfig, SimpleUnetConfig, UNetConfig},
    training::{Diffusion, DiffusionConfig, TrainingConfig},
};

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    data::{digits, pictures},
    presets::PresetName,
    run::{Place, SETTINGS, checkpoint, record, rows},
};

/// The model, what it learns, and how, of a preset.
fn parts(name: PresetName) -> (ModelConfig, DiffusionConfig, TrainingConfig) {
    let mut table = name.table().unwrap();
    let training = table
        .remove("training")
        .unwrap_or(Value::Table(Table::new()));
    let mut task = table["task"].as_table().unwrap().clone();
    assert_eq!(task.remove("type").unwrap().as_str(), Some("diffusion"));
    let model = task.remove("model").unwrap().try_into().unwrap();
    (
        model,
        task.try_into().unwrap(),
        training.try_into().unwrap(),
    )
}

#[test]
fn every_preset_is_valid_as_it_stands() {
    for &name in PresetName::value_variants() {
        let (model, learning, training) = parts(name);
        training.validate().unwrap();
        let [height, width] = model.image_size;
        model.architecture.check_size(height, width).unwrap();
        Diffusion::new(model, learning).unwrap_or_else(|error| panic!("{name:?}: {error}"));
    }
}

#[test]
fn presets_have_the_networks_that_they_name() {
    let network = |name| parts(name).0.architecture;
    let unet = |name: &str| UNetConfig::preset(name).unwrap();
    let cifar10 = Architecture::UNet(unet("ddpm-cifar10"));
    for name in [PresetName::Phantoms, PresetName::Mnist] {
        assert_eq!(network(name), Architecture::UNet(unet("tiny")));
    }
    for name in [PresetName::Cifar10, PresetName::Ncsn] {
        assert_eq!(network(name), cifar10);
    }
    let edm = UNetConfig {
        dropout: 0.13,
        ..unet("ddpm-cifar10")
    };
    assert_eq!(network(PresetName::Edm), Architecture::UNet(edm));
    let course = Architecture::SimpleUnet(SimpleUnetConfig::published(3));
    assert_eq!(network(PresetName::Course), course);
    let drunet = Architecture::Drunet(DrunetConfig::published(3));
    assert_eq!(network(PresetName::Drunet), drunet);
}

#[test]
fn every_preset_trains_in_small() {
    let place = Place::new();
    digits(&place, 9, 5);
    pictures(&place, "photographs", 4);
    let unet = "--set task.model.architecture.base_channels=8 --set task.model.architecture.groups=4 \
                --set task.model.architecture.channel_multipliers=[1,2] --set task.model.architecture.attention_levels=[]";
    let levels = "--set task.model.architecture.widths=[8,16]";
    for (name, data, network) in [
        ("phantoms", "--data phantoms", unet.to_owned()),
        ("mnist", "--path digits", unet.to_owned()),
        ("lesions", "--data lesions", unet.to_owned()),
        ("cifar10", "--data phantoms", unet.to_owned()),
        ("course", "--path photographs", levels.to_owned()),
        (
            "drunet",
            "--path photographs",
            format!("{levels} --set task.model.architecture.blocks_per_level=1"),
        ),
        ("edm", "--data phantoms", unet.to_owned()),
        ("ncsn", "--data phantoms", unet.to_owned()),
    ] {
        let line =
            format!("train --preset {name} {data} --size 8 {network} --steps 2 --batch-size 2");
        place.succeed(&format!("{line} --out {name}"));
        let run = place.path(name);
        assert_eq!(rows(&run.join("steps.csv")), 2, "{name}");
        assert!(run.join("samples/step-00000002.png").exists(), "{name}");
    }
    let names: Vec<String> = PresetName::value_variants()
        .iter()
        .map(|name| format!("{name:?}").to_lowercase())
        .collect();
    assert!(
        names.iter().all(|name| place.path(name).exists()),
        "{names:?}"
    );
}

#[test]
fn options_go_over_assignments_over_the_file_over_its_preset() {
    let place = Place::new();
    let mut file = SETTINGS.replace(
        "batch_size = 2",
        "batch_size = 2\nlearning_rate = 0.5\nwarmup_steps = 9\npatience = 8",
    );
    file = file.replace("warmup_steps = 1\n", "");
    file.insert_str(0, "preset = \"mnist\"\n");
    place.write("file.toml", file);
    place.succeed(
        "train --config file.toml --set training.warmup_steps=4 --set training.learning_rate=0.25 --learning-rate 0.125 \
         --out run",
    );
    let training = &record(&place, "run")["training"];
    // Of the preset, the file, `--set` and an option.
    assert_eq!(training["validate_every"].as_integer(), Some(500));
    assert_eq!(training["patience"].as_integer(), Some(8));
    assert_eq!(training["warmup_steps"].as_integer(), Some(4));
    assert_eq!(training["learning_rate"].as_float(), Some(0.125));
}

#[test]
fn another_kind_replaces_all_of_the_one_below() {
    let place = Place::new();
    place.succeed(
        "train --config small.toml --out run --set task.model.schedule.type=karras --set task.model.schedule.sigma_max=80 \
         --set task.model.label.time.scale=1 --set task.model.parametrisation.edm.sigma_data=0.5 \
         --set task.levels.distribution={type=\"log_normal\",mean=-1.2,std=1.2}",
    );
    let model = &record(&place, "run")["task"]["model"];
    assert_eq!(model["schedule"].as_table().unwrap().len(), 2);
    assert_eq!(model["label"].as_table().unwrap().len(), 1);
    assert_eq!(
        model["parametrisation"]["edm"]["sigma_data"].as_float(),
        Some(0.5)
    );
}

#[test]
fn the_network_of_a_name_keeps_what_the_data_say() {
    let place = Place::new();
    let line = "train --data lesions --set task.model.architecture.classes=2 --network tiny --size 8 --steps 1 --batch-size 2";
    place.succeed(&format!("{line} --out run"));
    let network = &record(&place, "run")["task"]["model"]["architecture"];
    assert_eq!(network["classes"].as_integer(), Some(2));
    assert_eq!(network["base_channels"].as_integer(), Some(16));
}

#[test]
fn a_resumed_run_refuses_other_settings_and_says_which() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run");
    let before = fs::read(place.path("run/run.toml")).unwrap();
    let refused = place.run(
        "train --resume --out run --steps 9 --learning-rate 0.25 --set task.objective.distance=\"l1\" --size 12",
    );
    assert_refused(
        &refused,
        USAGE,
        &[
            "training.learning_rate is 0.001, asked for 0.25",
            "task.objective.distance is \"l2\", asked for \"l1\"",
            "task.model.image_size is [8, 8], asked for [12, 12]",
        ],
    );
    assert!(!refused.err.contains("training.steps"), "{refused:?}");
    let refused = place.run("train --resume --out run --data lesions");
    assert_refused(
        &refused,
        USAGE,
        &["data.type is \"phantoms\", asked for \"lesions\""],
    );
    let refused = place.run("train --resume --out run --preset phantoms");
    assert_refused(&refused, USAGE, &["base_channels is 8, asked for 16"]);
    assert_eq!(fs::read(place.path("run/run.toml")).unwrap(), before);
    assert!(!checkpoint(&place.path("run"), 9).exists());
}

#[test]
fn a_resumed_run_may_be_asked_for_what_it_has_and_for_another_length() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run");
    place.succeed(
        "train --resume --out run --config run/run.toml --data phantoms --batch-size 2 --steps 4 --validate-every 1",
    );
    let training = &record(&place, "run")["training"];
    assert_eq!(training["steps"].as_integer(), Some(4));
    assert_eq!(training["validate_every"].as_integer(), Some(1));
}

/// Writes the settings of a small classifier of lesions, `classifier.toml`.
fn classifier(place: &Place) {
    let encoder = SETTINGS
        .lines()
        .skip_while(|line| !line.starts_with("channels"))
        .take(9);
    let encoder = encoder.collect::<Vec<_>>().join("\n");
    place.write(
        "classifier.toml",
        format!(
            "data.type = \"lesions\"\n{TRAINING}[task]\ntype = \"classifier\"\n[task.model]\nformat = 1\n\
             image_size = [8, 8]\nschedule = {{ type = \"ddpm\", steps = 1000, beta_min = 1e-4, beta_max = 0.02 }}\n\
             label.step.steps = 1000\n[task.model.architecture]\nclasses = 2\n\
             [task.model.architecture.encoder]\n{encoder}"
        ),
    );
}

const TRAINING: &str = "[training]\nsteps = 2\nbatch_size = 2\n";

#[test]
fn draws_are_scored_in_a_network_of_classes() {
    let place = Place::new();
    classifier(&place);
    place.succeed("train --config classifier.toml --out classifier");
    let line = "train --config small.toml --data lesions --batch-size 2 --sample-every 1 --feature-network classifier";
    let done = place.succeed(&format!("{line} --size 8 --steps 2 --out run"));
    assert!(done.err.contains("Fréchet distance"), "{done:?}");
    let scores = || fs::read_to_string(place.path("run/frechet.csv")).unwrap();
    let before = scores();
    assert_eq!(rows(&place.path("run/frechet.csv")), 2);
    // Rows of steps that were lost are made again, the others kept; the record knows the network.
    place.write("run/frechet.csv", before.clone() + "9,1.0,256\n");
    place.succeed("train --resume --out run --steps 3");
    assert_eq!(rows(&place.path("run/frechet.csv")), 3);
    assert!(scores().starts_with(&before), "{}", scores());
    let page = fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("Fréchet distance to held-out images"));

    let refused = place.run("train --resume --out run --steps 4 --feature-network other");
    assert_refused(
        &refused,
        USAGE,
        &["feature_network is", "classifier", "other"],
    );
    place.succeed("train --config small.toml --batch-size 2 --steps 1 --out unscored");
    place.succeed("train --resume --out unscored --steps 2 --feature-network classifier");
    assert_eq!(rows(&place.path("unscored/frechet.csv")), 1);
    let refused = place.run("train --config small.toml --set feature_network=3 --out other");
    assert_refused(&refused, USAGE, &["feature_network", "a path", "3"]);

    let refused = place.run(&format!("{line} --size 12 --out other"));
    assert_refused(&refused, USAGE, &["[1, 8, 8]", "[1, 12, 12]"]);
    let refused =
        place.run("train --config classifier.toml --out other --feature-network classifier");
    assert_refused(&refused, USAGE, &["--feature-network", "draws images"]);
    let refused = place.run("train --config small.toml --out other --feature-network nowhere");
    assert_refused(&refused, FAILED, &["nowhere"]);
    assert!(!place.path("other").exists());
}

#[test]
fn every_kind_of_task_is_trained_by_its_settings() {
    let place = Place::new();
    classifier(&place);
    place.succeed("train --config classifier.toml --out classifier");
    place.write(
        "autoencoder.toml",
        format!(
            "data.type = \"phantoms\"\n{TRAINING}[task]\ntype = \"autoencoder\"\n[task.model]\nformat = 1\nimage_size = [8, 8]\n\
             scale = 1.0\n[task.model.architecture]\nchannel_multipliers = [1, 2]\nbase_channels = 8\ngroups = 4"
        ),
    );
    place.succeed("train --config autoencoder.toml --out autoencoder");
    let latent = SETTINGS
        .replace("\"diffusion\"", "\"latent\"\nautoencoder = \"autoencoder\"")
        .replace("channels = 1", "channels = 4")
        .replace(
            "image_size = [8, 8]",
            "image_size = [4, 4]\npixels = \"unit\"",
        );
    place.write("latent.toml", latent);
    let done = place.succeed("train --config latent.toml --out latent");
    assert!(done.out.contains("images of 1 x 8 x 8"), "{done:?}");
    for (run, file) in [
        ("classifier", "classifier.json"),
        ("autoencoder", "autoencoder.json"),
        ("latent", "model.json"),
    ] {
        let step = if run == "latent" { 3 } else { 2 };
        assert!(
            checkpoint(&place.path(run), step).join(file).exists(),
            "{run}"
        );
        let more = step + 1;
        place.succeed(&format!("train --resume --out {run} --steps {more}"));
        assert_eq!(rows(&place.path(run).join("steps.csv")), more as usize);
    }
    for run in ["autoencoder", "latent"] {
        let sheet = Image::load(place.path(run).join("samples/step-00000003.png"), None).unwrap();
        assert_eq!(sheet.shape(), [1, 4 * 8 + 6, 4 * 8 + 6], "{run}");
    }
    let refused = place.run("train --config latent.toml --out other --size 12");
    assert_refused(&refused, USAGE, &["--size", "latent"]);
}

#[test]
fn a_network_is_shown_measurements() {
    let place = Place::new();
    let line = "train --config small.toml --out run --set task.measurement.operator.inpainting.missing=0.5 \
                --set task.measurement.noise_std=0.1";
    let refused = place.run(line);
    assert_refused(&refused, USAGE, &["sees 0 channels", "expected 1"]);
    place.succeed(&format!(
        "{line} --set task.model.architecture.condition_channels=1"
    ));
    // What is missing is missing in all eight measurements, which are the upper half of the sheet; noise there would not be.
    let sheet = Image::load(place.path("run/samples/step-00000003.png"), None).unwrap();
    let tiles = (0..8).map(|tile| [tile / 4, tile % 4].map(|cell| 10 * cell));
    let is_missing = |pixel: usize| {
        let [y, x] = [pixel / 8, pixel % 8];
        let width = sheet.width();
        let mut found = tiles.clone();
        found.all(|[top, left]| sheet.pixels()[(top + y) * width + left + x] == 0.0)
    };
    let missing = (0..64).filter(|&pixel| is_missing(pixel)).count();
    assert!((32..40).contains(&missing), "{missing}");
    let refused = place.run(
        "train --config small.toml --out none --set task.model.architecture.condition_channels=1",
    );
    assert_refused(&refused, USAGE, &["sees 1 channels", "expected 0"]);
}

#[test]
fn two_devices_train_as_one() {
    let place = Place::new();
    let line = "train --config small.toml --set task.model.architecture.dropout=0.0 --steps 2 --batch-size 4";
    place.succeed(&format!("{line} --out one"));
    let done = place.succeed(&format!("{line} --out two --devices cpu,cpu"));
    assert!(done.out.contains("cpu, cpu"), "{done:?}");
    let losses = |run: &str| -> Vec<f64> {
        let text = fs::read_to_string(place.path(run).join("steps.csv")).unwrap();
        let loss = |line: &str| line.split(',').nth(1).unwrap().parse().unwrap();
        text.lines().skip(1).map(loss).collect()
    };
    for (one, two) in losses("one").iter().zip(losses("two")) {
        // The order of a sum of single precision.
        assert!((one - two).abs() < 1e-5 * one, "{one} {two}");
    }
}
