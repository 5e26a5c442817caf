//! Batches made ahead of time by a thread of their own, in the order in which they are needed.

use std::{
    ops::Range,
    panic::resume_unwind,
    sync::mpsc::{Receiver, sync_channel},
    thread::{self, JoinHandle},
};

use tweedie_data::ExampleBatch;

use crate::{TrainingError, order::Order};

/// Batches that wait at most; one more is in the making.
const WAITING: usize = 2;

/// The batches of some steps.
pub(crate) struct Prefetch {
    /// Empty once nothing more is wanted.
    batches: Option<Receiver<Result<ExampleBatch, TrainingError>>>,
    worker: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Starts to make the batches of `steps`, counted from 0.
    pub(crate) fn start(order: Order, steps: Range<u64>) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let worker = thread::spawn(move || {
            let mut step = steps.start;
            while step < steps.end {
                for batch in order.rest_of_epoch(step).iter() {
                    let batch = batch.map_err(TrainingError::from_dataset);
                    step += 1;
                    // An error, when nobody wants batches any more.
                    if sender.send(batch).is_err() || step == steps.end {
                        return;
                    }
                }
            }
        });
        Self {
            batches: Some(receiver),
            worker: Some(worker),
        }
    }

    /// The next batch; none after the last.
    ///
    /// # Errors
    /// When an image cannot be read.
    ///
    /// # Panics
    /// If making the batch does.
    pub(crate) fn next(&mut self) -> Option<Result<ExampleBatch, TrainingError>> {
        let next = self.batches.as_ref()?.recv().ok();
        if next.is_none() {
            self.end().unwrap_or_else(|panic| resume_unwind(panic));
        }
        next
    }

    fn end(&mut self) -> thread::Result<()> {
        self.batches = None;
        self.worker.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // What went wrong with a batch that nobody asked for is of no interest.
        let _ = self.end();
    }
}
