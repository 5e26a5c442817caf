//! The kernels as operations of burn's backends: routed by the device of a tensor, with gradients.
//!
//! Only tensors for which [`applies`] holds may be given to them; all others take burn's own operations, in
//! [`crate::layers`].

mod autodiff;
mod cache;
mod flex;
mod update;

pub(crate) use update::{adam, blended};

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchTensorKind, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};

use crate::attention::Attention;
use crate::conv::{Algorithm, Convolution, Pass};
use crate::norm::GroupNorm;
use crate::{Mode, mode};

/// One convolution, or the transposed one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// That which is computed, or whose adjoint is.
    pub(crate) convolution: Convolution,
    pub(crate) transposed: bool,
    pub(crate) strict: bool,
    /// Whether the packed weights are worth keeping: not while they are trained, when they change at each step.
    pub(crate) keep_packed: bool,
}

impl Job {
    pub(crate) fn new(convolution: Convolution, transposed: bool) -> Self {
        Self {
            convolution,
            transposed,
            strict: mode() == Mode::Strict,
            keep_packed: true,
        }
    }

    /// The job that maps the gradient of the result to that of the input.
    fn adjoint(self) -> Self {
        Self {
            transposed: !self.transposed,
            ..self
        }
    }

    fn pass(self) -> Pass {
        match self.transposed {
            false => Pass::Forward,
            true => Pass::InputGradient,
        }
    }

    fn algorithm(self, pass: Pass) -> Algorithm {
        match self.strict {
            true => Algorithm::Direct,
            false => Algorithm::fastest(&self.convolution, pass),
        }
    }
}

/// What the network layers need.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait Kernels: Backend {
    /// The convolution of `x`.
    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, job: Job) -> FloatTensor<Self>;

    /// The convolution of `x`, plus `bias`, `[1, channels]` or `[batch, channels]`.
    fn biased_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        job: Job,
    ) -> FloatTensor<Self>;

    /// Group normalisation and an affine map, each of its two tensors `[1, channels]` or `[batch, channels]`.
    fn group_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: GroupNorm,
    ) -> FloatTensor<Self>;

    /// Self-attention of `qkv`, `[batch, 3 channels, length]`.
    fn self_attention(qkv: FloatTensor<Self>, options: Attention) -> FloatTensor<Self>;

    /// A function of each number.
    fn activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// Each pixel of `x`, `[batch, channels, height, width]`, as a square of 2 x 2.
    fn doubled(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// A function of each number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// `max(x, 0)`.
    Relu,
}

/// What their backward passes need; of first order, so the autodiff backends lack it.
pub(crate) trait Adjoints: Kernels {
    /// The gradient with respect to the weight of [`Kernels::convolution`].
    fn weight_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        job: Job,
    ) -> FloatTensor<Self>;

    /// The sums over the pixels of each channel, `[1, channels]` or `[batch, channels]`.
    fn bias_gradient(gradient: FloatTensor<Self>, per_image: bool) -> FloatTensor<Self>;

    /// [`Kernels::group_norm`], and what its gradients need: mean and inverse standard deviation of each group.
    fn group_norm_saving(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: GroupNorm,
    ) -> [FloatTensor<Self>; 2];

    /// The gradients with respect to `x`, `scale` and `shift`, of that with respect to the result.
    fn group_norm_gradients(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: GroupNorm,
    ) -> [FloatTensor<Self>; 3];

    /// The gradient with respect to `qkv` of [`Kernels::self_attention`].
    fn self_attention_gradient(
        qkv: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: Attention,
    ) -> FloatTensor<Self>;

    /// The gradient with respect to `x` of [`Kernels::activation`].
    fn activation_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self>;

    /// The sums over squares of 2 x 2.
    fn doubled_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Whether the kernels take these tensors: of single or half precision, on the flex device, and the kernels not switched off.
pub(crate) fn applies<'a, const D: usize>(
    x: &Tensor<D>,
    others: impl IntoIterator<Item = &'a Tensor<2>>,
) -> bool {
    let others = others
        .into_iter()
        .map(|tensor| tensor.clone().into_dispatch());
    let mut tensors = std::iter::once(x.clone().into_dispatch()).chain(others);
    mode() != Mode::Off
        && tensors.all(|tensor| {
            let known = [DType::F32, DType::F16, DType::BF16];
            known.contains(&tensor.dtype()) && is_flex(&tensor.kind)
        })
}

/// [`applies`] to a tensor of single precision without a tape.
pub(crate) fn applies_untaped<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32
        && applies(x, [])
        && matches!(x.clone().into_dispatch().kind, DispatchTensorKind::Flex(_))
}

fn is_flex(kind: &DispatchTensorKind) -> bool {
    match kind {
        DispatchTensorKind::Flex(_) => true,
        DispatchTensorKind::Autodiff(inner) => is_flex(inner),
        #[allow(
            unreachable_patterns,
            reason = "without another backend these two are all"
        )]
        _ => false,
    }
}

/// [`Kernels::convolution`] of tensors that [`applies`] to.
pub(crate) fn convolution(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<2>>,
    job: Job,
) -> Tensor<4> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => Dispatch::convolution(x, weight, job),
        Some(bias) => Dispatch::biased_convolution(x, weight, bias.into_dispatch(), job),
    })
}

/// [`Kernels::group_norm`] of tensors that [`applies`] to.
pub(crate) fn group_norm(
    x: Tensor<4>,
    scale: Tensor<2>,
    shift: Tensor<2>,
    options: GroupNorm,
) -> Tensor<4> {
    let [scale, shift] = [scale, shift].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::group_norm(
        x.into_dispatch(),
        scale,
        shift,
        options,
    ))
}

/// [`Kernels::self_attention`] of a tensor that [`applies`] to.
pub(crate) fn attention(qkv: Tensor<3>, options: Attention) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as Kernels>::self_attention(
        qkv.into_dispatch(),
        options,
    ))
}

/// [`Kernels::activation`] of a tensor that [`applies`] to.
pub(crate) fn activation<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Kernels>::activation(
        x.into_dispatch(),
        activation,
    ))
}

/// [`Kernels::doubled`] of a tensor that [`applies`] to.
pub(crate) fn doubled(x: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Kernels>::doubled(x.into_dispatch()))
}
