//! Importance sampling by the second moment of the loss: `p_t ~ E[L_t^2]^(1/2)`, a row's weight `1/(T p_t)`.
//!
//! Nichol & Dhariwal 2021, eq. (18), <https://arxiv.org/abs/2102.09672>: the moment of each step is that of its last ten losses, and
//! all steps are equally likely until each has ten. In continuous time the steps are equal parts of the interval of times. Beyond
//! the paper, one draw in a thousand stays uniform, so that no step is lost and no weight exceeds a thousand.

use super::LevelMemory;

/// Losses of a step that are remembered.
const HISTORY: usize = 10;

/// Share of the draws that stays uniform.
const UNIFORM: f64 = 1e-3;

/// How likely each cell of times is.
pub(super) struct Importance(Vec<f64>);

impl Importance {
    /// By what was learnt of so many cells.
    pub(super) fn new(memory: &LevelMemory, cells: usize) -> Self {
        let even = 1.0 / cells as f64;
        let known = memory.losses.len() == cells
            && memory.losses.iter().all(|losses| losses.len() >= HISTORY);
        if !known {
            return Self(vec![even; cells]);
        }
        let roots: Vec<f64> = memory
            .losses
            .iter()
            .map(|losses| root_mean_square(losses))
            .collect();
        let sum: f64 = roots.iter().sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return Self(vec![even; cells]);
        }
        let share = |root: f64| (1.0 - UNIFORM) * root / sum + UNIFORM * even;
        Self(roots.into_iter().map(share).collect())
    }

    /// The cell that a number in [0, 1) stands for, the place within it, and the weight of a loss there.
    pub(super) fn at(&self, u: f64) -> (usize, f64, f64) {
        let mut rest = u;
        let last = self.0.len() - 1;
        for (cell, &share) in self.0.iter().enumerate() {
            if rest < share || cell == last {
                let place = (rest / share).min(1.0 - f64::EPSILON);
                return (cell, place, 1.0 / (self.0.len() as f64 * share));
            }
            rest -= share;
        }
        unreachable!("the last cell ends the search")
    }
}

fn root_mean_square(losses: &[f64]) -> f64 {
    let squares: f64 = losses.iter().map(|loss| loss * loss).sum();
    (squares / losses.len() as f64).sqrt()
}

/// Adds a loss to what is known of a cell, of so many.
pub(super) fn remember(memory: &mut LevelMemory, cells: usize, cell: usize, loss: f64) {
    memory.losses.resize(cells, Vec::new());
    let losses = &mut memory.losses[cell];
    losses.push(loss);
    let surplus = losses.len().saturating_sub(HISTORY);
    losses.drain(..surplus);
}
