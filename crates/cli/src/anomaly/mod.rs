//! `tweedie anomaly`: what is abnormal in images, by their healthy counterfactuals.

mod arguments;
mod finding;
mod path;
mod picture;

use std::{process::ExitCode, time::Instant};

use indicatif::ProgressBar;
use serde::Serialize;
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    data::{Channels, Image, LesionPhantoms},
    samplers::anomaly_map,
};

pub(crate) use arguments::Arguments;
use arguments::AscentName;
use finding::{Finding, Pixels};
use path::{Led, Way};

use crate::{
    device::DeviceName,
    failure::{Failure, Outcome},
    quality::save_report,
    sheet::{make_folder, save_sheet},
};

/// Healthy phantoms of which the mean is taken.
const HEALTHY: u64 = 1000;

/// Keeps their seed apart from that of the phantoms with lesions.
const OTHERS: u64 = u64::from_be_bytes(*b"healthy\0");

/// What `report.json` says.
#[derive(Serialize)]
struct Report {
    checkpoint: String,
    classifier: Option<String>,
    input: Option<String>,
    device: &'static str,
    healthy: usize,
    guidance: f64,
    steps: u32,
    level: u32,
    /// Noise level at the top, in units of pixels in [0, 1].
    top: f64,
    ascent: AscentName,
    images: usize,
    seed: u64,
    seconds: f64,
    findings: Option<Findings>,
}

/// How well each map finds the lesions.
#[derive(Serialize)]
struct Findings {
    /// |image - counterfactual|.
    counterfactual: Finding,
    /// |image - what comes down without guidance|.
    reconstruction: Finding,
    /// |image - mean of healthy phantoms|.
    mean: Finding,
}

/// Images, and what is known of them.
struct Searched {
    images: Tensor<4>,
    masks: Option<Tensor<4>>,
}

/// Why there is nothing to be searched.
#[derive(Debug, thiserror::Error)]
enum SearchError {
    #[error(
        "phantoms with lesions have 1 channel, the model's images have {found}: give a picture by --input"
    )]
    Channels { found: usize },
    #[error(
        "the lesion of phantom {index} has no pixel: the model's images of {height} x {width} pixels are too small"
    )]
    NoPixel {
        index: usize,
        height: usize,
        width: usize,
    },
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    let device_name = device.name();
    let device = device.open()?;
    let way = Way::open(arguments, &device)?;
    let searched = Searched::open(arguments, &way, &device)?;
    make_folder(&arguments.out)?;
    let count = searched.images.dims()[0];
    println!(
        "{count} images led to class {} by {}, from level {} of {}, which is sigma {:.3}",
        arguments.healthy,
        way.model().name,
        arguments.level(),
        arguments.steps,
        way.top()
    );
    let start = Instant::now();
    let led = lead(&way, &searched.images, arguments, &device)?;
    let seconds = start.elapsed().as_secs_f64();
    let map = anomaly_map(searched.images.clone(), led.counterfactual.clone());
    let findings = match &searched.masks {
        Some(masks) => Some(findings(
            &searched.images,
            masks,
            &map,
            &led,
            arguments.seed,
        )?),
        None => None,
    };
    let out = &arguments.out;
    let sheet = out.join("anomaly.png");
    picture::save(
        &searched.images,
        &led.counterfactual,
        &map,
        searched.masks.as_ref(),
        &sheet,
    )?;
    if arguments.input.is_some() {
        save_sheet(led.counterfactual, 1, &out.join("counterfactual.png"))?;
    }
    if let Some(findings) = &findings {
        println!("counterfactual: {}", findings.counterfactual);
        println!("reconstruction: {}", findings.reconstruction);
        println!("mean of healthy: {}", findings.mean);
    }
    let shown = |path: &std::path::PathBuf| path.display().to_string();
    let report = Report {
        checkpoint: way.model().name.clone(),
        classifier: arguments.classifier.as_ref().map(shown),
        input: arguments.input.as_ref().map(shown),
        device: device_name,
        healthy: arguments.healthy,
        guidance: arguments.guidance,
        steps: arguments.steps,
        level: arguments.level(),
        top: way.top(),
        ascent: arguments.ascent,
        images: count,
        seed: arguments.seed,
        seconds,
        findings,
    };
    save_report(&report, &out.join("report.json"))?;
    println!("{seconds:.1} s; {} and report.json", sheet.display());
    Ok(ExitCode::SUCCESS)
}

impl Searched {
    fn open(arguments: &Arguments, way: &Way, device: &Device) -> Outcome<Self> {
        let config = way.model().config();
        let channels = config.architecture.channels();
        let Some(path) = &arguments.input else {
            if channels != 1 {
                return Err(Failure::usage(SearchError::Channels { found: channels }));
            }
            return Self::phantoms(arguments, config.image_size, device);
        };
        let kind = match channels {
            1 => Channels::Grey,
            _ => Channels::Rgb,
        };
        let image = Image::load(path, Some(kind))?;
        config.check_image(image.channels(), image.height(), image.width())?;
        Ok(Self {
            images: image.to_tensor(device),
            masks: None,
        })
    }

    fn phantoms(
        arguments: &Arguments,
        [height, width]: [usize; 2],
        device: &Device,
    ) -> Outcome<Self> {
        let set = LesionPhantoms::new(arguments.seed, 0, height, width)?;
        let planted = (0..u64::from(arguments.images)).map(|index| set.planted(index));
        let (images, masks): (Vec<_>, Vec<_>) =
            planted.map(|planted| (planted.image, planted.mask)).unzip();
        if let Some(index) = masks.iter().position(|mask| mask.maximum() == 0.0) {
            return Err(Failure::usage(SearchError::NoPixel {
                index,
                height,
                width,
            }));
        }
        Ok(Self {
            images: Image::batch(&images, device)?,
            masks: Some(Image::batch(&masks, device)?),
        })
    }
}

/// Leads all images, batch by batch; image `i` depends on the seed and on `i` alone.
fn lead(way: &Way, images: &Tensor<4>, arguments: &Arguments, device: &Device) -> Outcome<Led> {
    let (count, size) = (images.dims()[0], arguments.batch_size as usize);
    let rng = Rng::seeded(arguments.seed, device);
    let bar = ProgressBar::new((count.div_ceil(size) * way.steps()) as u64);
    let (mut counterfactuals, mut reconstructions) = (Vec::new(), Vec::new());
    for first in (0..count).step_by(size) {
        let part = images.clone().narrow(0, first, size.min(count - first));
        let mut rng = rng.clone().starting_at(first as u64);
        let led = way.lead(part, &mut rng, &mut || bar.inc(1))?;
        counterfactuals.push(led.counterfactual);
        reconstructions.push(led.reconstruction);
    }
    bar.finish_and_clear();
    Ok(Led {
        counterfactual: Tensor::cat(counterfactuals, 0),
        reconstruction: Tensor::cat(reconstructions, 0),
    })
}

fn findings(
    images: &Tensor<4>,
    masks: &Tensor<4>,
    map: &Tensor<4>,
    led: &Led,
    seed: u64,
) -> Outcome<Findings> {
    let phantoms: Vec<Pixels> = rows(images)?
        .iter()
        .zip(rows(masks)?)
        .map(|(image, mask)| Pixels {
            is_ill: mask.iter().map(|pixel| *pixel > 0.5).collect(),
            is_head: image.iter().map(|pixel| *pixel > 0.0).collect(),
        })
        .collect();
    let finding = |map: &Tensor<4>| -> Outcome<Finding> { Ok(Finding::of(&rows(map)?, &phantoms)) };
    let against = |other: Tensor<4>| anomaly_map(images.clone(), other.expand(images.dims()));
    Ok(Findings {
        counterfactual: finding(map)?,
        reconstruction: finding(&against(led.reconstruction.clone()))?,
        mean: finding(&against(mean_of_healthy(images, seed)?))?,
    })
}

/// The mean of healthy phantoms, `[1, 1, height, width]`.
fn mean_of_healthy(like: &Tensor<4>, seed: u64) -> Outcome<Tensor<4>> {
    let [_, _, height, width] = like.dims();
    let set = LesionPhantoms::new(seed ^ OTHERS, 0, height, width)?;
    let healthy: Vec<Image> = (0..HEALTHY)
        .map(|index| set.example(2 * index).image)
        .collect();
    Ok(Image::batch(&healthy, &like.device())?.mean_dim(0))
}

/// The numbers of each row.
fn rows(batch: &Tensor<4>) -> Outcome<Vec<Vec<f64>>> {
    let numbers = batch.try_to_vec_as::<f64>()?;
    let size = numbers.len() / batch.dims()[0];
    Ok(numbers.chunks(size).map(<[f64]>::to_vec).collect())
}
