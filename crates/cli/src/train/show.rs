//! What a network in training shows of itself: draws, or what it makes of held-out images.

use std::ops::Range;

use tweedie::{
    burn::tensor::{Device, Int, Tensor, TensorData},
    core::{Clipped, Conditioned, Denoiser, Given, Rng, ScheduleConfig},
    data::{Example, ExampleBatch, Image},
    models::{Autoencoder, ModelConfig, Network, PretrainedAutoencoder},
    training::{DiffusionConfig, Examples, LevelDistribution, Measure},
};

use crate::{
    failure::Outcome,
    method::{GridName, Method, SolverName},
};

/// Draws of a network.
pub(super) trait Show<N> {
    /// Images in [0, 1] of some rows, where it makes any; `rng` stands at the first. A row has the same noise and the same class
    /// each time, so that they can be compared.
    fn images(&self, network: &N, rows: Range<usize>, rng: Rng) -> Outcome<Option<Tensor<4>>>;

    /// What they are.
    fn caption(&self) -> &'static str {
        DRAWS
    }

    /// Whether they are draws from a model of the data.
    fn are_draws(&self) -> bool {
        true
    }
}

/// Steps of a draw.
const STEPS: u32 = 50;

/// What draws are, in a report.
const DRAWS: &str = "Draws by 50 steps of DDIM, from the same noise each time, and of each class in turn where there are classes.";

/// Keeps the random numbers of measurements apart from those of the draws.
const MEASURING: u64 = u64::from_be_bytes(*b"measured");

/// Draws of a diffusion model; of one of `p(x | y)` the measurements above; what a denoiser makes of noisy images below them.
pub(super) struct Diffused<'a> {
    pub(super) model: &'a ModelConfig,
    pub(super) learning: &'a DiffusionConfig,
    pub(super) measure: Option<Measure>,
    pub(super) held_out: Examples,
}

impl Show<Network> for Diffused<'_> {
    fn images(
        &self,
        network: &Network,
        rows: Range<usize>,
        mut rng: Rng,
    ) -> Outcome<Option<Tensor<4>>> {
        let model = self.model;
        let shown = || first(&self.held_out, rows.len() / 2, rng.device());
        if let Some(measure) = &self.measure {
            let shown = shown()?;
            let measured = measure(shown.images, &mut rng.fork(MEASURING));
            let (low, high) = model.pixels.range();
            let image = measured.clone().mul_scalar(high - low).add_scalar(low);
            let given = Given {
                image: Some(image),
                ..told(shown.classes, rng.device())
            };
            let draws = drawn(model, network, measured.dims()[0], given, &mut rng)?;
            return Ok(Some(Tensor::cat(vec![measured.clamp(0.0, 1.0), draws], 0)));
        }
        match self.learning.levels.distribution {
            LevelDistribution::Sigma { high: sigma, .. } | LevelDistribution::One { sigma } => {
                let shown = shown()?;
                denoised(model, network, sigma, shown, &mut rng).map(Some)
            }
            _ => draws(model, network, rows, &mut rng).map(Some),
        }
    }

    fn caption(&self) -> &'static str {
        match self.measure {
            Some(_) => "Above: measurements of held-out images. Below: draws of what was measured.",
            None if self.only_denoises() => {
                "Above: noisy images, held out. Below: what the network makes of them."
            }
            None => DRAWS,
        }
    }

    fn are_draws(&self) -> bool {
        self.measure.is_none() && !self.only_denoises()
    }
}

impl Diffused<'_> {
    fn only_denoises(&self) -> bool {
        matches!(
            self.learning.levels.distribution,
            LevelDistribution::Sigma { .. } | LevelDistribution::One { .. }
        )
    }
}

/// Draws of a diffusion of latents, decoded.
pub(super) struct Decoded<'a> {
    pub(super) model: &'a ModelConfig,
    pub(super) autoencoder: PretrainedAutoencoder,
}

impl Show<Network> for Decoded<'_> {
    fn images(
        &self,
        network: &Network,
        rows: Range<usize>,
        mut rng: Rng,
    ) -> Outcome<Option<Tensor<4>>> {
        decoded_draws(self.model, network, &self.autoencoder, rows, &mut rng).map(Some)
    }
}

/// Held-out images, and below them what an autoencoder makes of them.
pub(super) struct Reconstructed {
    pub(super) held_out: Examples,
}

impl Show<Autoencoder> for Reconstructed {
    fn images(
        &self,
        network: &Autoencoder,
        rows: Range<usize>,
        rng: Rng,
    ) -> Outcome<Option<Tensor<4>>> {
        let images = first(&self.held_out, rows.len() / 2, rng.device())?.images;
        let again = network.decode(network.encode(images.clone()).mean);
        Ok(Some(Tensor::cat(vec![images, again.clamp(0.0, 1.0)], 0)))
    }

    fn caption(&self) -> &'static str {
        "Above: images, held out. Below: their reconstructions."
    }

    fn are_draws(&self) -> bool {
        false
    }
}

/// A network that makes no images.
pub(super) struct Silent;

impl<N> Show<N> for Silent {
    fn images(&self, _: &N, _: Range<usize>, _: Rng) -> Outcome<Option<Tensor<4>>> {
        Ok(None)
    }

    fn are_draws(&self) -> bool {
        false
    }
}

/// The classes of some rows, in turn, where the network is told any.
fn in_turn(model: &ModelConfig, rows: Range<usize>) -> Option<Vec<usize>> {
    let classes = model.architecture.classes();
    (classes > 0).then(|| rows.map(|row| row % classes).collect())
}

/// What a network is told of images of these classes.
fn told(classes: Option<Vec<usize>>, device: &Device) -> Given {
    let class = classes.map(|classes| {
        let count = classes.len();
        let classes: Vec<i32> = classes.into_iter().map(|class| class as i32).collect();
        Tensor::<1, Int>::from_data(TensorData::new(classes, [count]), device)
    });
    Given { class, image: None }
}

/// Draws of a model of images, of each class in turn where there are any; `rng` stands at the first row.
pub(crate) fn draws(
    model: &ModelConfig,
    network: &Network,
    rows: Range<usize>,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let count = rows.len();
    let given = told(in_turn(model, rows), rng.device());
    drawn(model, network, count, given, rng)
}

/// The same of a model of latents, decoded.
pub(crate) fn decoded_draws(
    model: &ModelConfig,
    network: &Network,
    autoencoder: &PretrainedAutoencoder,
    rows: Range<usize>,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let count = rows.len();
    let denoiser = model.denoiser(Conditioned {
        backbone: network.clone(),
        given: told(in_turn(model, rows), rng.device()),
    })?;
    let latents = sampled(model, Box::new(denoiser), count, rng)?;
    Ok(autoencoder.decode(latents).clamp(0.0, 1.0))
}

fn drawn(
    model: &ModelConfig,
    network: &Network,
    count: usize,
    given: Given,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let denoiser = model.denoiser(Conditioned {
        backbone: network.clone(),
        given,
    })?;
    sampled(model, Box::new(Clipped::unit(denoiser)), count, rng)
}

/// Draws by DDIM.
fn sampled<'a>(
    model: &ModelConfig,
    denoiser: Box<dyn Denoiser + 'a>,
    count: usize,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let method = Method {
        solver: SolverName::Ddim,
        eta: 0.0,
        steps: STEPS,
        grid: match model.schedule {
            // Its time is the noise level, of which most is beyond what an image has.
            ScheduleConfig::Karras { .. } => GridName::Karras,
            _ => GridName::Uniform,
        },
    };
    let sampler = method.sampler(model.unit_range_schedule()?, denoiser)?;
    let [height, width] = model.image_size;
    let shape = [count, model.architecture.channels(), height, width];
    Ok(sampler.sample(shape, rng, &mut |_| ())?)
}

/// Noisy images, and what the network makes of them. `sigma` is in the network's own pixel units.
fn denoised(
    model: &ModelConfig,
    network: &Network,
    sigma: f64,
    shown: ExampleBatch,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let ExampleBatch { images, classes } = shown;
    let (low, high) = model.pixels.range();
    let sigma = sigma / (high - low);
    let noise = rng.normal(images.dims()).mul_scalar(sigma);
    let noisy = images + noise;
    let told = Conditioned {
        backbone: network.clone(),
        given: told(classes, rng.device()),
    };
    let clean = model.denoiser(told)?.denoise(noisy.clone(), sigma);
    Ok(Tensor::cat(vec![noisy, clean], 0).clamp(0.0, 1.0))
}

/// The first examples of a set, as many as there are.
pub(super) fn first(set: &Examples, count: usize, device: &Device) -> Outcome<ExampleBatch> {
    let examples = (0..count.min(set.len())).map(|index| set.get(index));
    let examples = examples.collect::<Result<Vec<Example>, _>>()?;
    let classes = examples.iter().map(|example| example.class).collect();
    let images: Vec<Image> = examples.into_iter().map(|example| example.image).collect();
    Ok(ExampleBatch {
        images: Image::batch(&images, device)?,
        classes,
    })
}
