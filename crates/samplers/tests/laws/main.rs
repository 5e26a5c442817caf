//! Samplers have the law they promise, whatever the batch size.

#[cfg(test)]
mod batches;
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
mod golden;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod pigdm;
#[cfg(test)]
mod posterior;
#[cfg(test)]
mod posterior_diffusion;
#[cfg(test)]
mod support;
