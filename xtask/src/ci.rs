//! All checks, in one order, each timed.

use std::time::Instant;

use crate::outcome::{Failure, Outcome};
use crate::process;
use crate::workspace::Workspace;
use crate::{methods, program, suite};

type Step = fn(&Workspace) -> Outcome;

/// Cheapest first.
const STEPS: &[(&str, Step)] = &[
    ("fmt", |_| {
        process::run(&mut process::cargo(["fmt", "--all", "--check"]))
    }),
    ("tidy", crate::tidy),
    ("docs", |workspace| methods::check(&workspace.root)),
    ("clippy", |_| clippy()),
    ("test", |_| suite::test(&[])),
    ("rustdoc", |_| rustdoc()),
    ("examples", program::examples),
    ("deny", |_| deny()),
];

/// Runs every step that `--skip` does not name.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let skipped = skipped(arguments)?;
    for (name, step) in STEPS {
        if skipped.contains(name) {
            println!("== {name}: skipped as asked");
            continue;
        }
        println!("== {name}");
        let start = Instant::now();
        step(workspace)?;
        println!("== {name}: {:.0} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn skipped(arguments: &[String]) -> Outcome<Vec<&str>> {
    let mut names = Vec::new();
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match (word, words.next()) {
            ("--skip", Some(name)) if STEPS.iter().any(|(known, _)| *known == name) => {
                names.push(name)
            }
            (_, value) => {
                let found = value.map_or(word.to_owned(), |value| format!("{word} {value}"));
                let steps: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
                let expected = format!("`--skip STEP` with a step of {steps:?}");
                return Err(Failure::Usage(format!(
                    "found `{found}`, expected {expected}"
                )));
            }
        }
    }
    Ok(names)
}

fn clippy() -> Outcome {
    let targets = ["clippy", "--release", "--workspace", "--all-targets"];
    process::run(process::cargo(targets).args(["--", "--deny", "warnings"]))
}

fn rustdoc() -> Outcome {
    let mut command = process::cargo(["doc", "--release", "--workspace", "--no-deps"]);
    process::run(command.env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Licences and sources of the dependencies, where the program for it is installed.
fn deny() -> Outcome {
    if process::is_installed("cargo-deny") {
        process::run(&mut process::cargo(["deny", "check"]))
    } else {
        println!("cargo-deny is not installed: licences and sources were not checked");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped_in(line: &str) -> Outcome<Vec<String>> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Ok(skipped(&words)?.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn named_steps_are_skipped() {
        assert!(skipped_in("").unwrap().is_empty());
        assert_eq!(
            skipped_in("--skip test --skip deny").unwrap(),
            ["test", "deny"]
        );
    }

    #[test]
    fn unknown_steps_are_refused() {
        for line in ["--skip", "--skip everything", "test"] {
            assert!(
                matches!(skipped_in(line), Err(Failure::Usage(_))),
                "{line} was accepted"
            );
        }
    }
}
