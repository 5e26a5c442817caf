//! The published networks: how a checkpoint is recognised, and the names that stand for a whole configuration.

use super::Inventory;
use crate::{
    DncnnConfig, MnistDdpmConfig, ModelConfig, NcsnppKind, SimpleUnetConfig, dncnn, drunet,
    mnist_ddpm, ncsnpp, plain_unet, simple_unet,
    unet::published::{edm, guided},
};

/// Each makes a configuration of a checkpoint whose names and shapes are of its kind.
pub(crate) const RECOGNISERS: &[fn(&Inventory) -> Option<ModelConfig>] = &[
    drunet::recognised,
    dncnn::recognised,
    simple_unet::recognised,
    mnist_ddpm::recognised,
    ncsnpp::recognised,
    plain_unet::recognised,
    guided::recognised,
    edm::recognised,
];

/// A name of `--arch`: a configuration in full.
pub(crate) struct Named {
    pub(crate) name: &'static str,
    pub(crate) config: fn() -> ModelConfig,
}

/// Sorted by name.
pub(crate) const NAMED: &[Named] = &[
    Named {
        name: "ddpm-mnist",
        config: || mnist_ddpm::digits(MnistDdpmConfig::published()),
    },
    Named {
        name: "dncnn-15",
        config: || dncnn::single(1, 17, 15.0),
    },
    Named {
        name: "dncnn-25",
        config: || dncnn::single(1, 17, 25.0),
    },
    Named {
        name: "dncnn-50",
        config: || dncnn::single(1, 17, 50.0),
    },
    Named {
        name: "dncnn-color-blind",
        config: || dncnn::blind(DncnnConfig::published(3, 20)),
    },
    Named {
        name: "dncnn-gray-blind",
        config: || dncnn::blind(DncnnConfig::published(1, 20)),
    },
    Named {
        name: "dncnn-sigma2-color",
        config: || dncnn::single(3, 20, 2.0),
    },
    Named {
        name: "dncnn-sigma2-gray",
        config: || dncnn::single(1, 20, 2.0),
    },
    Named {
        name: "drunet-color",
        config: || drunet::published(3),
    },
    Named {
        name: "drunet-gray",
        config: || drunet::published(1),
    },
    Named {
        name: "edm-cifar10-32-ve",
        config: || ncsnpp::published(NcsnppKind::Ncsn, 32),
    },
    Named {
        name: "edm-cifar10-32-vp",
        config: || ncsnpp::published(NcsnppKind::Ddpm, 32),
    },
    Named {
        name: "edm-ffhq-64-ve",
        config: || ncsnpp::published(NcsnppKind::Ncsn, 64),
    },
    Named {
        name: "edm-ffhq-64-vp",
        config: || ncsnpp::published(NcsnppKind::Ddpm, 64),
    },
    Named {
        name: "ffhq-10m",
        config: guided::ffhq,
    },
    Named {
        name: "imagenet-256-uncond",
        config: guided::imagenet,
    },
    Named {
        name: "simple-unet",
        config: || simple_unet::course(SimpleUnetConfig::published(3)),
    },
];
