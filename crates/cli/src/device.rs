//! The device that the user names.

use clap::ValueEnum;
#[cfg(feature = "wgpu")]
use tweedie::burn::tensor::DeviceKind;
use tweedie::burn::tensor::{Device, Tensor};

use crate::{
    failure::{Failure, Outcome},
    panics,
};

/// A device by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// A graphics card, through Vulkan, Metal or DirectX.
    Wgpu,
    /// An NVIDIA graphics card, through CUDA.
    Cuda,
}

/// Why a device cannot be used.
#[derive(Debug, thiserror::Error)]
enum DeviceError {
    /// The program has no code for it.
    #[error(
        "--device {name} was not compiled in: use `cargo xtask VERB --device {name}`, or build with \
         `cargo build --release --package tweedie-cli --features {feature}`"
    )]
    NotCompiled {
        name: &'static str,
        feature: &'static str,
    },
    /// The machine has none, or its driver refuses.
    #[error("device {name} is not available: {reason}")]
    Unavailable { name: &'static str, reason: String },
}

impl DeviceName {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// The Cargo feature that compiles it.
    fn feature(self) -> &'static str {
        match self {
            Self::Cpu => "flex",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// The device, tried out: exit code 2 where the program lacks it, 1 where the machine does.
    pub(crate) fn open(self) -> Outcome<Device> {
        let Some(device) = self.compiled() else {
            return Err(Failure::usage(DeviceError::NotCompiled {
                name: self.name(),
                feature: self.feature(),
            }));
        };
        // burn makes devices lazily and panics where there is none, so only use tells.
        let unavailable = |reason| DeviceError::Unavailable {
            name: self.name(),
            reason,
        };
        let device = panics::caught(|| {
            let device = device();
            let sum = Tensor::<1>::ones([4], &device).sum();
            sum.try_into_vec_as::<f64>().map(|_| device)
        })
        .map_err(|panic| unavailable(panic.map_or_else(String::new, |panic| panic.message)))?
        .map_err(|error| unavailable(error.to_string()))?;
        Ok(device)
    }

    fn compiled(self) -> Option<fn() -> Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Some(Device::flex),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(|| Device::wgpu(DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(|| Device::cuda(0)),
            #[cfg(not(all(feature = "flex", feature = "wgpu", feature = "cuda")))]
            _ => None,
        }
    }
}
