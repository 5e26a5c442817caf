//! The protocol of `reproduce denoising`, and the judged samples of `reproduce mnist-ddpm`.

#[path = "../../src/reproduce/denoising/numpy.rs"]
mod numpy;

use std::{fs, path::Path};

use serde_json::{Value, json};
use tweedie::{
    burn::tensor::Device,
    data::Image,
    models::{ModelError, import},
};

use self::numpy::LegacyNormal;
use crate::{
    bad_input::{FAILED, USAGE, assert_refused},
    run::Place,
};

#[test]
fn random_numbers_are_those_of_numpy() {
    // numpy.random.seed(0); numpy.random.rand(2)
    let mut numbers = LegacyNormal::seeded(0);
    let found = [(); 2].map(|()| numbers.uniform());
    assert_eq!(found, [0.5488135039273248, 0.7151893663724195]);
    // numpy.random.seed(0); numpy.random.randn(5000)
    let mut numbers = LegacyNormal::seeded(0);
    let found: Vec<f64> = (0..5000).map(|_| numbers.normal()).collect();
    let first = [
        1.764052345967664,
        0.4001572083672233,
        0.9787379841057392,
        2.240893199201458,
    ];
    assert_eq!(found[..4], first);
    assert_eq!(found[4999], 0.41440587671697376);
}

/// A safetensors file of tensors of single precision that are zero but for those that are named.
fn zeros(path: &Path, tensors: &[(String, Vec<usize>)], others: &[(&str, Vec<f32>)]) {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, shape) in tensors {
        let start = data.len();
        let count = shape.iter().product();
        let values = others.iter().find(|(other, _)| other == name);
        let values = values.map_or_else(|| vec![0.0; count], |(_, values)| values.clone());
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(data);
    fs::write(path, file).unwrap();
}

/// A DnCNN that finds no noise.
pub(crate) fn silent(path: &Path, channels: usize) {
    sharing(path, channels, 0.0);
}

/// As the published networks for grey pictures at one level, finding no noise.
pub(crate) fn silent_of_full_size(path: &Path) {
    let layer = |index: usize| {
        let (outputs, inputs) = match index {
            0 => (64, 1),
            16 => (1, 64),
            _ => (64, 64),
        };
        let name = |part: &str| format!("model.{}.{part}", 2 * index);
        [
            (name("weight"), vec![outputs, inputs, 3, 3]),
            (name("bias"), vec![outputs]),
        ]
    };
    zeros(path, &(0..17).flat_map(layer).collect::<Vec<_>>(), &[]);
}

/// A DnCNN that takes a share of what is above black in the first channel for noise, and nothing else.
fn sharing(path: &Path, channels: usize, share: f32) {
    let shapes = [[2, channels, 3, 3], [2, 2, 3, 3], [channels, 2, 3, 3]];
    let name = |index: usize| format!("model.{}.weight", 2 * index);
    let names = [name(0), name(1), name(2)];
    let tensors: Vec<_> = names
        .iter()
        .zip(shapes)
        .map(|(name, shape)| (name.clone(), shape.to_vec()))
        .collect();
    // The middle of the kernel from the first channel to the first.
    let middle = |index: usize, value: f32| {
        let mut weight = vec![0.0; shapes[index].iter().product()];
        weight[4] = value;
        (names[index].as_str(), weight)
    };
    let weights = [middle(0, 1.0), middle(1, 1.0), middle(2, share)];
    zeros(path, &tensors, &weights);
}

/// Two pictures: grey, 12 x 10, and coloured, 9 x 7.
fn pictures(place: &Place) {
    fs::create_dir(place.path("pictures")).unwrap();
    let byte = |factor: usize, shift: usize, index: usize| (factor * index + shift) as u8;
    let pixel = |byte: u8| f32::from(byte) / 255.0;
    let grey = (0..120).map(|index| pixel(byte(37, 0, index))).collect();
    let grey = Image::new(1, 12, 10, grey).unwrap();
    grey.save(place.path("pictures/a.png")).unwrap();
    let colour = (0..3)
        .flat_map(|c| (0..63).map(move |index| pixel(byte(91, 13, 3 * index + c))))
        .collect();
    let colour = Image::new(3, 9, 7, colour).unwrap();
    colour.save(place.path("pictures/b.png")).unwrap();
    place.write("pictures/SOURCE.txt", "no picture");
}

/// What a network that finds no noise scores is the noise itself; one that halves what is bright shows that what it is given is not
/// clipped, and what grey is. The figures are NumPy's and Pillow's.
#[test]
fn pictures_are_judged_by_the_protocol() {
    let place = Place::new();
    pictures(&place);
    for (channels, share, sigma, expected) in [
        (1, 0.0, 25, [19.98627434135144, 19.770075409996636]),
        (3, 0.0, 15, [25.071500792411207, 24.600815953988658]),
        (1, 0.5, 25, [10.79370967808966, 11.613578780117903]),
    ] {
        sharing(&place.path("silent.safetensors"), channels, share);
        let line = "reproduce denoising --weights silent.safetensors --images pictures";
        let done = place.succeed(&format!("{line} --sigma {sigma} --json figures.json"));
        assert!(done.out.contains("mean of 2"), "{done:?}");
        let text = fs::read_to_string(place.path("figures.json")).unwrap();
        let figures: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(figures["sigma"], f64::from(sigma));
        assert_eq!(figures["images"], 2);
        let close = |found: &Value, expected: f64| {
            let found = found.as_f64().unwrap();
            assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
        };
        for (index, expected) in expected.into_iter().enumerate() {
            close(&figures["psnr"][index], expected);
        }
        close(&figures["psnr_mean"], (expected[0] + expected[1]) / 2.0);
    }
}

#[test]
fn a_network_for_one_level_is_asked_for_no_other() {
    let place = Place::new();
    pictures(&place);
    let file = place.path("silent.safetensors");
    silent(&file, 1);
    let saved = |level: Option<f64>| -> Result<(), ModelError> {
        let mut network = import(&file, None, &Device::flex())?;
        network.config.only_sigma = level;
        network.save(&place.path("one.safetensors"))
    };
    saved(Some(25.0 / 255.0)).unwrap();
    let line = "reproduce denoising --weights one.safetensors --images pictures --sigma";
    // Figures of as many places as users write.
    for level in ["25", "25.02"] {
        place.succeed(&format!("{line} {level}"));
    }
    let refused = place.run(&format!("{line} 25.1"));
    assert_refused(&refused, USAGE, &["25 alone", "--sigma 25.1"]);
    let refused = place.run(&format!("{line} 15"));
    assert_refused(&refused, USAGE, &["one.safetensors", "25", "--sigma 15"]);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    let place = Place::new();
    pictures(&place);
    silent(&place.path("silent.safetensors"), 1);
    fs::create_dir(place.path("empty")).unwrap();
    let line = "reproduce denoising --weights";
    for (rest, code, words) in [
        (
            "silent.safetensors --images empty --sigma 25",
            FAILED,
            &["empty"][..],
        ),
        (
            "silent.safetensors --images none --sigma 25",
            FAILED,
            &["cannot read", "none"],
        ),
        (
            "none.pth --images pictures --sigma 25",
            FAILED,
            &["none.pth"],
        ),
        (
            "silent.safetensors --images pictures --sigma 0",
            USAGE,
            &["above 0"],
        ),
        (
            "silent.safetensors --arch dncnn-25 --images pictures --sigma 25",
            FAILED,
            &["silent.safetensors", "17"],
        ),
    ] {
        assert_refused(&place.run(&format!("{line} {rest}")), code, words);
    }
}

/// A classifier that finds the odds of one digit to each other one `e^logit`, whatever it sees.
pub(crate) fn sure_of(digit: usize, logit: f32, path: &Path) {
    let mut tensors = Vec::new();
    let mut add = |layer: &str, weight: Vec<usize>| {
        tensors.push((format!("{layer}.bias"), weight[..1].to_vec()));
        tensors.push((format!("{layer}.weight"), weight));
    };
    add("conv1", vec![8, 1, 3, 3]);
    add("conv2", vec![16, 8, 3, 3]);
    add("conv3", vec![24, 16, 3, 3]);
    add("fc1", vec![32, 11616]);
    add("fc2", vec![10, 32]);
    for (norm, width) in [("norm1", 24), ("norm2", 10)] {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("{norm}.{part}"), vec![width]));
        }
        tensors.push((format!("{norm}.num_batches_tracked"), vec![]));
    }
    let mut bias = vec![0.0; 10];
    bias[digit] = logit;
    zeros(path, &tensors, &[("norm2.bias", bias)]);
}

/// A network of digits that finds no noise.
fn silent_digits(path: &Path) {
    let mut tensors = Vec::new();
    for (block, inputs) in [1, 2].into_iter().enumerate() {
        let name = format!("gt.blocks.{block}.net");
        tensors.push((format!("{name}.0.weight"), vec![2, inputs, 7, 7]));
        tensors.push((format!("{name}.0.bias"), vec![2]));
        tensors.push((format!("{name}.1.weight"), vec![2, 28, 28]));
        tensors.push((format!("{name}.1.bias"), vec![2, 28, 28]));
    }
    tensors.push(("gt.blocks.2.weight".into(), vec![1, 2, 3, 3]));
    tensors.push(("gt.blocks.2.bias".into(), vec![1]));
    let sizes = [4, 3, 3, 3, 2];
    for (layer, pair) in sizes.windows(2).enumerate() {
        let name = format!("gt.time_embed.{}", 2 * layer);
        tensors.push((format!("{name}.weight"), vec![pair[1], pair[0]]));
        tensors.push((format!("{name}.bias"), vec![pair[1]]));
    }
    zeros(path, &tensors, &[]);
}

#[test]
fn samples_of_digits_are_drawn_and_judged() {
    let place = Place::new();
    silent_digits(&place.path("digits.safetensors"));
    // e^2.3/(e^2.3 + 9) = 0.526.
    sure_of(3, 2.3, &place.path("judge.safetensors"));
    let line = "reproduce mnist-ddpm --weights digits.safetensors --classifier judge.safetensors";
    let done = place.succeed(&format!(
        "{line} --samples 2 --json out.json --picture out.png"
    ));
    assert!(done.out.contains("differs"), "{done:?}");
    let text = fs::read_to_string(place.path("out.json")).unwrap();
    let figures: Value = serde_json::from_str(&text).unwrap();
    for (row, steps) in [(0, 1000), (1, 100)] {
        let row = &figures["rows"][row];
        assert_eq!(row["steps"], steps);
        assert_eq!(row["evaluations"], steps);
        assert_eq!(row["share"], 1.0);
        assert_eq!(row["standard_error"], 0.0);
        // sqrt(0.8 0.2/64)
        let error = row["reference_error"].as_f64().unwrap();
        assert!((error - 0.05).abs() < 1e-12, "{error}");
        assert_eq!(row["digits"], json!([0, 0, 0, 2, 0, 0, 0, 0, 0, 0]));
    }
    assert!(place.path("out.png").exists());

    // 0.476: less than one half.
    sure_of(3, 2.1, &place.path("judge.safetensors"));
    place.succeed(&format!("{line} --samples 1 --json out.json"));
    let text = fs::read_to_string(place.path("out.json")).unwrap();
    let figures: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(figures["rows"][0]["share"], 0.0);

    silent(&place.path("digits.safetensors"), 1);
    let refused = place.run(&format!("{line} --samples 2"));
    assert_refused(&refused, FAILED, &["digits.safetensors", "[1, 28, 28]"]);
}
