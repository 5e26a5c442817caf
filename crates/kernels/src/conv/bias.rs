//! The gradient with respect to the bias: sums over the pixels of each channel.

use rayon::prelude::*;

use crate::Level;
use crate::simd::{Simd, Task};

/// The gradient with respect to the bias of [`forward`](super::forward), from `dy`, `[batch, channels, pixels]`: for each image,
/// `[batch, channels]`, or their sum, `[channels]`.
///
/// # Panics
/// If `dy` is not a whole number of planes.
pub fn bias_gradient(
    level: Level,
    batch: usize,
    channels: usize,
    dy: &[f32],
    per_image: bool,
) -> Vec<f32> {
    let planes = (batch * channels).max(1);
    assert_eq!(
        dy.len() % planes,
        0,
        "{} numbers in {planes} planes",
        dy.len()
    );
    let pixels = (dy.len() / planes).max(1);
    let sums: Vec<f32> = dy
        .par_chunks(pixels)
        .with_min_len((1 << 14) / pixels + 1)
        .map(|plane| level.run(Sum(plane)))
        .collect();
    if per_image {
        return sums;
    }
    let mut total = vec![0.0; channels];
    for image in sums.chunks(channels.max(1)) {
        total
            .iter_mut()
            .zip(image)
            .for_each(|(total, sum)| *total += sum);
    }
    total
}

struct Sum<'a>(&'a [f32]);

impl Task for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        // SAFETY: the instructions are the caller's; reads stay within each piece.
        unsafe {
            let mut sums = [S::zero(); 4];
            for (at, piece) in self.0.chunks(S::LANES).enumerate() {
                sums[at % 4] = S::add(sums[at % 4], S::load_first(piece.as_ptr(), piece.len()));
            }
            S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])))
        }
    }
}
