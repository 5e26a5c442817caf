//! The operators, one per file.

mod blur;
mod boundary;
mod closure;
mod compose;
mod dense_svd;
mod downsampling;
mod filtered_downsampling;
mod fourier_blur;
mod hadamard;
mod identity;
mod inpainting;
mod matrix;
mod mri;
mod multi_coil_mri;
mod phase_retrieval;
mod quantisation;
mod saturation;
mod spectral;
mod tomography;

pub use blur::Blur;
pub use boundary::Boundary;
pub use closure::{ForwardClosure, LinearClosure};
pub use compose::{Crop, Margins, Product, Scaled, Stack, Sum, ZeroPad};
pub use dense_svd::DenseSvd;
pub use downsampling::AverageDownsampling;
pub use filtered_downsampling::{Downsampling, DownsamplingFilter};
pub use fourier_blur::FourierBlur;
pub use hadamard::Hadamard;
pub use identity::Identity;
pub use inpainting::{Inpainting, Region};
pub use matrix::MatrixOperator;
pub use mri::Mri;
pub use multi_coil_mri::{MultiCoilMri, birdcage_sensitivities};
pub use phase_retrieval::{Detection, PhaseRetrieval};
pub use quantisation::{JpegQuantisation, Quantisation};
pub use saturation::Saturation;
pub use spectral::SpectralMixing;
pub use tomography::Tomography;

use burn::tensor::Tensor;

use crate::PhysicsError;

/// Reads a matrix back and refuses entries that are not finite.
fn require_finite(matrix: &Tensor<2>) -> Result<(), PhysicsError> {
    let columns = matrix.dims()[1];
    let values = matrix.try_to_vec_as::<f64>()?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(PhysicsError::MatrixValue {
            at: [index / columns, index % columns],
            found: values[index],
        }),
    }
}
