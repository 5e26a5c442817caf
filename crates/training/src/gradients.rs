//! The gradient of a batch, cut over devices and micro-batches, in single or half precision.
//!
//! `g = sum_parts sum_rows w_i grad L_i / B`: each device takes a part of the rows, cuts it into micro-batches one after the other,
//! and holds a copy of the weights; the sums of the devices are added on the first, in order. Noise levels are drawn for the
//! whole batch and rows keep their random numbers, so the result is that of one device and one batch but for the order in which
//! numbers are added. Dropout alone draws other numbers.
//!
//! In half precision the weights of convolutions and linear layers are rounded for the two passes, and the optimiser steps the
//! ones in single precision with gradients cast to it (Micikevicius et al. 2018, section 3.1,
//! <https://arxiv.org/abs/1710.03740>); the range of bf16 needs no scaling of the loss.

use std::{ops::Range, panic::resume_unwind, thread};

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::{GradientsAccumulator, GradientsParams},
    tensor::{DType, Device, Tensor},
};
use rand::Rng as _;
use tweedie_core::{seed_dropout, stream};
use tweedie_data::ExampleBatch;
use tweedie_models::Precision;

use crate::{Level, Task, TrainingConfig, TrainingError, trainer::Purpose};

/// Losses of rows, `[rows]`, and the gradient of their weighted mean.
pub(crate) type Found = (Tensor<1>, GradientsParams);

/// How the gradient of a step is taken.
pub(crate) struct Gradients<'a, T: Task> {
    pub(crate) task: &'a T,
    pub(crate) config: &'a TrainingConfig,
    /// The first holds network and examples.
    pub(crate) devices: &'a [Device],
    /// The step, from 1.
    pub(crate) step: u64,
}

impl<T: Task> Gradients<'_, T> {
    /// Of examples with a level for each of them; the result is on the first device.
    pub(crate) fn of(
        &self,
        network: &T::Network,
        examples: &ExampleBatch,
        levels: &[Level],
    ) -> Result<Found, TrainingError> {
        let mut shares = Vec::new();
        for (index, rows) in cut(0..levels.len(), self.devices.len())
            .into_iter()
            .enumerate()
        {
            shares.push(self.share(network, index, rows, examples)?);
        }
        let work = |share| self.work(share, levels);
        // burn has one generator of dropout for each backend: devices that share it take turns.
        let found: Vec<Found> = if shares.len() == 1 || self.task.has_dropout() {
            shares.into_iter().map(work).collect()
        } else {
            thread::scope(|scope| {
                let workers: Vec<_> = shares
                    .into_iter()
                    .map(|share| scope.spawn(|| work(share)))
                    .collect();
                let found = workers.into_iter().map(|worker| worker.join());
                found
                    .map(|found| found.unwrap_or_else(|panic| resume_unwind(panic)))
                    .collect()
            })
        };
        Ok(self.gathered(network, found))
    }

    /// What device `index` needs for its rows.
    fn share(
        &self,
        network: &T::Network,
        index: usize,
        rows: Range<usize>,
        examples: &ExampleBatch,
    ) -> Result<Share<T::Network>, TrainingError> {
        let device = self.devices[index].clone();
        let network = if index == 0 && self.config.precision == Precision::F32 {
            network.clone()
        } else {
            let copy = network.valid().to_device(&device);
            self.config.precision.round(copy)?.train()
        };
        let own = examples.part(rows.start, rows.len());
        Ok(Share {
            examples: ExampleBatch {
                images: own.images.to_device(&device),
                ..own
            },
            network,
            device,
            index,
            rows,
        })
    }

    /// The losses of a share, and its part of the gradient.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where gradients of weights are taken"
    )]
    fn work(&self, share: Share<T::Network>, levels: &[Level]) -> Found {
        if self.task.has_dropout() {
            let mut seeds = stream(self.config.seed, self.step);
            let seed = (0..=share.index).fold(0, |_, _| seeds.next_u64());
            seed_dropout(&share.device, seed);
        }
        let rng = Purpose::Training
            .rng(self.config.seed, &share.device)
            .fork(self.step);
        let mut sum = GradientsAccumulator::new();
        let mut all = Vec::new();
        for rows in cut(share.rows.clone(), self.config.accumulate) {
            let examples = share
                .examples
                .part(rows.start - share.rows.start, rows.len());
            let part = &levels[rows.clone()];
            let mut rng = rng.clone().starting_at(rows.start as u64);
            let losses = self.task.losses(&share.network, examples, part, &mut rng);
            let weights: Vec<f64> = part.iter().map(|level| level.weight).collect();
            let weights = Tensor::<1>::from_data(weights.as_slice(), &share.device);
            let loss = (losses.clone() * weights)
                .sum()
                .div_scalar(levels.len() as f64);
            let gradients = GradientsParams::from_grads(loss.backward(), &share.network);
            sum.accumulate(&share.network, single(gradients, &share.network));
            all.push(losses.without_autodiff());
        }
        (joined(all), sum.grads())
    }

    /// All losses, and the sum of the gradients, on the first device.
    fn gathered(&self, network: &T::Network, found: Vec<Found>) -> Found {
        let device = &self.devices[0];
        let mut sum = GradientsAccumulator::new();
        let mut all = Vec::new();
        for (losses, gradients) in found {
            all.push(losses.to_device(device));
            sum.accumulate(network, gradients.to_device(device, network));
        }
        (joined(all), sum.grads())
    }
}

/// The part of a batch that one device works on.
struct Share<N> {
    /// On the device, to be trained there.
    network: N,
    examples: ExampleBatch,
    device: Device,
    /// Which device it is.
    index: usize,
    /// Which rows of the batch it has.
    rows: Range<usize>,
}

fn joined(mut losses: Vec<Tensor<1>>) -> Tensor<1> {
    match losses.len() {
        1 => losses.remove(0),
        _ => Tensor::cat(losses, 0),
    }
}

/// `rows` in `parts` pieces that differ by one row at most.
fn cut(rows: Range<usize>, parts: usize) -> Vec<Range<usize>> {
    let at = |part: usize| rows.start + rows.len() * part / parts;
    (0..parts).map(|part| at(part)..at(part + 1)).collect()
}

/// The gradients in single precision.
fn single<M: Module>(gradients: GradientsParams, module: &M) -> GradientsParams {
    let mut cast = Cast(gradients);
    module.visit(&mut cast);
    cast.0
}

struct Cast(GradientsParams);

impl ModuleVisitor for Cast {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.0.remove::<D>(param.id) {
            self.0.register(param.id, gradient.cast(DType::F32));
        }
    }
}
