//! What a multistep method remembers: past values at uneven nodes.

use std::collections::VecDeque;

use burn::tensor::Tensor;
use tweedie_core::combine;

/// The last few values of one run and where they were taken, newest first.
#[derive(Clone, Debug)]
pub struct History<const D: usize> {
    values: VecDeque<(f64, Tensor<D>)>,
}

impl<const D: usize> Default for History<D> {
    fn default() -> Self {
        Self {
            values: VecDeque::new(),
        }
    }
}

impl<const D: usize> History<D> {
    /// Adds a value and forgets all but the `kept` newest.
    pub(crate) fn push(&mut self, node: f64, value: Tensor<D>, kept: usize) {
        self.values.push_front((node, value));
        self.values.truncate(kept);
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Nodes in units of a step: `(node - origin)/step`.
    pub(crate) fn nodes(&self, origin: f64, step: f64) -> Vec<f64> {
        self.values
            .iter()
            .map(|(node, _)| (node - origin) / step)
            .collect()
    }

    /// `kept x + scale sum_i w_i v_i` over the values, newest first; `weights` may be longer.
    pub(crate) fn add_to(
        &self,
        (kept, x): (f64, Tensor<D>),
        scale: f64,
        weights: &[f64],
    ) -> Tensor<D> {
        let mut coefficient = kept;
        let mut sum = x;
        for ((_, value), weight) in self.values.iter().zip(weights) {
            sum = combine([(coefficient, sum), (scale * weight, value.clone())]);
            coefficient = 1.0;
        }
        sum
    }
}
