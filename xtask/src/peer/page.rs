//! `docs/performance.md`: the tables of one run, and what it ran on.

use std::fs;
use std::process::Command;

use super::machine;
use super::row::{Row, judged};
use crate::outcome::{Failure, Outcome};
use crate::process;
use crate::workspace::Workspace;

const INTRODUCTION: &str = "\
# Performance

What a step of each sampler costs outside the network, and what networks cost, beside deepinv and PyTorch (eager, single
precision) on the same CPU. `cargo xtask bench --peer --write` makes this page from one run: nothing in it is written by hand.
[`bench/peer/README.md`](../bench/peer/README.md) says what a cell is and how its figures are made.
";

/// The rows of one number of threads.
pub(super) struct Run {
    pub(super) threads: usize,
    /// The peer's name and versions.
    pub(super) peer: String,
    /// What other programs took of the machine.
    pub(super) others: String,
    pub(super) rows: Vec<Row>,
}

pub(super) struct Page<'a> {
    pub(super) workspace: &'a Workspace,
    /// The command that made it.
    pub(super) line: String,
    pub(super) runs: &'a [Run],
}

impl Page<'_> {
    pub(super) fn write(&self) -> Outcome {
        let mut text = format!("{INTRODUCTION}\n{}", self.facts()?);
        for run in self.runs {
            text += &table(run);
        }
        let path = self.workspace.root.join("docs").join("performance.md");
        fs::write(&path, text).map_err(|source| Failure::io(&path, source))?;
        println!("wrote {}", path.display());
        Ok(())
    }

    /// When, where and with what.
    fn facts(&self) -> Outcome<String> {
        let lock = self.workspace.root.join("Cargo.lock");
        let lock = fs::read_to_string(&lock).map_err(|source| Failure::io(&lock, source))?;
        let version = |package: &str| {
            let version = locked(&lock, package).unwrap_or("of an unknown version");
            format!("{package} {version}")
        };
        let ours = [
            version("tweedie"),
            version("burn"),
            first_line("rustc", &["--version"])?,
        ];
        let peer = self.runs.first().map_or("", |run| &run.peer);
        let facts = [
            ("Date", first_line("date", &["-u", "+%Y-%m-%d"])?),
            ("Processor", machine::processor()),
            ("Memory", machine::memory()),
            ("Here", ours.join(", ")),
            ("Peer", peer.to_owned()),
            ("Command", format!("`{}`", self.line)),
            (
                "It starts",
                "`RAYON_NUM_THREADS=N peer_cells --serve` and `OMP_NUM_THREADS=N MKL_NUM_THREADS=N python -B -W ignore \
                 bench/peer/cells.py`"
                    .to_owned(),
            ),
        ];
        let rows = facts.map(|(name, value)| format!("| {name} | {value} |\n"));
        Ok(format!("| | |\n|---|---|\n{}", rows.concat()))
    }
}

fn table(run: &Run) -> String {
    let threads = run.threads;
    let plural = if threads == 1 { "" } else { "s" };
    let mut text = format!("\n## {threads} thread{plural}\n\n");
    text += &format!("Other programs took {} meanwhile.\n\n", run.others);
    text +=
        "| cell | here, ms | peer, ms | ratio | must | goal | |\n|---|---|---|---|---|---|---|\n";
    for row in &run.rows {
        let (name, [ours, peer], ratio) = (&row.cell.name, row.ms, row.ratio());
        let bounds = row.cell.kind.bounds();
        let (must, goal, judged) = (bounds.must, bounds.goal, judged(ratio, &bounds));
        text += &format!(
            "| `{name}` | {ours:.3} | {peer:.3} | {ratio:.2} | {must:.1} | {goal:.1} | {judged} |\n"
        );
    }
    let trained: Vec<&Row> = run.rows.iter().filter(|row| row.memory.is_some()).collect();
    if !trained.is_empty() {
        text += "\nMemory of a training step, MiB: what it adds to that of the process before the first step, and the peak of the \
                 whole process.\n\n";
        text += "| cell | here, added | peer, added | ratio | must | here, peak | peer, peak |\n|---|---|---|---|---|---|---|\n";
    }
    for row in trained {
        if let (Some([ours, peer]), Some(ratio)) = (row.memory, row.memory_ratio()) {
            text += &format!(
                "| `{}` | {:.0} | {:.0} | {ratio:.2} | 1.0 | {:.0} | {:.0} |\n",
                row.cell.name, ours.growth, peer.growth, ours.peak, peer.peak
            );
        }
    }
    text
}

/// The version of a package in a lock file.
fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    let version = lines.nth(1)?.strip_prefix("version = ")?;
    Some(version.trim_matches('"'))
}

fn first_line(program: &str, arguments: &[&str]) -> Outcome<String> {
    let printed = process::output(Command::new(program).args(arguments))?;
    let text = String::from_utf8_lossy(&printed);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::row::{Kind, Usage, tests::row};

    #[test]
    fn the_table_holds_times_bounds_and_memory() {
        let mut rows = vec![
            row("dps", Kind::Step, 1.5),
            row("train", Kind::Training, 1.0),
        ];
        let usage = |peak, growth| Usage { peak, growth };
        rows[1].memory = Some([usage(300.4, 20.0), usage(900.0, 80.0)]);
        let run = Run {
            threads: 2,
            peer: String::new(),
            others: "3 % of all cores".to_owned(),
            rows,
        };
        let text = table(&run);
        for line in [
            "## 2 threads",
            "Other programs took 3 % of all cores meanwhile.",
            "| `dps` | 1.500 | 2.000 | 0.75 | 0.5 | 0.5 | too slow |",
            "| `train` | 1.000 | 2.000 | 0.50 | 1.0 | 0.8 |  |",
            "| `train` | 20 | 80 | 0.25 | 1.0 | 300 | 900 |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn the_page_says_when_where_and_with_what() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let page = Page {
            workspace: &Workspace {
                root: root.into(),
                target: root.into(),
                packages: Vec::new(),
            },
            line: "cargo xtask bench".to_owned(),
            runs: &[],
        };
        let text = page.facts().unwrap();
        for start in [
            "| Date | 20",
            "| Processor | ",
            "| Memory | ",
            "| Here | tweedie 0.",
            "| Command | `cargo xtask bench` |",
        ] {
            assert!(text.lines().any(|line| line.starts_with(start)), "{text}");
        }
        assert!(
            text.contains(", burn 0.") && text.contains(", rustc 1."),
            "{text}"
        );
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"burn-nn\"\nversion = \"2\"\n\n[[package]]\nname = \"burn\"\nversion = \"0.22.1\"\n";
        assert_eq!(locked(lock, "burn"), Some("0.22.1"));
        assert_eq!(locked(lock, "tweedie"), None);
    }
}
