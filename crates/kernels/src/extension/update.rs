//! Updates of parameters in the memory of the tensors.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::optim::AdaptiveMomentumState;
use burn::tensor::Tensor;

use crate::Level;
use crate::optim::{self, Adam};

/// The numbers of a tensor from the first of its memory on: a part of something larger is copied, as is at the first write
/// what something else holds too.
fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let tensor = tensor
        .try_into_primitive::<Flex>()
        .expect("on the flex device, without a tape");
    tensor.to_contiguous()
}

/// One step of Adam on tensors that [`super::applies_untaped`] to.
pub(crate) fn adam<const D: usize>(
    settings: &Adam,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    mut momentum: AdaptiveMomentumState<D>,
) -> (Tensor<D>, AdaptiveMomentumState<D>) {
    let time = momentum.time + 1;
    let [mut w, mut m, mut v, g] =
        [parameter, momentum.moment_1, momentum.moment_2, gradient].map(primitive);
    optim::adam(
        Level::best(),
        settings,
        time,
        w.storage_mut(),
        m.storage_mut(),
        v.storage_mut(),
        g.storage(),
    );
    momentum.time = time;
    [momentum.moment_1, momentum.moment_2] = [m, v].map(Tensor::from_primitive::<Flex>);
    (Tensor::from_primitive::<Flex>(w), momentum)
}

/// The average of tensors that [`super::applies_untaped`] to.
pub(crate) fn blended<const D: usize>(
    average: Tensor<D>,
    weights: Tensor<D>,
    decay: f64,
) -> Tensor<D> {
    let (mut average, weights) = (primitive(average), primitive(weights));
    optim::average(
        Level::best(),
        decay,
        average.storage_mut(),
        weights.storage(),
    );
    Tensor::from_primitive::<Flex>(average)
}
