//! DRUNet: its size and names, the outputs of the reference, and what its lack of biases means.

use std::{collections::BTreeMap, fs};

use burn::{
    module::Module,
    tensor::{DType, Tensor, ops::PadMode},
};
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde::Deserialize;
use tempfile::tempdir;
use tweedie_core::{Backbone, Conditioning, Denoiser, Rng, value_and_vjp};
use tweedie_models::{
    Architecture, Drunet, DrunetConfig, ModelError, Network, Pretrained, import, import_names,
};
use tweedie_testkit::{assert_close, assert_vjp, device, golden, values};

use crate::{
    formula::{assert_relative, golden_path, single},
    support::{assert_refusals, disturbed, in_double, weights},
};

fn small() -> DrunetConfig {
    DrunetConfig {
        channels: 2,
        widths: vec![3, 4, 5],
        blocks_per_level: 2,
    }
}

fn network() -> Drunet {
    disturbed(small().init(5, &device()).unwrap())
}

fn labelled(sigma: &[f64]) -> Conditioning {
    Conditioning::new(single(sigma, [sigma.len()]))
}

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    published: BTreeMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
struct Case {
    shape: [usize; 4],
    sigma: Vec<f64>,
    x: Vec<f64>,
    out: Vec<f64>,
}

fn reference() -> Golden {
    golden(golden_path("drunet.json"))
}

#[test]
fn the_colour_network_is_the_published_one() {
    let config = DrunetConfig::published(3);
    let network = config.init(0, &device()).unwrap();
    assert_eq!(network.num_params(), 32_640_960);
    // A file with the published names, but not the shapes: the refusal lists the shapes that the network needs.
    let published = reference().published;
    let folder = tempdir().unwrap();
    let path = folder.path().join("names.safetensors");
    let tensors = published.keys().map(|name| {
        let view = TensorView::new(Dtype::F32, vec![2], &[0; 8]).unwrap();
        (name.clone(), view)
    });
    fs::write(&path, serialize(tensors, None).unwrap()).unwrap();
    let error = import(&path, Some("drunet-color"), &device()).unwrap_err();
    let ModelError::Weights {
        missing,
        unexpected,
        mismatched,
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!((missing.len(), unexpected.len()), (0, 0));
    let needed: BTreeMap<_, _> = mismatched
        .into_iter()
        .map(|tensor| (tensor.name, tensor.expected))
        .collect();
    assert_eq!(needed, published);
}

#[test]
fn the_published_networks_have_names() {
    for (name, channels) in [("drunet-color", 3), ("drunet-gray", 1)] {
        assert!(import_names().any(|known| known == name));
        let error = import(&golden_path("drunet.pth"), Some(name), &device()).unwrap_err();
        let ModelError::OtherNetwork {
            found, expected, ..
        } = &error
        else {
            panic!("{error}")
        };
        let published = Architecture::Drunet(DrunetConfig::published(channels));
        assert_eq!(**expected, published);
        assert_eq!(found.channels(), 1);
        let text = error.to_string();
        assert!(text.contains("\"widths\":[2,4,6,8]") && text.contains(name));
    }
}

#[test]
fn the_denoiser_of_a_file_is_the_network_itself() {
    let model = Pretrained::open(&golden_path("drunet.pth"), &device()).unwrap();
    let Network::Drunet(network) = import(&golden_path("drunet.pth"), None, &device())
        .unwrap()
        .network
    else {
        panic!("no DRUNet")
    };
    let x = Rng::seeded(2, &device()).normal([2, 1, 9, 16]);
    let found = values(&model.denoiser().denoise(x.clone(), 0.3));
    assert_eq!(found, values(&network.denoise(x, 0.3)));
}

mod on_device {
    use super::*;

    #[test]
    fn outputs_are_those_of_the_reference() {
        let golden = reference();
        let found = import(&golden_path("drunet.pth"), None, &device()).unwrap();
        let Network::Drunet(network) = found.network else {
            panic!("no DRUNet")
        };
        let expected = DrunetConfig {
            channels: 1,
            widths: vec![2, 4, 6, 8],
            blocks_per_level: 2,
        };
        assert_eq!(*network.config(), expected);
        assert_eq!(golden.cases.len(), 4);
        for Case {
            shape,
            sigma,
            x,
            out,
        } in golden.cases
        {
            let x = single(&x, shape);
            let found = if sigma.iter().all(|level| *level == sigma[0]) {
                network.denoise(x, sigma[0])
            } else {
                network.forward(x, labelled(&sigma))
            };
            assert_eq!(found.dims(), shape);
            // Forty layers in a row, each with a relative rounding error of a few times 6e-8.
            assert_relative(&format!("{shape:?}"), &found, &out, 1e-5);
        }
    }
}

#[test]
fn scaling_image_and_noise_level_scales_the_output() {
    let network = in_double(network());
    let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
    let x = rng.normal([2, 2, 8, 12]);
    let once = values(&network.denoise(x.clone(), 0.3).mul_scalar(7.0));
    let scaled = values(&network.denoise(x.mul_scalar(7.0), 7.0 * 0.3));
    let size = once.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
    assert!(size > 1.0, "the largest value is {size}");
    assert_close("output", &scaled, &once, 1e-12 * size);
}

#[test]
fn the_noise_level_of_each_row_matters_to_that_row_alone() {
    let network = network();
    let x = Rng::seeded(2, &device()).normal([2, 2, 8, 4]);
    let together = values(&network.forward(x.clone(), labelled(&[0.1, 2.0])));
    for (row, sigma) in [0.1, 2.0].into_iter().enumerate() {
        let alone = values(&network.denoise(x.clone().narrow(0, row, 1), sigma));
        assert_eq!(alone, together[row * 64..][..64], "row {row}");
    }
    let other = values(&network.denoise(x.narrow(0, 1, 1), 0.1));
    let change: f64 = (0..64).map(|i| (other[i] - together[64 + i]).abs()).sum();
    assert!(change > 0.1, "changed by {change}");
}

#[test]
fn other_sizes_are_padded_by_their_edge_and_cropped() {
    let network = network();
    for (height, width) in [(4, 4), (5, 8), (8, 7), (9, 11), (1, 1)] {
        let x = Rng::seeded(3, &device()).normal([2, 2, height, width]);
        let [bottom, right] = [height, width].map(|size: usize| size.next_multiple_of(4) - size);
        let padded = x.clone().pad((0, right, 0, bottom), PadMode::Edge);
        let whole = network.forward(padded, labelled(&[0.2, 0.2]));
        let expected = whole.slice([0..2, 0..2, 0..height, 0..width]);
        let found = network.denoise(x, 0.2);
        assert_eq!(values(&found), values(&expected), "{height} x {width}");
    }
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    let network = in_double(network());
    let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
    // One size that fits, one that is padded.
    for shape in [[2, 2, 4, 8], [1, 2, 5, 6]] {
        let [x, direction, v] = [(); 3].map(|()| rng.normal(shape));
        let run = |x: Tensor<4>| network.denoise(x, 0.4);
        let (_, product) = value_and_vjp(x.clone(), run, |_| v.clone());
        assert_vjp(&format!("{shape:?}"), run, &x, &direction, &v, &product);
    }
}

#[test]
fn weights_depend_on_the_seed_alone() {
    let [first, again, other] =
        [7, 7, 8].map(|seed| weights(&small().init(seed, &device()).unwrap()));
    let trainable = weights(&small().init(7, &device().autodiff()).unwrap());
    assert_eq!(first, again);
    assert_eq!(first, trainable);
    assert_ne!(first, other);
}

#[test]
fn what_no_network_can_be_is_refused() {
    type Change = fn(&mut DrunetConfig);
    let cases: [(Change, &str); 4] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (|c| c.widths[1] = 0, "widths must be at least 1, found 0"),
        (
            |c| c.blocks_per_level = 0,
            "blocks_per_level must be at least 1, found 0",
        ),
        (
            |c| c.widths.clear(),
            "widths must name at least one level, found none",
        ),
    ];
    assert_refusals(&small(), &cases, |config| config.init(0, &device()));
    let unknown = r#"{"channels": 1, "widths": [4], "blocks_per_level": 1, "bias": true}"#;
    let error = serde_json::from_str::<DrunetConfig>(unknown).unwrap_err();
    assert!(
        error.to_string().contains("unknown field `bias`"),
        "{error}"
    );
}

#[test]
fn sizes_between_two_multiples_are_named() {
    for (height, width) in [(4, 6), (0, 4)] {
        let error = small().check_size(height, width).unwrap_err().to_string();
        let expected = format!("multiples of 4, found {height} x {width}");
        assert!(error.ends_with(&expected), "{error}");
    }
    small().check_size(4, 12).unwrap();
}

#[test]
#[should_panic(expected = "channels of the image")]
fn an_image_with_other_channels_is_refused() {
    network().denoise(Tensor::zeros([1, 3, 8, 8], &device()), 0.1);
}

#[test]
#[should_panic(expected = "multiples of 4, found 8 x 6")]
fn the_backbone_does_not_pad() {
    network().forward(Tensor::zeros([1, 2, 8, 6], &device()), labelled(&[0.1]));
}
