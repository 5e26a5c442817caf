//! Training: what the objective, the averages, the loop and the checkpoints must satisfy.

#[cfg(test)]
mod averages;
#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod clipping;
#[cfg(test)]
mod learning;
#[cfg(test)]
mod losses;
#[cfg(test)]
mod objective;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod optimum;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod resuming;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod support;
