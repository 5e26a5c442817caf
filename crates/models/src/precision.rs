//! Inference in half precision.

use std::fmt;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{DType, Device, Tensor},
};
use serde::{Deserialize, Serialize};
use tweedie_core::{Backbone, Conditioning, Given};

use crate::ModelError;

/// The type of a network's weights and of what flows between its layers.
///
/// The parameters of norms, their statistics, softmax and the embedding of the noise level stay in single precision, as does what is
/// around the network. Half precision halves the memory of weights and images; it is faster where the hardware computes in it, as
/// GPUs do and most CPUs do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// 11 bits of mantissa and numbers up to 65504. A relative error of `2^-11` a rounding; what is larger is infinite.
    F16,
    /// 8 bits of mantissa and the range of single precision: a relative error of `2^-8` a rounding at most.
    Bf16,
}

impl Precision {
    /// The type of the tensors.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Whether `device` computes in it.
    ///
    /// # Errors
    /// [`ModelError::Precision`] when it does not.
    pub fn check(self, device: &Device) -> Result<(), ModelError> {
        if device.supports_dtype(self.dtype()) {
            return Ok(());
        }
        Err(ModelError::Precision {
            precision: self,
            device: Box::new(device.clone()),
        })
    }

    /// `module` with the weights of its convolutions and linear layers rounded to it; norms and frequencies stay as they are.
    ///
    /// # Errors
    /// [`ModelError::Precision`] when a device of the module does not compute in it.
    pub fn round<M: Module>(self, module: M) -> Result<M, ModelError> {
        for device in module.devices() {
            self.check(&device)?;
        }
        Ok(module.map(&mut Round {
            dtype: self.dtype(),
            kinds: Vec::new(),
        }))
    }
}

/// As in a configuration: `f32`, `f16` or `bf16`.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

struct Round {
    dtype: DType,
    /// Kinds of the modules around a parameter, outermost first.
    kinds: Vec<String>,
}

/// What burn calls the layers that multiply by weights.
const LAYERS: [&str; 3] = ["Struct:Conv2d", "Struct:ConvTranspose2d", "Struct:Linear"];

impl ModuleMapper for Round {
    fn enter_module(&mut self, _: &str, kind: &str) {
        self.kinds.push(kind.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.kinds.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let kind = self.kinds.last().map(String::as_str);
        if !kind.is_some_and(|kind| LAYERS.contains(&kind)) {
            return param;
        }
        param.map(|x| x.cast(self.dtype))
    }
}

/// A network in a [`Precision`], for images and labels in single precision.
///
/// ```
/// use burn::tensor::{DType, Device, Tensor};
/// use tweedie_core::{Backbone, Conditioning};
/// use tweedie_models::{DrunetConfig, InPrecision, Precision};
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let config = DrunetConfig { widths: vec![4, 8], ..DrunetConfig::published(1) };
/// let network = config.init(0, &Device::flex())?;
/// let network = InPrecision::new(network, Precision::Bf16)?;
/// let x = Tensor::zeros([1, 1, 8, 8], &Device::flex());
/// let label = Conditioning::uniform(0.1, &x);
/// assert_eq!(network.forward(x, label).dtype(), DType::F32);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct InPrecision<N> {
    network: N,
    precision: Precision,
}

impl<N: Module> InPrecision<N> {
    /// Rounds the weights of `network`.
    ///
    /// # Errors
    /// [`ModelError::Precision`] when its device does not compute in `precision`.
    pub fn new(network: N, precision: Precision) -> Result<Self, ModelError> {
        Ok(Self {
            network: precision.round(network)?,
            precision,
        })
    }
}

impl<'a, N: Module> InPrecision<&'a N> {
    /// A network whose weights were rounded by [`Precision::round`], or not.
    pub fn of(network: &'a N) -> Self {
        let mut found = Found(Precision::F32);
        network.visit(&mut found);
        Self {
            network,
            precision: found.0,
        }
    }
}

/// The precision of the weights of a network that are not in single precision.
struct Found(Precision);

impl ModuleVisitor for Found {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        match param.val().dtype() {
            DType::F16 => self.0 = Precision::F16,
            DType::BF16 => self.0 = Precision::Bf16,
            _ => {}
        }
    }
}

impl<N> InPrecision<N> {
    /// The network, with its weights as they are.
    pub fn network(&self) -> &N {
        &self.network
    }

    /// As [`network`](Self::network).
    pub fn into_network(self) -> N {
        self.network
    }

    /// The precision of the weights.
    pub fn precision(&self) -> Precision {
        self.precision
    }
}

impl<N> InPrecision<N> {
    /// What the network is told, in its own precision.
    fn told(&self, x: Tensor<4>, conditioning: Conditioning) -> (Tensor<4>, Conditioning) {
        let dtype = self.precision.dtype();
        let Conditioning { noise, given } = conditioning;
        let image = given.image.map(|image| image.cast(dtype));
        let given = Given { image, ..given };
        (x.cast(dtype), Conditioning { noise, given })
    }
}

impl<N: Backbone> Backbone for InPrecision<N> {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        if self.precision == Precision::F32 {
            return self.network.forward(x, conditioning);
        }
        let own = x.dtype();
        let (x, conditioning) = self.told(x, conditioning);
        self.network.forward(x, conditioning).cast(own)
    }

    fn forward_with_variance(
        &self,
        x: Tensor<4>,
        conditioning: Conditioning,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        if self.precision == Precision::F32 {
            return self.network.forward_with_variance(x, conditioning);
        }
        let own = x.dtype();
        let (x, conditioning) = self.told(x, conditioning);
        let (output, variance) = self.network.forward_with_variance(x, conditioning);
        (
            output.cast(own),
            variance.map(|variance| variance.cast(own)),
        )
    }
}
