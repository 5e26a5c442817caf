//! Brownian path: noise that belongs to the time it is added at, so that any grid samples one path per sample.
//!
//! Lévy's construction over `[end, start]`, as a tree whose nodes are made when they are needed: with `w(start) = 0`, the
//! middle `m` of a known interval `[b, a]` of length `l` gets `w(m) = (w(a) + w(b))/2 + sqrt(l)/2 z`, `z` standard normal,
//! from a generator keyed by (seed, sample, node). A time strictly inside a finest interval is reached by one more bridge,
//! of variance `(a - t)(t - b)/l`, whose `z` belongs to the interval.
//!
//! Li et al. 2020, section 4, <https://arxiv.org/abs/2001.01328>: the virtual Brownian tree. It differs in the last bridge,
//! which replaces their interpolation and its bias, and in that the branch last walked is kept, so that steps in order make
//! each node once.

use burn::tensor::Tensor;
use rand::RngExt;
use rand_distr::StandardNormal;

use crate::{Noise, Rng};

/// Halvings of the interval at most: beyond them the times that `f64` can tell apart run out.
const DEEPEST: f64 = 52.0;

/// Why a path cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BrownianError {
    /// The ends of the path do not enclose an interval.
    #[error(
        "a Brownian path runs from a finite start down to a finite end, found {start} and {end}"
    )]
    Interval {
        /// The noisier end.
        start: f64,
        /// The cleaner end.
        end: f64,
    },
    /// The finest interval is empty or too small to be told apart in double precision.
    #[error("the resolution must be finite and at least {least}, found {found}")]
    Resolution {
        /// The least that the interval allows.
        least: f64,
        /// Its value.
        found: f64,
    },
}

/// A standard Brownian path per sample: the same for any grid, batch size and order of the steps.
///
/// Row `i` follows path number `first_row + i` of the generator. [`normal_over`](Noise::normal_over) gives the increment of
/// that path over a step divided by its standard deviation, so a finer grid refines the same sample.
/// [`normal`](Noise::normal), for starts and correctors, continues the rows' streams from where the generator stood.
///
/// Its law is exact for all times together of which no two lie inside one interval of the `resolution`, which the length of
/// the path over a power of two brings to at most the given value: take the smallest step of the finest grid. Within an
/// interval the path is smooth. A finer resolution keeps its values at the ends of all coarser intervals.
///
/// With `n = ceil(log2((start - end)/resolution))` halvings, one step draws at most `2 n + 2` normal numbers per pixel. A run in
/// order makes each node once: for 100 equal steps 2.3 numbers per pixel and step at the resolution of the step, which
/// takes 3 times as long as plain noise, and 5.5 (7 times as long) at a tenth of it. Memory is `n + 4` numbers of the
/// host per pixel, whatever the number of steps.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{BrownianPath, Noise, Rng};
///
/// let rng = Rng::seeded(1, &Device::flex());
/// let mut path = BrownianPath::new(&rng, 1.0, 0.0, 0.01)?;
/// let whole: Tensor<2> = path.normal_over([1, 2], 1.0, 0.5);
/// let parts: Tensor<2> = path.normal_over([1, 2], 1.0, 0.8) * 0.2f64.sqrt()
///     + path.normal_over([1, 2], 0.8, 0.5) * 0.3f64.sqrt();
/// let gap = (whole * 0.5f64.sqrt() - parts).abs().max().into_scalar::<f32>();
/// assert!(gap < 1e-6);
/// # Ok::<(), tweedie_core::BrownianError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BrownianPath {
    rng: Rng,
    start: f64,
    end: f64,
    halvings: u32,
    branch: Branch,
}

/// The part of the tree that is held, for `rows` paths of `pixels` numbers.
#[derive(Clone, Debug, Default)]
struct Branch {
    rows: usize,
    pixels: usize,
    /// `w(start)` and `w(end)`.
    ends: [Vec<f64>; 2],
    /// From the root down.
    middles: Vec<Middle>,
    /// The time asked for last, and `w` there.
    last: Option<(f64, Vec<f64>)>,
}

#[derive(Clone, Debug)]
struct Middle {
    node: u64,
    values: Vec<f64>,
}

impl BrownianPath {
    /// The paths of `rng` between two times, `end < start`, known exactly at intervals of `resolution` or less.
    ///
    /// They depend on seed, first row and both times, not on what was drawn from `rng`. Later numbers should be drawn from the
    /// path and not from `rng`, which would repeat them.
    ///
    /// # Errors
    /// Unless both times are finite and `end < start`, and the resolution is finite and at least `2^-52 (start - end)`.
    pub fn new(rng: &Rng, start: f64, end: f64, resolution: f64) -> Result<Self, BrownianError> {
        let length = start - end;
        if !(length > 0.0 && length.is_finite()) {
            return Err(BrownianError::Interval { start, end });
        }
        let least = length * (-DEEPEST).exp2();
        if !(resolution >= least && resolution.is_finite()) {
            return Err(BrownianError::Resolution {
                least,
                found: resolution,
            });
        }
        Ok(Self {
            rng: rng.clone(),
            start,
            end,
            halvings: (length / resolution).log2().ceil().max(0.0) as u32,
            branch: Branch::default(),
        })
    }

    /// `spread z`, with the standard normal numbers of a node, for all rows.
    fn draw(&self, node: u64, spread: f64) -> Vec<f64> {
        let Branch { rows, pixels, .. } = self.branch;
        let mut values = Vec::with_capacity(rows * pixels);
        for row in 0..rows {
            let mut generator = self.rng.path_node(row, node);
            values.extend((0..pixels).map(|_| spread * generator.sample::<f64, _>(StandardNormal)));
        }
        values
    }

    /// Begins anew when the batch has another shape.
    fn shape(&mut self, rows: usize, pixels: usize) {
        if (self.branch.rows, self.branch.pixels) == (rows, pixels) {
            return;
        }
        self.branch = Branch {
            rows,
            pixels,
            ..Branch::default()
        };
        let end = self.draw(0, (self.start - self.end).sqrt());
        self.branch.ends = [vec![0.0; end.len()], end];
    }

    /// `w(time)`; leaves the branch that leads there.
    fn value_at(&mut self, time: f64) -> Vec<f64> {
        let length = self.start - self.end;
        let leaves = 1u64 << self.halvings;
        let position = ((self.start - time) / length).clamp(0.0, 1.0) * leaves as f64;
        let leaf = (position as u64).min(leaves - 1);
        let inside = position - leaf as f64;

        // Which middles, by their level, bound the leaf; an end of the path where none does.
        let (mut before, mut after) = (None, None);
        for level in 0..self.halvings as usize {
            let rest = self.halvings - level as u32;
            let node = (1 << level) | (leaf >> rest);
            if self.branch.middles.get(level).map(|middle| middle.node) != Some(node) {
                self.branch.middles.truncate(level);
                let width = length / (1u64 << level) as f64;
                let noise = self.draw(node, 0.5 * width.sqrt());
                let values = self.branch.bridge(before, after, 0.5, noise);
                self.branch.middles.push(Middle { node, values });
            }
            match (leaf >> (rest - 1)) & 1 {
                0 => after = Some(level),
                _ => before = Some(level),
            }
        }

        if inside == 0.0 {
            self.branch.bound(before, 0).to_vec()
        } else if inside == 1.0 {
            self.branch.bound(after, 1).to_vec()
        } else {
            let variance = length / leaves as f64 * inside * (1.0 - inside);
            let noise = self.draw(leaves | leaf, variance.sqrt());
            self.branch.bridge(before, after, inside, noise)
        }
    }

    fn require_inside(&self, time: f64) {
        let (start, end) = (self.start, self.end);
        let slack = 4.0 * f64::EPSILON * start.abs().max(end.abs());
        assert!(
            time <= start + slack && time >= end - slack,
            "a Brownian path from {start} to {end} was asked for time {time}"
        );
    }
}

impl Branch {
    /// The middle of a level, or an end of the path.
    fn bound(&self, level: Option<usize>, end: usize) -> &[f64] {
        level.map_or(&self.ends[end], |level| &self.middles[level].values)
    }

    /// `w` at a fraction of the way between two bounds, given its noise.
    fn bridge(
        &self,
        before: Option<usize>,
        after: Option<usize>,
        fraction: f64,
        mut noise: Vec<f64>,
    ) -> Vec<f64> {
        let bounds = self.bound(before, 0).iter().zip(self.bound(after, 1));
        for (value, (before, after)) in noise.iter_mut().zip(bounds) {
            *value += (1.0 - fraction) * before + fraction * after;
        }
        noise
    }
}

/// # Panics
/// [`normal_over`](Noise::normal_over) if a time lies outside of the path, by more than rounding, or both are equal.
impl<const D: usize> Noise<D> for BrownianPath {
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.rng.normal(shape)
    }

    fn normal_over(&mut self, shape: [usize; D], from: f64, to: f64) -> Tensor<D> {
        self.require_inside(from);
        self.require_inside(to);
        assert!(from != to, "a step from time {from} to itself has no noise");
        self.shape(shape[0], shape[1..].iter().product());
        let before = match self.branch.last.take() {
            Some((time, value)) if time == from => value,
            _ => self.value_at(from),
        };
        let after = self.value_at(to);
        let scale = (to - from).abs().sqrt().recip();
        let values = before
            .iter()
            .zip(&after)
            .map(|(before, after)| scale * (after - before))
            .collect();
        self.branch.last = Some((to, after));
        self.rng.upload(values, shape)
    }
}
