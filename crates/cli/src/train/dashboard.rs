//! burn's terminal dashboard, fed with the numbers of a run.

use std::{
    io::{self, IsTerminal},
    sync::Arc,
};

use burn::train::{
    Interrupter,
    logger::TrainingProgressLogger,
    metric::{
        MetricAttributes, MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry,
        SerializedEntry,
    },
    renderer::{
        MetricState, MetricsRenderer, MetricsRendererTraining, tui::TuiMetricsRendererWrapper,
    },
};
use tweedie::training::{StepRecord, ValidationRecord};

use super::monitor::Monitor;
use crate::failure::{Failure, Outcome};

/// The dashboard draws on a terminal only.
#[derive(Debug, thiserror::Error)]
#[error("--dashboard needs a terminal on the standard output; leave it out to get plain lines")]
struct NoTerminal;

/// Refuses to go on where there is no terminal to draw on.
pub(super) fn require_terminal() -> Outcome<()> {
    if io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::usage(NoTerminal))
}

const LOSS: &str = "Loss";
const LEARNING_RATE: &str = "Learning rate";

/// The dashboard; it leaves the screen when it is dropped.
pub(super) struct Dashboard {
    renderer: TuiMetricsRendererWrapper,
    interrupter: Interrupter,
}

impl Dashboard {
    /// For a run of `total` steps of which `done` are made.
    pub(super) fn new(done: u64, total: u64) -> Self {
        let interrupter = Interrupter::new();
        let mut renderer = TuiMetricsRendererWrapper::new(interrupter.clone(), None);
        for name in [LOSS, LEARNING_RATE] {
            renderer.register_metric(MetricDefinition {
                metric_id: id(name),
                name: Arc::new(name.to_owned()),
                description: None,
                attributes: MetricAttributes::Numeric(NumericAttributes {
                    unit: None,
                    higher_is_better: false,
                }),
            });
        }
        // To the dashboard a run is one epoch, counted from 1, whose items are the steps.
        renderer.start(1, 1, Some(total as usize), Some("Training"));
        renderer.start_split("train", total as usize);
        renderer.update_split(done as usize);
        Self {
            renderer,
            interrupter,
        }
    }
}

impl Monitor for Dashboard {
    fn step(&mut self, record: &StepRecord) {
        self.renderer.update_train(state(LOSS, record.loss));
        self.renderer
            .update_train(state(LEARNING_RATE, record.learning_rate));
        self.renderer.update_split(record.step as usize);
    }

    fn validation(&mut self, record: &ValidationRecord) {
        self.renderer.update_valid(state(LOSS, record.loss));
    }

    fn note(&mut self, text: &str) {
        self.renderer.log_event_training(text.to_owned());
    }

    fn asks_to_stop(&self) -> bool {
        self.interrupter.should_stop()
    }
}

fn id(name: &str) -> MetricId {
    MetricId::new(Arc::new(name.to_owned()))
}

fn state(name: &str, value: f64) -> MetricState {
    let entry = SerializedEntry::new(format!("{value:.3e}"), value.to_string());
    MetricState::Numeric(
        MetricEntry::new(id(name), entry),
        Some(NumericEntry::Value(value)),
    )
}
