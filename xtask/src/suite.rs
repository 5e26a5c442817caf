//! The tests and the benchmarks: which of them run on which backend, and how. `docs/testing.md` gives the reasons.

use std::ffi::OsString;
use std::process::Command;

use crate::outcome::{Failure, Outcome};
use crate::peer;
use crate::process;
use crate::workspace::Workspace;

/// The package whose dependencies are the whole workspace. Selected beside a single crate, it makes cargo resolve the
/// same features as for the whole workspace, so that burn is not built once more for that crate alone.
const WHOLE: &str = "tweedie-cli";

/// The name of the library crates' one test binary.
const LAWS: &str = "laws";

/// The module of a law file whose tests also run on the devices of other backends.
const ON_DEVICE: &str = "on_device";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Backend {
    #[default]
    Flex,
    Wgpu,
    Cuda,
}

impl Backend {
    fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    fn parse(name: &str) -> Outcome<Self> {
        [Self::Flex, Self::Wgpu, Self::Cuda]
            .into_iter()
            .find(|backend| backend.name() == name)
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "found --backend {name}, expected flex, wgpu or cuda"
                ))
            })
    }
}

/// What `test` was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    backend: Backend,
    /// Empty: the whole workspace.
    crates: Vec<String>,
    /// For the test binaries.
    rest: Vec<String>,
}

impl Request {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (name, mut value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let mut value = || {
                let missing = || Failure::Usage(format!("expected a value after {name}"));
                value
                    .take()
                    .or_else(|| words.next().map(String::as_str))
                    .ok_or_else(missing)
            };
            match name {
                "--backend" => request.backend = Backend::parse(value()?)?,
                "-p" | "--package" => request.crates.push(value()?.to_owned()),
                "--" => request.rest.extend(words.by_ref().cloned()),
                _ => {
                    let expected = "--backend NAME, -p CRATE or `--`";
                    return Err(Failure::Usage(format!(
                        "found `{word}`, expected {expected}"
                    )));
                }
            }
        }
        Ok(request)
    }

    /// The arguments of cargo.
    fn cargo_arguments(&self) -> Vec<&str> {
        let mut words = vec!["test", "--release"];
        if self.crates.is_empty() {
            words.push("--workspace");
        } else {
            words.extend(["--package", WHOLE]);
            words.extend(self.crates.iter().flat_map(|name| ["--package", name]));
        }
        match self.backend {
            Backend::Flex => {}
            Backend::Wgpu => words.extend(["--features", "tweedie-testkit/wgpu"]),
            Backend::Cuda => words.extend(["--features", "tweedie-testkit/cuda"]),
        }
        let on_flex = self.backend == Backend::Flex;
        if !on_flex || !self.crates.is_empty() {
            words.extend(["--test", LAWS]);
        }
        words.push("--");
        // A test runs when any filter matches, so a filter of one's own takes the place of this one.
        let has_filter = self.rest.iter().any(|word| !word.starts_with('-'));
        if !on_flex && !has_filter {
            words.push(ON_DEVICE);
        }
        words.extend(self.rest.iter().map(String::as_str));
        words
    }
}

/// Runs the tests.
pub(crate) fn test(arguments: &[String]) -> Outcome {
    let request = Request::parse(arguments)?;
    let mut command = process::cargo(request.cargo_arguments());
    command.env("TWEEDIE_TEST_DEVICE", request.backend.name());
    tune_little(&mut command, request.backend);
    process::run(&mut command)
}

/// Runs the benchmarks of the workspace, or one of the two measurements that are no benchmark of its kind.
pub(crate) fn bench(arguments: Vec<OsString>) -> Outcome {
    let asked = |option: &str| arguments.iter().any(|word| word == option);
    if asked(peer::OPTION) {
        return peer::run(&Workspace::load()?, &process::text(arguments)?);
    }
    if asked("--memory") {
        return match &arguments[..] {
            [_] => peer::memory(),
            _ => Err(Failure::Usage("--memory stands alone".to_owned())),
        };
    }
    let mut command = process::cargo(["bench", "--workspace", "--bench", "*", "--"]);
    process::run(command.args(arguments))
}

/// Without this a GPU backend times many variants of each kernel for each new shape, which is most of a test run.
fn tune_little(command: &mut Command, backend: Backend) {
    const LEVEL: &str = "CUBECL_AUTOTUNE_LEVEL";
    if backend != Backend::Flex && std::env::var_os(LEVEL).is_none() {
        command.env(LEVEL, "minimal");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cargo_line(line: &str) -> Outcome<String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Ok(Request::parse(&words)?.cargo_arguments().join(" "))
    }

    #[test]
    fn flex_runs_everything() {
        assert_eq!(cargo_line("").unwrap(), "test --release --workspace --");
    }

    #[test]
    fn another_backend_runs_the_laws_marked_for_devices() {
        let expected =
            "test --release --workspace --features tweedie-testkit/wgpu --test laws -- on_device";
        assert_eq!(cargo_line("--backend wgpu").unwrap(), expected);
        assert_eq!(cargo_line("--backend=wgpu").unwrap(), expected);
    }

    #[test]
    fn a_filter_of_ones_own_narrows_the_tests_on_a_device() {
        let line = cargo_line("--backend cuda -- on_device::ddim --nocapture").unwrap();
        assert!(
            line.ends_with("--test laws -- on_device::ddim --nocapture"),
            "{line}"
        );
        let line = cargo_line("--backend cuda -- --nocapture").unwrap();
        assert!(line.ends_with("-- on_device --nocapture"), "{line}");
    }

    #[test]
    fn one_crate_is_built_with_the_features_of_the_workspace() {
        assert_eq!(
            cargo_line("-p tweedie-sde -- --nocapture drift").unwrap(),
            "test --release --package tweedie-cli --package tweedie-sde --test laws -- --nocapture drift"
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in ["--backend tpu", "--backend", "-p", "drift"] {
            assert!(
                matches!(cargo_line(line), Err(Failure::Usage(_))),
                "{line} was accepted"
            );
        }
    }
}
