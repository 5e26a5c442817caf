//! Small networks whose every weight matters.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{DType, Device, Gradients, Tensor},
};
use tweedie_core::{Backbone, Conditioning, Rng};
use tweedie_models::{ModelError, NoiseEmbedding, Resampling, TimeInjection, UNet, UNetConfig};
use tweedie_testkit::{device, values};

/// Two levels, attention at both, two heads.
pub(crate) fn small(time_injection: TimeInjection) -> UNetConfig {
    UNetConfig {
        channels: 2,
        base_channels: 4,
        channel_multipliers: vec![1, 2],
        blocks_per_level: 1,
        attention_levels: vec![0],
        heads: 2,
        groups: 2,
        dropout: 0.0,
        time_injection,
        ..UNetConfig::default()
    }
}

/// Networks of both injections, as Ho et al. 2020 and as Dhariwal & Nichol 2021 change the resolution.
pub(crate) fn kinds() -> [UNetConfig; 4] {
    let adm = UNetConfig {
        head_channels: Some(2),
        resampling: Resampling::ResidualBlock,
        noise_embedding: NoiseEmbedding::CosinesFirst,
        norm_epsilon: 1e-5,
        learned_sigma: true,
        ..small(TimeInjection::ScaleShift)
    };
    let padded = UNetConfig {
        resampling: Resampling::PaddedConvolution,
        ..small(TimeInjection::Add)
    };
    [
        small(TimeInjection::Add),
        small(TimeInjection::ScaleShift),
        adm,
        padded,
    ]
}

struct Disturb {
    index: u64,
}

impl ModuleMapper for Disturb {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let mut rng = Rng::seeded(99, &param.lazy_device()).starting_at(self.index);
        self.index += 1;
        param.map(|x| {
            let noise = rng.normal([1, x.shape().num_elements()]);
            x.clone() + noise.reshape(x.dims()).mul_scalar(0.1)
        })
    }
}

struct Cast(DType);

impl ModuleMapper for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|x| x.cast(self.0))
    }
}

/// A network without a layer that is zero, or one, or silent.
pub(crate) fn awake(config: &UNetConfig, device: &Device) -> UNet {
    disturbed(config.init(5, device).unwrap())
}

/// Every weight moved a little.
pub(crate) fn disturbed<M: Module>(network: M) -> M {
    network.map(&mut Disturb { index: 0 })
}

/// The same network in double precision.
pub(crate) fn in_double<M: Module>(network: M) -> M {
    network.map(&mut Cast(DType::F64))
}

#[derive(Default)]
struct Collect(Vec<Vec<f64>>);

impl ModuleVisitor for Collect {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(values(&param.val()));
    }
}

/// All weights, tensor by tensor.
pub(crate) fn weights(network: &impl Module) -> Vec<Vec<f64>> {
    let mut collect = Collect::default();
    network.visit(&mut collect);
    collect.0
}

struct Untrained<'a> {
    gradients: &'a Gradients,
    count: usize,
}

impl ModuleVisitor for Untrained<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let moves = param
            .val()
            .grad(self.gradients)
            .is_some_and(|gradient| values(&gradient).iter().any(|&g| g != 0.0));
        self.count += usize::from(!moves);
    }
}

/// How many tensors of the network get no gradient in training.
#[allow(
    clippy::disallowed_methods,
    reason = "the gradient with respect to the weights is what training needs"
)]
pub(crate) fn untrained(network: &UNet) -> usize {
    let x = Rng::seeded(4, &device()).normal([1, network.config().channels, 4, 4]);
    let label = Conditioning::uniform(40.0, &x);
    let target = x.clone();
    let loss = (network.forward(x, label) - target).square().sum();
    let gradients = loss.backward();
    without_gradient(network, &gradients)
}

/// How many tensors of the network have no gradient, or one of zeros.
pub(crate) fn without_gradient(network: &impl Module, gradients: &Gradients) -> usize {
    let mut untrained = Untrained {
        gradients,
        count: 0,
    };
    network.visit(&mut untrained);
    untrained.count
}

/// A change of a configuration, and why it is refused.
pub(crate) type Refusal<C> = (fn(&mut C), &'static str);

/// Each change makes a configuration that is refused with its message.
pub(crate) fn assert_refusals<C: Clone, N: std::fmt::Debug>(
    config: &C,
    cases: &[Refusal<C>],
    init: impl Fn(&C) -> Result<N, ModelError>,
) {
    for (change, message) in cases {
        let mut changed = config.clone();
        change(&mut changed);
        assert_eq!(init(&changed).unwrap_err().to_string(), *message);
    }
}
