//! Classifier guidance: the likelihood of a class, by a classifier of noisy images.
//! Dhariwal & Nichol 2021, section 4, algorithms 1 and 2, <https://arxiv.org/abs/2105.05233>; Sohl-Dickstein et al. 2015,
//! section 2.5, <https://arxiv.org/abs/1503.03585>.
//!
//! `grad_x log p(c | x_sigma = x)`, times `scale`. With the exact classifier and scale 1 the posterior is exact: by Bayes' rule
//! `D(x; sigma) + sigma^2 grad_x log p(c | x) = E[x_0 | x_sigma = x, c]`. A larger scale sharpens the classifier to `p(c | x)^scale`,
//! up to a constant.
//!
//! - Needs: a differentiable classifier that knows the noise level; no operator.
//! - Cost: one evaluation of the prior; one evaluation and one backward pass of the classifier a step.
//! - Gaussian prior: exact, as the classifier is.
//! - Use: draws of a class from a prior that was trained without classes.

use burn::tensor::{Tensor, TensorData};
use tweedie_core::{Denoiser, NoisyClassifier, value_and_vjp};

use crate::{FidelityError, Guided, NoisyFidelity, error::require_non_negative};

/// The likelihood of a class for each image.
///
/// ```
/// use burn::tensor::{Device, Tensor, activation::log_softmax};
/// use tweedie_core::{Denoiser, GaussianPrior, NoisyClassifier};
/// use tweedie_fidelity::{ClassLikelihood, Posterior};
///
/// /// Bright or dark.
/// struct Brightness;
/// impl NoisyClassifier for Brightness {
///     fn classes(&self) -> usize {
///         2
///     }
///
///     fn log_probabilities(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<2> {
///         let light = noisy.flatten::<2>(1, 3).mean_dim(1).sub_scalar(0.5) / (1.0 + sigma * sigma);
///         log_softmax(Tensor::cat(vec![light.clone(), -light], 1), 1)
///     }
/// }
///
/// # fn main() -> Result<(), tweedie_fidelity::FidelityError> {
/// let device = Device::flex();
/// let prior = GaussianPrior::new(Tensor::<4>::full([1, 1, 2, 2], 0.5, &device), 0.04);
/// let guidance = ClassLikelihood::new(Brightness, &[0], 1.0)?;
/// let bright = Posterior { prior, guidance };
/// let clean = bright.denoise(Tensor::full([3, 1, 2, 2], 0.5, &device), 1.0);
/// assert!(clean.mean().into_scalar::<f32>() > 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClassLikelihood<C> {
    classifier: C,
    classes: Vec<usize>,
    scale: f64,
}

impl<C> ClassLikelihood<C> {
    /// `classes` has one class for all images, or one for each; `scale >= 0`.
    ///
    /// # Errors
    /// [`FidelityError::Class`] for one that the classifier does not know, [`FidelityError::OutOfRange`] unless `scale` is finite and at
    /// least 0.
    pub fn new<const D: usize>(
        classifier: C,
        classes: &[usize],
        scale: f64,
    ) -> Result<Self, FidelityError>
    where
        C: NoisyClassifier<D>,
    {
        require_non_negative("scale", scale)?;
        let known = classifier.classes();
        if let Some(&found) = classes.iter().find(|&&class| class >= known) {
            return Err(FidelityError::Class {
                found,
                classes: known,
            });
        }
        Ok(Self {
            classifier,
            classes: classes.to_vec(),
            scale,
        })
    }

    /// `scale` at the class of each row, 0 elsewhere: of the shape and the type of `found`.
    fn chosen(&self, found: &Tensor<2>) -> Tensor<2> {
        let [batch, classes] = found.dims();
        let rows = self.classes.len();
        assert!(
            rows == 1 || rows == batch,
            "one class for all images or one for each of {batch}, got {rows}"
        );
        let mut chosen = vec![0.0; batch * classes];
        for row in 0..batch {
            chosen[row * classes + self.classes[row % rows]] = self.scale;
        }
        let options = (&found.device(), found.dtype());
        Tensor::from_data(TensorData::new(chosen, [batch, classes]), options)
    }
}

impl<const D: usize, C: NoisyClassifier<D>> NoisyFidelity<D> for ClassLikelihood<C> {
    /// # Panics
    /// Unless there is one class, or one for each row of `noisy`.
    fn guide(&self, prior: &dyn Denoiser<D>, noisy: Tensor<D>, sigma: f64) -> Guided<D> {
        let (_, likelihood_score) = value_and_vjp(
            noisy.clone(),
            |x| self.classifier.log_probabilities(x, sigma),
            |found| self.chosen(&found),
        );
        Guided {
            denoised: prior.denoise(noisy, sigma),
            likelihood_score,
        }
    }
}
