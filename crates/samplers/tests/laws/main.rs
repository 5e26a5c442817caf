//! Samplers have the law they promise, whatever the batch size.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod counterfactual;
#[cfg(test)]
mod daps;
#[cfg(test)]
mod ddnm;
#[cfg(test)]
mod ddrm;
#[cfg(test)]
mod diffpir;
#[cfg(test)]
mod diverged;
#[cfg(test)]
mod dps;
#[cfg(test)]
mod draws;
#[cfg(test)]
mod every;
#[cfg(test)]
mod fps;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod latent;
#[cfg(test)]
mod likelihood_step;
#[cfg(test)]
mod mcg;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod particles;
#[cfg(test)]
mod particles_gaussian;
#[cfg(test)]
mod particles_mixture;
#[cfg(test)]
mod particles_support;
#[cfg(test)]
mod pigdm;
#[cfg(test)]
mod posterior;
#[cfg(test)]
mod posterior_diffusion;
#[cfg(test)]
mod projection;
#[cfg(test)]
mod red_diff;
#[cfg(test)]
mod repaint;
#[cfg(test)]
mod split_gibbs;
#[cfg(test)]
mod split_gibbs_images;
#[cfg(test)]
mod support;
