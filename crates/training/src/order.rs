//! The order of the data: each epoch a new permutation of the whole set, cut into full batches.
//!
//! Epoch `e` is shuffled by a number drawn from `(seed, e)`, so the batch of any step is known without those before it.

use std::sync::Arc;

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderBuilder},
        dataset::{Dataset, transform::ShuffledDataset},
    },
    tensor::Device,
};
use rand::Rng as _;
use tweedie_core::stream;
use tweedie_data::{Example, ExampleBatch, ExampleBatcher};

/// Examples as a shared set.
pub type Examples = Arc<dyn Dataset<Example>>;

/// Steps and epochs of a data set.
#[derive(Clone)]
pub(crate) struct Order {
    examples: Examples,
    batch_size: usize,
    seed: u64,
    device: Device,
}

impl Order {
    /// `examples` has at least `batch_size` of them.
    pub(crate) fn new(examples: Examples, batch_size: usize, seed: u64, device: Device) -> Self {
        Self {
            examples,
            batch_size,
            seed,
            device,
        }
    }

    fn batches(&self) -> usize {
        self.examples.len() / self.batch_size
    }

    /// The batches from step `done` (counted from 0) to the end of its epoch.
    pub(crate) fn rest_of_epoch(&self, done: u64) -> Arc<dyn DataLoader<ExampleBatch>> {
        let per_epoch = self.batches() as u64;
        let (epoch, first) = (done / per_epoch, (done % per_epoch) as usize);
        let shuffled =
            ShuffledDataset::new(self.examples.clone(), stream(self.seed, epoch).next_u64());
        DataLoaderBuilder::new(ExampleBatcher)
            .batch_size(self.batch_size)
            .set_device(self.device.clone())
            .build(shuffled)
            .slice(first * self.batch_size, self.batches() * self.batch_size)
    }
}
