//! The progress of draws.

use indicatif::{ProgressBar, ProgressStyle};
use tweedie::{samplers::DrawConfig, solvers::Step};

/// A bar over all steps of all batches; nothing where the output is not a terminal.
pub(crate) struct StepBar {
    bar: ProgressBar,
    batches: usize,
    batch_size: usize,
}

impl StepBar {
    /// A bar for the draws of `config`. How many steps each takes is the sampler's to say, once it runs.
    pub(crate) fn new(config: &DrawConfig) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} steps, {eta} left") {
            bar.set_style(style);
        }
        Self {
            bar,
            batches: config.samples.div_ceil(config.batch_size),
            batch_size: config.batch_size,
        }
    }

    /// Shows that a step of the batch that begins with sample `first` was made.
    pub(crate) fn show(&self, first: usize, step: &Step<'_>) {
        let done = first / self.batch_size * step.steps + step.index + 1;
        self.bar.set_length((self.batches * step.steps) as u64);
        self.bar.set_position(done as u64);
    }

    /// Removes the bar.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
