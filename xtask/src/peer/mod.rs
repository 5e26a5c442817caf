//! `bench --peer`: the cells of `bench/peer` in this workspace and in the peer, asked in turn. `bench/peer/README.md` says
//! what a cell is and how the figures are made.

mod machine;
mod page;
mod request;
mod row;
mod side;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::outcome::{Failure, Outcome};
use crate::process;
use crate::workspace::Workspace;
use machine::Watch;
use page::{Page, Run};
pub(crate) use request::OPTION;
use request::Request;
use row::{Cell, Kind, Row, verdict};
use side::{Side, same_cells, same_work, strange};

/// Our benchmark.
const PROGRAM: &str = "peer_cells";

/// Runs the comparison and prints its table.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let request = Request::parse(arguments)?;
    let programs = Programs {
        python: match &request.python {
            Some(python) => python.clone(),
            None => environment(workspace)?,
        },
        script: folder(workspace).join("cells.py"),
        ours: built(PROGRAM)?,
    };
    let mut runs = Vec::new();
    for &threads in &request.threads {
        runs.push(compared(&programs, &request, threads)?);
    }
    let rows: Vec<Row> = runs.iter().flat_map(|run| run.rows.clone()).collect();
    println!("\n{}", verdict(&rows));
    if let Some(path) = &request.json {
        write(path, &rows)?;
    }
    if request.write {
        let page = Page {
            workspace,
            line: request.line(),
            runs: &runs,
        };
        page.write()?;
    }
    Ok(())
}

/// Prints the peak memory of short and long runs.
pub(crate) fn memory() -> Outcome {
    process::run(Command::new(built(PROGRAM)?).arg("--memory"))
}

/// What is started for either side.
struct Programs {
    python: PathBuf,
    script: PathBuf,
    ours: PathBuf,
}

impl Programs {
    fn ours(&self, threads: usize) -> Outcome<Side> {
        let mut ours = Command::new(&self.ours);
        ours.arg("--serve")
            .env("RAYON_NUM_THREADS", threads.to_string());
        Side::start(ours)
    }

    fn peer(&self, threads: usize) -> Outcome<Side> {
        start_peer(&self.python, &self.script, threads)
    }
}

/// The cells that were asked for, with so many threads.
fn compared(programs: &Programs, request: &Request, threads: usize) -> Outcome<Run> {
    let watch = Watch::start();
    let (mut ours, mut peer) = (programs.ours(threads)?, programs.peer(threads)?);
    same_cells(&ours.cells, &peer.cells)?;
    let all = ours.cells.clone();
    let cells = request.selected(&all, |cell| &cell.name)?;

    println!("\nours: {}; peer: {}", ours.program, peer.program);
    println!(
        "milliseconds, {} rounds, {threads} thread(s)\n",
        request.rounds
    );
    println!(
        "{:<22} {:>10} {:>10} {:>7} {:>6}",
        "cell", "ours", "peer", "ratio", "must"
    );
    let (networks, steps): (Vec<_>, Vec<_>) =
        cells.into_iter().partition(|cell| cell.kind.has_network());
    // Cell by cell in each round, so that a bad moment of the machine meets one round of each. A network stays for its rounds.
    let mut rows = timed(&mut ours, &mut peer, &steps, request.rounds, threads)?;
    rows.iter().for_each(|row| println!("{row}"));
    for cell in networks {
        let mut row = timed(&mut ours, &mut peer, &[cell], request.rounds, threads)?.remove(0);
        if cell.kind == Kind::Training {
            // Processes of their own, which have done nothing else.
            let [ours, peer] = [programs.ours(threads)?, programs.peer(threads)?]
                .map(|mut side| side.memory(&cell.name));
            row.memory = Some([ours?, peer?]);
        }
        println!("{row}");
        rows.push(row);
    }
    let name = peer.program.clone();
    // Only the time of programs that have ended counts as ours.
    drop((ours, peer));
    let others = watch.others();
    println!("other programs took {others} meanwhile");
    Ok(Run {
        threads,
        peer: name,
        others,
        rows,
    })
}

/// Either side asked in turn for each cell, round by round.
fn timed(
    ours: &mut Side,
    peer: &mut Side,
    cells: &[&Cell],
    rounds: usize,
    threads: usize,
) -> Outcome<Vec<Row>> {
    let mut times = vec![[Vec::new(), Vec::new()]; cells.len()];
    for _ in 0..rounds {
        for (cell, times) in cells.iter().zip(&mut times) {
            let (here, there) = (ours.time(&cell.name)?, peer.time(&cell.name)?);
            same_work(cell, &here, &there)?;
            times[0].push(here.ms);
            times[1].push(there.ms);
        }
    }
    let row = |(cell, times): (&&Cell, [Vec<f64>; 2])| Row {
        cell: (*cell).clone(),
        threads,
        ms: times.map(|times| cell.kind.figure(times)),
        memory: None,
    };
    Ok(cells.iter().zip(times).map(row).collect())
}

/// One JSON document, a row a line.
fn write(path: &Path, rows: &[Row]) -> Outcome {
    let rows: Vec<String> = rows.iter().map(|row| row.json().to_string()).collect();
    let text = format!("[\n{}\n]\n", rows.join(",\n"));
    fs::write(path, text).map_err(|source| Failure::io(path, source))
}

/// Builds a benchmark and tells where it lies.
fn built(name: &str) -> Outcome<PathBuf> {
    let mut command = process::cargo(["bench", "--no-run", "--message-format"]);
    command.args(["json-render-diagnostics", "--bench", name]);
    // The whole workspace's features, so that burn is not built once more.
    command.args(["--package", "tweedie-cli", "--package", "tweedie"]);
    let messages = process::output(&mut command)?;
    let program = String::from_utf8_lossy(&messages)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.ok_or_else(|| strange("cargo", "no program", &format!("the benchmark {name}")))
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.root.join("bench").join("peer")
}

fn start_peer(python: &Path, cells: &Path, threads: usize) -> Outcome<Side> {
    let threads = threads.to_string();
    let mut peer = Command::new(python);
    // Without bytecode, which would lie in the sources.
    peer.args(["-B", "-W", "ignore"])
        .arg(cells)
        .envs(["OMP_NUM_THREADS", "MKL_NUM_THREADS"].map(|name| (name, &threads)));
    let tried = format!("{} {}", python.display(), cells.display());
    Side::start(peer).map_err(|failure| no_peer(&tried, &failure, "the greeting of the peer"))
}

/// The interpreter of a virtual environment with the peer, made where it does not exist.
fn environment(workspace: &Workspace) -> Outcome<PathBuf> {
    let place = workspace.target.join("peer");
    let python = match cfg!(windows) {
        true => place.join("Scripts").join("python.exe"),
        false => place.join("bin").join("python"),
    };
    if !python.exists() {
        let made = process::run(Command::new("python3").args(["-m", "venv"]).arg(&place));
        made.map_err(|failure| no_peer(ENVIRONMENT, &failure, "a python3 with venv"))?;
    }
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
    let installed = process::run(pip.arg(folder(workspace).join("requirements.txt")));
    installed.map_err(|failure| no_peer(ENVIRONMENT, &failure, "the packages"))?;
    Ok(python)
}

const ENVIRONMENT: &str = "the environment of the peer";

fn no_peer(tried: &str, failure: &Failure, wanted: &str) -> Failure {
    let found = match failure {
        Failure::Io { source, .. } => source.to_string(),
        Failure::Peer { found, .. } => found.clone(),
        Failure::Command { line, code } => format!("that `{line}` ended with code {code}"),
        other => other.to_string(),
    };
    let named =
        "--python PATH names an interpreter that has the packages of bench/peer/requirements.txt";
    strange(tried, &found, &format!("{wanted}; {named}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_without_the_peer_is_named_beside_what_is_expected() {
        // The first does not exist; the second, where there is one, ends without a word.
        for python in ["no-such-python", "true"] {
            let failed = start_peer(Path::new(python), Path::new("cells.py"), 1);
            let message = failed.err().expect("no peer").to_string();
            for part in [python, "cells.py", "--python PATH", "requirements.txt"] {
                assert!(message.contains(part), "{message}: {part}");
            }
        }
    }
}
