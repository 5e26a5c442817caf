//! How a verb ends: done, refused, failed, or with a list of findings.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a verb did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// A command ended with this exit code; it has said why itself.
    Command { line: String, code: u8 },
    /// The program cannot be built with the Cargo feature of a backend; cargo has said why.
    Backend { feature: &'static str },
    /// A file, a folder or a program could not be reached.
    Io {
        what: String,
        source: std::io::Error,
    },
    /// `cargo metadata` said something that is not understood.
    Metadata { expected: &'static str },
    /// The comparison with a peer cannot be made.
    Peer {
        program: String,
        found: String,
        expected: String,
    },
    /// Rules that are broken.
    Findings(Vec<Finding>),
}

impl Failure {
    pub(crate) fn io(what: &Path, source: std::io::Error) -> Self {
        Self::Io {
            what: what.display().to_string(),
            source,
        }
    }

    /// 2 for a command line that makes no sense, a command's own code, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Command { code, .. } => ExitCode::from(*code),
            Self::Backend { .. }
            | Self::Io { .. }
            | Self::Metadata { .. }
            | Self::Peer { .. }
            | Self::Findings(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => write!(f, "xtask: {message}"),
            Self::Command { line, code } => write!(f, "xtask: `{line}` ended with code {code}"),
            Self::Backend { feature } => write!(
                f,
                "xtask: this machine cannot build burn's `{feature}` backend (cuda needs the CUDA toolkit and a download \
                 while it is built, see README.md); `--device cpu` needs nothing"
            ),
            Self::Io { what, source } => write!(f, "xtask: {what}: {source}"),
            Self::Metadata { expected } => {
                write!(f, "xtask: cargo metadata: expected {expected}, found none")
            }
            Self::Peer {
                program,
                found,
                expected,
            } => write!(f, "xtask: {program}: found {found}, expected {expected}"),
            Self::Findings(findings) => {
                for finding in findings {
                    writeln!(f, "{finding}")?;
                }
                write!(f, "xtask: {} rule(s) broken", findings.len())
            }
        }
    }
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Relative to the root of the workspace.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) found: String,
    pub(crate) expected: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            found,
            expected,
        } = self;
        write!(f, "{file}:{line}: found {found}, expected {expected}")
    }
}

/// Success when nothing was found.
pub(crate) fn none(findings: Vec<Finding>) -> Outcome {
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Failure::Findings(findings))
    }
}
