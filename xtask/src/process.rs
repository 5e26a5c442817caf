//! Other programs: cargo above all.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::{Command, ExitStatus, Stdio};

use crate::outcome::{Failure, Outcome};

/// The cargo that runs this driver, with `arguments`.
pub(crate) fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Runs `command` to its end.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|source| unreachable_program(command, source))?;
    success(command, status)
}

/// What `command` prints.
pub(crate) fn output(command: &mut Command) -> Outcome<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|source| unreachable_program(command, source))?;
    success(command, output.status)?;
    Ok(output.stdout)
}

/// Runs `command` in the place of this process, so that it alone gets Ctrl-C and answers with its own exit code.
#[cfg(unix)]
pub(crate) fn replace(command: &mut Command) -> Outcome {
    use std::os::unix::process::CommandExt;
    let source = command.exec();
    Err(unreachable_program(command, source))
}

/// Runs `command` to its end: this system can't replace a process.
#[cfg(not(unix))]
pub(crate) fn replace(command: &mut Command) -> Outcome {
    run(command)
}

/// `arguments` as text.
pub(crate) fn text(arguments: Vec<OsString>) -> Outcome<Vec<String>> {
    let text = |argument: OsString| {
        argument.into_string().map_err(|found| {
            Failure::Usage(format!(
                "expected an argument in UTF-8, found {}",
                found.display()
            ))
        })
    };
    arguments.into_iter().map(text).collect()
}

/// Whether `program` can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The command line as a person would type it, without its environment.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

fn success(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() {
        return Ok(());
    }
    // No code: ended by a signal.
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Err(Failure::Command {
        line: line(command),
        code,
    })
}

fn unreachable_program(command: &Command, source: std::io::Error) -> Failure {
    Failure::Io {
        what: line(command),
        source,
    }
}
