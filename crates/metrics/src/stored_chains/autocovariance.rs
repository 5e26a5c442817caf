//! Autocovariance at all lags, by the fast Fourier transform.
//!
//! The products of draws `k` apart are the correlation of the chain, with as many zeros behind it, with itself: the
//! inverse transform of its power spectrum, Wiener-Khinchin. Two chains go through one transform, as real and
//! imaginary part, since the spectrum is real and only the sum over all chains is needed.

use std::f64::consts::TAU;

use super::moments;

/// `c_k = (1/n) sum_{t > k} (x_t - m)(x_{t-k} - m)` at lags `0 .. n - 1`, around the mean `m` of each chain and
/// averaged over the chains, which are of `length` draws and lie one after another.
pub(super) fn autocovariance(values: &[f64], length: usize) -> Vec<f64> {
    let size = (2 * length).next_power_of_two();
    let roots: Vec<[f64; 2]> = (0..size / 2)
        .map(|k| (TAU * k as f64 / size as f64).sin_cos())
        .map(|(sin, cos)| [cos, -sin])
        .collect();
    let mut power = vec![[0.0, 0.0]; size];
    for pair in values.chunks(2 * length) {
        let mut padded = vec![[0.0, 0.0]; size];
        for (part, chain) in pair.chunks_exact(length).enumerate() {
            let (mean, _) = moments(chain);
            for (place, value) in padded.iter_mut().zip(chain) {
                place[part] = value - mean;
            }
        }
        transform(&mut padded, &roots);
        for (power, [re, im]) in power.iter_mut().zip(padded) {
            power[0] += re * re + im * im;
        }
    }
    transform(&mut power, &roots);
    let scale = 1.0 / (size * values.len()) as f64;
    power[..length].iter().map(|[re, _]| re * scale).collect()
}

/// The discrete Fourier transform of as many complex numbers as there are `roots` of unity in half a turn, times two: a
/// power of two. Cooley & Tukey 1965, <https://doi.org/10.1090/S0025-5718-1965-0178586-1>, decimation in frequency
/// with the order restored at the end.
fn transform(values: &mut [[f64; 2]], roots: &[[f64; 2]]) {
    let size = values.len();
    let mut width = size;
    while width > 1 {
        let half = width / 2;
        for block in values.chunks_exact_mut(width) {
            let (low, high) = block.split_at_mut(half);
            let roots = roots.iter().step_by(size / width);
            for ((a, b), [cos, sin]) in low.iter_mut().zip(high).zip(roots) {
                let difference = [a[0] - b[0], a[1] - b[1]];
                *a = [a[0] + b[0], a[1] + b[1]];
                *b = [
                    difference[0] * cos - difference[1] * sin,
                    difference[0] * sin + difference[1] * cos,
                ];
            }
        }
        width = half;
    }
    let bits = size.trailing_zeros();
    for index in 0..size {
        let reversed = index.reverse_bits() >> (usize::BITS - bits);
        if index < reversed {
            values.swap(index, reversed);
        }
    }
}
