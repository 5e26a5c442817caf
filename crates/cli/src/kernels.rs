//! The kernels that the user names.

use clap::ValueEnum;
use tweedie::kernels::{Mode, set_mode};

/// Kernels by their name on the command line.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum KernelsName {
    #[default]
    Fast,
    Strict,
    Off,
}

impl KernelsName {
    /// Sets them for the whole process.
    pub(crate) fn set(self) {
        set_mode(match self {
            Self::Fast => Mode::Fast,
            Self::Strict => Mode::Strict,
            Self::Off => Mode::Off,
        });
    }
}
