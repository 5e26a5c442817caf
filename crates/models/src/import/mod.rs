//! Checkpoints of other programs.
//!
//! A checkpoint is a file of named tensors. [`known`] recognises the network from names and shapes, and the network's
//! [`Layout`]s say which of their tensors make which of ours.

pub(crate) mod diffusers;
mod file;
mod known;
mod layout;
mod load;
mod plan;
mod pytorch;
mod safetensors;
mod slots;
mod stored;
mod weigh;
mod wrapping;

pub(crate) use file::Checkpoint;
pub(crate) use layout::{Fold, Form, Inventory, Layout, Rule};
pub use load::{Imported, import, import_names};
pub(crate) use load::{import_as, load_module};

/// Name of the entry of a safetensors file's metadata that holds a [`ModelConfig`](crate::ModelConfig).
const CONFIG_KEY: &str = "tweedie";
