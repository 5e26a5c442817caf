//! What stands around the weights in a checkpoint.
//!
//! Training programs save dictionaries of dictionaries: the weights are one entry among optimizer states and counters, or
//! there are two, the weights and their moving average. The entries' names are prefixes of the tensors' names. Which of them hold
//! the network is decided by what fits; where several fit equally well, the moving average is taken.

use std::{collections::BTreeMap, ops::Bound};

use super::{Inventory, file::Checkpoint};

/// Entries that hold a moving average of the weights.
const AVERAGES: &[&str] = &[
    "ema",
    "params_ema",
    "model_ema",
    "ema_model",
    "ema_params",
    "ema_state_dict",
    "state_dict_ema",
    "g_ema",
];

/// Entries that hold the weights, and the modules that wrap a network: parallel training, compilation, training frameworks.
const WRAPPERS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "params",
    "model",
    "network",
    "net",
    "weights",
    "denoiser",
    "denoise_fn",
    "diffusion_model",
    "unet",
    "generator",
    "module",
    "_orig_mod",
];

/// Wrappings within wrappings.
const DEPTH: usize = 4;

/// The prefixes behind which the weights may stand, averages first, then the least wrapped.
pub(super) fn prefixes(checkpoint: &Checkpoint) -> Vec<String> {
    let mut found = vec![(false, String::new())];
    let mut level = found.clone();
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (averaged, prefix) in &level {
            let words = AVERAGES.iter().chain(WRAPPERS);
            for (index, word) in words.enumerate() {
                let inner = format!("{prefix}{word}.");
                if within(&checkpoint.tensors, &inner).next().is_some() {
                    next.push((*averaged || index < AVERAGES.len(), inner));
                }
            }
        }
        found.extend(next.iter().cloned());
        level = next;
    }
    // Stable: the least wrapped stay first.
    found.sort_by_key(|(averaged, _)| !averaged);
    found.into_iter().map(|(_, prefix)| prefix).collect()
}

/// Names and shapes of the tensors behind a prefix. One without elements can have axes of any length, and is none of a network's.
pub(super) fn behind(checkpoint: &Checkpoint, prefix: &str) -> Inventory {
    Inventory(
        within(&checkpoint.tensors, prefix)
            .filter(|(_, entry)| entry.elements() > 0)
            .map(|(name, entry)| (name[prefix.len()..].to_owned(), entry.shape.clone()))
            .collect(),
    )
}

/// The entries whose names begin with `prefix`.
pub(super) fn within<'a, T>(
    tensors: &'a BTreeMap<String, T>,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    tensors
        .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(move |(name, _)| name.starts_with(prefix))
}
