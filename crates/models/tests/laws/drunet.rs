//! DRUNet: its size and names, the outputs of the reference, and what its lack of biases means.

use std::{collections::BTreeMap, path::Path};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{DType, Tensor, TensorData, ops::PadMode},
};
use serde::Deserialize;
use tweedie_core::{Backbone, Conditioning, Denoiser, Rng, value_and_vjp};
use tweedie_models::{Drunet, DrunetConfig};
use tweedie_testkit::{assert_close, assert_vjp, device, exact, golden, values};

use crate::support::{disturbed, in_double, weights};

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
    let noise = exact(sigma, [sigma.len()]);
    Conditioning {
        noise: noise.cast(DType::F32),
    }
}

#[derive(Deserialize)]
struct Golden {
    channels: usize,
    widths: Vec<usize>,
    blocks_per_level: usize,
    weights: BTreeMap<String, Weight>,
    cases: Vec<Case>,
    published: BTreeMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
struct Weight {
    shape: Vec<usize>,
    data: Vec<f32>,
}

#[derive(Deserialize)]
struct Case {
    shape: [usize; 4],
    sigma: Vec<f64>,
    x: Vec<f64>,
    out: Vec<f64>,
}

fn reference() -> Golden {
    golden(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/drunet.json"))
}

/// The published name of our weight with this path, in a network with so many blocks a level and four levels.
fn published_name(path: &[String], blocks: usize) -> String {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let number = |word: &str| word.parse::<usize>().unwrap();
    let within = |conv: &str| if conv == "conv1" { 0 } else { 2 };
    match words[..] {
        [end @ ("head" | "tail"), "weight"] => format!("m_{end}.weight"),
        ["body", block, conv, "weight"] => {
            format!("m_body.{block}.res.{}.weight", within(conv))
        }
        ["down", level, "halve", "weight"] => {
            format!("m_down{}.{blocks}.weight", number(level) + 1)
        }
        ["down", level, "blocks", block, conv, "weight"] => {
            let level = number(level) + 1;
            format!("m_down{level}.{block}.res.{}.weight", within(conv))
        }
        ["up", level, "double", "weight"] => format!("m_up{}.0.weight", 3 - number(level)),
        ["up", level, "blocks", block, conv, "weight"] => {
            let (level, block) = (3 - number(level), number(block) + 1);
            format!("m_up{level}.{block}.res.{}.weight", within(conv))
        }
        _ => panic!("an unexpected weight: {words:?}"),
    }
}

/// Shapes by published names.
struct Shapes {
    path: Vec<String>,
    blocks: usize,
    found: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = published_name(&self.path, self.blocks);
        self.found.insert(name, param.val().dims().to_vec());
    }
}

/// Puts the weights of the reference in.
struct Filled<'a> {
    path: Vec<String>,
    blocks: usize,
    weights: &'a BTreeMap<String, Weight>,
}

impl ModuleMapper for Filled<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let weight = &self.weights[&published_name(&self.path, self.blocks)];
        let data = TensorData::new(weight.data.clone(), weight.shape.clone());
        param.map(|x| Tensor::from_data(data.clone(), &x.device()))
    }
}

#[test]
fn the_colour_network_is_the_published_one() {
    let config = DrunetConfig::published(3);
    let network = config.init(0, &device()).unwrap();
    assert_eq!(network.num_params(), 32_640_960);
    let mut shapes = Shapes {
        path: Vec::new(),
        blocks: config.blocks_per_level,
        found: BTreeMap::new(),
    };
    network.visit(&mut shapes);
    assert_eq!(shapes.found, reference().published);
}

#[test]
fn outputs_are_those_of_the_reference() {
    let golden = reference();
    let config = DrunetConfig {
        channels: golden.channels,
        widths: golden.widths,
        blocks_per_level: golden.blocks_per_level,
    };
    let network = config.init(0, &device()).unwrap().map(&mut Filled {
        path: Vec::new(),
        blocks: config.blocks_per_level,
        weights: &golden.weights,
    });
    assert_eq!(golden.cases.len(), 4);
    for Case {
        shape,
        sigma,
        x,
        out,
    } in golden.cases
    {
        let x = exact(&x, shape).cast(DType::F32);
        let found = if sigma.iter().all(|level| *level == sigma[0]) {
            network.denoise(x, sigma[0])
        } else {
            network.forward(x, labelled(&sigma))
        };
        assert_eq!(found.dims(), shape);
        let size = out.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
        // Forty layers in a row, each with a relative rounding error of a few times 6e-8.
        assert_close(&format!("{shape:?}"), &values(&found), &out, 1e-5 * size);
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
    for (change, message) in cases {
        let mut config = small();
        change(&mut config);
        let error = config.init(0, &device()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
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
