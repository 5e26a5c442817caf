//! Variances of a Gaussian prior in its eigenbasis, from a file or made up.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Modes of the built-in spectrum: a colour image of 32 x 32 pixels.
const MODES: u32 = 3072;

/// Total variance of the built-in spectrum: that of 3072 pixels with a standard deviation of 0.5.
const TOTAL: f64 = 768.0;

/// Why a spectrum cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpectrumError {
    #[error("cannot read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a NumPy file: expected {expected}", path.display())]
    Format {
        path: PathBuf,
        expected: &'static str,
    },
    #[error("{} has the header {found}, expected {expected}", path.display())]
    Header {
        path: PathBuf,
        found: String,
        expected: &'static str,
    },
    #[error("{} holds {found} bytes of numbers, expected {expected}", path.display())]
    Length {
        path: PathBuf,
        found: usize,
        expected: usize,
    },
    #[error("variance {index} of {} must be finite and at least 0, found {found}", path.display())]
    Variance {
        path: PathBuf,
        index: usize,
        found: f64,
    },
}

/// Variances that fall with the square of the frequency, as those of natural images do (Field 1987,
/// <https://doi.org/10.1364/JOSAA.4.002379>): in two dimensions mode number `k` has a frequency of about `sqrt(k)`, hence
/// a variance in proportion to `1/k`.
pub(crate) fn power_law() -> Vec<f64> {
    let raw = (1..=MODES).map(|k| f64::from(k).recip());
    let total: f64 = raw.clone().sum();
    raw.map(|variance| variance * TOTAL / total).collect()
}

/// The variances in a NumPy file of one axis, 32-bit or 64-bit little-endian numbers
/// (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
pub(crate) fn read(path: &Path) -> Result<Vec<f64>, SpectrumError> {
    let bytes = fs::read(path).map_err(|source| SpectrumError::Read {
        path: path.to_owned(),
        source,
    })?;
    let (header, body) = split(path, &bytes)?;
    let variances = numbers(path, header, body)?;
    match variances.iter().position(|v| !(v.is_finite() && *v >= 0.0)) {
        None => Ok(variances),
        Some(index) => Err(SpectrumError::Variance {
            path: path.to_owned(),
            index,
            found: variances[index],
        }),
    }
}

/// The header, a Python dictionary as text, and the bytes of the numbers.
fn split<'a>(path: &Path, bytes: &'a [u8]) -> Result<(&'a str, &'a [u8]), SpectrumError> {
    let failed = |expected| SpectrumError::Format {
        path: path.to_owned(),
        expected,
    };
    let rest = bytes
        .strip_prefix(b"\x93NUMPY")
        .ok_or_else(|| failed("the magic bytes \\x93NUMPY"))?;
    let (start, length) = match rest {
        [1, _, a, b, ..] => (4, usize::from(u16::from_le_bytes([*a, *b]))),
        [2 | 3, _, a, b, c, d, ..] => (6, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        _ => return Err(failed("a format version from 1 to 3")),
    };
    let header = rest.get(start..start + length);
    let header = header.and_then(|header| str::from_utf8(header).ok());
    let header = header.ok_or_else(|| failed("a header as long as it says"))?;
    Ok((header, &rest[start + length..]))
}

/// What follows `'key':` in the header, without blanks.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}':"))?;
    Some(rest.trim_start())
}

fn numbers(path: &Path, header: &str, body: &[u8]) -> Result<Vec<f64>, SpectrumError> {
    let failed = |expected| SpectrumError::Header {
        path: path.to_owned(),
        found: header.trim().to_owned(),
        expected,
    };
    let width = match entry(header, "descr") {
        Some(text) if text.starts_with("'<f4'") => 4,
        Some(text) if text.starts_with("'<f8'") => 8,
        _ => return Err(failed("'descr' to be '<f4' or '<f8'")),
    };
    let shape = entry(header, "shape").and_then(|text| text.strip_prefix('('));
    let count = shape
        .and_then(|text| text.split_once(",)"))
        .and_then(|(count, _)| count.parse::<usize>().ok())
        .filter(|count| *count > 0)
        .ok_or_else(|| failed("'shape' to be one axis with at least one number"))?;
    if body.len() != count * width {
        return Err(SpectrumError::Length {
            path: path.to_owned(),
            found: body.len(),
            expected: count * width,
        });
    }
    let (singles, doubles) = (body.as_chunks::<4>().0, body.as_chunks::<8>().0);
    Ok(match width {
        4 => singles
            .iter()
            .map(|b| f64::from(f32::from_le_bytes(*b)))
            .collect(),
        _ => doubles.iter().map(|b| f64::from_le_bytes(*b)).collect(),
    })
}
