//! `tweedie reproduce deblur`: ULA, MYULA and SK-ROCK on a photograph under a uniform blur and a total-variation prior.
//!
//! The setting of Pereyra, Vargas-Mieles & Zygalakis 2020, section 4, <https://doi.org/10.1137/19M1283719>: a grey image of 256 x 256
//! pixels, a blur by 5 x 5 pixels, noise of BSNR 42 dB, `g = 0.044 TV` for grey levels from 0 to 255, `lambda = sigma^2`, SK-ROCK with 10
//! stages at half of its largest step. Their image is the cameraman; here it is any.

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use clap::Args;
use indicatif::ProgressBar;
use tweedie::{
    burn::tensor::{Device, Tensor, TensorData},
    core::Rng,
    data::{Channels, Image},
    fidelity::{L2, MoreauEnvelope, TotalVariation},
    mcmc::{
        ChainConfig, ChainEvent, Chains, MarkovKernel, Myula, PosteriorDensity, SkRock, Statistics,
        Ula,
    },
    metrics::psnr,
    physics::{ForwardOperator, FourierBlur, GaussianNoise, LinearOperator, NoiseModel},
};

use super::super::selection::select;
use crate::failure::Outcome;

/// Side of the blur in pixels.
const BLUR: usize = 5;

/// Blurred signal to noise in decibels.
const BSNR: f64 = 42.0;

/// Weight of total variation for pixels in [0, 1].
const WEIGHT: f64 = 0.044 * 255.0;

/// Iterations of its proximal operator: the step `sigma^2` is small, so that few are enough.
const PROX_ITERATIONS: usize = 25;

/// Smoothing of the total variation that ULA sees, a difference of pixels: below the noise.
const EPSILON: f64 = 0.001;

const STAGES: usize = 10;
const SHARE: f64 = 0.5;

/// ULA, MYULA and SK-ROCK on a blurred photograph with a total-variation prior, at an equal number of gradients
///
/// Takes the middle of an image in grey. Each kernel runs for as many gradients. Prints the PSNR of the posterior
/// mean, the mean standard deviation, and effective sample sizes for each 1000 gradients: of the slowest and the median of all
/// cosine modes, and of the slowest pixel. Then how far the means are apart, in posterior standard deviations.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A PNG or JPEG file.
    #[arg(long, value_name = "IMAGE")]
    image: PathBuf,
    /// Side of the square of pixels that is taken from its middle; 256 in the paper.
    #[arg(long, default_value_t = 256, value_name = "PIXELS")]
    side: usize,
    /// Gradients of each chain after the burn-in, which is 3/10 as long.
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1000..))]
    gradients: u32,
    /// Chains of each kernel.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    chains: u32,
    /// Run only the kernels whose name contains this.
    #[arg(long, value_name = "TEXT")]
    method: Option<String>,
    /// Seed of the noise and of the chains.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
}

/// The kernels.
#[derive(Clone, Copy)]
enum Method {
    Ula,
    Myula,
    SkRock,
}

const METHODS: &[(&str, Method)] = &[
    ("ULA, Huber's TV", Method::Ula),
    ("MYULA", Method::Myula),
    ("SK-ROCK, s = 10", Method::SkRock),
];

/// The image is too small.
#[derive(Debug, thiserror::Error)]
#[error(
    "the image has {found:?} pixels (height, width), expected at least {side} x {side}, and --side at least {BLUR}"
)]
struct TooSmall {
    found: [usize; 2],
    side: usize,
}

/// What was photographed, and what was measured of it.
struct Problem {
    clean: Tensor<4>,
    operator: FourierBlur,
    y: Tensor<4>,
    noise_std: f64,
}

/// What chains have found.
struct Found {
    name: &'static str,
    pixels: Statistics,
    modes: Statistics,
    gradients: usize,
    seconds: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome<()> {
    let chosen = select(METHODS, |method| method.0, arguments.method.as_deref())?;
    let problem = Problem::pose(arguments)?;
    let start = problem.operator.adjoint(problem.y.clone());
    println!(
        "{}, noise {:.5}, blurred image {:.2} dB; ESS for each 1000 gradients\n",
        arguments.image.display(),
        problem.noise_std,
        decibels(&start, &problem.clean)
    );
    println!(
        "{:<18}{:>10}{:>9}{:>12}{:>13}{:>13}{:>13}{:>9}",
        "",
        "gradients",
        "PSNR",
        "mean std",
        "slowest mode",
        "median mode",
        "worst pixel",
        "seconds"
    );
    let mut all = Vec::new();
    for &&(name, method) in &chosen {
        let found = problem.sample(name, method, arguments)?;
        found.print(&problem.clean, arguments.chains)?;
        all.push(found);
    }
    println!("\nroot mean square difference of the means, in posterior standard deviations");
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            println!(
                "{:<18}{:<18}{:>8.3}",
                one.name,
                other.name,
                one.distance(other)?
            );
        }
    }
    Ok(())
}

fn decibels(estimate: &Tensor<4>, clean: &Tensor<4>) -> f64 {
    psnr(estimate.clone(), clean.clone(), 1.0).into_scalar::<f64>()
}

impl Problem {
    fn pose(arguments: &Arguments) -> Outcome<Self> {
        let device = Device::flex();
        let image = Image::load(&arguments.image, Some(Channels::Grey))?;
        let found = [image.height(), image.width()];
        let side = arguments.side;
        if side < BLUR || found.iter().any(|length| *length < side) {
            return Err(TooSmall { found, side }.into());
        }
        let [top, left] = found.map(|length| (length - side) / 2);
        let clean = image.to_tensor(&device);
        let clean = clean.narrow(2, top, side).narrow(3, left, side);
        let taps = (BLUR * BLUR) as f64;
        let kernel = Tensor::full([1, 1, BLUR, BLUR], taps.recip(), &device);
        let operator = FourierBlur::new(kernel, [side, side])?;
        let blurred = operator.forward(clean.clone());
        let pixels: Tensor<1> = blurred.clone().reshape([-1]);
        let variance = pixels.var(0).into_scalar::<f64>();
        let noise_std = (variance * 10_f64.powf(-BSNR / 10.0)).sqrt();
        let mut rng = Rng::seeded(arguments.seed, &device).fork(0);
        let y = GaussianNoise::new(noise_std)?.corrupt(blurred, &mut rng);
        Ok(Self {
            clean,
            operator,
            y,
            noise_std,
        })
    }

    fn sample(&self, name: &'static str, method: Method, arguments: &Arguments) -> Outcome<Found> {
        // The taps of the blur add up to 1, so its norm is 1.
        let data = L2::new(&self.operator, self.y.clone(), self.noise_std)?;
        let fidelity = data.with_operator_norm(1.0)?;
        let variation = TotalVariation::isotropic(WEIGHT)?;
        let lambda = self.noise_std * self.noise_std;
        let exact = variation.with_iterations(PROX_ITERATIONS);
        let envelope = MoreauEnvelope::new(exact, lambda)?;
        match method {
            Method::Ula => {
                let prior = variation.with_epsilon(EPSILON)?;
                let kernel = Ula::at_bound(PosteriorDensity { fidelity, prior })?;
                self.chains(name, kernel, arguments)
            }
            Method::Myula => self.chains(name, Myula::at_bound(fidelity, envelope)?, arguments),
            Method::SkRock => {
                let prior = envelope;
                let kernel = SkRock::at_share(PosteriorDensity { fidelity, prior }, STAGES, SHARE)?;
                self.chains(name, kernel, arguments)
            }
        }
    }

    fn chains<K: MarkovKernel>(
        &self,
        name: &'static str,
        kernel: K,
        arguments: &Arguments,
    ) -> Outcome<Found> {
        let device = Device::flex();
        let gradients = kernel.gradients();
        let draws = arguments.gradients as usize / gradients;
        let config = ChainConfig {
            iterations: draws + draws * 3 / 10,
            burn_in: draws * 3 / 10,
            // Draws of one kernel are as far apart in gradients as those of another.
            thinning: STAGES / gradients,
            ..ChainConfig::default()
        };
        let side = arguments.side;
        let basis = cosines(side, &device);
        let chains = Chains::new(kernel, config)?.with_function("cosine modes", move |x| {
            let [rows, channels, ..] = x.dims();
            let basis = basis.clone().expand([rows, channels, side, side]);
            basis.clone().matmul(x).matmul(basis.swap_dims(2, 3))
        })?;
        let start = self.operator.adjoint(self.y.clone());
        let start = start.repeat_dim(0, arguments.chains as usize);
        let mut rng = Rng::seeded(arguments.seed, &device).fork(1);
        let bar = ProgressBar::new(0);
        let begun = Instant::now();
        let mut run = chains.run(start, &mut rng, |event| {
            if let ChainEvent::Iteration {
                iteration,
                iterations,
                ..
            } = event
            {
                bar.set_length(iterations as u64);
                bar.set_position(iteration as u64);
            }
            ControlFlow::Continue(())
        })?;
        bar.finish_and_clear();
        let (Some(pixels), Some((_, modes))) = (run.statistics, run.functions.pop()) else {
            return Err(NoDraws.into());
        };
        Ok(Found {
            name,
            pixels,
            modes,
            gradients: draws * gradients,
            seconds: begun.elapsed().as_secs_f64(),
        })
    }
}

/// The chains were too short for statistics.
#[derive(Debug, thiserror::Error)]
#[error("too few gradients for statistics of the draws")]
struct NoDraws;

/// The orthonormal cosine transform of a row, `[1, 1, frequency, position]`.
fn cosines(side: usize, device: &Device) -> Tensor<4> {
    let n = side as f64;
    let value = |frequency: usize, position: usize| {
        let angle = std::f64::consts::PI * frequency as f64 * (position as f64 + 0.5) / n;
        let norm = if frequency == 0 { 1.0 } else { 2.0 };
        (norm / n).sqrt() * angle.cos()
    };
    let values = (0..side).flat_map(|k| (0..side).map(move |i| value(k, i)));
    let data = TensorData::new(values.collect::<Vec<f64>>(), [1, 1, side, side]);
    Tensor::from_data(data, device)
}

impl Found {
    fn print(&self, clean: &Tensor<4>, chains: u32) -> Outcome<()> {
        let (Some(std), Some(ess), Some(modes)) =
            (&self.pixels.std, &self.pixels.ess, &self.modes.ess)
        else {
            return Err(NoDraws.into());
        };
        let per_thousand = 1000.0 / (self.gradients as f64 * f64::from(chains));
        let least = |map: &Tensor<4>| map.clone().min().into_scalar::<f64>() * per_thousand;
        let mut sorted = modes.try_to_vec_as::<f64>()?;
        sorted.sort_by(f64::total_cmp);
        println!(
            "{:<18}{:>10}{:>9.2}{:>12.5}{:>13.3}{:>13.3}{:>13.3}{:>9.0}",
            self.name,
            self.gradients,
            decibels(&self.pixels.mean, clean),
            std.clone().mean().into_scalar::<f64>(),
            least(modes),
            sorted[sorted.len() / 2] * per_thousand,
            least(ess),
            self.seconds,
        );
        Ok(())
    }

    fn distance(&self, other: &Self) -> Outcome<f64> {
        let Some(std) = &self.pixels.std else {
            return Err(NoDraws.into());
        };
        let difference = self.pixels.mean.clone() - other.pixels.mean.clone();
        let relative = (difference / std.clone()).square().mean();
        Ok(relative.into_scalar::<f64>().sqrt())
    }
}
