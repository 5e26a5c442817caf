//! The pictures of the protocol: 8 bits a channel, and how far two of them are apart.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tweedie::{
    burn::tensor::{Device, Tensor, TensorData},
    data::{Channels, DataError, Image},
};

use super::numpy::LegacyNormal;
use crate::failure::Outcome;

/// The seed before each picture.
const SEED: u32 = 0;

/// A picture of 8 bits a channel, in row, column, channel order: that in which the numbers of the noise are drawn.
pub(super) struct Picture {
    /// Channels, height, width.
    shape: [usize; 3],
    bytes: Vec<u8>,
}

impl Picture {
    /// Reads a file for a network with so many channels: 1, or else 3.
    pub(super) fn load(path: &Path, channels: usize) -> Outcome<Self> {
        let grey = channels == 1;
        let image = Image::load(path, (!grey).then_some(Channels::Rgb))?;
        let [found, height, width] = image.shape();
        let plane = height * width;
        let byte = |index: usize| (image.pixels()[index] * 255.0).round() as u8;
        let pixels = (0..plane).map(|pixel| (0..found).map(move |c| byte(c * plane + pixel)));
        let bytes = if grey && found == 3 {
            let colours = |pixel: usize| [0, 1, 2].map(|c| byte(c * plane + pixel));
            (0..plane).map(|pixel| luma(colours(pixel))).collect()
        } else {
            pixels.flatten().collect()
        };
        Ok(Self {
            shape: [if grey { 1 } else { found }, height, width],
            bytes,
        })
    }

    /// In [0, 1] with noise of level `sigma`, not clipped, `[1, channels, height, width]`.
    pub(super) fn noisy(&self, sigma: f64, device: &Device) -> Tensor<4> {
        let mut noise = LegacyNormal::seeded(SEED);
        let values: Vec<f32> = self
            .bytes
            .iter()
            .map(|&byte| {
                // Two roundings to single precision, as in arrays of that type.
                let clean = (f64::from(byte) / 255.0) as f32;
                (f64::from(clean) + sigma * noise.normal()) as f32
            })
            .collect();
        let [channels, height, width] = self.shape;
        let data = TensorData::new(values, [1, height, width, channels]);
        Tensor::<4>::from_data(data, device).permute([0, 3, 1, 2])
    }

    /// Peak signal-to-noise ratio in decibels of an estimate in [0, 1], clipped and rounded to 8 bits.
    pub(super) fn psnr(&self, estimate: Tensor<4>) -> f64 {
        let data = estimate.permute([0, 2, 3, 1]).into_data();
        let squares: f64 = data
            .iter::<f32>()
            .zip(&self.bytes)
            .map(|(value, &byte)| {
                let found = (value.clamp(0.0, 1.0) * 255.0).round_ties_even();
                (f64::from(found) - f64::from(byte)).powi(2)
            })
            .sum();
        let mean = squares / self.bytes.len() as f64;
        20.0 * (255.0 / mean.sqrt()).log10()
    }
}

/// The luma of ITU-R 601, `0.299 R + 0.587 G + 0.114 B` in 16 bits behind the point, rounded: that of Pillow.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((19_595 * red + 38_470 * green + 7_471 * blue + (1 << 15)) >> 16) as u8
}

/// The PNG and JPEG files of a folder, by name.
pub(super) fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let unreadable = |source| DataError::Read {
        path: folder.into(),
        source,
    };
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().unwrap_or_default();
        let is_known = |known: &&str| extension.eq_ignore_ascii_case(known);
        if path.is_file() && ["png", "jpg", "jpeg"].iter().any(is_known) {
            files.push(path);
        } else {
            others.push(path);
        }
    }
    if files.is_empty() {
        return Err(DataError::EmptyFolder {
            folder: folder.into(),
            found: others,
        }
        .into());
    }
    files.sort();
    Ok(files)
}
