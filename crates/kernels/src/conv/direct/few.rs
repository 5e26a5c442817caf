//! Convolutions to a few channels, with a stride of 1: products at each pixel first, then sums over the taps.
//!
//! `z[o, p, q] = sum_c w[o, c, p, q] x[c]`, and `y[o, i, j] = sum_{p, q} z[o, p, q, i + p - top, j + q - left]`. The patches are
//! never gathered, which takes longer than to multiply them with a few rows.

use std::ops::Range;

use rayon::prelude::*;

use super::patches::{Patches, zeros};
use super::plan::Plan;
use super::product;
use crate::Level;
use crate::shared::{Shared, written};
use crate::simd::{Simd, Task};

/// Channels at most.
const FEW: usize = 8;

/// Products that stay in the second cache.
const PRODUCTS: usize = 1 << 17;

/// Whether this is faster than [`product::run`].
pub(super) fn pays(plan: &Plan) -> bool {
    let patches = &plan.phases[0].patches;
    plan.phases.len() == 1
        && patches.step == [1, 1]
        && patches.taps() > 1
        && plan.rows <= FEW.min(patches.channels / 4)
}

/// The product at each pixel of some rows of one image.
fn products(plan: &Plan, rows: Range<usize>) -> Plan {
    let Patches { channels, size, .. } = plan.phases[0].patches;
    let outputs = plan.rows * plan.phases[0].patches.taps();
    Plan::pointwise(channels, outputs, size, rows)
}

/// As [`Plan::pack`].
pub(super) fn pack(plan: &Plan, weights: &[f32], rows: usize) -> Vec<f32> {
    let patches = &plan.phases[0].patches;
    let mut turned = Vec::with_capacity(weights.len());
    for row in 0..plan.rows {
        for tap in 0..patches.taps() {
            let tap = [tap / patches.taps[1], tap % patches.taps[1]];
            let weight = |channel| weights[plan.weight(&plan.phases[0], row, channel, tap)];
            turned.extend((0..patches.channels).map(weight));
        }
    }
    products(plan, 0..1).pack(&turned, rows)
}

/// As [`product::run`].
pub(super) fn run(
    level: Level,
    plan: &Plan,
    images: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let patches = &plan.phases[0].patches;
    let [height, width] = plan.size;
    let len = plan.batch * plan.rows * height * width;
    if len == 0 {
        return Vec::new();
    }
    let image_len = patches.channels * patches.size[0] * patches.size[1];
    let row_len = plan.rows * patches.taps() * patches.size[1];
    let band = (PRODUCTS / row_len.max(1))
        .max(2 * patches.taps[0])
        .min(height);
    let bands = height.div_ceil(band);
    let task = |image: usize, band: Range<usize>, result: Shared| {
        let pixel = |row: usize| {
            row.saturating_add_signed(patches.first[0])
                .min(patches.size[0])
        };
        let rows = pixel(band.start)..pixel(band.end + patches.taps[0] - 1);
        let pixels = &images[image * image_len..][..image_len];
        let z = product::run(level, &products(plan, rows.clone()), pixels, weights, None);
        for row in 0..plan.rows {
            let plane = image * plan.rows + row;
            let bias = bias.map_or(0.0, |bias| bias[plane % bias.len()]);
            let z = &z[row * (z.len() / plan.rows)..][..z.len() / plan.rows];
            // SAFETY: the band lies in this plane of the result.
            let y = unsafe { result.at((plane * height + band.start) * width) };
            level.run(Sum {
                patches,
                z,
                z_rows: rows.clone(),
                band: band.clone(),
                y,
                bias,
            });
        }
    };
    // SAFETY: the bands of all images cover the result, and each is written by one task.
    unsafe {
        written(len, |result| {
            (0..plan.batch * bands).into_par_iter().for_each(|i| {
                let (image, start) = (i / bands, i % bands * band);
                task(image, start..height.min(start + band), result);
            });
        })
    }
}

/// Some rows of one channel of one image.
struct Sum<'a> {
    patches: &'a Patches,
    z: &'a [f32],
    /// Rows of pixels that `z` has.
    z_rows: Range<usize>,
    band: Range<usize>,
    /// Its first row.
    y: *mut f32,
    bias: f32,
}

impl Task for Sum<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Patches {
            size,
            taps,
            first,
            points,
            ..
        } = *self.patches;
        let plane = self.z_rows.len() * size[1];
        for (i, row) in self.band.enumerate() {
            // SAFETY: `y` holds the rows of the band, which nothing else reads or writes, and zeros are written first.
            let y = unsafe {
                let y = self.y.add(i * points[1]);
                zeros::<S, 1>(y, 0, points[1]);
                std::slice::from_raw_parts_mut(y, points[1])
            };
            for tap in 0..taps[0] * taps[1] {
                let (p, q) = (tap / taps[1], tap % taps[1]);
                let shift = first[1] + q as isize;
                let inside = inside(points[1], size[1], shift);
                let pixel = (row + p).checked_add_signed(first[0]);
                let Some(pixel) = pixel.filter(|pixel| self.z_rows.contains(pixel)) else {
                    continue;
                };
                if inside.is_empty() {
                    continue;
                }
                let from = (pixel - self.z_rows.start) * size[1];
                let from = tap * plane + from + inside.start.wrapping_add_signed(shift);
                let z = &self.z[from..][..inside.len()];
                y[inside].iter_mut().zip(z).for_each(|(y, z)| *y += z);
            }
            y.iter_mut().for_each(|y| *y += self.bias);
        }
    }
}

/// Points whose pixel, `shift` further on, lies in the row.
#[inline(always)]
fn inside(points: usize, pixels: usize, shift: isize) -> Range<usize> {
    let start = ((-shift).max(0) as usize).min(points);
    let end = (pixels as isize - shift).clamp(start as isize, points as isize);
    start..end as usize
}
