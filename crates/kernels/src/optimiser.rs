//! AdamW for burn's modules, one pass over the memory of a parameter instead of a dozen.

#[cfg(feature = "flex")]
use burn::optim::AdaptiveMomentumState;
use burn::optim::{AdamWConfig, AdamWState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

#[cfg(feature = "flex")]
use crate::{extension, optim::Adam};

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2, <https://arxiv.org/abs/1711.05101>).
///
/// The updates are those of [`burn::optim::AdamW`] to rounding, and its state is the same, so that records of either can be
/// loaded by the other. With [`Mode::Off`](crate::Mode::Off), in other types and on other devices it is burn's.
///
/// ```
/// use burn::optim::ModuleOptimizer;
/// use tweedie_kernels::AdamW;
///
/// let optimiser = ModuleOptimizer::from(AdamW::new(0.9, 0.999, 1e-8, 0.01));
/// ```
#[derive(Clone)]
pub struct AdamW {
    #[cfg(feature = "flex")]
    settings: Adam,
    burn: burn::optim::AdamW,
}

impl AdamW {
    /// Decays of the two moments in [0, 1), the number added to the root of the second, the weight decay.
    pub fn new(beta_1: f32, beta_2: f32, epsilon: f32, weight_decay: f32) -> Self {
        Self {
            #[cfg(feature = "flex")]
            settings: Adam {
                learning_rate: 0.0,
                beta_1,
                beta_2,
                epsilon,
                weight_decay,
            },
            burn: AdamWConfig::new()
                .with_beta_1(beta_1)
                .with_beta_2(beta_2)
                .with_epsilon(epsilon)
                .with_weight_decay(weight_decay)
                .build(),
        }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        #[cfg(feature = "flex")]
        if extension::applies_untaped(&parameter) && extension::applies_untaped(&gradient) {
            let settings = Adam {
                learning_rate,
                ..self.settings
            };
            let momentum = match state {
                Some(state) => state.momentum,
                None => AdaptiveMomentumState::new(0, gradient.zeros_like(), gradient.zeros_like()),
            };
            let (parameter, momentum) = extension::adam(&settings, parameter, gradient, momentum);
            return (parameter, Some(AdamWState::new(momentum)));
        }
        self.burn.step(learning_rate, parameter, gradient, state)
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

/// `decay average + (1 - decay) weights`, in the memory of `average` where nothing else holds it.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let [average, weights] = [4.0, 8.0].map(|w| Tensor::<1>::full([1], w, &Device::flex()));
/// assert_eq!(tweedie_kernels::blended(average, weights, 0.75).into_scalar::<f32>(), 5.0);
/// ```
pub fn blended<const D: usize>(average: Tensor<D>, weights: Tensor<D>, decay: f64) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if average.dims() == weights.dims()
        && extension::applies_untaped(&average)
        && extension::applies_untaped(&weights)
    {
        return extension::blended(average, weights, decay);
    }
    average.mul_scalar(decay) + weights.mul_scalar(1.0 - decay)
}
