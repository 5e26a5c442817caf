//! The second half of the last layer: the variance of the reverse step.

use burn::{
    module::{Module, ModuleMapper, Param},
    tensor::Tensor,
};
use tweedie_core::{Backbone, Conditioned, Conditioning, Given, Rng};
use tweedie_models::{Architecture, InPrecision, Network, Precision, UNet, UNetConfig};
use tweedie_testkit::{assert_close, device, values};

use crate::support::{disturbed, kinds, weights};

fn learning() -> UNetConfig {
    let [_, _, adm, _] = kinds();
    assert!(adm.learned_sigma);
    adm
}

fn input(channels: usize) -> Tensor<4> {
    Rng::seeded(3, &device()).normal([2, channels, 8, 8])
}

fn label(x: &Tensor<4>) -> Conditioning {
    Conditioning::uniform(17.0, x)
}

/// Adds 1 to the second half of the bias of the last layer: the last parameter.
struct Raise {
    channels: usize,
    before: usize,
}

impl ModuleMapper for Raise {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.before > 0 {
            self.before -= 1;
            return param;
        }
        let channels = self.channels;
        param.map(|x| {
            assert_eq!(x.dims()[0], 2 * channels);
            let half = |first| x.clone().narrow(0, first, channels);
            Tensor::cat(vec![half(0), half(channels).add_scalar(1.0)], 0)
        })
    }
}

/// Sums of the same numbers in another order: the last layer of all outputs at once, or of half of them.
const ROUNDING: f64 = 1e-5;

#[test]
fn it_comes_after_the_mean() {
    let config = learning();
    let network = disturbed(config.init(1, &device()).unwrap());
    let x = input(config.channels);
    let mean = network.forward(x.clone(), label(&x));
    let (found, variance) = network.forward_with_variance(x.clone(), label(&x));
    assert_close("mean", &values(&found), &values(&mean), ROUNDING);
    let before = weights(&network).len() - 1;
    let raised: UNet = network.map(&mut Raise {
        channels: config.channels,
        before,
    });
    let expected = values(&variance.unwrap().add_scalar(1.0));
    let (same, variance) = raised.forward_with_variance(x.clone(), label(&x));
    assert_close("variance", &values(&variance.unwrap()), &expected, ROUNDING);
    assert_close("mean", &values(&same), &values(&mean), ROUNDING);
    let alone = raised.forward(x.clone(), label(&x));
    assert_close("mean alone", &values(&alone), &values(&mean), ROUNDING);
}

#[test]
fn a_network_without_it_says_so() {
    let config = UNetConfig {
        learned_sigma: false,
        ..learning()
    };
    assert!(!Architecture::UNet(config.clone()).learns_variance());
    assert!(Architecture::UNet(learning()).learns_variance());
    let network = disturbed(config.init(1, &device()).unwrap());
    let x = input(config.channels);
    let (found, variance) = network.forward_with_variance(x.clone(), label(&x));
    assert!(variance.is_none());
    let mean = network.forward(x.clone(), label(&x));
    assert_eq!(values(&found), values(&mean));
}

#[test]
fn those_around_a_network_pass_it_on() {
    let config = learning();
    let network = Network::UNet(disturbed(config.init(1, &device()).unwrap()));
    let x = input(config.channels);
    let of = |network: &dyn Backbone| {
        let (mean, variance) = network.forward_with_variance(x.clone(), label(&x));
        [values(&mean), values(&variance.unwrap())]
    };
    let expected = of(&network);
    let given = Given::nothing();
    let told = Conditioned {
        backbone: &network,
        given,
    };
    assert_eq!(of(&told), expected);
    let single = InPrecision::new(network.clone(), Precision::F32).unwrap();
    assert_eq!(of(&single), expected);
    let half = of(&InPrecision::new(network, Precision::Bf16).unwrap());
    for (found, expected) in half.iter().zip(&expected) {
        let size = expected.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
        // Some ten layers of numbers with eight bits.
        assert_close("bf16", found, expected, 0.1 * size);
        assert_ne!(found, expected);
    }
}
