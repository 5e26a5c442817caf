//! How good an estimate is, how wide the draws are, and reports as files.

use std::{fmt, fs, io, path::Path};

use serde::Serialize;
use tweedie::{
    burn::tensor::Tensor,
    metrics::{SSIM_WINDOW, psnr, ssim},
};

use crate::failure::Outcome;

/// Quality of an estimate against the clean image.
#[derive(Serialize)]
pub(crate) struct Quality {
    /// In decibels, for pixels in [0, 1]; absent for a perfect estimate.
    psnr: Option<f64>,
    /// Absent for images smaller than its window.
    ssim: Option<f64>,
}

/// The standard deviation of the samples, in units of pixels in [0, 1].
#[derive(Serialize)]
pub(crate) struct Spread {
    /// Mean over pixels.
    mean: f64,
    /// Largest; the pale yellow of `std.png`.
    maximum: f64,
    /// Inpainting: mean over missing pixels.
    missing: Option<f64>,
    /// Inpainting: mean over seen pixels.
    seen: Option<f64>,
    /// Inpainting: the quotient of the two.
    missing_over_seen: Option<f64>,
}

/// The report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
struct ReportError {
    path: std::path::PathBuf,
    source: io::Error,
}

impl Quality {
    pub(crate) fn of(estimate: Tensor<4>, clean: &Tensor<4>) -> Self {
        let [_, _, height, width] = clean.dims();
        let decibels = psnr(estimate.clone(), clean.clone(), 1.0).into_scalar::<f64>();
        Self {
            psnr: decibels.is_finite().then_some(decibels),
            ssim: (height.min(width) >= SSIM_WINDOW)
                .then(|| ssim(estimate, clean.clone()).into_scalar::<f64>()),
        }
    }
}

impl Spread {
    pub(crate) fn of(std: &Tensor<4>, mask: Option<&Tensor<4>>) -> Self {
        let average = |weight: Tensor<4>| {
            let total = weight.clone().sum().into_scalar::<f64>();
            let sum = (std.clone() * weight).sum().into_scalar::<f64>();
            (total > 0.0).then(|| sum / total)
        };
        let missing = mask.and_then(|mask| average(mask.clone().neg().add_scalar(1.0)));
        let seen = mask.and_then(|mask| average(mask.clone()));
        Self {
            mean: std.clone().mean().into_scalar::<f64>(),
            maximum: std.clone().max().into_scalar::<f64>(),
            missing_over_seen: missing.zip(seen).map(|(missing, seen)| missing / seen),
            missing,
            seen,
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(psnr) = self.psnr {
            write!(f, " PSNR {psnr:.2} dB")?;
        }
        match self.ssim {
            Some(ssim) => write!(f, "  SSIM {ssim:.3}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " mean {:.4}, largest {:.4}", self.mean, self.maximum)?;
        match self.missing_over_seen {
            Some(ratio) => write!(f, ", missing over seen {ratio:.2}"),
            None => Ok(()),
        }
    }
}

/// Writes a report as JSON.
pub(crate) fn save_report(report: &impl Serialize, path: &Path) -> Outcome<()> {
    let text = serde_json::to_string_pretty(report)?;
    fs::write(path, text + "\n").map_err(|source| ReportError {
        path: path.into(),
        source,
    })?;
    Ok(())
}
