//! Exact laws of every solver: no sampling, double precision.
//!
//! Two comparisons are made, and both are needed. For a point mass the methods that use the structure of a diffusion are
//! exact at any step size, which catches a wrong coefficient that convergence alone would forgive. For a Gaussian prior the
//! error must fall at the method's order.

#[cfg(test)]
mod adaptive;
#[cfg(test)]
mod adaptive_sde;
#[cfg(test)]
mod gaussian;
#[cfg(test)]
mod langevin;
#[cfg(test)]
mod learned_variance;
#[cfg(test)]
mod likelihood;
#[cfg(test)]
mod multistep;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod point_mass;
#[cfg(test)]
mod published;
#[cfg(test)]
mod references;
#[cfg(test)]
mod stochastic;
#[cfg(test)]
mod strong_order;
#[cfg(test)]
mod support;
#[cfg(test)]
mod walk;
