//! Traces: a few numbers of each chain and draw, such as its energy, from which convergence is judged.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tweedie_physics::dot;

use crate::Info;

/// The name of the trace of the potential.
pub const ENERGY: &str = "energy";
/// The name of the trace of the acceptance probability.
pub const ACCEPTANCE: &str = "acceptance_rate";

/// One number of each chain and draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// What it is: [`ENERGY`], [`ACCEPTANCE`], or the name of a direction.
    pub name: String,
    /// The draws of each chain.
    pub chains: Vec<Vec<f64>>,
}

/// A direction in the space of images, along which chains are watched.
#[derive(Clone, Debug)]
pub(super) struct Direction<const D: usize> {
    pub(super) name: String,
    /// `[1, ...]`
    pub(super) direction: Tensor<D>,
}

/// Collects traces on the device, and reads them back when asked.
pub(super) struct Traces<const D: usize> {
    chains: usize,
    directions: Vec<Direction<D>>,
    /// Read back so far; none before the first draw, as the kernel has not told what it knows.
    read: Option<Vec<Trace>>,
    /// Of each draw since, `[traces, chains]`.
    pending: Vec<Tensor<2>>,
}

impl<const D: usize> Traces<D> {
    pub(super) fn new(
        chains: usize,
        directions: Vec<Direction<D>>,
        read: Option<Vec<Trace>>,
    ) -> Self {
        Self {
            chains,
            directions,
            read,
            pending: Vec::new(),
        }
    }

    /// Counts the draws `[chains, ...]`, and what the kernel told of them.
    pub(super) fn record(&mut self, draws: &Tensor<D>, info: &Info) {
        let Self {
            chains, directions, ..
        } = self;
        let read = self.read.get_or_insert_with(|| {
            let names = directions.iter().map(|direction| direction.name.as_str());
            let told = [(ENERGY, &info.energy), (ACCEPTANCE, &info.acceptance)];
            let told = told.into_iter().filter(|(_, told)| told.is_some());
            let empty = |name: &str| Trace {
                name: name.into(),
                chains: vec![Vec::new(); *chains],
            };
            names.chain(told.map(|(name, _)| name)).map(empty).collect()
        });
        if read.is_empty() {
            return;
        }
        let along = |direction: &Direction<D>| {
            dot(draws.clone(), direction.direction.clone()).reshape([*chains])
        };
        let mut numbers: Vec<Tensor<1>> = directions.iter().map(along).collect();
        let told = [&info.energy, &info.acceptance].into_iter().flatten();
        numbers.extend(told.map(|told| told.clone().cast(draws.dtype())));
        self.pending.push(Tensor::stack(numbers, 0));
    }

    /// Reads back what has been collected.
    ///
    /// # Panics
    /// If a kernel told the energy or the acceptance of some draws only.
    pub(super) fn flush(&mut self) {
        let Some(read) = self.read.as_mut().filter(|_| !self.pending.is_empty()) else {
            return;
        };
        let pending: Tensor<3> = Tensor::stack(std::mem::take(&mut self.pending), 0);
        let [_, rows, chains] = pending.dims();
        assert_eq!(rows, read.len(), "a kernel must tell the same of each step");
        let values = pending
            .try_to_vec_as::<f64>()
            .expect("the traces can be read from their device");
        for draw in values.chunks_exact(rows * chains) {
            for (trace, row) in read.iter_mut().zip(draw.chunks_exact(chains)) {
                for (chain, value) in trace.chains.iter_mut().zip(row) {
                    chain.push(*value);
                }
            }
        }
    }

    /// Those read back so far, for good.
    pub(super) fn into_read(self) -> Vec<Trace> {
        self.read.unwrap_or_default()
    }

    /// Those read back so far; none before the first draw.
    pub(super) fn read(&self) -> Option<&[Trace]> {
        self.read.as_deref()
    }
}
