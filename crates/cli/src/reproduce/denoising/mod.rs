//! `tweedie reproduce denoising`: the quality of a denoiser by the protocol of the published tables.
//!
//! Each picture gets noise that begins with `numpy.random.seed(0)`, the noisy picture is not clipped, and the estimate is clipped and
//! rounded to 8 bits before it is compared: Zhang et al. 2017, section IV, <https://arxiv.org/abs/1608.03981>, as their tests run
//! it.

pub(super) mod numpy;
mod picture;

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tweedie::{burn::tensor::Device, core::Denoiser, models::Pretrained};

use self::picture::Picture;
use crate::{
    failure::{Failure, Outcome},
    model,
    quality::save_report,
};

/// White, and the unit of `--sigma`.
const WHITE: f64 = 255.0;

/// Mean PSNR of a denoiser over a folder of pictures, by the protocol of the published tables
///
/// The noise is that of NumPy's generator with seed 0, anew for each picture and bit for bit; a network for grey pictures sees
/// the luma of coloured ones. Published with KAIR's dncnn_25 at --sigma 25: 29.23 dB on BSD68, 30.436 dB on Set12.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The network: a file of weights (.pth, .pt or .safetensors), or a folder as for `sample`.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The network of the file, where its tensors do not say it all, as `dncnn-25`; docs/models.md lists the names.
    #[arg(long, value_name = "NAME")]
    arch: Option<String>,
    /// A folder of PNG or JPEG files.
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Standard deviation of the noise, where white is 255.
    #[arg(long, value_name = "S", value_parser = crate::method::positive)]
    sigma: f64,
    /// Also write the figures here.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Figures {
    sigma: f64,
    /// How many.
    images: usize,
    psnr_mean: f64,
    /// In the order of the names of the files.
    psnr: Vec<f64>,
}

/// A network for one noise level is asked for another.
#[derive(Debug, thiserror::Error)]
#[error("the network in {} is for noise of {expected} alone, found --sigma {found}", path.display())]
struct OtherLevel {
    path: PathBuf,
    expected: f64,
    found: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let device = Device::flex();
    let (model, _) = model::open(Some(&arguments.weights), arguments.arch.as_deref(), &device)?;
    check_level(&model, arguments)?;
    let files = picture::files(&arguments.images)?;
    let bar = ProgressBar::new(files.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures, {eta} left") {
        bar.set_style(style);
    }
    let mut psnr = Vec::new();
    for file in &files {
        let decibels = judged(&model, file, arguments.sigma / WHITE, &device)?;
        let name = file.file_name().unwrap_or_default();
        bar.suspend(|| println!("{:<32}{decibels:>9.3} dB", name.to_string_lossy()));
        bar.inc(1);
        psnr.push(decibels);
    }
    bar.finish_and_clear();
    let figures = Figures {
        sigma: arguments.sigma,
        images: psnr.len(),
        psnr_mean: psnr.iter().sum::<f64>() / psnr.len() as f64,
        psnr,
    };
    println!(
        "{:<32}{:>9.3} dB",
        format!("mean of {}", figures.images),
        figures.psnr_mean
    );
    if let Some(path) = &arguments.json {
        save_report(&figures, path)?;
    }
    Ok(())
}

fn check_level(model: &Pretrained, arguments: &Arguments) -> Outcome<()> {
    match model::other_level(model.config(), arguments.sigma / WHITE) {
        None => Ok(()),
        Some(only) => Err(Failure::usage(OtherLevel {
            path: arguments.weights.clone(),
            expected: only * WHITE,
            found: arguments.sigma,
        })),
    }
}

fn judged(model: &Pretrained, file: &Path, sigma: f64, device: &Device) -> Outcome<f64> {
    let channels = model.config().architecture.channels();
    let picture = Picture::load(file, channels)?;
    let noisy = picture.noisy(sigma, device);
    let [_, _, height, width] = noisy.dims();
    model.config().check_image(channels, height, width)?;
    Ok(picture.psnr(model.denoiser().denoise(noisy, sigma)))
}
