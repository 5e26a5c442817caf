//! The four operators as matrices `[measurements, 64]`.

use std::f64::consts::TAU;

use nalgebra::DMatrix;

/// Samples of a signal.
pub(crate) const SIGNAL: usize = 64;

/// The samples that are measured; from the fifth on also the frequencies.
const MASK: &[u8; SIGNAL] = b"1001001011001100011101000101010111010011001110011010010101101011";

/// The lowest frequencies, all measured.
const LOW: usize = 5;

/// Samples of the kernel, and its standard deviation in samples.
const KERNEL: usize = 13;
const KERNEL_STD: f64 = 2.0;

/// A name, as it is printed, and the matrix.
pub(crate) struct Operator {
    pub(crate) name: &'static str,
    pub(crate) matrix: fn() -> DMatrix<f64>,
}

pub(crate) const OPERATORS: [Operator; 4] = [
    Operator {
        name: "identity",
        matrix: identity,
    },
    Operator {
        name: "convolution",
        matrix: convolution,
    },
    Operator {
        name: "sampling",
        matrix: sampling,
    },
    Operator {
        name: "fourier",
        matrix: fourier,
    },
];

fn identity() -> DMatrix<f64> {
    DMatrix::identity(SIGNAL, SIGNAL)
}

/// Circular convolution with a Gaussian whose entries add up to 1.
fn convolution() -> DMatrix<f64> {
    let reach = KERNEL / 2;
    let weight = |offset: usize| (-(offset as f64 / KERNEL_STD).powi(2) / 2.0).exp();
    let total = weight(0) + 2.0 * (1..=reach).map(weight).sum::<f64>();
    DMatrix::from_fn(SIGNAL, SIGNAL, |row, column| {
        let apart = row.abs_diff(column);
        let offset = apart.min(SIGNAL - apart);
        if offset <= reach {
            weight(offset) / total
        } else {
            0.0
        }
    })
}

/// The samples in the mask.
fn sampling() -> DMatrix<f64> {
    let kept: Vec<usize> = (0..SIGNAL).filter(|&sample| in_mask(sample)).collect();
    DMatrix::from_fn(kept.len(), SIGNAL, |row, column| {
        f64::from(kept[row] == column)
    })
}

/// Real parts of the unitary transform at the measured frequencies, then imaginary parts, but for the two that are 0. The benchmark's
/// has no unit, which changes no posterior: noise is relative to the signal.
fn fourier() -> DMatrix<f64> {
    let highest = SIGNAL / 2;
    let kept = (0..=highest).filter(|&frequency| frequency < LOW || in_mask(frequency));
    let (real, imaginary) = (
        kept.clone().map(|frequency| (frequency, 0.0)),
        kept.filter(|&frequency| frequency != 0 && frequency != highest)
            .map(|frequency| (frequency, TAU / 4.0)),
    );
    let rows: Vec<(usize, f64)> = real.chain(imaginary).collect();
    // Re e^(-i a) = cos(a), Im e^(-i a) = -sin(a) = cos(a + pi/2).
    DMatrix::from_fn(rows.len(), SIGNAL, |row, column| {
        let (frequency, shift) = rows[row];
        let turns = (frequency * column % SIGNAL) as f64 / SIGNAL as f64;
        (TAU * turns + shift).cos() / (SIGNAL as f64).sqrt()
    })
}

fn in_mask(index: usize) -> bool {
    MASK[index] == b'1'
}
