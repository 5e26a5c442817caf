//! Predictor-corrector: after each step of another method, Langevin steps at the new noise level.
//!
//! `x <- x + eps score(x) + sqrt(2 eps) z`, `eps = 2 (snr |z|/|score|)^2`, `score = (s D - x)/(s sigma)^2`
//!
//! Song et al. 2021, algorithms 2-5 and appendix G, <https://arxiv.org/abs/2011.13456>. The norms are those of each
//! row, so that no row depends on another; the reference program averages them over the batch. Algorithm 5, for
//! variance-preserving processes, multiplies `eps` by `1 - beta_i`, at least 0.98 in the paper; here that factor is 1,
//! as in algorithm 4. One evaluation for each corrector step, besides those of the predictor; none at a time without
//! noise. Order: that of the predictor, up to the bias of the corrector, a share of about `snr^2 + 4/pixels` of the
//! variance where it rules.

use burn::tensor::Tensor;
use tweedie_core::{Noise, Span, combine};
use tweedie_sde::Diffusion;

use crate::{SolveError, Solver, error::require};

/// A one-step method with a Langevin corrector.
///
/// ```
/// use tweedie_solvers::{Ancestral, PredictorCorrector};
///
/// // As in the paper: one corrector step after each step of ancestral sampling.
/// assert!(PredictorCorrector::new(Ancestral, 0.16, 1).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PredictorCorrector<S> {
    predictor: S,
    snr: f64,
    corrector_steps: usize,
}

impl<S> PredictorCorrector<S> {
    /// `snr` is the norm of `eps score` over that of `sqrt(2 eps) z`; the paper takes 0.16, and one corrector step.
    ///
    /// # Errors
    /// Unless `snr` is finite and above 0.
    pub fn new(predictor: S, snr: f64, corrector_steps: usize) -> Result<Self, SolveError> {
        let valid = snr > 0.0 && snr.is_finite();
        require("snr", snr, valid, "finite and above 0")?;
        Ok(Self {
            predictor,
            snr,
            corrector_steps,
        })
    }

    fn correct<P: Diffusion<D> + ?Sized, const D: usize>(
        &self,
        process: &P,
        x: Tensor<D>,
        t: f64,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let (s, sigma) = (process.schedule().scale(t), process.schedule().sigma(t));
        let precision = (s * sigma).powi(-2);
        let clean = process.denoised(x.clone(), t);
        let score = combine([(s * precision, clean), (-precision, x.clone())]);
        let fresh = noise.normal(x.dims());
        // sqrt(2 eps), one number for each row; eps is half of its square.
        let strength = (row_norms(&fresh) / row_norms(&score)).mul_scalar(2.0 * self.snr);
        x + (score.mul(strength.clone()).mul_scalar(0.5) + fresh).mul(strength)
    }
}

/// Euclidean norm of each row, `[batch, 1, 1, ..]`.
fn row_norms<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    x.clone()
        .square()
        .reshape([shape[0] as i32, -1])
        .sum_dim(1)
        .sqrt()
        .reshape(shape)
}

impl<P, S, const D: usize> Solver<P, D> for PredictorCorrector<S>
where
    P: Diffusion<D> + ?Sized,
    S: Solver<P, D>,
{
    type Memory = S::Memory;

    fn step(
        &self,
        process: &P,
        memory: &mut Self::Memory,
        x: Tensor<D>,
        span: Span,
        noise: &mut dyn Noise<D>,
    ) -> Tensor<D> {
        let predicted = self.predictor.step(process, memory, x, span, noise);
        if !process.is_defined_at(span.to) {
            return predicted;
        }
        (0..self.corrector_steps).fold(predicted, |x, _| self.correct(process, x, span.to, noise))
    }
}
