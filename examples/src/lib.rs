//! What the examples share: where the shipped checkpoint lies.
//!
//! Each program beside this file answers one question: `cargo xtask example NAME`.

use std::path::Path;

/// The folder of the checkpoint in the repository: a small denoiser of 32-pixel phantoms.
pub fn checkpoint() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../checkpoints/phantoms"
    ))
}
