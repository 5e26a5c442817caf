//! The layers of the workspace as data, and the check that `cargo metadata` agrees with them.

use std::fs;

use crate::outcome::{Finding, Outcome};
use crate::workspace::{Package, Workspace};

/// One row of the layer table.
struct Row {
    package: &'static str,
    /// A package uses strictly lower layers only.
    layer: u8,
    may_use: &'static [&'static str],
}

/// What the tests of every package may use beside the packages of its row.
const TESTKIT: &str = "tweedie-testkit";

const fn row(package: &'static str, layer: u8, may_use: &'static [&'static str]) -> Row {
    Row {
        package,
        layer,
        may_use,
    }
}

/// A new edge is a decision: it is entered here, and in `docs/architecture.md` with its reason.
#[rustfmt::skip]
const LAYERS: &[Row] = &[
    row("tweedie-core",     0, &[]),
    row("tweedie-kernels",  0, &[]),
    row("tweedie-sde",      1, &["tweedie-core"]),
    row("tweedie-physics",  1, &["tweedie-core"]),
    row("tweedie-models",   1, &["tweedie-core", "tweedie-kernels"]),
    row("tweedie-metrics",  1, &["tweedie-core"]),
    row("tweedie-data",     1, &["tweedie-core"]),
    row(TESTKIT,            1, &["tweedie-core", "tweedie-kernels"]),
    row("tweedie-solvers",  2, &["tweedie-core", "tweedie-sde"]),
    row("tweedie-fidelity", 2, &["tweedie-core", "tweedie-physics"]),
    row("tweedie-training", 2, &["tweedie-core", "tweedie-kernels", "tweedie-data", "tweedie-models"]),
    row("tweedie-mcmc",     3, &["tweedie-core", "tweedie-physics", "tweedie-metrics", "tweedie-fidelity"]),
    row("tweedie-samplers", 3, &["tweedie-core", "tweedie-sde", "tweedie-physics", "tweedie-metrics", "tweedie-solvers",
                                 "tweedie-fidelity"]),
    row("tweedie",          4, &["tweedie-core", "tweedie-kernels", "tweedie-sde", "tweedie-physics", "tweedie-models",
                                 "tweedie-metrics", "tweedie-data", "tweedie-solvers", "tweedie-fidelity",
                                 "tweedie-training", "tweedie-mcmc", "tweedie-samplers"]),
    row("tweedie-cli",      5, &["tweedie"]),
    row("tweedie-examples", 5, &["tweedie"]),
    row("xtask",            0, &[]),
];

/// Every edge between members that the table does not have.
pub(crate) fn check(workspace: &Workspace) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in &workspace.packages {
        for (found, expected, word) in broken(package) {
            let file = package
                .manifest
                .strip_prefix(&workspace.root)
                .unwrap_or(&package.manifest);
            let manifest = fs::read_to_string(&package.manifest)
                .map_err(|source| crate::Failure::io(&package.manifest, source))?;
            findings.push(Finding {
                file: file.display().to_string(),
                line: line_of(&manifest, &word),
                found,
                expected,
            });
        }
    }
    Ok(findings)
}

/// What was found, what was expected, and the word in the manifest to blame.
fn broken(package: &Package) -> Vec<(String, String, String)> {
    let name = &package.name;
    let Some(row) = LAYERS.iter().find(|row| row.package == name) else {
        let expected = "a row for it in the layer table of xtask".to_owned();
        return vec![(format!("package `{name}`"), expected, "name".to_owned())];
    };
    let mut broken = Vec::new();
    for edge in &package.uses {
        let other = &edge.package;
        let found = format!("`{name}` (layer {}) -> `{other}`", row.layer);
        let allowed = row.may_use.contains(&other.as_str())
            || (edge.development && is_below(other, row.layer));
        if other == TESTKIT && !edge.development {
            let expected = format!("`{other}` among the dev-dependencies only");
            broken.push((found, expected, other.clone()));
        } else if other != TESTKIT && !allowed {
            let expected = format!("only {:?}", row.may_use);
            broken.push((found, expected, other.clone()));
        }
    }
    broken
}

/// Whether `package` lies in a lower layer: the tests of a crate may compose anything that does.
fn is_below(package: &str, layer: u8) -> bool {
    LAYERS
        .iter()
        .any(|row| row.package == package && row.layer < layer)
}

/// The first line of `manifest` that starts with `word`, from 1.
fn line_of(manifest: &str, word: &str) -> usize {
    manifest
        .lines()
        .position(|line| line.starts_with(word))
        .map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Use;

    fn package(name: &str, uses: &[(&str, bool)]) -> Package {
        let uses = uses.iter().map(|&(package, development)| Use {
            package: package.to_owned(),
            development,
        });
        Package {
            name: name.to_owned(),
            uses: uses.collect(),
            ..Package::default()
        }
    }

    fn layer(name: &str) -> u8 {
        LAYERS.iter().find(|row| row.package == name).unwrap().layer
    }

    #[test]
    fn the_table_only_goes_down() {
        for row in LAYERS {
            for other in row.may_use {
                assert!(layer(other) < row.layer, "{} -> {other}", row.package);
            }
        }
    }

    #[test]
    fn edges_of_the_table_and_the_testkit_in_tests_pass() {
        let uses = [
            ("tweedie-core", false),
            ("tweedie-sde", false),
            ("tweedie-testkit", true),
        ];
        assert!(broken(&package("tweedie-solvers", &uses)).is_empty());
    }

    #[test]
    fn upward_sideways_and_testkit_edges_are_found() {
        for edge in [
            ("tweedie-solvers", false),
            ("tweedie-physics", false),
            ("tweedie-testkit", false),
        ] {
            let findings = broken(&package("tweedie-sde", &[edge]));
            assert_eq!(findings.len(), 1, "{edge:?}");
        }
    }

    #[test]
    fn a_test_may_use_any_lower_layer() {
        let physics = "tweedie-physics";
        assert!(broken(&package("tweedie-solvers", &[(physics, true)])).is_empty());
        assert_eq!(
            broken(&package("tweedie-solvers", &[(physics, false)])).len(),
            1
        );
    }

    #[test]
    fn a_test_may_not_reach_up_either() {
        assert_eq!(
            broken(&package("tweedie-core", &[("tweedie-sde", true)])).len(),
            1
        );
    }

    #[test]
    fn a_package_without_a_row_is_found() {
        assert_eq!(broken(&package("tweedie-new", &[])).len(), 1);
    }

    #[test]
    fn the_line_to_blame_is_found() {
        let manifest = "[dependencies]\nburn = 1\ntweedie-sde.workspace = true\n";
        assert_eq!(line_of(manifest, "tweedie-sde"), 3);
        assert_eq!(line_of(manifest, "absent"), 1);
    }
}
