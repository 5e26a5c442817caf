//! The `tweedie` program and the examples, built for release.

use std::ffi::OsString;
use std::process::Command;

use crate::outcome::{Failure, Outcome};
use crate::process;
use crate::workspace::Workspace;

/// The verbs of the program, passed on as they are.
pub(crate) const VERBS: &[&str] = &[
    "train",
    "average",
    "sample",
    "restore",
    "mcmc",
    "anomaly",
    "evaluate",
    "convert",
    "reproduce",
];

/// The package of the examples.
const EXAMPLES: &str = "tweedie-examples";

/// Builds the program with the feature that its `--device` needs and becomes it.
pub(crate) fn run(workspace: &Workspace, verb: &str, arguments: &[OsString]) -> Outcome {
    let mut command = process::cargo(["build", "--release", "--package", "tweedie-cli"]);
    match feature(arguments) {
        Some(feature) => process::run(command.args(["--features", feature]))
            .map_err(|_| Failure::Backend { feature })?,
        None => process::run(&mut command)?,
    }
    process::replace(
        Command::new(workspace.binary("tweedie"))
            .arg(verb)
            .args(arguments),
    )
}

/// Builds one example and becomes it.
pub(crate) fn example(workspace: &Workspace, arguments: &[OsString]) -> Outcome {
    let names = workspace.binaries(EXAMPLES);
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Failure::Usage(format!(
            "expected the name of an example: {names:?}"
        )));
    };
    let name = name.to_string_lossy();
    if !names.iter().any(|known| *known == name) {
        return Err(Failure::Usage(format!(
            "found example `{name}`, expected one of {names:?}"
        )));
    }
    process::run(&mut build(&["--bin", &name]))?;
    process::replace(Command::new(workspace.binary(&name)).args(rest))
}

/// Builds every example and runs it with its defaults.
pub(crate) fn examples(workspace: &Workspace) -> Outcome {
    process::run(&mut build(&["--bins"]))?;
    for name in workspace.binaries(EXAMPLES) {
        println!("-- example {name}");
        process::run(&mut Command::new(workspace.binary(name)))?;
    }
    Ok(())
}

/// A build of the whole workspace: with the features of one package alone, cargo would build burn once more.
fn build(targets: &[&str]) -> Command {
    let mut command = process::cargo(["build", "--release", "--workspace"]);
    command.args(targets);
    command
}

/// The Cargo feature beside the default ones that the device in `arguments`, or the first of several, needs. An unknown device
/// is left for the program to refuse.
fn feature(arguments: &[OsString]) -> Option<&'static str> {
    let mut devices = None;
    let mut words = arguments.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--device" || word == "--devices" {
            devices = words.next();
        } else if let Some((_, value)) = word
            .split_once('=')
            .filter(|(option, _)| ["--device", "--devices"].contains(option))
        {
            devices = Some(value.to_owned().into());
        }
    }
    let first = devices.as_deref()?.split([',', ':']).next()?;
    ["wgpu", "cuda"].into_iter().find(|name| *name == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature_of(line: &str) -> Option<&'static str> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        feature(&words)
    }

    #[test]
    fn the_feature_follows_the_device() {
        assert_eq!(feature_of("--steps 3"), None);
        assert_eq!(feature_of("--device cpu --steps 3"), None);
        assert_eq!(feature_of("--steps 3 --device wgpu"), Some("wgpu"));
        assert_eq!(feature_of("--device=cuda --steps 3"), Some("cuda"));
        assert_eq!(feature_of("--devices cuda:0,cuda:1"), Some("cuda"));
        assert_eq!(feature_of("--devices=wgpu,wgpu:1"), Some("wgpu"));
        assert_eq!(feature_of("--devices cpu,cpu"), None);
    }

    #[test]
    fn a_device_that_is_unknown_or_missing_gets_no_feature() {
        assert_eq!(feature_of("--device tpu"), None);
        assert_eq!(feature_of("--device"), None);
        assert_eq!(feature_of("--out wgpu"), None);
    }
}
