//! Finds the first iteration whose state is not finite, chain by chain, without reading back each of them.
//!
//! The sum of a state is finite where the state is. The sums stay on their device until some hundreds of them are read at
//! once.

use burn::tensor::{DType, Tensor};

/// Iterations whose sums are read at the latest.
const PENDING: usize = 256;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The state of a chain was not finite.
    State { iteration: usize, chain: usize },
    /// A value computed of a draw is not finite.
    Value { index: usize, chain: usize },
}

/// Counts the iterations of each chain up to the first whose state is not finite.
pub(super) struct Health {
    /// How many iterations were done when the states were last verified.
    verified: usize,
    /// Iterations since then whose sums have been read.
    read: usize,
    /// Of those, how many come before the first bad one of each chain.
    finite: Vec<usize>,
    /// Of each further iteration the sum of each chain's state, `[chains]`.
    pending: Vec<Tensor<1>>,
}

impl Health {
    /// Of finite states, after `iteration` iterations.
    pub(super) fn new<const D: usize>(states: &Tensor<D>, iteration: usize) -> Self {
        Self {
            verified: iteration,
            read: 0,
            finite: vec![0; states.dims()[0]],
            pending: Vec::new(),
        }
    }

    /// Notes the states after an iteration.
    pub(super) fn record<const D: usize>(&mut self, states: &Tensor<D>) {
        self.pending.push(row_sums(states));
        if self.pending.len() == PENDING {
            self.read();
        }
    }

    /// Reads what is pending.
    fn read(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let sums = to_host(std::mem::take(&mut self.pending));
        for sums in sums.chunks_exact(self.finite.len()) {
            for (finite, sum) in self.finite.iter_mut().zip(sums) {
                *finite += usize::from(*finite == self.read && sum.is_finite());
            }
            self.read += 1;
        }
    }

    /// Whether all states up to `iteration` were finite, and `values` are: one number for each chain and each of them.
    /// Reads back what is pending.
    pub(super) fn verify<const D: usize>(
        &mut self,
        iteration: usize,
        values: &[Tensor<D>],
    ) -> Result<(), Fault> {
        if iteration == self.verified && values.is_empty() {
            return Ok(());
        }
        let chains = self.finite.len();
        self.read();
        let worst = (0..chains).min_by_key(|chain| self.finite[*chain]);
        if let Some(chain) = worst.filter(|chain| self.finite[*chain] < self.read) {
            return Err(Fault::State {
                iteration: self.verified + self.finite[chain] + 1,
                chain,
            });
        }
        if !values.is_empty() {
            let flags = to_host(values.iter().map(finite_rows).collect());
            if let Some(place) = flags.iter().position(|flag| *flag == 0.0) {
                return Err(Fault::Value {
                    index: place / chains,
                    chain: place % chains,
                });
            }
        }
        self.verified = iteration;
        self.finite.fill(0);
        self.read = 0;
        Ok(())
    }
}

/// 1 for each row of finite numbers and 0 for the others, `[rows]`.
pub(super) fn finite_rows<const D: usize>(tensor: &Tensor<D>) -> Tensor<1> {
    row_sums(tensor).is_finite().float().cast(DType::F32)
}

/// The sum of each row, `[rows]`: finite unless a number is not, or the numbers are near the largest float.
fn row_sums<const D: usize>(tensor: &Tensor<D>) -> Tensor<1> {
    let rows = tensor.dims()[0];
    // Sums of half precision numbers could overflow.
    let wide = match tensor.dtype() {
        DType::F64 => tensor.clone(),
        _ => tensor.clone().cast(DType::F32),
    };
    let sums: Tensor<2> = wide.reshape([rows as i32, -1]).sum_dim(1);
    sums.reshape([rows])
}

/// The numbers of tensors of one type, one after the other.
fn to_host(tensors: Vec<Tensor<1>>) -> Vec<f64> {
    Tensor::cat(tensors, 0)
        .try_to_vec_as()
        .expect("the numbers can be read from their device")
}
