//! The Fréchet score of a run, made once more by hand.

use std::{fs, ops::Range};

use tweedie::{
    burn::{
        data::dataset::Dataset,
        tensor::{Device, Tensor},
    },
    core::{Clipped, Rng, TimeGrid},
    data::{Idx, Image, Split},
    metrics::frechet_distance,
    models::{Pretrained, PretrainedClassifier},
    samplers::{DiffusionSampler, PosteriorSampler},
    sde::Reverse,
    solvers::Ddim,
};

use crate::{
    data::digits,
    run::{Place, SETTINGS, checkpoint},
};

/// More digits than are drawn at once, and not a multiple of the classes.
const IMAGES: usize = 68;

/// Writes the settings of a classifier of digits of 8 x 8 pixels.
fn classifier(place: &Place) {
    let encoder = SETTINGS
        .lines()
        .skip_while(|line| !line.starts_with("channels"))
        .take(9);
    let encoder = encoder.collect::<Vec<_>>().join("\n");
    place.write(
        "classifier.toml",
        format!(
            "data = {{ type = \"mnist\", path = \"digits\" }}\ntraining = {{ steps = 3, batch_size = 2, learning_rate = 0.1, warmup_steps = 0, ema_decays = [0.0] }}\n\
             [task]\ntype = \"classifier\"\n[task.model]\nformat = 1\nimage_size = [8, 8]\n\
             schedule = {{ type = \"ddpm\", steps = 1000, beta_min = 1e-4, beta_max = 0.02 }}\n\
             label.step.steps = 1000\n[task.model.architecture]\nclasses = 10\n\
             [task.model.architecture.encoder]\n{encoder}"
        ),
    );
}

/// Draws of classes by 50 steps of DDIM, with the random numbers of the score.
fn draws(model: &Pretrained, classes: &[usize]) -> Tensor<4> {
    let device = Device::flex();
    let denoiser = Clipped::unit(model.given(Some(classes), None).unwrap());
    let process = Reverse::flow(model.schedule(), denoiser);
    let grid = TimeGrid::uniform(1.0, 0.0, 50).unwrap();
    let sampler = DiffusionSampler::new(process, Ddim::new(0.0).unwrap(), grid);
    let mut rng = Rng::seeded(0, &device).fork(u64::from_be_bytes(*b"scores\0\0"));
    let shape = [classes.len(), 1, 8, 8];
    let drawn = sampler.sample(shape, &mut rng, &mut |_| ()).unwrap();
    drawn.clamp(0.0, 1.0)
}

#[test]
fn the_classes_go_round_over_all_draws() {
    let place = Place::new();
    digits(&place, 9, IMAGES as u32);
    // Digits that differ.
    let path = place.path("digits/t10k-images-idx3-ubyte");
    let mut bytes = fs::read(&path).unwrap();
    for (place, byte) in bytes[16..].iter_mut().enumerate() {
        *byte = (place * place % 251) as u8;
    }
    fs::write(&path, bytes).unwrap();
    classifier(&place);
    place.succeed("train --config classifier.toml --out classifier");
    place.succeed(
        "train --config small.toml --data mnist --path digits --size 8 --set task.model.architecture.classes=10 \
         --learning-rate 0.1 --ema-decays 0 --steps 3 --feature-network classifier --out run",
    );
    let text = fs::read_to_string(place.path("run/frechet.csv")).unwrap();
    let row: Vec<f64> = text
        .lines()
        .nth(1)
        .unwrap()
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    assert_eq!((row[0], row[2]), (3.0, IMAGES as f64));

    let device = Device::flex();
    let judge = PretrainedClassifier::open(&checkpoint(&place.path("classifier"), 3), &device);
    let judge = judge.unwrap();
    let features = |images: Tensor<4>| judge.features(images, 1.0 / 255.0);
    let set = Idx::open(place.path("digits"), Split::Test)
        .unwrap()
        .padded(1);
    let images: Vec<Image> = (0..IMAGES).map(|index| set.get(index).unwrap()).collect();
    let reference = features(Image::batch(&images, &device).unwrap());
    let model = Pretrained::open(&checkpoint(&place.path("run"), 3), &device).unwrap();
    let distance = |classes: Vec<usize>| {
        let drawn = features(draws(&model, &classes));
        frechet_distance(drawn, reference.clone())
    };
    let in_turn = |rows: Range<usize>| rows.map(|row| row % 10);
    let expected = distance(in_turn(0..IMAGES).collect());
    let anew = distance(in_turn(0..64).chain(in_turn(0..IMAGES - 64)).collect());
    let found = row[1];
    // A draw does not depend on its batch but for the order of sums of single precision.
    let tolerance = 100.0 * f64::from(f32::EPSILON) * expected;
    assert!((found - expected).abs() < tolerance, "{found}, {expected}");
    // The control: classes that begin anew after 64 draws.
    assert!(
        (anew - expected).abs() > 10.0 * tolerance,
        "{anew}, {expected}"
    );
}
