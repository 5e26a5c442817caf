//! Panics, which are bugs of this program or refusals of a driver, as values: no panic message reaches the terminal.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{Mutex, PoisonError},
};

/// What a panic said, and where.
#[derive(Clone, Debug)]
pub(crate) struct Panic {
    pub(crate) message: String,
    location: Option<String>,
}

/// How `println!` says that the standard output has gone, as when the reader of a pipe ends early.
const NO_OUTPUT: &str = "failed printing to";

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.starts_with(NO_OUTPUT) {
            return f.write_str(&self.message);
        }
        write!(f, "internal error: {}", self.message)?;
        if let Some(location) = &self.location {
            write!(f, " (at {location})")?;
        }
        f.write_str("; please report it")
    }
}

/// The first panic since the last call of [`caught`], on any thread: those that follow are its consequences.
static FIRST: Mutex<Option<Panic>> = Mutex::new(None);

/// From now on panics are kept instead of printed.
pub(crate) fn record() {
    panic::set_hook(Box::new(|info| {
        let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| read(info));
    }));
}

/// Runs `work`. A panic in it comes back as an error, whose content is missing where another hook has swallowed it.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Option<Panic>> {
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let first = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
    result.map_err(|_| first)
}

fn read(info: &PanicHookInfo<'_>) -> Panic {
    let message = info.payload_as_str().unwrap_or("no message");
    Panic {
        message: message.lines().map(str::trim).collect::<Vec<_>>().join(" "),
        location: info.location().map(ToString::to_string),
    }
}
