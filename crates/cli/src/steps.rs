//! The progress of draws.

use indicatif::{ProgressBar, ProgressStyle};
use tweedie::{samplers::DrawConfig, solvers::Step};

/// A bar over all steps of all batches; nothing where the output is not a terminal.
pub(crate) struct StepBar {
    bar: ProgressBar,
    batch_size: usize,
    steps: usize,
}

impl StepBar {
    /// A bar for `config.samples` draws of `steps` steps.
    pub(crate) fn new(config: DrawConfig, steps: usize) -> Self {
        let batches = config.samples.div_ceil(config.batch_size);
        let bar = ProgressBar::new((batches * steps) as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left") {
            bar.set_style(style);
        }
        Self {
            bar,
            batch_size: config.batch_size,
            steps,
        }
    }

    /// Shows that a step of the batch that begins with sample `first` was made.
    pub(crate) fn show(&self, first: usize, step: &Step<'_>) {
        let done = first / self.batch_size * self.steps + step.index + 1;
        self.bar.set_position(done as u64);
    }

    /// Removes the bar.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
