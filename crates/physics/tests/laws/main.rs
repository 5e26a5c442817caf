//! Laws of operators and noise. `on_device` holds those that a backend could break.

#[cfg(test)]
mod conjugate_gradient;
#[cfg(test)]
mod inpainting;
#[cfg(test)]
mod noise;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registry;
