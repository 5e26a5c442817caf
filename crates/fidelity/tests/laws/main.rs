//! Laws of data terms and guidance. `on_device` holds those that a backend could break.

#[cfg(test)]
mod bias;
#[cfg(test)]
mod class_likelihood;
#[cfg(test)]
mod closure;
#[cfg(test)]
mod conditional;
#[cfg(test)]
mod correlated;
#[cfg(test)]
mod covariance;
#[cfg(test)]
mod guidance;
#[cfg(test)]
mod lgd_mc;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lipschitz;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod mmps;
#[cfg(test)]
mod moreau_envelope;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod priors;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod support;
