//! The gradients of the kernels, for burn's tape.

use burn::backend::TensorMetadata;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind, unary};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;

use super::{Activation, Adjoints, Job, Kernels};
use crate::attention::Attention;
use crate::norm::GroupNorm;

/// A convolution whose parents are the image, the weights and perhaps the bias.
#[derive(Debug)]
struct ConvolutionStep;

#[derive(Clone, Debug)]
struct ConvolutionState {
    job: Job,
    /// Kept for the gradient of the weights alone.
    x: Option<NodeId>,
    /// Kept for the gradient of the image alone.
    weight: Option<NodeId>,
    bias_per_image: bool,
}

impl<B: Adjoints, const N: usize> Backward<B, N> for ConvolutionStep {
    type State = ConvolutionState;

    fn backward(
        self,
        ops: Ops<ConvolutionState, N>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient: FloatTensor<B> = grads.consume::<B>(&ops.node);
        let state = ops.state;
        let parent = |at: usize| ops.parents.get(at).and_then(Option::as_ref);
        if let (Some(node), Some(weight)) = (parent(0), state.weight) {
            let weight: FloatTensor<B> = checkpointer.retrieve_node_output(weight);
            let dx = B::convolution(gradient.clone(), weight, state.job.adjoint());
            grads.register::<B>(node.id, dx);
        }
        if let (Some(node), Some(x)) = (parent(1), state.x) {
            let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
            let dw = B::weight_gradient(x, gradient.clone(), state.job);
            grads.register::<B>(node.id, dw);
        }
        if let Some(node) = parent(2) {
            grads.register::<B>(node.id, B::bias_gradient(gradient, state.bias_per_image));
        }
    }
}

/// Its state: `x`, `scale` and `shift`, what was saved, and the options.
#[derive(Debug)]
struct GroupNormStep;

impl<B: Adjoints> Backward<B, 3> for GroupNormStep {
    type State = ([NodeId; 3], FloatTensor<B>, GroupNorm);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let (parents, saved, options) = ops.state;
        let [x, scale, shift] =
            parents.map(|parent| checkpointer.retrieve_node_output::<FloatTensor<B>>(parent));
        let found = B::group_norm_gradients(x, scale, shift, saved, gradient, options);
        for (node, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Its state: `qkv` and the options.
#[derive(Debug)]
struct AttentionStep;

impl<B: Adjoints> Backward<B, 1> for AttentionStep {
    type State = (NodeId, Attention);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (parent, options) = ops.state;
        let qkv = checkpointer.retrieve_node_output(parent);
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::self_attention_gradient(qkv, gradient, options)
        });
    }
}

#[derive(Debug)]
struct ActivationStep;

impl<B: Adjoints> Backward<B, 1> for ActivationStep {
    type State = (NodeId, Activation);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let (parent, activation) = ops.state;
        let x = checkpointer.retrieve_node_output(parent);
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::activation_gradient(x, gradient, activation)
        });
    }
}

#[derive(Debug)]
struct DoubledStep;

impl<B: Adjoints> Backward<B, 1> for DoubledStep {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        unary::<B, _>(ops.parents, ops.node, grads, B::doubled_gradient);
    }
}

impl<B: Adjoints, C: CheckpointStrategy> Kernels for Autodiff<B, C> {
    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, job: Job) -> FloatTensor<Self> {
        let job = kept_if_frozen(job, weight.is_tracked());
        let nodes = [x.node(), weight.node()];
        record::<B, C, 2>(nodes, x, weight, job, false, |x, weight| {
            B::convolution(x, weight, job)
        })
    }

    fn biased_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        job: Job,
    ) -> FloatTensor<Self> {
        let job = kept_if_frozen(job, weight.is_tracked());
        let nodes = [x.node(), weight.node(), bias.node()];
        let per_image = bias.shape()[0] > 1;
        record::<B, C, 3>(nodes, x, weight, job, per_image, |x, weight| {
            B::biased_convolution(x, weight, bias.into_primitive(), job)
        })
    }

    fn group_norm(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: GroupNorm,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), scale.node(), shift.node()];
        let prepared = Backward::<B, 3>::prepare::<C>(GroupNormStep, nodes);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let parents = [&x, &scale, &shift].map(|parent| step.checkpoint(parent));
                let [x, scale, shift] = [x, scale, shift].map(|parent| parent.into_primitive());
                let [y, saved] = B::group_norm_saving(x, scale, shift, options);
                step.finish((parents, saved, options), y)
            }
            OpsKind::UnTracked(step) => {
                let [x, scale, shift] = [x, scale, shift].map(|parent| parent.into_primitive());
                step.finish(B::group_norm(x, scale, shift, options))
            }
        }
    }

    fn self_attention(qkv: FloatTensor<Self>, options: Attention) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(AttentionStep, [qkv.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let parent = step.checkpoint(&qkv);
                let y = B::self_attention(qkv.into_primitive(), options);
                step.finish((parent, options), y)
            }
            OpsKind::UnTracked(step) => {
                step.finish(B::self_attention(qkv.into_primitive(), options))
            }
        }
    }

    fn activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(ActivationStep, [x.node()]);
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(mut step) => {
                let state = (step.checkpoint(&x), activation);
                step.finish(state, B::activation(x.into_primitive(), activation))
            }
            OpsKind::UnTracked(step) => step.finish(B::activation(x.into_primitive(), activation)),
        }
    }

    fn doubled(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = Backward::<B, 1>::prepare::<C>(DoubledStep, [x.node()]);
        prepared
            .compute_bound()
            .stateless(B::doubled(x.into_primitive()))
    }
}

/// The job with its packed weights kept if the weights are not trained.
fn kept_if_frozen(job: Job, trained: bool) -> Job {
    Job {
        keep_packed: job.keep_packed && !trained,
        ..job
    }
}

/// Runs `compute` and puts its result on the tape.
fn record<B: Adjoints, C: CheckpointStrategy, const N: usize>(
    nodes: [NodeGuard; N],
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    job: Job,
    bias_per_image: bool,
    compute: impl FnOnce(FloatTensor<B>, FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<Autodiff<B, C>> {
    let prepared = Backward::<B, N>::prepare::<C>(ConvolutionStep, nodes);
    match prepared.compute_bound().stateful() {
        OpsKind::Tracked(mut step) => {
            let state = ConvolutionState {
                job,
                x: weight.is_tracked().then(|| step.checkpoint(&x)),
                weight: x.is_tracked().then(|| step.checkpoint(&weight)),
                bias_per_image,
            };
            step.finish(state, compute(x.into_primitive(), weight.into_primitive()))
        }
        OpsKind::UnTracked(step) => {
            step.finish(compute(x.into_primitive(), weight.into_primitive()))
        }
    }
}
