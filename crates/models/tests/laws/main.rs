//! Networks: their shapes, their derivatives, and what their files refuse.

#[cfg(test)]
mod adm;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod autoencoder;
#[cfg(test)]
mod autoencoder_folder;
#[cfg(test)]
mod conditioning;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod diffusers;
#[cfg(test)]
mod dncnn;
#[cfg(test)]
mod drunet;
#[cfg(test)]
mod embedding;
#[cfg(test)]
mod formula;
#[cfg(test)]
mod import;
#[cfg(test)]
mod import_forms;
#[cfg(test)]
mod import_hostile;
#[cfg(test)]
mod learned_variance;
#[cfg(test)]
mod mnist_ddpm;
#[cfg(test)]
mod model_folder;
#[cfg(test)]
mod mutation;
#[cfg(test)]
mod ncsnpp;
#[cfg(test)]
mod network;
#[cfg(test)]
mod noisy_classifier;
#[cfg(test)]
mod on_device;
#[cfg(test)]
mod plain_unet;
#[cfg(test)]
mod precision;
#[cfg(test)]
mod schedule;
#[cfg(test)]
mod simple_unet;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tiles;
#[cfg(test)]
mod weights;
