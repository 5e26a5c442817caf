//! The posterior as a target: the data term and the prior that the arguments name.

use tweedie::{
    burn::tensor::Device,
    core::{Denoiser, Rng},
    fidelity::{
        DataFidelity, Gradient, L2, MoreauEnvelope, ScorePrior, Tikhonov, TotalVariation, Wavelet,
        WaveletL1,
    },
    physics::{AnyOperator, ForwardOperator, operator_norm},
};

use super::arguments::{Arguments, Classical};
use crate::{failure::Outcome, problem::Problem};

/// Purpose of the random start of the power iteration.
const NORM: u64 = 2;

/// Iterations of it, and what is added to an estimate from below.
const NORM_ITERATIONS: usize = 50;
const NORM_MARGIN: f64 = 1.01;

/// Levels of the wavelet transform.
const LEVELS: usize = 3;

/// The prior, with a value or without.
pub(crate) enum Prior<'a> {
    Valued(Box<dyn DataFidelity + 'a>),
    Score(ScorePrior<&'a dyn Denoiser>),
}

impl<'a> Prior<'a> {
    pub(crate) fn gradient(&self) -> &(dyn Gradient + 'a) {
        match self {
            Self::Valued(prior) => prior.as_ref(),
            Self::Score(prior) => prior,
        }
    }
}

/// The data term `|A x - y|^2 / (2 noise_std^2)`.
pub(crate) type Data<'a> = L2<&'a dyn ForwardOperator>;

/// The data term, with the norm of a linear operator.
pub(crate) fn data<'a>(
    problem: &'a Problem,
    arguments: &Arguments,
    device: &Device,
) -> Outcome<Data<'a>> {
    let posed = &arguments.problem;
    let y = problem.measurement.clone();
    let data = L2::new(problem.operator.forward(), y, posed.noise_std)?;
    Ok(
        match norm(&problem.operator, problem.image_shape, posed.seed, device) {
            Some(norm) => data.with_operator_norm(norm)?,
            None => data,
        },
    )
}

fn norm(operator: &AnyOperator, image: [usize; 4], seed: u64, device: &Device) -> Option<f64> {
    // A mask is the one operator whose norm needs no search.
    if operator.inpainting().is_some() {
        return Some(1.0);
    }
    let mut rng = Rng::seeded(seed, device).fork(NORM);
    let found = operator_norm(operator.linear()?, image, NORM_ITERATIONS, &mut rng);
    Some(NORM_MARGIN * found)
}

/// A prior without a network; `lambda` smooths one that is not smooth.
pub(crate) fn classical(
    kind: Classical,
    arguments: &Arguments,
    [_, _, height, width]: [usize; 4],
    lambda: Option<f64>,
) -> Outcome<Prior<'static>> {
    let weight = arguments.weight();
    let smoothing = || arguments.lambda.or(lambda).ok_or(NoSmoothing);
    Ok(Prior::Valued(match kind {
        Classical::Tikhonov => Box::new(Tikhonov::differences(weight)?),
        Classical::Wavelet => {
            let wavelet = WaveletL1::new([height, width], Wavelet::Haar, LEVELS, weight)?;
            Box::new(MoreauEnvelope::new(wavelet, smoothing()?)?)
        }
        Classical::Tv => {
            let variation = TotalVariation::isotropic(weight)?.with_iterations(PROX_ITERATIONS);
            Box::new(MoreauEnvelope::new(variation, smoothing()?)?)
        }
    }))
}

/// The score of a denoiser.
pub(crate) fn learnt<'a>(arguments: &Arguments, denoiser: &'a dyn Denoiser) -> Outcome<Prior<'a>> {
    let prior = ScorePrior::new(denoiser, arguments.sigma, arguments.weight())?;
    Ok(Prior::Score(prior))
}

/// Iterations of the proximal operator of total variation: enough where its step is the square of a small noise.
const PROX_ITERATIONS: usize = 25;

/// The data term does not say how much to smooth.
#[derive(Debug, thiserror::Error)]
#[error("--operator saturation is not linear: the priors tv and wavelet need --lambda")]
struct NoSmoothing;
