//! Seeded initial weights.
//!
//! Weights are uniform on `[-b, b]` with `b^2 = 6 / (fan_in + fan_out)` (Glorot & Bengio 2010, eq. 16,
//! <https://proceedings.mlr.press/v9/glorot10a.html>), as in the networks of Ho et al. 2020; biases are zero. The last
//! layer of a residual branch starts at zero, so that the branch starts as the identity.
//!
//! Weight number `i`, in the order of construction, reads the stream `(seed, i)`: the weights depend on the seed alone, not
//! on the device. A weight is drawn when it is first used, so a network whose weights are replaced by those of a file costs
//! neither the time nor the memory of the drawn ones.

use burn::{
    module::{Initializer, Param, ParamId},
    nn::{
        Embedding, EmbeddingConfig, Linear, LinearConfig,
        conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig},
    },
    tensor::{Device, Shape, Tensor, TensorData},
};
use tweedie_core::Rng;

/// Makes layers one after another.
pub(crate) struct Init {
    seed: u64,
    device: Device,
    /// How many weights have been made.
    made: u64,
}

impl Init {
    pub(crate) fn seeded(seed: u64, device: &Device) -> Self {
        Self {
            seed,
            device: device.clone(),
            made: 0,
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn convolution(&mut self, config: Conv2dConfig) -> Conv2d {
        let [inputs, outputs] = config.channels;
        let area: usize = config.kernel_size.iter().product();
        let mut layer = self.silent_convolution(config);
        layer.weight = self.glorot(layer.weight.lazy_shape().dims(), area * (inputs + outputs));
        layer
    }

    /// A convolution that starts at zero.
    pub(crate) fn silent_convolution(&self, config: Conv2dConfig) -> Conv2d {
        config
            .with_initializer(Initializer::Zeros)
            .init(self.device())
    }

    pub(crate) fn transposed_convolution(
        &mut self,
        config: ConvTranspose2dConfig,
    ) -> ConvTranspose2d {
        let [inputs, outputs] = config.channels;
        let area: usize = config.kernel_size.iter().product();
        let mut layer = config
            .with_initializer(Initializer::Zeros)
            .init(self.device());
        layer.weight = self.glorot(layer.weight.lazy_shape().dims(), area * (inputs + outputs));
        layer
    }

    pub(crate) fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let mut layer = self.silent_linear(inputs, outputs);
        layer.weight = self.glorot([inputs, outputs], inputs + outputs);
        layer
    }

    /// A linear layer that starts at zero.
    pub(crate) fn silent_linear(&self, inputs: usize, outputs: usize) -> Linear {
        LinearConfig::new(inputs, outputs)
            .with_initializer(Initializer::Zeros)
            .init(self.device())
    }

    /// Rows of standard normal numbers.
    pub(crate) fn embedding(&mut self, rows: usize, width: usize) -> Embedding {
        let mut layer = EmbeddingConfig::new(rows, width)
            .with_initializer(Initializer::Zeros)
            .init(self.device());
        layer.weight = self.lazily([rows, width], move |rng, _| {
            rng.normal([1, rows * width]).reshape([rows, width])
        });
        layer
    }

    /// Normal numbers of mean 0 and this standard deviation that training leaves alone.
    pub(crate) fn normal_constants(&mut self, length: usize, deviation: f64) -> Param<Tensor<1>> {
        self.lazily([length], move |rng, _| {
            let values = rng.normal([1, length]).mul_scalar(deviation);
            values.reshape([length])
        })
        .set_require_grad(false)
    }

    fn glorot<const D: usize>(&mut self, shape: [usize; D], fans: usize) -> Param<Tensor<D>> {
        let bound = (6.0 / fans as f64).sqrt();
        self.lazily(shape, move |rng, device| {
            let unit = rng.uniform([1, shape.iter().product()]).into_data();
            // Scaled on the host: devices may contract a product and a sum into one rounding.
            let values: Vec<f32> = unit
                .iter::<f64>()
                .map(|u| ((2.0 * u - 1.0) * bound) as f32)
                .collect();
            Tensor::from_data(TensorData::new(values, shape), device)
        })
    }

    /// The next weight, drawn when it is first used.
    fn lazily<const D: usize>(
        &mut self,
        shape: [usize; D],
        draw: impl FnOnce(&mut Rng, &Device) -> Tensor<D> + Send + Sync + 'static,
    ) -> Param<Tensor<D>> {
        let (seed, index) = (self.seed, self.made);
        self.made += 1;
        Param::uninitialized(
            ParamId::new(),
            move |device, require_grad| {
                let mut rng = Rng::seeded(seed, device).starting_at(index);
                draw(&mut rng, device).set_require_grad(require_grad)
            },
            self.device.clone(),
            true,
            Shape::from(shape),
        )
    }
}
