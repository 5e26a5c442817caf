//! The network cells: a forward pass, the gradient in the image, a training step. `bench/peer/networks.py` holds the same ones.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tweedie::burn::module::{Module, ModuleVisitor, Param};
use tweedie::burn::optim::{GradientsParams, ModuleOptimizer};
use tweedie::burn::tensor::{Device, Tensor};
use tweedie::core::{Backbone, Conditioning, Rng, value_and_vjp};
use tweedie::kernels::AdamW;
use tweedie::models::{DrunetConfig, NoiseEmbedding, Resampling, TimeInjection, UNetConfig};

use crate::small_unet::SmallUNet;

/// How long one question may be answered for; one call at least is timed.
const BUDGET: Duration = Duration::from_millis(500);

const LEARNING_RATE: f64 = 1e-3;

/// A cell that is built when it is asked for.
pub(crate) struct NetworkCell {
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// A batch of images.
    input: [usize; 4],
    build: fn(&Inputs) -> Network,
}

struct Network {
    weights: Vec<Vec<usize>>,
    call: Box<dyn FnMut()>,
}

/// What a network is called with.
struct Inputs {
    device: Device,
    x: Tensor<4>,
    /// Uniform on [0, 1], one per image.
    unit: Tensor<1>,
}

impl Inputs {
    fn labels(&self, largest: f64) -> Conditioning {
        Conditioning::new(self.unit.clone() * largest)
    }
}

pub(crate) const CELLS: &[NetworkCell] = &[
    NetworkCell {
        name: "unet-forward",
        kind: "network",
        input: [16, 1, 28, 28],
        build: |inputs| forward(SmallUNet::new(&inputs.device), inputs, 1.0),
    },
    NetworkCell {
        name: "unet-training",
        kind: "training",
        input: [64, 1, 28, 28],
        build: |inputs| training(SmallUNet::new(&trainable(inputs)), inputs, 1.0),
    },
    NetworkCell {
        name: "drunet-64",
        kind: "network",
        input: [1, 3, 64, 64],
        build: |inputs| forward(drunet(inputs), inputs, 0.2),
    },
    NetworkCell {
        name: "drunet-256",
        kind: "network",
        input: [1, 3, 256, 256],
        build: |inputs| forward(drunet(inputs), inputs, 0.2),
    },
    NetworkCell {
        name: "drunet-64-gradient",
        kind: "network",
        input: [1, 3, 64, 64],
        build: |inputs| gradient(drunet(inputs), inputs, 0.2),
    },
    NetworkCell {
        name: "adm-64",
        kind: "network",
        input: [1, 3, 64, 64],
        build: |inputs| {
            let network = adm().init(0, &inputs.device).expect("a valid shape");
            forward(network, inputs, 1.0)
        },
    },
    NetworkCell {
        name: "ddpm-cifar10-training",
        kind: "training",
        input: [8, 3, 32, 32],
        build: |inputs| {
            let unet = UNetConfig::preset("ddpm-cifar10").expect("a preset");
            let unet = unet.init(0, &trainable(inputs)).expect("a valid preset");
            training(unet, inputs, 1000.0)
        },
    },
];

/// A cell, ready to be called.
pub(crate) struct Built {
    pub(crate) name: &'static str,
    pub(crate) input: [usize; 4],
    /// The shape of each weight, each and all sorted, since a linear layer may be stored transposed.
    pub(crate) weights: Vec<Vec<usize>>,
    call: Box<dyn FnMut()>,
}

impl NetworkCell {
    pub(crate) fn built(&self, device: &Device) -> Built {
        let mut rng = Rng::seeded(0, device);
        let inputs = Inputs {
            device: device.clone(),
            x: rng.normal(self.input),
            unit: rng.uniform([self.input[0]]),
        };
        let Network { weights, call } = (self.build)(&inputs);
        Built {
            name: self.name,
            input: self.input,
            weights,
            call,
        }
    }
}

impl Built {
    pub(crate) fn call(&mut self) {
        (self.call)();
    }

    /// The median call, in milliseconds.
    pub(crate) fn ms(&mut self) -> f64 {
        let (mut times, first) = (Vec::new(), Instant::now());
        while times.is_empty() || first.elapsed() < BUDGET {
            let start = Instant::now();
            self.call();
            times.push(1e3 * start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }
}

fn trainable(inputs: &Inputs) -> Device {
    inputs.device.clone().autodiff()
}

fn drunet(inputs: &Inputs) -> tweedie::models::Drunet {
    let colour = DrunetConfig::published(3);
    colour.init(0, &inputs.device).expect("a valid shape")
}

/// The network of Dhariwal & Nichol 2021 for images of 64 pixels, as Karras et al. 2022 trained it, without classes.
fn adm() -> UNetConfig {
    UNetConfig {
        base_channels: 192,
        channel_multipliers: vec![1, 2, 3, 4],
        blocks_per_level: 3,
        attention_levels: vec![1, 2, 3],
        head_channels: Some(64),
        time_injection: TimeInjection::ScaleShift,
        resampling: Resampling::ResidualBlock,
        noise_embedding: NoiseEmbedding::CosinesFirst,
        norm_epsilon: 1e-5,
        ..UNetConfig::default()
    }
}

fn forward<N: Backbone + Module + 'static>(network: N, inputs: &Inputs, largest: f64) -> Network {
    let (x, labels) = (inputs.x.clone(), inputs.labels(largest));
    Network {
        weights: weights(&network),
        call: Box::new(move || {
            black_box(network.forward(x.clone(), labels.clone()));
        }),
    }
}

/// With respect to the image; the weights are constants.
fn gradient<N: Backbone + Module + 'static>(network: N, inputs: &Inputs, largest: f64) -> Network {
    let (x, labels) = (inputs.x.clone(), inputs.labels(largest));
    let cotangent = x.ones_like();
    Network {
        weights: weights(&network),
        call: Box::new(move || {
            let run = |x| network.forward(x, labels.clone());
            black_box(value_and_vjp(x.clone(), run, |_| cotangent.clone()));
        }),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a training step takes gradients of weights"
)]
fn training<N: Backbone + Module + 'static>(network: N, inputs: &Inputs, largest: f64) -> Network {
    let (x, labels) = (inputs.x.clone(), inputs.labels(largest));
    let target = Rng::seeded(1, &inputs.device).normal(x.dims());
    // Without decay of the weights this is Adam, as in the peer.
    let mut optimiser = ModuleOptimizer::from(AdamW::new(0.9, 0.999, 1e-8, 0.0));
    let weights = weights(&network);
    let mut network = Some(network);
    Network {
        weights,
        call: Box::new(move || {
            let before = network.take().expect("put back below");
            let error = before.forward(x.clone(), labels.clone()) - target.clone();
            let loss = error.square().mean();
            let gradients = GradientsParams::from_grads(loss.backward(), &before);
            network = Some(optimiser.step(LEARNING_RATE, before, gradients));
        }),
    }
}

fn weights(network: &impl Module) -> Vec<Vec<usize>> {
    struct Shapes(Vec<Vec<usize>>);
    impl ModuleVisitor for Shapes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let mut shape = param.val().dims().to_vec();
            shape.sort_unstable();
            self.0.push(shape);
        }
    }
    let mut shapes = Shapes(Vec::new());
    network.visit(&mut shapes);
    shapes.0.sort_unstable();
    shapes.0
}
