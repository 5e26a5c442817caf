//! All networks as one type, and their shapes as another.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};
use tweedie_core::{Backbone, Conditioning};

use crate::{
    Dncnn, DncnnConfig, Drunet, DrunetConfig, MnistDdpm, MnistDdpmConfig, ModelError, Ncsnpp,
    NcsnppConfig, PlainUNet, PlainUNetConfig, SimpleUnet, SimpleUnetConfig, UNet, UNetConfig,
    import::Layout,
};

/// A network's kind and shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Architecture {
    /// [`UNet`].
    #[serde(rename = "unet")]
    UNet(UNetConfig),
    /// [`Drunet`].
    Drunet(DrunetConfig),
    /// [`Dncnn`].
    Dncnn(DncnnConfig),
    /// [`SimpleUnet`].
    SimpleUnet(SimpleUnetConfig),
    /// [`Ncsnpp`].
    Ncsnpp(NcsnppConfig),
    /// [`PlainUNet`].
    #[serde(rename = "plain_unet")]
    PlainUNet(PlainUNetConfig),
    /// [`MnistDdpm`].
    MnistDdpm(MnistDdpmConfig),
}

/// The network of an [`Architecture`].
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a program holds one or two")]
#[non_exhaustive]
pub enum Network {
    /// Of [`Architecture::UNet`].
    UNet(UNet),
    /// Of [`Architecture::Drunet`].
    Drunet(Drunet),
    /// Of [`Architecture::Dncnn`].
    Dncnn(Dncnn),
    /// Of [`Architecture::SimpleUnet`].
    SimpleUnet(SimpleUnet),
    /// Of [`Architecture::Ncsnpp`].
    Ncsnpp(Ncsnpp),
    /// Of [`Architecture::PlainUNet`].
    PlainUNet(PlainUNet),
    /// Of [`Architecture::MnistDdpm`].
    MnistDdpm(MnistDdpm),
}

/// One arm for each architecture or network: `$inner` is what the variant holds.
macro_rules! each {
    ($value:expr, $inner:ident => $arm:expr) => {
        match $value {
            Self::UNet($inner) => $arm,
            Self::Drunet($inner) => $arm,
            Self::Dncnn($inner) => $arm,
            Self::SimpleUnet($inner) => $arm,
            Self::Ncsnpp($inner) => $arm,
            Self::PlainUNet($inner) => $arm,
            Self::MnistDdpm($inner) => $arm,
        }
    };
}

impl Architecture {
    /// Channels of the images.
    pub fn channels(&self) -> usize {
        each!(self, config => config.channels)
    }

    /// Whether the network learns the variance of the reverse step beside its mean.
    pub fn learns_variance(&self) -> bool {
        matches!(self, Self::UNet(config) if config.learned_sigma)
    }

    /// How many classes the network is told of; 0 where it hears none.
    pub fn classes(&self) -> usize {
        match self {
            Self::UNet(config) => config.classes,
            _ => 0,
        }
    }

    /// Channels of the image that the network sees beside its input; 0 where it sees none.
    pub fn condition_channels(&self) -> usize {
        match self {
            Self::UNet(config) => config.condition_channels,
            _ => 0,
        }
    }

    /// What the height and the width of the network's input must be divisible by.
    pub fn multiple(&self) -> usize {
        each!(self, config => config.multiple())
    }

    /// Whether the network takes images of this size without padding.
    ///
    /// # Errors
    /// [`ModelError::Size`] when it does not.
    pub fn check_size(&self, height: usize, width: usize) -> Result<(), ModelError> {
        each!(self, config => config.check_size(height, width))
    }

    /// Refuses what no network can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        each!(self, config => config.validate())
    }

    /// A network with weights that depend on `seed` alone. On an autodiff device it can be trained.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, seed: u64, device: &Device) -> Result<Network, ModelError> {
        Ok(match self {
            Self::UNet(config) => Network::UNet(config.init(seed, device)?),
            Self::Drunet(config) => Network::Drunet(config.init(seed, device)?),
            Self::Dncnn(config) => Network::Dncnn(config.init(seed, device)?),
            Self::SimpleUnet(config) => Network::SimpleUnet(config.init(seed, device)?),
            Self::Ncsnpp(config) => Network::Ncsnpp(config.init(seed, device)?),
            Self::PlainUNet(config) => Network::PlainUNet(config.init(seed, device)?),
            Self::MnistDdpm(config) => Network::MnistDdpm(config.init(seed, device)?),
        })
    }

    /// The names that published checkpoints of this network have.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        each!(self, config => config.layouts())
    }
}

impl Backbone for Network {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        each!(self, network => network.forward(x, conditioning))
    }

    fn forward_with_variance(
        &self,
        x: Tensor<4>,
        conditioning: Conditioning,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        each!(self, network => network.forward_with_variance(x, conditioning))
    }
}
