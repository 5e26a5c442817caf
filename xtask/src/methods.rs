//! `docs/methods.md`: a table of the methods of each family, generated from their headers.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::families::{FAMILIES, Family};
use crate::header::{FACTS, Header};
use crate::outcome::{Failure, Finding, Outcome, none};
use crate::workspace::Workspace;

const PAGE: &str = "docs/methods.md";

/// Writes the page, or with `--check` compares it.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            let path = workspace.root.join(PAGE);
            fs::write(&path, page(&workspace.root)?).map_err(|source| Failure::io(&path, source))
        }
        ["--check"] => check(&workspace.root),
        _ => Err(Failure::Usage(format!(
            "found `docs {}`, expected `docs [--check]`",
            words.join(" ")
        ))),
    }
}

/// Whether the page is what would be written now.
pub(crate) fn check(root: &Path) -> Outcome {
    let path = root.join(PAGE);
    let found = fs::read_to_string(&path).map_err(|source| Failure::io(&path, source))?;
    none(difference(&found, &page(root)?).into_iter().collect())
}

fn difference(found: &str, expected: &str) -> Option<Finding> {
    if found == expected {
        return None;
    }
    let same = found
        .lines()
        .zip(expected.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let line = |text: &str| {
        format!(
            "`{}`",
            text.lines().nth(same).unwrap_or("the end of the file")
        )
    };
    Some(Finding {
        file: PAGE.to_owned(),
        line: same + 1,
        found: line(found),
        expected: format!("{} (run `cargo xtask docs`)", line(expected)),
    })
}

fn page(root: &Path) -> Outcome<String> {
    let mut page = String::from(
        "# Methods\n\nGenerated from the first lines of each file by `cargo xtask docs`; edit those.\n",
    );
    for family in FAMILIES {
        let rows: Vec<String> = family
            .files(root)?
            .iter()
            .map(|file| row(family, file))
            .collect::<Outcome<_>>()?;
        let _ = write!(page, "{}{}", heading(family), rows.concat());
    }
    Ok(page)
}

fn heading(family: &Family) -> String {
    let facts = facts_of(family).map(|fact| format!(" {fact} |"));
    let rules = facts_of(family).map(|_| "---|");
    format!(
        "\n## {}\n\n| method | what |{} source |\n|---|---|{}---|\n",
        family.title,
        facts.collect::<String>(),
        rules.collect::<String>()
    )
}

/// The facts that are columns of a family's table.
fn facts_of(family: &Family) -> impl Iterator<Item = &'static str> {
    FACTS.into_iter().filter(|_| family.has_facts)
}

fn row(family: &Family, file: &Path) -> Outcome<String> {
    let source = fs::read_to_string(file).map_err(|source| Failure::io(file, source))?;
    let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, parent) = (text(file.file_stem()), file.parent().unwrap_or(file));
    let (name, tail) = match stem.as_str() {
        "mod" => {
            let name = text(parent.file_name());
            (name.clone(), format!("{name}/mod.rs"))
        }
        _ => (stem.clone(), format!("{stem}.rs")),
    };
    let path = format!("{}/{tail}", family.folder);
    let facts: Vec<&str> = facts_of(family).collect();
    Ok(format_row(&name, &path, &Header::parse(&source), &facts))
}

fn format_row(name: &str, path: &str, header: &Header, facts: &[&str]) -> String {
    // Links to Rust items lead nowhere from a page, and a bare `|` would end the cell.
    let cell = |text: &str| {
        let plain = text.replace("[`", "`").replace("`]", "`");
        plain.replace('|', "\\|")
    };
    let facts: String = facts
        .iter()
        .map(|fact| format!(" {} |", cell(header.fact(fact).unwrap_or_default())))
        .collect();
    let links: Vec<String> = header
        .links
        .iter()
        .map(|link| format!("[{}]({})", link.label, link.url))
        .collect();
    format!(
        "| [`{name}`](../{path}) | {} |{facts} {} |\n",
        cell(&header.summary),
        links.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_links_the_file_and_its_sources() {
        let header =
            Header::parse("//! The law of [`Prior`] p(y|x).\n//!\n//! <https://arxiv.org/abs/1>");
        assert_eq!(
            format_row("law", "crates/a/src/law.rs", &header, &[]),
            "| [`law`](../crates/a/src/law.rs) | The law of `Prior` p(y\\|x) | [arXiv:1](https://arxiv.org/abs/1) |\n"
        );
    }

    #[test]
    fn facts_are_columns() {
        let header = Header::parse("//! A law.\n//!\n//! - Needs: [`Svd`] of |A|.\n");
        assert_eq!(
            format_row("law", "law.rs", &header, &["Needs", "Cost"]),
            "| [`law`](../law.rs) | A law | `Svd` of \\|A\\| |  |  |\n"
        );
    }

    #[test]
    fn a_stale_page_is_found_at_its_first_different_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(
            difference("a\nb\n", "a\nc\n").map(|finding| finding.line),
            Some(2)
        );
        assert_eq!(
            difference("a\n", "a\nb\n").map(|finding| finding.line),
            Some(2)
        );
    }
}
