//! How a camera spoils an image: measurement operators `A`, their adjoints, and noise.
//!
//! A measurement is `y = N(A x)`: a [`ForwardOperator`] gives `A`, a [`NoiseModel`] gives `N`. A [`LinearOperator`] adds the
//! exact adjoint and `(A^T A + d I)^-1`, in closed form where there is one and by [`ConjugateGradient`] elsewhere.
//!
//! Images and measurements are `[batch, channels, height, width]` with pixels in [0, 1]. Constructors refuse settings that
//! make no sense, and [`ForwardOperator::measurement_shape`] refuses images that do not fit; both answer with a typed
//! [`PhysicsError`].
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tweedie_core::Rng;
//! use tweedie_physics::{ForwardOperator, GaussianNoise, Inpainting, LinearOperator, NoiseModel};
//!
//! # fn main() -> Result<(), tweedie_physics::PhysicsError> {
//! let device = Device::flex();
//! let half_missing = Inpainting::random([8, 8], 0.5, 1, &device)?;
//! let clean = Tensor::<4>::full([1, 1, 8, 8], 0.5, &device);
//! let noise = GaussianNoise::new(0.05)?;
//! let y = noise.corrupt(half_missing.forward(clean), &mut Rng::seeded(2, &device));
//! let zero_filled = half_missing.adjoint(y);
//! assert_eq!(zero_filled.dims(), [1, 1, 8, 8]);
//! # Ok(())
//! # }
//! ```

mod any;
mod check;
mod config;
mod conjugate_gradient;
mod error;
mod fourier;
pub mod kernels;
mod masks;
mod noise;
mod norm;
mod operator;
mod operators;
mod random;
mod reduce;
mod svd;

pub use any::AnyOperator;
pub use check::{
    Law, LawCheck, OperatorCheck, OperatorFault, check_forward, check_operator, check_svd,
};
pub use config::{NoiseConfig, OperatorConfig};
pub use conjugate_gradient::ConjugateGradient;
pub use error::PhysicsError;
pub use masks::{cartesian_mask, radial_mask};
pub use noise::{
    GammaNoise, GaussianNoise, LaplaceNoise, LikelihoodScore, LogPoissonNoise, NoiseModel,
    PerSampleGaussianNoise, PoissonGaussianNoise, PoissonNoise, SaltPepperNoise, UniformNoise,
    VarianceStabiliser,
};
pub use norm::operator_norm;
pub use operator::{ForwardOperator, LinearOperator};
pub use operators::{
    AverageDownsampling, Blur, Boundary, Crop, DenseSvd, Detection, Downsampling,
    DownsamplingFilter, ForwardClosure, FourierBlur, Hadamard, Identity, Inpainting,
    JpegQuantisation, LinearClosure, Margins, MatrixOperator, Mri, MultiCoilMri, PhaseRetrieval,
    Product, Quantisation, Region, Saturation, Scaled, SpectralMixing, Stack, Sum, Tomography,
    ZeroPad, birdcage_sensitivities,
};
pub use reduce::{dot, squared_norm};
pub use svd::{Svd, pseudo_inverse_by_svd, solve_normal_by_svd};
