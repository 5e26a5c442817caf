//! What a verb returns, and how it is told.

use std::{error::Error, fmt, process::ExitCode};

/// Exit code of failed work.
pub(crate) const FAILED: u8 = 1;

/// Exit code of wrong arguments, the one that `clap` uses.
pub(crate) const USAGE: u8 = 2;

/// Exit code of interrupted work: that of a shell for a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// The result of a verb.
pub(crate) type Outcome<T = ExitCode> = Result<T, Failure>;

/// An error on its way to the terminal. `?` makes any error into failed work; those that arguments are to blame for pass
/// through [`Failure::usage`].
///
/// It is shown as one line: the error and its causes, but for those that a message before has quoted.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Box<dyn Error + Send + Sync>,
    code: u8,
}

impl Failure {
    /// The arguments are wrong.
    pub(crate) fn usage(error: impl Error + Send + Sync + 'static) -> Self {
        Self {
            error: error.into(),
            code: USAGE,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            code: FAILED,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !told.contains(&text) {
                told = format!("{told}: {text}");
            }
            cause = error.source();
        }
        f.write_str(&told.lines().map(str::trim).collect::<Vec<_>>().join(" "))
    }
}
