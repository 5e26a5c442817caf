//! The laws of diffusion processes.

#[cfg(test)]
mod on_device;
#[cfg(test)]
mod processes;
