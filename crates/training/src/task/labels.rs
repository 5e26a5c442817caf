//! The classes of images as a network is told them.
//!
//! For classifier-free guidance a network learns with and without classes: each row's class is replaced with probability
//! `label_dropout` by the one that stands for none (Ho & Salimans 2022, algorithm 1, <https://arxiv.org/abs/2207.12598>).

use burn::tensor::{Device, Int, Tensor};
use tweedie_core::Rng;

use crate::{TrainingError, config::require};

/// Keeps the random numbers that drop classes apart from all others.
const DROPOUT: u64 = u64::from_be_bytes(*b"classes\0");

/// How many classes there are, and how often one is not told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels {
    classes: usize,
    dropout: f64,
}

impl Labels {
    /// Of a network of so many classes, 0 for one that hears none.
    pub(super) fn new(classes: usize, dropout: f64) -> Result<Self, TrainingError> {
        require("label_dropout", dropout, "in [0, 1]", |p| {
            (0.0..=1.0).contains(&p)
        })?;
        if classes == 0 {
            require("label_dropout", dropout, "0 without classes", |p| p == 0.0)?;
        }
        Ok(Self { classes, dropout })
    }

    /// Refuses examples that cannot be told: without a class where there should be one, and the reverse, or out of range.
    pub(super) fn check(&self, told: Option<&[usize]>) -> Result<(), TrainingError> {
        let classes = self.classes;
        match told {
            None if classes > 0 => Err(TrainingError::NoLabels { classes }),
            Some(_) if classes == 0 => Err(TrainingError::UnusedLabels),
            _ => match told.and_then(|told| told.iter().find(|&&class| class >= classes)) {
                Some(&found) => Err(TrainingError::Label { found, classes }),
                None => Ok(()),
            },
        }
    }

    /// What the network is told of each row; row `i` draws from row `i` of `rng`.
    pub(super) fn told(
        &self,
        classes: Option<Vec<usize>>,
        rng: &Rng,
        device: &Device,
    ) -> Option<Tensor<1, Int>> {
        let classes = classes?;
        let chances = rng.fork(DROPOUT).uniform_per_row(classes.len());
        let told = |(class, chance)| {
            if chance < self.dropout {
                self.classes
            } else {
                class
            }
        };
        let told: Vec<i64> = (classes.into_iter().zip(chances))
            .map(|row| told(row) as i64)
            .collect();
        Some(Tensor::from_data(told.as_slice(), device))
    }
}
