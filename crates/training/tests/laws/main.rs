//! Training: what the objective, the averages, the loop and the checkpoints must satisfy.

#[cfg(test)]
mod autoencoding;
#[cfg(test)]
mod averages;
#[cfg(test)]
mod bound;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod clipping;
#[cfg(test)]
mod conditioning;
#[cfg(test)]
mod diverging;
#[cfg(test)]
mod handed_on;
#[cfg(test)]
mod hybrid;
#[cfg(test)]
mod importance;
#[cfg(test)]
mod known_optima;
#[cfg(test)]
mod latent_diffusion;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod levels;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod objective;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod optimum;
#[cfg(test)]
mod post_hoc;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod resuming;
#[cfg(test)]
mod score_matching;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod splitting;
#[cfg(test)]
mod support;
#[cfg(test)]
mod validating;
#[cfg(test)]
mod weightings;
