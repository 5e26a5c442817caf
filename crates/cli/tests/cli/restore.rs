//! `tweedie restore` with the model inside the program.

use std::fs;

use serde_json::Value;

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    run::Place,
};

fn report(place: &Place, folder: &str) -> Value {
    let text = fs::read_to_string(place.path(&format!("{folder}/report.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_phantom_with_missing_pixels_is_restored_with_its_uncertainty() {
    let place = Place::new();
    place.succeed("restore --steps 40 --samples 4 --batch-size 4 --out out");
    let report = report(&place, "out");
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_f64).unwrap();
    let gain = number("/mean/psnr") - number("/measurement/psnr");
    assert!(
        gain >= 8.0,
        "the mean gains {gain:.1} dB on the zero-filled measurement"
    );
    assert!(number("/mean/ssim") > number("/measurement/ssim"));
    assert!(number("/std/missing_over_seen") > 1.0, "{report}");
    assert_eq!(report["nfe_per_sample"], 40);
    assert_eq!(report["seed"], 0);
    for name in [
        "clean",
        "measurement",
        "mask",
        "samples",
        "mean",
        "std",
        "overview",
    ] {
        assert!(place.path(&format!("out/{name}.png")).exists(), "{name}");
    }
}

#[test]
fn intervals_are_reported_with_what_they_hold() {
    let place = Place::new();
    place.succeed("restore --steps 3 --samples 3 --level 0.5 --out out");
    let intervals = &report(&place, "out")["intervals"];
    assert_eq!(intervals["level"], 0.5);
    assert!(
        intervals["mean_width"].as_f64().unwrap() > 0.0,
        "{intervals}"
    );
    let coverage = intervals["coverage"].as_f64().unwrap();
    assert!(coverage > 0.0 && coverage < 1.0, "{intervals}");
    for name in ["lower", "upper"] {
        assert!(place.path(&format!("out/{name}.png")).exists(), "{name}");
    }
}

#[test]
fn samples_do_not_depend_on_the_batch_size() {
    let place = Place::new();
    for batch in [1, 8] {
        place.succeed(&format!(
            "restore --steps 3 --samples 3 --batch-size {batch} --out out{batch}"
        ));
    }
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    for picture in ["samples.png", "mean.png", "std.png"] {
        assert_eq!(
            read(&format!("out1/{picture}")),
            read(&format!("out8/{picture}")),
            "{picture}"
        );
    }
    let (one, eight) = (report(&place, "out1"), report(&place, "out8"));
    assert_eq!(one["mean"], eight["mean"]);
}

#[test]
fn every_method_runs() {
    let place = Place::new();
    let rounds = r#"--settings {"iterations":2,"prior_steps":2}"#;
    for (method, settings) in [
        ("dps-annealed", ""),
        ("pigdm", ""),
        ("mmps", ""),
        ("tmpd", ""),
        ("ald", ""),
        ("sda", ""),
        ("reconstruction", ""),
        ("lgd-mc", ""),
        ("posterior-diffusion", ""),
        ("dps", r#"--settings {"zeta":0.5}"#),
        ("pigdm-ddim", ""),
        ("score-sde", ""),
        ("mcg", ""),
        ("ddrm", r#"--settings {"eta":1.0}"#),
        ("ddnm", ""),
        ("fps", ""),
        ("repaint", r#"--settings {"jump_length":2,"resampling":2}"#),
        ("diffpir", r#"--settings {"lambda":1.0}"#),
        ("red-diff", ""),
        ("daps", r#"--settings {"ode_steps":2}"#),
        ("pnp-dm", rounds),
        ("dpnp", rounds),
        ("tds", r#"--settings {"particles":2}"#),
        ("mcg-diff", r#"--settings {"particles":2}"#),
    ] {
        place.succeed(&format!(
            "restore --method {method} {settings} --steps 4 --samples 2 --out {method}"
        ));
        assert_eq!(report(&place, method)["method"], method);
    }
}

#[test]
fn every_operator_runs() {
    let place = Place::new();
    for (operator, method) in [
        ("denoising", "ddrm"),
        ("blur", "ddrm"),
        ("super-resolution", "ddrm"),
        ("tomography", "diffpir"),
        ("saturation", "dps-annealed"),
        ("saturation", "daps"),
    ] {
        let out = format!("{operator}-{method}");
        place.succeed(&format!(
            "restore --operator {operator} --method {method} --steps 4 --samples 2 --out {out}"
        ));
        assert_eq!(report(&place, &out)["operator"], operator);
    }
}

#[test]
fn a_given_measurement_is_restored_without_the_clean_image() {
    let place = Place::new();
    let common = "restore --steps 3 --samples 2";
    place.succeed(&format!("{common} --out first"));
    place.succeed(&format!(
        "{common} --measurement first/measurement.png --mask first/mask.png --out second"
    ));
    let report = report(&place, "second");
    assert!(
        report["mean"].is_null() && report["measurement"].is_null(),
        "{report}"
    );
    assert!(!place.path("second/clean.png").exists());

    place.succeed(&format!(
        "{common} --operator super-resolution --factor 2 --measurement first/measurement.png --out third"
    ));
    let image = fs::read(place.path("third/mean.png")).unwrap();
    // Width and height in the header of a PNG file.
    assert_eq!(image[16..24], [0, 0, 0, 64, 0, 0, 0, 64]);
}

#[test]
fn what_cannot_be_restored_is_refused() {
    let place = Place::new();
    for (line, words) in [
        ("--noise-std -0.1", &["--noise-std", "-0.1"][..]),
        ("--noise-std nan", &["--noise-std", "NaN"]),
        ("--missing 1", &["--missing", "below 1"]),
        (
            "--operator denoising --mask x.png",
            &["--mask", "inpainting"],
        ),
        ("--measurement x.png", &["--mask"]),
        (
            "--measurement x.png --input y.png",
            &["--measurement", "--input"],
        ),
        ("--input phantom:one", &["phantom:SEED", "one"]),
        ("--method magic", &["magic", "dps"]),
        (
            "--method ddrm --operator tomography",
            &["ddrm", "singular value", "tomography", "diffpir"],
        ),
        (
            "--method mmps --operator saturation",
            &["mmps", "linear", "saturation", "dps-annealed"],
        ),
        (
            "--method repaint --operator blur",
            &["repaint", "inpainting", "blur", "ddrm"],
        ),
        (
            "--method ddrm --settings {\"etta\":1}",
            &["--settings", "ddrm", "etta"],
        ),
        ("--method mmps --settings {}", &["mmps", "no settings"]),
        ("--operator magic", &["magic", "inpainting"]),
        ("--samples 0", &["--samples"]),
        ("--level 1", &["level", "(0, 1)"]),
        ("--samples 18 --level 0.9", &["19 samples", "found 18"]),
        ("--device cuda", &["cuda", "not compiled in"]),
    ] {
        assert_refused(&place.run(&format!("restore {line}")), USAGE, words);
    }
    place.write("broken.png", "no picture");
    let quick = "--steps 1 --samples 1";
    for (line, words) in [
        ("--input nowhere.png", &["nowhere.png"][..]),
        ("--input broken.png", &["broken.png"]),
        ("--checkpoint nowhere", &["cannot read nowhere"]),
        ("--out broken.png/below", &["broken.png/below"]),
        ("--operator super-resolution --factor 5", &["32", "5"]),
        ("--mask broken.png", &["broken.png"]),
    ] {
        assert_refused(
            &place.run(&format!("restore {quick} {line}")),
            FAILED,
            words,
        );
    }
}

#[test]
fn damaged_checkpoints_are_refused_by_name() {
    let place = Place::new();
    place.succeed("train --config small.toml --out run");
    let model = "run/checkpoints/step-00000003";
    let weights = place.path(&format!("{model}/ema.safetensors"));
    let whole = fs::read(&weights).unwrap();
    fs::write(&weights, &whole[..whole.len() / 2]).unwrap();
    let line = "restore --checkpoint run --steps 1 --samples 1";
    assert_refused(&place.run(line), FAILED, &["ema.safetensors"]);
    fs::write(&weights, &whole).unwrap();

    let config = place.path(&format!("{model}/model.json"));
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen('{', "{ \"colour\": 3,", 1)).unwrap();
    assert_refused(&place.run(line), FAILED, &["model.json", "colour"]);
    fs::write(&config, &text[..text.len() / 2]).unwrap();
    assert_refused(&place.run(line), FAILED, &["model.json"]);
}

#[test]
fn an_image_with_other_channels_is_refused() {
    let place = Place::new();
    place.succeed("restore --steps 1 --samples 2 --out grey");
    // The colour map of the standard deviation is a colour picture.
    let done = place.run("restore --input grey/std.png --steps 1 --samples 1");
    assert_refused(&done, FAILED, &["1 channel", "found 3"]);
}
