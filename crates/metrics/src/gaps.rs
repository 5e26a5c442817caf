//! Draws of a pixel as counts between some of them.
//!
//! Sorted, `e_1 <= .. <= e_m`, the first `m` draws are the edges of gaps, and of a further draw only the gap is counted
//! that it falls in; with the smallest and the largest of all draws, `e_0` and `e_(m+1)`, there are `m + 1` gaps with
//! `c_0, .., c_m` further draws. The rank of each edge among all draws is known, `R_j = j + c_0 + .. + c_(j-1)`: so an
//! order statistic `x_(h)` with `R_j <= h <= R_(j+1)` is certain to lie in `[e_j, e_(j+1)]`. There it is taken to be
//! linear in the rank.

use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};

use crate::draws::SortedDraws;

/// Gaps of many pixels.
#[derive(Clone, Debug)]
pub(crate) struct Gaps {
    /// How many draws are edges.
    count: usize,
    /// Pixel after pixel `e_0, .., e_(m+1)`; if a draw was not a number, `e_0` is not.
    edges: Vec<f64>,
    /// Pixel after pixel `c_0, .., c_m`.
    inside: Vec<u32>,
}

impl Gaps {
    /// No further draws yet.
    pub(crate) fn between(draws: &SortedDraws) -> Self {
        let (mut edges, mut pixels) = (Vec::new(), 0);
        for pixel in draws.pixels() {
            let (smallest, largest) = (pixel[0], pixel[pixel.len() - 1]);
            edges.push(if largest.is_nan() { largest } else { smallest });
            edges.extend_from_slice(pixel);
            edges.push(largest);
            pixels += 1;
        }
        Self {
            count: draws.count(),
            edges,
            inside: vec![0; pixels * (draws.count() + 1)],
        }
    }

    /// Counts one draw of all pixels.
    pub(crate) fn push(&mut self, draw: &[f64]) {
        let edges = self.edges.chunks_exact_mut(self.count + 2);
        let inside = self.inside.chunks_exact_mut(self.count + 1);
        for ((value, edges), inside) in draw.iter().zip(edges).zip(inside) {
            count(*value, edges, inside);
        }
    }

    /// The value of each pixel at the 1-based place `place` of all draws.
    pub(crate) fn at(&self, place: f64) -> impl Iterator<Item = f64> {
        let inside = self.inside.chunks_exact(self.count + 1);
        let pixels = self.edges.chunks_exact(self.count + 2).zip(inside);
        pixels.map(move |(edges, inside)| order_statistic(place, edges, inside))
    }

    pub(crate) fn record(&self) -> GapsRecord {
        let gaps = [self.inside.len() / (self.count + 1), self.count + 1];
        GapsRecord {
            edges: TensorData::new(self.edges.clone(), [gaps[0], gaps[1] + 1]),
            inside: TensorData::new(self.inside.clone(), gaps),
        }
    }
}

/// Draws of each pixel as counts between the first ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GapsRecord {
    /// The smallest of all draws, the first draws in ascending order, and the largest of all, `[pixels, draws + 2]` in
    /// `f64`; if a draw was not a number, the smallest is not.
    pub edges: TensorData,
    /// Further draws in each gap, `[pixels, draws + 1]` in `u32`.
    pub inside: TensorData,
}

impl GapsRecord {
    /// Gaps between `count` draws of each pixel, with `further` ones; none if they are not that.
    pub(crate) fn restore(self, count: usize, pixels: usize, further: usize) -> Option<Gaps> {
        let gaps = Gaps {
            count,
            edges: self.edges.as_slice().ok()?.to_vec(),
            inside: self.inside.as_slice().ok()?.to_vec(),
        };
        let [edges, inside] = [count + 2, count + 1].map(|each| pixels.checked_mul(each));
        let complete = edges == Some(gaps.edges.len()) && inside == Some(gaps.inside.len());
        let edges = gaps.edges.chunks_exact(count + 2);
        let mut rows = edges.zip(gaps.inside.chunks_exact(count + 1));
        let valid = rows.all(|(edges, inside)| {
            let counted: u64 = inside.iter().copied().map(u64::from).sum();
            edges[0].is_nan() || (edges.is_sorted() && counted == further as u64)
        });
        (complete && valid).then_some(gaps)
    }
}

fn count(value: f64, edges: &mut [f64], inside: &mut [u32]) {
    let last = edges.len() - 1;
    if edges[0].is_nan() || value.is_nan() {
        edges[0] = f64::NAN;
        return;
    }
    let gap = edges[1..last].partition_point(|edge| *edge <= value);
    // Draws that repeat, such as those of clipped pixels, go between two equal edges, where nothing is interpolated.
    let repeated = gap >= 2 && edges[gap - 1] == value;
    inside[gap - usize::from(repeated)] += 1;
    edges[0] = edges[0].min(value);
    edges[last] = edges[last].max(value);
}

fn order_statistic(place: f64, edges: &[f64], inside: &[u32]) -> f64 {
    if edges[0].is_nan() {
        return f64::NAN;
    }
    let mut rank = 1.0;
    for (gap, (ends, further)) in edges.windows(2).zip(inside).enumerate() {
        // The smallest and the largest draw are an edge, or a further draw, already.
        let own = if gap == 0 || gap == inside.len() - 1 {
            0.0
        } else {
            1.0
        };
        let next = rank + own + f64::from(*further);
        if place < next {
            return ends[0] + (place - rank) / (next - rank) * (ends[1] - ends[0]);
        }
        rank = next;
    }
    edges[edges.len() - 1]
}
