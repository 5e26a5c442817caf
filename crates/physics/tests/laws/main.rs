//! Laws of operators and noise. `on_device` holds those that a backend could break.

#[cfg(test)]
mod blur;
#[cfg(test)]
mod check;
#[cfg(test)]
mod compositions;
#[cfg(test)]
mod conjugate_gradient;
#[cfg(test)]
mod downsampling;
#[cfg(test)]
mod fourier;
#[cfg(test)]
mod inpainting;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod mri;
#[cfg(test)]
mod noise;
#[cfg(test)]
mod nonlinear;
#[cfg(test)]
mod norm;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod phase_retrieval;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod svd;
#[cfg(test)]
mod tomography;
