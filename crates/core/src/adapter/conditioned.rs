//! A network that is told the same of every image.

use burn::tensor::Tensor;

use crate::{Backbone, Conditioning, Given};

/// A network that is always told `given`, so that it can be made into a [`Denoiser`](crate::Denoiser) of `p(x_0 | given)`.
///
/// What is given has one row, which holds for every row of a batch, or as many rows as the batch.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{Backbone, Conditioned, Conditioning, Given};
///
/// /// Answers with the class.
/// struct Says;
/// impl Backbone for Says {
///     fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
///         let class = conditioning.given.class.expect("it is told").float();
///         x.zeros_like() + class.reshape([-1, 1, 1, 1])
///     }
/// }
/// let device = Device::flex();
/// let given = Given { class: Some(Tensor::from_ints([7], &device)), image: None };
/// let sevens = Conditioned { backbone: Says, given };
/// let x = Tensor::zeros([2, 1, 1, 1], &device);
/// let said = sevens.forward(x.clone(), Conditioning::uniform(0.0, &x));
/// assert_eq!(said.mean().into_scalar::<f32>(), 7.0);
/// ```
#[derive(Clone, Debug)]
pub struct Conditioned<N, const D: usize = 4> {
    /// The network.
    pub backbone: N,
    /// What it is told; what a caller tells it beside the noise level is left out.
    pub given: Given<D>,
}

impl<N, const D: usize> Conditioned<N, D> {
    fn told(&self, x: &Tensor<D>, conditioning: Conditioning<D>) -> Conditioning<D> {
        let batch = x.dims()[0];
        Conditioning {
            noise: conditioning.noise,
            given: Given {
                class: self.given.class.clone().map(|class| {
                    if class.dims()[0] == 1 {
                        class.expand([batch])
                    } else {
                        class
                    }
                }),
                image: self.given.image.clone().map(|image| {
                    let mut shape = image.dims();
                    if shape[0] == 1 {
                        shape[0] = batch;
                        image.expand(shape)
                    } else {
                        image
                    }
                }),
            },
        }
    }
}

impl<const D: usize, N: Backbone<D>> Backbone<D> for Conditioned<N, D> {
    /// # Panics
    /// If what is given has another number of rows than one and the batch's.
    fn forward(&self, x: Tensor<D>, conditioning: Conditioning<D>) -> Tensor<D> {
        let told = self.told(&x, conditioning);
        self.backbone.forward(x, told)
    }

    fn forward_with_variance(
        &self,
        x: Tensor<D>,
        conditioning: Conditioning<D>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        let told = self.told(&x, conditioning);
        self.backbone.forward_with_variance(x, told)
    }
}
