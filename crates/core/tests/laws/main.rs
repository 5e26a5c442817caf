//! The laws that every schedule, grid, denoiser and random stream obeys.

#[cfg(test)]
mod adapters;
#[cfg(test)]
mod analytic;
#[cfg(test)]
mod autodiff;
#[cfg(test)]
mod brownian;
#[cfg(test)]
mod classifier_free;
#[cfg(test)]
mod conditioned;
#[cfg(test)]
mod denoisers;
#[cfg(test)]
mod grids;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod preconditioned;
#[cfg(test)]
mod preconditioning;
#[cfg(test)]
mod randomness;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod variances;
