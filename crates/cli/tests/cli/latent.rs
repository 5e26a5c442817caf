//! Models of latents: what is sampled and restored is decoded, and what cannot be is refused.

use std::fs;

use serde_json::Value;

use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    run::{Place, SETTINGS},
};

/// Latents of 2 x 4 x 4 for phantoms of 8 x 8 pixels.
const AUTOENCODER: &str = r#"
[data]
type = "phantoms"

[task]
type = "autoencoder"

[task.model]
format = 1
image_size = [8, 8]
scale = 1.0

[task.model.architecture]
latent_channels = 2
base_channels = 4
channel_multipliers = [1, 2]
groups = 2

[training]
steps = 3
batch_size = 2
"#;

/// With a run called `latent`.
fn trained() -> Place {
    let place = Place::new();
    place.write("autoencoder.toml", AUTOENCODER);
    let latent = SETTINGS
        .replace("\"diffusion\"", "\"latent\"\nautoencoder = \"autoencoder\"")
        .replace("channels = 1\n", "channels = 2\n")
        .replace("[8, 8]", "[4, 4]\npixels = \"unit\"");
    place.write("latent.toml", latent);
    for run in ["autoencoder", "latent"] {
        place.succeed(&format!("train --config {run}.toml --out {run}"));
    }
    place
}

#[test]
fn samples_and_restorations_are_images() {
    let place = trained();
    for batch in [1, 3] {
        let done = place.succeed(&format!(
            "sample --checkpoint latent --samples 3 --steps 3 --separate --trajectory --batch-size {batch} --out drawn{batch}"
        ));
        assert!(done.out.contains("3 samples of 8 x 8 pixels"), "{done:?}");
    }
    for image in ["samples.png", "images/00002.png"] {
        let read = |batch: u8| fs::read(place.path(&format!("drawn{batch}/{image}"))).unwrap();
        assert_eq!(read(1), read(3), "{image}");
    }
    assert!(place.path("drawn1/trajectory.png").exists());
    let larger = "sample --checkpoint latent --samples 1 --steps 2 --size 12 --out larger";
    assert!(place.succeed(larger).out.contains("12 x 12 pixels"));

    let restore = "restore --checkpoint latent --operator super-resolution --samples 2 --steps 3";
    for method in ["dps", "dps-annealed", "red-diff"] {
        place.succeed(&format!("{restore} --method {method} --out {method}"));
        let report = fs::read_to_string(place.path(&format!("{method}/report.json"))).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["shape"], serde_json::json!([1, 1, 8, 8]));
    }
}

#[test]
fn a_run_goes_on_without_the_folder_of_its_autoencoder() {
    let place = trained();
    fs::rename(place.path("autoencoder"), place.path("elsewhere")).unwrap();
    let done = place.succeed("train --resume --out latent --steps 4");
    assert!(done.out.contains("1 x 8 x 8"), "{done:?}");
    let refused = place.run("train --config latent.toml --out other");
    assert_refused(&refused, FAILED, &["autoencoder"]);
}

#[test]
fn what_latents_do_not_have_is_refused() {
    let place = trained();
    let restore = "restore --checkpoint latent --steps 2 --samples 1";
    for (line, words) in [
        (
            "train --config latent.toml --set task.objective.type=hybrid --out other".into(),
            ["hybrid", "levels of grey", "latents"],
        ),
        (
            format!("{restore} --method ddrm"),
            ["ddrm", "a measurement through a decoder", "dps-annealed"],
        ),
        (
            format!("{restore} --method posterior-diffusion"),
            ["linear operator", "a measurement through a decoder", "dps"],
        ),
        (
            "sample --checkpoint latent --tile 4".into(),
            ["--tile", "models of images", "latents"],
        ),
        (
            "sample --checkpoint latent --self-ensemble".into(),
            ["--self-ensemble", "models of images", "latents"],
        ),
    ] {
        assert_refused(&place.run(&line), USAGE, &words);
    }
    for (line, words) in [
        (
            "sample --checkpoint latent --size 9",
            ["positive multiples of 2", "9 x 9"],
        ),
        (
            "mcmc --prior model --checkpoint latent --sigma 0.1",
            ["latents of an autoencoder", "expected one of images"],
        ),
        (
            "sample --checkpoint autoencoder",
            ["is no model folder", "model.json"],
        ),
    ] {
        assert_refused(&place.run(line), FAILED, &words);
    }
}
