//! The device that the user names.

use std::{fmt, str::FromStr};

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

    /// The first such device, tried out: exit code 2 where the program lacks it, 1 where the machine does.
    pub(crate) fn open(self) -> Outcome<Device> {
        self.open_at(0)
    }

    fn open_at(self, index: usize) -> Outcome<Device> {
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
            let device = device(index);
            let sum = Tensor::<1>::ones([4], &device).sum();
            sum.try_into_vec_as::<f64>().map(|_| device)
        })
        .map_err(|panic| unavailable(panic.map_or_else(String::new, |panic| panic.message)))?
        .map_err(|error| unavailable(error.to_string()))?;
        Ok(device)
    }

    fn compiled(self) -> Option<fn(usize) -> Device> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Some(|_| Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(|index| {
                Device::wgpu(match index {
                    0 => DeviceKind::DefaultDevice,
                    _ => DeviceKind::DiscreteGpu(index),
                })
            }),
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(Device::cuda),
            #[cfg(not(all(feature = "flex", feature = "wgpu", feature = "cuda")))]
            _ => None,
        }
    }
}

/// One of several devices of a kind: `NAME` or `NAME:INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DevicePlace {
    pub(crate) name: DeviceName,
    index: usize,
}

impl DevicePlace {
    /// As [`DeviceName::open`].
    pub(crate) fn open(self) -> Outcome<Device> {
        self.name.open_at(self.index)
    }
}

impl From<DeviceName> for DevicePlace {
    fn from(name: DeviceName) -> Self {
        Self { name, index: 0 }
    }
}

impl FromStr for DevicePlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, index) = text.split_once(':').unwrap_or((text, "0"));
        let name = DeviceName::from_str(name, false)
            .map_err(|_| format!("expected cpu, wgpu or cuda, found {name}"))?;
        match index.parse() {
            Ok(index) if name != DeviceName::Cpu || index == 0 => Ok(Self { name, index }),
            Ok(_) => Err("there is one cpu: name it several times".to_owned()),
            Err(_) => Err(format!(
                "expected a number after the colon, found {index:?}"
            )),
        }
    }
}

impl fmt::Display for DevicePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => f.write_str(self.name.name()),
            index => write!(f, "{}:{index}", self.name.name()),
        }
    }
}
