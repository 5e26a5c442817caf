//! The workspace as `cargo metadata` describes it.

use std::path::PathBuf;

use serde_json::Value;

use crate::outcome::{Failure, Outcome};
use crate::process;

/// The members of the workspace and where they lie.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member.
#[derive(Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    /// Members that this one depends on.
    pub(crate) uses: Vec<Use>,
    pub(crate) binaries: Vec<String>,
}

/// A dependency on another member.
pub(crate) struct Use {
    pub(crate) package: String,
    /// Whether tests, examples and benchmarks alone have it.
    pub(crate) development: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Outcome<Self> {
        let arguments = ["metadata", "--no-deps", "--format-version", "1"];
        Self::parse(&process::output(&mut process::cargo(arguments))?)
    }

    fn parse(json: &[u8]) -> Outcome<Self> {
        let json: Value = serde_json::from_slice(json).map_err(|_| Failure::Metadata {
            expected: "a JSON document",
        })?;
        Ok(Self {
            root: text(&json, "workspace_root")?.into(),
            target: text(&json, "target_directory")?.into(),
            packages: list(&json, "packages")?
                .iter()
                .map(Package::parse)
                .collect::<Outcome<_>>()?,
        })
    }

    /// The names of a package's programs.
    pub(crate) fn binaries(&self, package: &str) -> Vec<&str> {
        let packages = self
            .packages
            .iter()
            .filter(|candidate| candidate.name == package);
        packages
            .flat_map(|package| &package.binaries)
            .map(String::as_str)
            .collect()
    }

    /// Where a release build leaves the program `name`.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        self.target.join("release").join(file)
    }
}

impl Package {
    fn parse(json: &Value) -> Outcome<Self> {
        let mut uses = Vec::new();
        // Only members are found by path.
        for dependency in list(json, "dependencies")?
            .iter()
            .filter(|entry| entry["path"].is_string())
        {
            let package = text(dependency, "name")?.to_owned();
            uses.push(Use {
                package,
                development: dependency["kind"] == "dev",
            });
        }
        let mut binaries = Vec::new();
        for target in list(json, "targets")? {
            if list(target, "kind")?.iter().any(|kind| kind == "bin") {
                binaries.push(text(target, "name")?.to_owned());
            }
        }
        let name = text(json, "name")?.to_owned();
        Ok(Self {
            name,
            manifest: text(json, "manifest_path")?.into(),
            uses,
            binaries,
        })
    }
}

fn text<'a>(json: &'a Value, key: &'static str) -> Outcome<&'a str> {
    json[key]
        .as_str()
        .ok_or(Failure::Metadata { expected: key })
}

fn list<'a>(json: &'a Value, key: &'static str) -> Outcome<&'a [Value]> {
    json[key]
        .as_array()
        .map(Vec::as_slice)
        .ok_or(Failure::Metadata { expected: key })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{
        "workspace_root": "root", "target_directory": "root/target",
        "packages": [{
            "name": "a", "manifest_path": "root/a/Cargo.toml",
            "dependencies": [
                { "name": "b", "kind": null, "path": "root/b" },
                { "name": "kit", "kind": "dev", "path": "root/kit" },
                { "name": "serde", "kind": null }
            ],
            "targets": [
                { "name": "a", "kind": ["lib"] },
                { "name": "first", "kind": ["bin"] }
            ]
        }]
    }"#;

    #[test]
    fn members_edges_and_programs_are_read() {
        let workspace = Workspace::parse(JSON.as_bytes()).unwrap();
        assert_eq!(workspace.binaries("a"), ["first"]);
        assert!(workspace.binaries("b").is_empty());
        let uses = &workspace.packages[0].uses;
        let uses: Vec<_> = uses
            .iter()
            .map(|entry| (&entry.package[..], entry.development))
            .collect();
        assert_eq!(uses, [("b", false), ("kit", true)]);
    }

    #[test]
    fn a_missing_field_is_named() {
        let broken = JSON.replace("manifest_path", "path");
        let failure = Workspace::parse(broken.as_bytes()).err();
        assert!(matches!(
            failure,
            Some(Failure::Metadata {
                expected: "manifest_path"
            })
        ));
    }
}
