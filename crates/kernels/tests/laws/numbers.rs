//! Random numbers, and comparison with bounds from rounding.

use rand::Rng;

/// The distance from 1 to the next `f32`.
pub(crate) const EPSILON: f64 = f32::EPSILON as f64;

/// `len` numbers in [-1, 1), the same for the same seed.
pub(crate) fn uniform(seed: u64, len: usize) -> Vec<f32> {
    let mut stream = tweedie_testkit::stream(seed, 0);
    let number = || (f64::from(stream.next_u32()) / f64::from(1u32 << 31) - 1.0) as f32;
    std::iter::repeat_with(number).take(len).collect()
}

pub(crate) fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().copied().map(f64::from).collect()
}

/// The largest error in units of its bound; infinite where a number is none, or there are too few.
pub(crate) fn worst(found: &[f32], expected: &[f64], bounds: &[f64]) -> f64 {
    if found.len() != expected.len() || found.len() != bounds.len() {
        return f64::INFINITY;
    }
    let errors = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| f64::from(*found) - expected);
    let ratios = errors.zip(bounds).map(|(error, bound)| {
        let ratio = error.abs() / bound;
        if error == 0.0 {
            0.0
        } else if ratio.is_nan() {
            f64::INFINITY
        } else {
            ratio
        }
    });
    ratios.fold(0.0, f64::max)
}

/// That every error is within its bound.
#[track_caller]
pub(crate) fn check(what: &str, found: &[f32], expected: &[f64], bounds: &[f64]) {
    let ratio = worst(found, expected, bounds);
    assert!(
        ratio <= 1.0,
        "{what}, {} numbers: error {ratio} of its bound",
        expected.len()
    );
}

/// What `work` returns on this many threads.
pub(crate) fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(work)
}

/// The bits, which tell apart what `==` does not.
pub(crate) fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}
