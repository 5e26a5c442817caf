//! Networks: their shapes, their derivatives, and what their files refuse.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod drunet;
#[cfg(test)]
mod embedding;
#[cfg(test)]
mod model_folder;
#[cfg(test)]
mod network;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod support;
#[cfg(test)]
mod weights;
