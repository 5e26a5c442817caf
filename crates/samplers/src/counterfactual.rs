//! Counterfactuals: an image as it would be in another class, and the map of what had to change.
//!
//! An image climbs part of the way towards noise and comes down again led by a denoiser of the other class. In the unscaled
//! state `u` with `eps = (u - D(u; sigma))/sigma` both ways are the DDIM step of the deterministic flow,
//!
//! `u_to = u + (sigma_to - sigma) eps = (sigma_to/sigma) u + (1 - sigma_to/sigma) D(u; sigma)`,
//!
//! upwards from the least level of a grid with the denoiser of all images or of the image's own class, downwards over the same levels
//! with that of the other class. So the code of the image, its state at the top, keeps what the classes share. The map is
//! `|x - x'|`, summed over channels.
//!
//! Wolleb et al. 2022, section 2 and algorithm 1, <https://arxiv.org/abs/2203.04306>, who climb by the reversed ordinary differential
//! equation of DDIM (Song, Meng & Ermon 2021, section 4.3, <https://arxiv.org/abs/2010.02502>) and come down by classifier guidance;
//! here any denoiser leads, as one of classifier-free guidance. Both ways are of first order in the step. The other way up,
//! [`Ascent::Noised`], adds noise once and comes down by steps of DDPM: Jeanneret et al. 2022, section 3,
//! <https://arxiv.org/abs/2203.15636>, without their perceptual and distance terms.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Noise, Schedule, Span, TimeGrid};
use tweedie_solvers::Step;

use crate::{
    SampleError,
    error::require,
    walk::{walk, walk_spans},
};

const ADVICE: &str = "weaker guidance or a lower level may help";

/// How an image climbs to the top of its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ascent {
    /// By the deterministic flow, which can be undone: what the classes share stays (Wolleb et al. 2022).
    #[default]
    Encoded,
    /// By one draw of noise, with steps of DDPM downwards: cheaper by half, and different for each draw (Jeanneret et al. 2022).
    Noised,
}

/// The path up and down.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{GaussianPrior, Rng, TimeGrid, VariancePreserving};
/// use tweedie_samplers::{Ascent, Counterfactual};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let class = |mean: f64| GaussianPrior::new(Tensor::<4>::full([1, 1, 1, 1], mean, &device), 0.01);
/// let grid = TimeGrid::uniform(1.0, 0.001, 1000)?;
/// let path = Counterfactual::new(VariancePreserving::new(0.1, 20.0)?, &grid, 500, Ascent::Encoded)?;
/// let image = Tensor::full([1, 1, 1, 1], 0.65, &device);
/// let mut rng = Rng::seeded(0, &device);
/// let other = path.run(image, &class(0.7), &class(0.3), &mut rng, &mut |_| ())?;
/// // 0.05 below the mean as before, but for what steps and the noise at the top leave.
/// assert!((other.into_scalar::<f64>() - 0.25).abs() < 0.02);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Counterfactual<S> {
    schedule: S,
    grid: TimeGrid,
    ascent: Ascent,
}

impl<S: Schedule> Counterfactual<S> {
    /// Along the `level` least noisy steps of `grid`, the grid of a sampler. Its end is where the image is placed: a level at which
    /// noise cannot be seen, but above 0, where a denoiser has no direction.
    ///
    /// # Errors
    /// [`SampleError::Parameter`] unless `level` is 1 to the number of steps, and where the grid ends without noise;
    /// [`SampleError::Grid`] where the path starts beyond the horizon.
    pub fn new(
        schedule: S,
        grid: &TimeGrid,
        level: usize,
        ascent: Ascent,
    ) -> Result<Self, SampleError> {
        let steps = grid.steps();
        require(
            "level",
            level as f64,
            (1..=steps).contains(&level),
            "at least 1 and at most the number of steps",
        )?;
        let least = schedule.sigma(grid.end());
        require(
            "the least noise level of the grid",
            least,
            least > 0.0,
            "above 0",
        )?;
        let grid = TimeGrid::new(grid.times()[steps - level..].to_vec())?.within(&schedule)?;
        Ok(Self {
            schedule,
            grid,
            ascent,
        })
    }

    /// The noise level at the top, in the units of the images.
    pub fn top(&self) -> f64 {
        self.schedule.sigma(self.grid.start())
    }

    /// Steps upwards, each with one evaluation.
    pub fn ascending(&self) -> usize {
        match self.ascent {
            Ascent::Encoded => self.grid.steps(),
            Ascent::Noised => 0,
        }
    }

    /// Steps downwards, each with one evaluation.
    pub fn descending(&self) -> usize {
        self.grid.steps()
    }

    /// The state of the images at the top, unscaled; `own` describes them as they are, and is not asked where noise is added.
    ///
    /// # Errors
    /// [`SampleError::Diverged`].
    pub fn ascend<const D: usize>(
        &self,
        images: Tensor<D>,
        own: &dyn Denoiser<D>,
        noise: &mut dyn Noise<D>,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        if self.ascent == Ascent::Noised {
            let fresh = noise.normal(images.dims());
            return Ok(images + fresh.mul_scalar(self.top()));
        }
        let upwards = |span: Span| Span {
            from: span.to,
            to: span.from,
        };
        let mut spans: Vec<Span> = self.grid.spans().map(upwards).collect();
        spans.reverse();
        walk_spans(
            &self.schedule,
            &spans,
            images,
            ADVICE,
            observe,
            |u, level| {
                let clean = own.denoise(u.clone(), level.from);
                level.ddim(0.0).apply(u, clean, noise)
            },
        )
    }

    /// The images of a state at the top, led by `other`.
    ///
    /// # Errors
    /// [`SampleError::Diverged`].
    pub fn descend<const D: usize>(
        &self,
        top: Tensor<D>,
        other: &dyn Denoiser<D>,
        noise: &mut dyn Noise<D>,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        let eta = match self.ascent {
            Ascent::Encoded => 0.0,
            Ascent::Noised => 1.0,
        };
        walk(
            &self.schedule,
            &self.grid,
            top,
            ADVICE,
            observe,
            |u, level| {
                let clean = other.denoise(u.clone(), level.from);
                level.ddim(eta).apply(u, clean, noise)
            },
        )
    }

    /// The counterfactual of each image: up by `own`, down by `other`.
    ///
    /// `images` and the result are `[batch, channels, height, width]` for images, in the units of the denoisers. Row `i` draws
    /// from row `i` of `noise`, or nothing where images are encoded.
    ///
    /// # Errors
    /// [`SampleError::Diverged`].
    pub fn run<const D: usize>(
        &self,
        images: Tensor<D>,
        own: &dyn Denoiser<D>,
        other: &dyn Denoiser<D>,
        noise: &mut dyn Noise<D>,
        observe: &mut dyn FnMut(Step<'_, D>),
    ) -> Result<Tensor<D>, SampleError> {
        let top = self.ascend(images, own, noise, observe)?;
        self.descend(top, other, noise, observe)
    }
}

/// `|image - counterfactual|` summed over channels, `[batch, 1, height, width]`, from two batches of images.
///
/// # Panics
/// If the shapes differ.
pub fn anomaly_map(image: Tensor<4>, counterfactual: Tensor<4>) -> Tensor<4> {
    assert_eq!(
        image.dims(),
        counterfactual.dims(),
        "an image and its counterfactual must have one shape"
    );
    (image - counterfactual).abs().sum_dim(1)
}
