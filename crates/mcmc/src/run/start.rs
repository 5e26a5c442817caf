//! Where chains start.

use burn::tensor::Tensor;
use tweedie_core::Rng;
use tweedie_physics::{ConjugateGradient, LinearOperator};

use crate::{ChainError, error::require};

/// The purpose of the randomness of starts.
const PURPOSE: u64 = 0x5354_4152_5453;

/// Where chains start: at an image, or around it.
///
/// R-hat can tell that chains have not converged only if they start further apart than the target is wide, so
/// [`over_dispersed`](Self::over_dispersed) is for runs that are to be judged by it.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::Rng;
/// use tweedie_mcmc::Start;
/// use tweedie_physics::{ForwardOperator, Inpainting};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let operator = Inpainting::random([8, 8], 0.5, 1, &device)?;
/// let y = operator.forward(Tensor::<4>::full([1, 1, 8, 8], 0.5, &device));
/// let start = Start::adjoint(&operator, y, [1, 1, 8, 8])?.over_dispersed(0.5)?;
/// assert_eq!(start.chains(4, &Rng::seeded(0, &device))?.dims(), [4, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Start<const D: usize = 4> {
    /// `[1, ...]` or `[chains, ...]`.
    image: Tensor<D>,
    spread: f64,
}

impl<const D: usize> Start<D> {
    /// One image for all chains, `[1, ...]`, or one for each.
    pub fn given(image: Tensor<D>) -> Self {
        Self { image, spread: 0.0 }
    }

    /// `A^T y` for images of shape `image`, and as many rows as `y` has.
    ///
    /// # Errors
    /// If `A` cannot measure such images, or measures them in another shape than that of `y`.
    pub fn adjoint<const Y: usize>(
        operator: &impl LinearOperator<D, Y>,
        y: Tensor<Y>,
        image: [usize; D],
    ) -> Result<Self, ChainError> {
        require_measurement(operator, &y, image)?;
        Ok(Self::given(operator.adjoint(y)))
    }

    /// `A^+ y`, the least-norm least-squares solution, which amplifies noise where `A` is weak: the fewer iterations of
    /// `cg`, the less.
    ///
    /// # Errors
    /// As [`adjoint`](Self::adjoint).
    pub fn pseudo_inverse<const Y: usize>(
        operator: &impl LinearOperator<D, Y>,
        y: Tensor<Y>,
        image: [usize; D],
        cg: ConjugateGradient,
    ) -> Result<Self, ChainError> {
        require_measurement(operator, &y, image)?;
        Ok(Self::given(operator.pseudo_inverse(y, cg)))
    }

    /// With independent normal noise of standard deviation `std` added to each chain.
    ///
    /// # Errors
    /// Unless `std` is finite and at least 0.
    pub fn over_dispersed(self, std: f64) -> Result<Self, ChainError> {
        let valid = std >= 0.0 && std.is_finite();
        require("std", std, valid, "finite and at least 0")?;
        Ok(Self {
            spread: std,
            ..self
        })
    }

    /// The starts of `chains` chains, `[chains, ...]`. Noise comes from a fork of `rng`, which draws nothing itself; that of
    /// a chain does not depend on how many there are.
    ///
    /// # Errors
    /// For no chains, and for a number of images that is neither 1 nor that of the chains.
    pub fn chains(&self, chains: usize, rng: &Rng) -> Result<Tensor<D>, ChainError> {
        require("chains", chains as f64, chains > 0, "at least 1")?;
        let found = self.image.dims()[0];
        let starts = match found {
            _ if found == chains => self.image.clone(),
            1 => self.image.clone().repeat_dim(0, chains),
            _ => return Err(ChainError::StartCount { found, chains }),
        };
        if self.spread == 0.0 {
            return Ok(starts);
        }
        let noise = rng.fork(PURPOSE).normal(starts.dims());
        let noise = noise.cast(starts.dtype()).mul_scalar(self.spread);
        Ok(starts + noise)
    }
}

fn require_measurement<const X: usize, const Y: usize>(
    operator: &impl LinearOperator<X, Y>,
    y: &Tensor<Y>,
    image: [usize; X],
) -> Result<(), ChainError> {
    let expected = operator.measurement_shape(image)?;
    if y.dims() == expected {
        return Ok(());
    }
    Err(ChainError::MeasurementShape {
        found: y.dims().to_vec(),
        expected: expected.to_vec(),
    })
}
