//! Tests of the measures against closed forms and brute force in `f64`.

#[cfg(test)]
mod host;
#[cfg(test)]
mod psnr;
#[cfg(test)]
mod ssim;
#[cfg(test)]
mod welford;
