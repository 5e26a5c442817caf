//! What the sheets of a run show beside draws.

use tweedie::data::{Image, Phantoms};

use crate::{
    bad_input::{USAGE, assert_refused},
    run::{Place, SETTINGS},
};

/// The pixels of the images of a sheet of 8 x 8 pixels each, four in a row, two pixels apart.
fn cells(place: &Place, path: &str) -> Vec<Vec<f64>> {
    let sheet = Image::load(place.path(path), None).unwrap();
    let width = sheet.shape()[2];
    let pixel = |x: usize, y: usize| f64::from(sheet.pixels()[y * width + x]);
    let cell = |index: usize| {
        let (left, top) = (index % 4 * 10, index / 4 * 10);
        let places = (0..64).map(|place| pixel(left + place % 8, top + place / 8));
        places.collect()
    };
    (0..16).map(cell).collect()
}

/// The phantoms that a run with the seed 0 holds out.
fn held_out(count: u64) -> Vec<Vec<f64>> {
    let set = Phantoms::new(u64::from_be_bytes(*b"held out"), 256, 8, 8).unwrap();
    let pixels = |index| {
        set.image(index)
            .pixels()
            .iter()
            .map(|&p| f64::from(p))
            .collect()
    };
    (0..count).map(pixels).collect()
}

#[test]
fn an_autoencoder_shows_held_out_images_above() {
    let place = Place::new();
    place.write(
        "autoencoder.toml",
        "data.type = \"phantoms\"\ntraining = { steps = 1, batch_size = 2 }\n[task]\ntype = \"autoencoder\"\n[task.model]\n\
         format = 1\nimage_size = [8, 8]\nscale = 1.0\n[task.model.architecture]\nchannel_multipliers = [1, 2]\nbase_channels = 8\n\
         groups = 4",
    );
    place.succeed("train --config autoencoder.toml --out run");
    let cells = cells(&place, "run/samples/step-00000001.png");
    for (index, (shown, own)) in cells.iter().zip(held_out(8)).enumerate() {
        for (shown, own) in shown.iter().zip(own) {
            // Half a grey level of 255, and rounding.
            assert!(
                (shown - own).abs() < 0.51 / 255.0,
                "{index}: {shown}, {own}"
            );
        }
    }
}

#[test]
fn a_denoiser_shows_the_noise_of_its_level() {
    let place = Place::new();
    // Of pixels from -1 to 1, so half of it in those of the sheet.
    place.succeed(
        "train --config small.toml --steps 1 --out run --set task.model.only_sigma=0.1 --set task.levels.distribution.type=one \
         --set task.levels.distribution.sigma=0.1",
    );
    let cells = cells(&place, "run/samples/step-00000001.png");
    let pairs = cells
        .iter()
        .flatten()
        .copied()
        .zip(held_out(8).into_iter().flatten());
    // Far from black and white, so that nothing was cut off.
    let grey = pairs.filter(|(_, own)| (0.25..0.75).contains(own));
    let squares: Vec<f64> = grey.map(|(noisy, own)| (noisy - own).powi(2)).collect();
    let count = squares.len() as f64;
    assert!(count > 30.0, "{count}");
    let variance = squares.iter().sum::<f64>() / count;
    let (expected, error) = (0.05_f64.powi(2), 0.05_f64.powi(2) * (2.0 / count).sqrt());
    assert!(
        (variance - expected).abs() < 5.0 * error,
        "{variance}, {expected} +- {error}"
    );
}

#[test]
fn draws_of_what_was_measured_are_not_scored() {
    let place = Place::new();
    let shown = SETTINGS.replace("channels = 1\n", "channels = 1\ncondition_channels = 1\n");
    place.write("shown.toml", shown);
    let refused = place.run(
        "train --config shown.toml --set task.measurement.operator.inpainting.missing=0.5 --set task.measurement.noise_std=0.1 \
         --feature-network none --out run",
    );
    assert_refused(&refused, USAGE, &["--feature-network", "draws images"]);
}
