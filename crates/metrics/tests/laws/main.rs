//! Tests of the measures against closed forms and brute force in `f64`.

#[cfg(test)]
mod autocorrelation;
#[cfg(test)]
mod chain_moments;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod frechet;
#[cfg(test)]
mod highest_density;
#[cfg(test)]
mod host;
#[cfg(test)]
mod localisation;
#[cfg(test)]
mod markov;
#[cfg(test)]
mod mmse_gap;
#[cfg(all(test, feature = "perceptual"))]
mod perceptual;
#[cfg(test)]
mod psnr;
#[cfg(test)]
mod quantiles;
#[cfg(test)]
mod records;
#[cfg(test)]
mod sbc;
#[cfg(test)]
mod scores;
#[cfg(test)]
mod sliced_wasserstein;
#[cfg(test)]
mod ssim;
#[cfg(test)]
mod stored_chains;
#[cfg(test)]
mod streaming_quantiles;
#[cfg(test)]
mod welford;
