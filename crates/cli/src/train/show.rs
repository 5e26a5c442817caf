//! What a network in training shows of itself: draws, or what it makes of held-out images.

use tweedie::{
    burn::tensor::{Device, Int, Tensor, TensorData},
    core::{Clipped, Conditioned, Denoiser, Given, Rng, ScheduleConfig},
    data::Image,
    models::{Autoencoder, ModelConfig, Network, PretrainedAutoencoder},
    training::{DiffusionConfig, Examples, LevelDistribution, Measure},
};

use crate::{
    failure::Outcome,
    method::{GridName, Method, SolverName},
};

/// Draws of a network.
pub(super) trait Show<N> {
    /// Images `[count, ..]` in [0, 1], where it makes any. The same noise each time, so that they can be compared.
    fn images(&self, network: &N, count: usize, rng: Rng) -> Outcome<Option<Tensor<4>>>;

    /// Whether they are draws from a model of the data.
    fn are_draws(&self) -> bool {
        true
    }
}

/// Steps of a draw.
const STEPS: u32 = 50;

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
    fn images(&self, network: &Network, count: usize, mut rng: Rng) -> Outcome<Option<Tensor<4>>> {
        let model = self.model;
        let shown = || first(&self.held_out, count / 2, rng.device());
        if let Some(measure) = &self.measure {
            let measured = measure(shown()?, &mut rng.fork(MEASURING));
            let (low, high) = model.pixels.range();
            let image = measured.clone().mul_scalar(high - low).add_scalar(low);
            let given = told(model, image.dims()[0], Some(image), rng.device());
            let draws = drawn(model, network, measured.dims()[0], given, &mut rng)?;
            return Ok(Some(Tensor::cat(vec![measured.clamp(0.0, 1.0), draws], 0)));
        }
        match self.learning.levels.distribution {
            LevelDistribution::Sigma { high: sigma, .. } | LevelDistribution::One { sigma } => {
                let images = shown()?;
                denoised(model, network, sigma, images, &mut rng).map(Some)
            }
            _ => draws(model, network, count, &mut rng).map(Some),
        }
    }

    fn are_draws(&self) -> bool {
        let distribution = self.learning.levels.distribution;
        let is_denoiser = matches!(
            distribution,
            LevelDistribution::Sigma { .. } | LevelDistribution::One { .. }
        );
        self.measure.is_none() && !is_denoiser
    }
}

/// Draws of a diffusion of latents, decoded.
pub(super) struct Decoded<'a> {
    pub(super) model: &'a ModelConfig,
    pub(super) autoencoder: PretrainedAutoencoder,
}

impl Show<Network> for Decoded<'_> {
    fn images(&self, network: &Network, count: usize, mut rng: Rng) -> Outcome<Option<Tensor<4>>> {
        let given = told(self.model, count, None, rng.device());
        let denoiser = self.model.denoiser(Conditioned {
            backbone: network.clone(),
            given,
        })?;
        let latents = sampled(self.model, Box::new(denoiser), count, &mut rng)?;
        Ok(Some(self.autoencoder.decode(latents).clamp(0.0, 1.0)))
    }
}

/// Held-out images, and below them what an autoencoder makes of them.
pub(super) struct Reconstructed {
    pub(super) held_out: Examples,
}

impl Show<Autoencoder> for Reconstructed {
    fn images(&self, network: &Autoencoder, count: usize, rng: Rng) -> Outcome<Option<Tensor<4>>> {
        let images = first(&self.held_out, count / 2, rng.device())?;
        let again = network.decode(network.encode(images.clone()).mean);
        Ok(Some(Tensor::cat(vec![images, again.clamp(0.0, 1.0)], 0)))
    }

    fn are_draws(&self) -> bool {
        false
    }
}

/// A network that makes no images.
pub(super) struct Silent;

impl<N> Show<N> for Silent {
    fn images(&self, _: &N, _: usize, _: Rng) -> Outcome<Option<Tensor<4>>> {
        Ok(None)
    }

    fn are_draws(&self) -> bool {
        false
    }
}

/// What a network is told of each image: the classes in turn, where it is told any.
fn told(model: &ModelConfig, count: usize, image: Option<Tensor<4>>, device: &Device) -> Given {
    let classes = model.architecture.classes();
    Given {
        class: (classes > 0).then(|| {
            let classes: Vec<i32> = (0..count).map(|row| (row % classes) as i32).collect();
            Tensor::<1, Int>::from_data(TensorData::new(classes, [count]), device)
        }),
        image,
    }
}

/// Draws of a model of images, of each class in turn where there are any.
pub(crate) fn draws(
    model: &ModelConfig,
    network: &Network,
    count: usize,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let given = told(model, count, None, rng.device());
    drawn(model, network, count, given, rng)
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
    images: Tensor<4>,
    rng: &mut Rng,
) -> Outcome<Tensor<4>> {
    let (low, high) = model.pixels.range();
    let sigma = sigma / (high - low);
    let noisy = images.clone() + rng.normal(images.dims()).mul_scalar(sigma);
    let clean = model
        .denoiser(network.clone())?
        .denoise(noisy.clone(), sigma);
    Ok(Tensor::cat(vec![noisy, clean], 0).clamp(0.0, 1.0))
}

/// The first images of a set, as many as there are.
pub(super) fn first(set: &Examples, count: usize, device: &Device) -> Outcome<Tensor<4>> {
    let images = (0..count.min(set.len()))
        .map(|index| Ok(set.get(index)?.image))
        .collect::<Outcome<Vec<Image>>>()?;
    Ok(Image::batch(&images, device)?)
}
