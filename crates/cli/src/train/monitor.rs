//! How a run is watched: a progress bar, or plain lines where there is no terminal.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{FormattedDuration, ProgressBar, ProgressStyle};
use tweedie::training::{StepRecord, ValidationRecord};

use crate::failure::Outcome;

/// Where the numbers of a run are shown while it runs.
pub(super) trait Monitor {
    /// A step was made.
    fn step(&mut self, record: &StepRecord);

    /// The averaged weights were validated.
    fn validation(&mut self, record: &ValidationRecord);

    /// Something worth a line has happened.
    fn note(&mut self, text: &str);

    /// Whether it was told to stop the run.
    fn asks_to_stop(&self) -> bool {
        false
    }
}

/// The bar, or lines where the standard error stream is not a terminal, for a run of `total` steps of which `done` are made.
pub(super) fn plain(done: u64, total: u64) -> Outcome<Box<dyn Monitor>> {
    Ok(if io::stderr().is_terminal() {
        Box::new(Bar::new(done, total)?)
    } else {
        Box::new(Lines::new(done, total))
    })
}

/// Speed and mean loss of a run.
struct Pace {
    start: Instant,
    first: u64,
    step: u64,
    total: u64,
    /// Weighted sum of losses, and of the weights.
    loss: [f64; 2],
}

impl Pace {
    /// Weight of the past in the mean loss: it remembers about 50 steps.
    const MEMORY: f64 = 0.98;

    fn new(done: u64, total: u64) -> Self {
        Self {
            start: Instant::now(),
            first: done,
            step: done,
            total,
            loss: [0.0; 2],
        }
    }

    fn add(&mut self, record: &StepRecord) {
        self.step = record.step;
        let [sum, weight] = self.loss;
        self.loss = [
            Self::MEMORY * sum + record.loss,
            Self::MEMORY * weight + 1.0,
        ];
    }

    /// Mean loss, steps per second and time left, validations and samples included.
    fn text(&self) -> String {
        let [sum, weight] = self.loss;
        let speed = (self.step - self.first) as f64 / self.start.elapsed().as_secs_f64();
        let left = (self.total - self.step) as f64 / speed;
        let left = Duration::try_from_secs_f64(left.round()).unwrap_or_default();
        format!(
            "loss {:.4}  {speed:.2} steps/s  {} left",
            sum / weight,
            FormattedDuration(left)
        )
    }
}

/// A bar that is redrawn in place.
struct Bar {
    bar: ProgressBar,
    pace: Pace,
}

impl Bar {
    fn new(done: u64, total: u64) -> Outcome<Self> {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {msg}")?;
        let bar = ProgressBar::new(total)
            .with_style(style)
            .with_position(done);
        bar.tick();
        Ok(Self {
            bar,
            pace: Pace::new(done, total),
        })
    }
}

impl Monitor for Bar {
    fn step(&mut self, record: &StepRecord) {
        self.pace.add(record);
        self.bar.set_message(self.pace.text());
        self.bar.set_position(record.step);
    }

    fn validation(&mut self, record: &ValidationRecord) {
        self.note(&validation_line(record));
    }

    fn note(&mut self, text: &str) {
        self.bar.println(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.abandon();
        // The cursor is still in the bar's line.
        eprintln!();
    }
}

/// A line from time to time.
struct Lines {
    pace: Pace,
    last: Instant,
}

impl Lines {
    const EVERY: Duration = Duration::from_secs(10);

    fn new(done: u64, total: u64) -> Self {
        Self {
            pace: Pace::new(done, total),
            last: Instant::now(),
        }
    }
}

impl Monitor for Lines {
    fn step(&mut self, record: &StepRecord) {
        self.pace.add(record);
        if self.last.elapsed() >= Self::EVERY || record.step == self.pace.total {
            self.last = Instant::now();
            let text = self.pace.text();
            self.note(&format!("step {}/{}  {text}", record.step, self.pace.total));
        }
    }

    fn validation(&mut self, record: &ValidationRecord) {
        self.note(&validation_line(record));
    }

    fn note(&mut self, text: &str) {
        eprintln!("{text}");
    }
}

fn validation_line(record: &ValidationRecord) -> String {
    format!("step {}  validation loss {:.4}", record.step, record.loss)
}
