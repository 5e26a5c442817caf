//! Kernels have the law they promise, and diagnostics and resumed runs are what they should be.

#[cfg(test)]
mod adaptation;
#[cfg(test)]
mod affine;
#[cfg(test)]
mod annealed_langevin;
#[cfg(test)]
mod boxes;
#[cfg(test)]
mod chains;
#[cfg(test)]
mod every;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod leapfrog;
#[cfg(test)]
mod metropolis;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod plug_in_priors;
#[cfg(test)]
mod preconditioned;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod report;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod resume_kernels;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod sk_rock;
#[cfg(test)]
mod skewed;
#[cfg(test)]
mod split_gibbs;
#[cfg(test)]
mod stationary;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tempering;
#[cfg(test)]
mod ula;
#[cfg(test)]
mod underdamped;
