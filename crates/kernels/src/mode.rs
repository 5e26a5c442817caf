//! The one switch.

use std::sync::atomic::{AtomicU8, Ordering};

/// Which kernels the functions of this crate use, in the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Burn's own operations everywhere.
    Off,
    /// The kernels of this crate, but no Winograd convolution: the same sums as burn's in another order.
    Strict,
    /// The fastest kernel for each shape.
    #[default]
    Fast,
}

static MODE: AtomicU8 = AtomicU8::new(Mode::Fast as u8);

/// The mode in force; [`Mode::Fast`] until [`set_mode`].
pub fn mode() -> Mode {
    match MODE.load(Ordering::Relaxed) {
        0 => Mode::Off,
        1 => Mode::Strict,
        _ => Mode::Fast,
    }
}

/// Sets the mode of the process. For a program's start: what is being computed may still finish in the old mode.
///
/// ```
/// use tweedie_kernels::{Mode, mode, set_mode};
///
/// set_mode(Mode::Strict);
/// assert_eq!(mode(), Mode::Strict);
/// ```
pub fn set_mode(mode: Mode) {
    MODE.store(mode as u8, Ordering::Relaxed);
}
