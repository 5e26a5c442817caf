//! What every text of the repository keeps to, checked line by line.

use std::fs;
use std::path::{Path, PathBuf};

use crate::families::{FAMILIES, entries};
use crate::header::{FACTS, Header};
use crate::outcome::{Failure, Finding, Outcome};

/// Where the project's own texts lie, beside the files at the root.
const FOLDERS: &[&str] = &[
    ".cargo", ".ci", "bench", "crates", "docs", "examples", "xtask",
];

/// Lines of one file: longer ones hold more than one thing.
const LONGEST: usize = 500;

/// What no Rust file holds, and what to do instead. Split, so that this file does not hold them either.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("#[ig", "nore"), "a test that runs"),
    (concat!("to", "do!("), "finished code"),
    (concat!("TO", "DO"), "an issue instead"),
    (concat!("FIX", "ME"), "an issue instead"),
];

/// Folders of one machine.
const MACHINE: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
];

/// Every broken rule in the texts under `root`.
pub(crate) fn check(root: &Path) -> Outcome<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in texts(root)? {
        let text = fs::read_to_string(&path).map_err(|source| Failure::io(&path, source))?;
        findings.extend(broken(&relative(root, &path), &text));
    }
    for family in FAMILIES.iter().filter(|family| family.cited) {
        for path in family.files(root)? {
            let text = fs::read_to_string(&path).map_err(|source| Failure::io(&path, source))?;
            findings.extend(without_source(&relative(root, &path), &text));
            if family.has_facts {
                findings.extend(without_facts(&relative(root, &path), &text));
            }
        }
    }
    Ok(findings)
}

/// Every file that a person writes, sorted.
fn texts(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = entries(root)?
        .into_iter()
        .filter(|path| path.is_file())
        .collect();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = folders.pop() {
        let (inner, files): (Vec<_>, Vec<_>) = entries(&folder)?
            .into_iter()
            .partition(|path| path.is_dir());
        folders.extend(inner);
        found.extend(files);
    }
    found.retain(|path| is_text(path));
    found.sort();
    Ok(found)
}

fn is_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "md" | "toml")) || path.ends_with(".ci/run")
}

fn relative(root: &Path, path: &Path) -> String {
    let parts = path
        .strip_prefix(root)
        .unwrap_or(path)
        .iter()
        .map(|part| part.to_string_lossy());
    parts.collect::<Vec<_>>().join("/")
}

/// The rules that `text` breaks; `file` is relative to the root, with `/`.
fn broken(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line: usize, found: String, expected: String| {
        findings.push(Finding {
            file: file.to_owned(),
            line,
            found,
            expected,
        });
    };
    let is_rust = file.ends_with(".rs");
    if is_rust && file.contains("src/") && !text.starts_with("//!") {
        add(
            1,
            "no header".to_owned(),
            "a first line that starts with `//!`".to_owned(),
        );
    }
    let lines = text.lines().count();
    if is_rust && lines > LONGEST {
        add(
            LONGEST + 1,
            format!("{lines} lines"),
            format!("at most {LONGEST}"),
        );
    }
    for (index, line) in text.lines().enumerate() {
        for (word, expected) in FORBIDDEN
            .iter()
            .filter(|(word, _)| is_rust && line.contains(word))
        {
            add(index + 1, format!("`{word}`"), (*expected).to_owned());
        }
        for folder in MACHINE.iter().filter(|folder| starts_path(line, folder)) {
            add(
                index + 1,
                format!("`{folder}`"),
                "no folder of one machine".to_owned(),
            );
        }
    }
    findings
}

/// Whether a path in `line` starts with `folder`, which may also stand in the middle of another path.
fn starts_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || "\"'`(=:,<".contains(c))
    })
}

fn without_source(file: &str, text: &str) -> Option<Finding> {
    Header::parse(text).links.is_empty().then(|| Finding {
        file: file.to_owned(),
        line: 1,
        found: "a method without source".to_owned(),
        expected: "a link (https://) to its paper in the `//!` header".to_owned(),
    })
}

/// The facts that a header of a method of posterior sampling lacks.
fn without_facts(file: &str, text: &str) -> Vec<Finding> {
    let header = Header::parse(text);
    let missing = FACTS.iter().filter(|fact| header.fact(fact).is_none());
    missing
        .map(|fact| Finding {
            file: file.to_owned(),
            line: 1,
            found: format!("a header without `- {fact}: ..`"),
            expected: "a list item on one line, a column of docs/methods.md".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: &str = "//! A module.\n\nfn f() {}\n";

    fn lines(file: &str, text: &str) -> Vec<usize> {
        broken(file, text)
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn a_clean_file_passes() {
        assert!(lines("crates/a/src/lib.rs", CLEAN).is_empty());
    }

    #[test]
    fn a_missing_header_is_found_in_sources_only() {
        assert_eq!(lines("crates/a/src/lib.rs", "fn f() {}\n"), [1]);
        assert!(lines("crates/a/tests/laws/main.rs", "fn f() {}\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        let body = "//\n".repeat(LONGEST - 1);
        assert!(lines("crates/a/src/lib.rs", &format!("//!\n{body}")).is_empty());
        assert_eq!(
            lines("crates/a/src/lib.rs", &format!("//!\n{body}//\n")),
            [LONGEST + 1]
        );
    }

    #[test]
    fn each_forbidden_word_is_found_at_its_line() {
        for (word, _) in FORBIDDEN {
            assert_eq!(
                lines("crates/a/tests/a.rs", &format!("//! A.\n    {word}\n")),
                [2],
                "{word}"
            );
        }
    }

    #[test]
    fn a_machine_path_is_found_and_a_look_alike_is_not() {
        for folder in MACHINE {
            assert_eq!(
                lines("docs/a.md", &format!("see `{folder}a`\n")),
                [1],
                "{folder}"
            );
            assert!(lines("docs/a.md", &format!("see https://a.org{folder}a\n")).is_empty());
            assert!(lines("docs/a.md", &format!("see ~{folder}a and ..{folder}a\n")).is_empty());
        }
    }

    #[test]
    fn a_method_needs_a_source() {
        assert!(without_source("a.rs", "//! A method.\n").is_some());
        assert!(without_source("a.rs", "//! A method.\n//! <https://arxiv.org/abs/1>\n").is_none());
    }

    #[test]
    fn every_fact_must_be_there() {
        let whole = "//! A method.\n//!\n//! - Needs: x.\n//! - Cost: x.\n//! - Gaussian prior: x.\n//! - Use: x.\n";
        assert!(without_facts("a.rs", whole).is_empty());
        assert_eq!(
            without_facts("a.rs", "//! A method.\n//! - Needs: x.\n").len(),
            3
        );
    }
}
