//! Convolutions of any kernel size, stride and padding, as products of the weights with the patches of the image (im2col), of
//! which only as much as fits into the cache exists at a time.
//!
//! What is summed in which order depends on the convolution alone: the result for an image is the same in any batch, and that
//! of a shape for any number of threads.

mod few;
mod gradient;
mod patches;
mod plan;
mod product;

use super::{Convolution, Pass};
use crate::Level;
use plan::Plan;

/// See [`super::Packed::new`].
pub(super) fn pack(level: Level, pass: Pass, c: &Convolution, weights: &[f32]) -> Vec<f32> {
    let plan = match pass {
        Pass::InputGradient => Plan::input_gradient(c),
        _ => Plan::forward(c),
    };
    let rows = product::most_rows(level);
    if few::pays(&plan) {
        few::pack(&plan, weights, rows)
    } else {
        plan.pack(weights, rows)
    }
}

/// See [`super::forward`].
pub(super) fn forward(
    level: Level,
    c: &Convolution,
    x: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    run(level, &Plan::forward(c), x, packed, bias)
}

/// See [`super::input_gradient`].
pub(super) fn input_gradient(
    level: Level,
    c: &Convolution,
    dy: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    run(level, &Plan::input_gradient(c), dy, packed, bias)
}

/// See [`super::weight_gradient`].
pub(super) fn weight_gradient(level: Level, c: &Convolution, x: &[f32], dy: &[f32]) -> Vec<f32> {
    gradient::run(level, c, x, dy)
}

fn run(
    level: Level,
    plan: &Plan,
    images: &[f32],
    packed: &[f32],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let run = if few::pays(plan) {
        few::run
    } else {
        product::run
    };
    run(level, plan, images, packed, bias)
}
