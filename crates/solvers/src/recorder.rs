//! The trajectory of a run.

use burn::tensor::Tensor;

use crate::Step;

/// Keeps a given number of states of a run, evenly spread over its steps, the last one included.
///
/// States stay on their device. Give `|step| recorder.record(&step)` to [`integrate`](crate::integrate).
#[derive(Debug)]
pub struct Recorder<const D: usize = 4> {
    frames: usize,
    states: Vec<(f64, Tensor<D>)>,
}

impl<const D: usize> Recorder<D> {
    /// Keeps `frames` states, or all where there are fewer steps.
    ///
    /// # Panics
    /// If `frames` is zero.
    pub fn new(frames: usize) -> Self {
        assert!(frames > 0, "a recorder keeps at least one frame");
        Self {
            frames,
            states: Vec::new(),
        }
    }

    /// Keeps the state if its turn has come.
    pub fn record(&mut self, step: &Step<'_, D>) {
        // Frame k of n closes at step ceil(k steps / n): count how many frames close at this step.
        let closed = |count: usize| count * self.frames / step.steps;
        if closed(step.index + 1) > closed(step.index) {
            self.states.push((step.span.to, step.state.clone()));
        }
    }

    /// Times and states, noisiest first.
    pub fn into_states(self) -> Vec<(f64, Tensor<D>)> {
        self.states
    }
}
