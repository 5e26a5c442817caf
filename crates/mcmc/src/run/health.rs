//! Finds the first iteration whose state is not finite, chain by chain, without reading back each of them.
//!
//! Finite states are counted on their device. A chain that was not finite once is not counted again, hence its count tells
//! its first bad iteration.

use burn::tensor::{DType, Tensor};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The state of a chain was not finite.
    State { iteration: usize, chain: usize },
    /// A value computed of a draw is not finite.
    Value { index: usize, chain: usize },
}

/// Counts the finite states of each chain.
pub(super) struct Health {
    /// How many iterations were done when the counts were last read.
    verified: usize,
    /// 1 for each chain that was finite ever since, `[chains]`.
    alive: Tensor<1>,
    /// Iterations since then in which a chain was finite, `[chains]`.
    finite: Tensor<1>,
}

impl Health {
    /// Of finite states, after `iteration` iterations.
    pub(super) fn new<const D: usize>(states: &Tensor<D>, iteration: usize) -> Self {
        let (chains, device) = (states.dims()[0], states.device());
        Self {
            verified: iteration,
            alive: Tensor::ones([chains], (&device, DType::F32)),
            finite: Tensor::zeros([chains], (&device, DType::F32)),
        }
    }

    /// Counts the states after an iteration.
    pub(super) fn record<const D: usize>(&mut self, states: &Tensor<D>) {
        self.alive = self.alive.clone() * finite_rows(states);
        self.finite = self.finite.clone() + self.alive.clone();
    }

    /// Reads the counts up to `iteration`, and whether `values` are finite: one number for each chain and each of them.
    pub(super) fn verify<const D: usize>(
        &mut self,
        iteration: usize,
        values: &[Tensor<D>],
    ) -> Result<(), Fault> {
        if iteration == self.verified && values.is_empty() {
            return Ok(());
        }
        let chains = self.alive.dims()[0];
        let mut rows = vec![self.finite.clone()];
        rows.extend(values.iter().map(finite_rows));
        let read = Tensor::cat(rows, 0)
            .try_to_vec_as::<f64>()
            .expect("the counts can be read from their device");
        let (counts, flags) = read.split_at(chains);
        let expected = (iteration - self.verified) as f64;
        let worst = (0..chains).min_by(|a, b| counts[*a].total_cmp(&counts[*b]));
        if let Some(chain) = worst.filter(|chain| counts[*chain] < expected) {
            return Err(Fault::State {
                iteration: self.verified + counts[chain] as usize + 1,
                chain,
            });
        }
        if let Some(place) = flags.iter().position(|flag| *flag == 0.0) {
            return Err(Fault::Value {
                index: place / chains,
                chain: place % chains,
            });
        }
        self.verified = iteration;
        self.finite = self.finite.zeros_like();
        Ok(())
    }
}

/// 1 for each row of finite numbers and 0 for the others, `[rows]`.
pub(super) fn finite_rows<const D: usize>(tensor: &Tensor<D>) -> Tensor<1> {
    let rows = tensor.dims()[0];
    // Sums of half precision numbers could overflow.
    let wide = match tensor.dtype() {
        DType::F64 => tensor.clone(),
        _ => tensor.clone().cast(DType::F32),
    };
    // A sum is finite unless a term is not, or the terms are near the largest float.
    let sums: Tensor<2> = wide.reshape([rows as i32, -1]).sum_dim(1);
    let finite = sums.reshape([rows]).is_finite();
    finite.float().cast(DType::F32)
}
