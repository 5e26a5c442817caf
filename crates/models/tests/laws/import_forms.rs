//! How the tensors of other programs become ours, number by number.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;
use tempfile::{TempDir, tempdir};
use tweedie_models::{Imported, ModelError, import, save_weights};
use tweedie_testkit::{device, golden};

use crate::formula::{Formula, blank, checkpoint, golden_path};

/// Shapes and numbers by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn tensors<const N: usize>(list: [(&str, &[usize], &[f32]); N]) -> Tensors {
    let tensor = |(name, shape, numbers): (&str, &[usize], &[f32])| {
        (name.to_owned(), (shape.to_vec(), numbers.to_vec()))
    };
    list.into_iter().map(tensor).collect()
}

fn file(tensors: &Tensors) -> (TempDir, PathBuf) {
    let bytes: Vec<Vec<u8>> = (tensors.values())
        .map(|(_, numbers)| numbers.iter().flat_map(|y| y.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, (shape, _)), bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            (name, view.unwrap())
        });
    let folder = tempdir().unwrap();
    let path = folder.path().join("theirs.safetensors");
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    (folder, path)
}

fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |(name, view): (&str, TensorView)| {
        let numbers = view.data().chunks(4);
        let numbers = numbers.map(|four| f32::from_le_bytes(four.try_into().unwrap()));
        (name.to_owned(), (view.shape().to_vec(), numbers.collect()))
    };
    file.iter().map(tensor).collect()
}

/// The weights of a network under our names, in PyTorch's form.
fn ours(imported: &Imported) -> Tensors {
    let folder = tempdir().unwrap();
    let path = folder.path().join("ours.safetensors");
    save_weights(&imported.network, &path).unwrap();
    read(&path)
}

fn imported(theirs: &Tensors) -> Imported {
    let (_folder, path) = file(theirs);
    import(&path, None, &device()).unwrap_or_else(|error| panic!("{error}"))
}

/// So many different numbers.
fn ramp(count: usize, start: f32) -> Vec<f32> {
    (0..count).map(|index| start + index as f32 / 8.0).collect()
}

#[test]
fn negated_layers_change_their_sign_and_no_other_does() {
    let [first, second, third] = [1.0, 2.0, 3.0].map(|start| ramp(9, start));
    let theirs = tensors([
        ("in_conv.weight", &[1, 1, 3, 3], &first),
        ("in_conv.bias", &[1], &[0.5]),
        ("conv_list.0.weight", &[1, 1, 3, 3], &second),
        ("conv_list.0.bias", &[1], &[0.25]),
        ("out_conv.weight", &[1, 1, 3, 3], &third),
        ("out_conv.bias", &[1], &[0.125]),
    ]);
    let minus: Vec<f32> = third.iter().map(|y| -y).collect();
    let expected = tensors([
        ("convolutions.0.weight", &[1, 1, 3, 3], &first),
        ("convolutions.0.bias", &[1], &[0.5]),
        ("convolutions.1.weight", &[1, 1, 3, 3], &second),
        ("convolutions.1.bias", &[1], &[0.25]),
        ("convolutions.2.weight", &[1, 1, 3, 3], &minus),
        ("convolutions.2.bias", &[1], &[-0.125]),
    ]);
    assert_eq!(ours(&imported(&theirs)), expected);
}

/// A network of two channels whose second convolution has a norm; the bias of that convolution, if it has one, and the means and
/// shifts of the norm.
fn normalised(prefix: &str, bias: Option<&[f32]>, mean: &[f32], shift: &[f32]) -> Tensors {
    let list = [
        ("0.weight", vec![2, 1, 3, 3], ramp(18, 1.0)),
        ("0.bias", vec![2], vec![0.5, 0.75]),
        ("2.weight", vec![2, 2, 3, 3], ramp(36, -2.0)),
        ("3.weight", vec![2], vec![2.0, -3.0]),
        ("3.bias", vec![2], shift.to_vec()),
        ("3.running_mean", vec![2], mean.to_vec()),
        ("3.running_var", vec![2], vec![0.01, 0.0009]),
        ("3.num_batches_tracked", vec![], vec![7.0]),
        ("5.weight", vec![1, 2, 3, 3], ramp(18, 3.0)),
        ("5.bias", vec![1], vec![0.125]),
    ];
    let bias = bias.map(|bias| ("2.bias", vec![2], bias.to_vec()));
    list.into_iter()
        .chain(bias)
        .map(|(name, shape, numbers)| (format!("{prefix}.{name}"), (shape, numbers)))
        .collect()
}

/// Fails unless the second convolution is the product of theirs with `scale`, with this bias.
fn assert_folded(theirs: &Tensors, scale: [f64; 2], bias: [f64; 2]) {
    let found = ours(&imported(theirs));
    let weights = ramp(36, -2.0);
    let scaled = |(index, y): (usize, &f32)| (f64::from(*y) * scale[index / 18]) as f32;
    let expected = weights.iter().enumerate().map(scaled).collect();
    assert_eq!(found["convolutions.1.weight"], (vec![2, 2, 3, 3], expected));
    let bias = bias.map(|y| y as f32).to_vec();
    assert_eq!(found["convolutions.1.bias"], (vec![2], bias));
    assert_eq!(found["convolutions.0.weight"].1, ramp(18, 1.0));
    assert_eq!(found["convolutions.2.weight"].1, ramp(18, 3.0));
    assert_eq!(found.len(), 6);
}

/// A number as a file in single precision has it.
fn single(y: f64) -> f64 {
    f64::from(y as f32)
}

#[test]
fn a_norm_is_folded_into_the_convolution_before_it() {
    let (bias, mean, shift) = ([0.5, -0.25], [0.125, 4.0], [1.5, 2.5]);
    let theirs = normalised("model", Some(&bias), &mean, &shift);
    let scale = [
        2.0 / (single(0.01) + 1e-4).sqrt(),
        -3.0 / (single(0.0009) + 1e-4).sqrt(),
    ];
    let expected = [
        (0.5 - 0.125) * scale[0] + 1.5,
        (-0.25 - 4.0) * scale[1] + 2.5,
    ];
    assert_folded(&theirs, scale, expected);
    // A norm whose means and shifts are zero after a bias is no bias-free one.
    let theirs = normalised("model", Some(&bias), &[0.0; 2], &[0.0; 2]);
    assert_folded(&theirs, scale, [0.5 * scale[0], -0.25 * scale[1]]);
}

#[test]
fn a_norm_is_folded_into_a_convolution_without_a_bias() {
    let scale = |epsilon: f64| {
        [
            2.0 / (single(0.01) + epsilon).sqrt(),
            -3.0 / (single(0.0009) + epsilon).sqrt(),
        ]
    };
    // One mean or one shift that is not zero makes the norm a usual one.
    for (mean, shift) in [([0.0, 0.5], [0.0, 0.0]), ([0.0, 0.0], [0.0, 0.5])] {
        let mut theirs = normalised("dncnn", None, &mean, &shift);
        let biased = scale(1e-4);
        let expected = |scale: [f64; 2]| {
            [0, 1].map(|row| f64::from(shift[row]) - f64::from(mean[row]) * scale[row])
        };
        assert_folded(&theirs, biased, expected(biased));
        theirs.remove("dncnn.0.bias");
        let found = ours(&imported(&theirs));
        let bias = expected(scale(1e-5)).map(|y| y as f32).to_vec();
        assert_eq!(found["convolutions.1.bias"].1, bias);
    }
}

#[test]
fn a_bias_free_norm_adds_its_epsilon_to_the_deviation() {
    let theirs = normalised("dncnn", None, &[0.0; 2], &[0.0; 2]);
    let scale = [
        2.0 / (single(0.01).sqrt() + 1e-4),
        -3.0 / (single(0.0009).sqrt() + 1e-4),
    ];
    assert_folded(&theirs, scale, [0.0, 0.0]);
}

#[test]
fn stacked_layers_stand_one_after_another() {
    let folder = golden_path("diffusers_ddpm");
    let theirs = read(&folder.join("diffusion_pytorch_model.safetensors"));
    let found = ours(&import(&folder, None, &device()).unwrap());
    for last in ["weight", "bias"] {
        let part = |name| {
            theirs[&format!("mid_block.attentions.0.{name}.{last}")]
                .1
                .clone()
        };
        let expected = ["to_q", "to_k", "to_v"].map(part).concat();
        assert_eq!(found[&format!("bottom.attention.qkv.{last}")].1, expected);
    }
    // Their matrices have two axes, our convolutions four.
    assert_eq!(found["bottom.attention.qkv.weight"].0, [48, 16, 1, 1]);
}

#[derive(Deserialize)]
struct Golden {
    convolutions: Case,
    edm: Case,
}

#[derive(Deserialize)]
struct Case {
    tensors: BTreeMap<String, Formula>,
}

/// Fails unless our row `[which][head][channel]` is their row at `place` of these three, in one attention layer.
fn assert_rows(
    case: &Case,
    [their, our]: [&str; 2],
    [heads, channels]: [usize; 2],
    place: impl Fn(usize, usize, usize) -> usize,
) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("theirs.safetensors");
    checkpoint(&path, &case.tensors);
    let theirs = read(&path);
    let found = ours(&import(&path, None, &device()).unwrap());
    let count = 3 * heads * channels;
    for last in ["weight", "bias"] {
        let (_, numbers) = &theirs[&format!("{their}.{last}")];
        let rows: Vec<&[f32]> = numbers.chunks(numbers.len() / count).collect();
        let place = |row| {
            place(
                row / (heads * channels),
                row / channels % heads,
                row % channels,
            )
        };
        let expected: Vec<_> = (0..count)
            .flat_map(|row| rows[place(row)].to_vec())
            .collect();
        assert_ne!(numbers, &expected);
        assert_eq!(found[&format!("{our}.{last}")].1, expected, "{our}.{last}");
    }
}

#[test]
fn rows_of_queries_keys_and_values_are_put_in_order() {
    let Golden { convolutions, edm } = golden(golden_path("adm.json"));
    let guided = ["input_blocks.1.1.qkv", "encoder.0.stages.0.attention.qkv"];
    assert_rows(&convolutions, guided, [4, 8], |which, head, channel| {
        24 * head + 8 * which + channel
    });
    let decoder = ["dec.8x8_block0.qkv", "decoder.1.stages.0.attention.qkv"];
    assert_rows(&edm, decoder, [2, 64], |which, head, channel| {
        192 * head + 3 * channel + which
    });
}

#[test]
fn axes_of_length_one_at_the_end_are_no_difference() {
    let with_bias = |shape: &[usize], bias: &[f32]| {
        tensors([
            ("in_conv.weight", &[1, 1, 3, 3], &ramp(9, 1.0)),
            ("out_conv.weight", &[1, 1, 3, 3], &ramp(9, 3.0)),
            ("out_conv.bias", shape, bias),
        ])
    };
    for shape in [&[1_usize][..], &[], &[1, 1], &[1, 1, 1, 1]] {
        let found = ours(&imported(&with_bias(shape, &[0.5])));
        assert_eq!(found["convolutions.1.bias"], (vec![1], vec![-0.5]));
    }
    let (_folder, path) = file(&with_bias(&[1, 2], &[0.5, 0.5]));
    let error = import(&path, None, &device()).unwrap_err();
    let ModelError::Weights { mismatched, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(mismatched[0].name, "out_conv.bias");
    assert_eq!(mismatched[0].found, [1, 2]);
}

/// Names of the weights' dictionaries and of modules around a network.
const WRAPPERS: [&str; 14] = [
    "state_dict",
    "model_state_dict",
    "params",
    "model",
    "network",
    "net",
    "weights",
    "denoiser",
    "denoise_fn",
    "diffusion_model",
    "unet",
    "generator",
    "module",
    "_orig_mod",
];

/// Names of moving averages.
const AVERAGES: [&str; 8] = [
    "ema",
    "params_ema",
    "model_ema",
    "ema_model",
    "ema_params",
    "ema_state_dict",
    "state_dict_ema",
    "g_ema",
];

/// A network of two layers behind a prefix, with this bias.
fn behind(prefix: &str, bias: f32) -> Tensors {
    let plain = tensors([
        ("in_conv.weight", &[1, 1, 3, 3], &ramp(9, 1.0)),
        ("out_conv.weight", &[1, 1, 3, 3], &ramp(9, 3.0)),
        ("out_conv.bias", &[1], &[-bias]),
    ]);
    let named = plain.into_iter();
    named
        .map(|(name, tensor)| (format!("{prefix}{name}"), tensor))
        .collect()
}

fn bias(theirs: &Tensors) -> Vec<f32> {
    ours(&imported(theirs))["convolutions.1.bias"].1.clone()
}

#[test]
fn weights_are_found_behind_what_wraps_them() {
    for word in WRAPPERS.into_iter().chain(AVERAGES) {
        assert_eq!(bias(&behind(&format!("{word}."), 2.0)), [2.0], "{word}");
    }
    assert_eq!(
        bias(&behind("state_dict.model._orig_mod.module.", 2.0)),
        [2.0]
    );
    // Not behind half a word.
    let (_folder, path) = file(&behind("model_", 2.0));
    assert!(import(&path, None, &device()).is_err());
}

#[test]
fn the_moving_average_is_taken_wherever_the_weights_stand() {
    for average in AVERAGES {
        for weights in ["", "model.", "a_first.", "state_dict.module."] {
            let mut theirs = behind(weights, 1.0);
            theirs.extend(behind(&format!("{average}."), 2.0));
            assert_eq!(bias(&theirs), [2.0], "{average} and {weights}");
        }
    }
    // An average within the dictionary of the weights.
    let mut theirs = behind("state_dict.model.", 1.0);
    theirs.extend(behind("state_dict.model_ema.module.", 2.0));
    assert_eq!(bias(&theirs), [2.0]);
    // Of two that are none, the least wrapped.
    let mut theirs = behind("unet.model.", 1.0);
    theirs.extend(behind("weights.", 2.0));
    assert_eq!(bias(&theirs), [2.0]);
}

#[test]
fn a_network_asked_for_by_name_is_found_behind_what_wraps_it() {
    let mut shapes = BTreeMap::new();
    for layer in 0..17 {
        let inputs = if layer == 0 { 1 } else { 64 };
        let outputs = if layer == 16 { 1 } else { 64 };
        let name = format!("params.module.model.{}", 2 * layer);
        shapes.insert(format!("{name}.weight"), vec![outputs, inputs, 3, 3]);
        shapes.insert(format!("{name}.bias"), vec![outputs]);
    }
    let folder = tempdir().unwrap();
    let path = folder.path().join("theirs.safetensors");
    blank(&path, &shapes);
    let found = import(&path, Some("dncnn-25"), &device()).unwrap();
    assert_eq!(found.config.only_sigma, Some(25.0 / 255.0));
    let found = import(&path, None, &device()).unwrap();
    assert_eq!(found.config.only_sigma, None);
}
