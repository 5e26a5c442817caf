//! `bench --peer`: the cells of `bench/peer` in this workspace and in the peer, asked in turn. `bench/peer/README.md` says
//! what a cell is and how the figures are made.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::outcome::{Failure, Outcome};
use crate::process;
use crate::workspace::Workspace;

/// Our time over the peer's that no cell may exceed, and that which is wanted.
const MUST: f64 = 1.0;
const GOAL: f64 = 0.5;

/// Our benchmark.
const PROGRAM: &str = "peer_cells";

/// The option that asks for this comparison.
pub(crate) const OPTION: &str = "--peer";

/// What `bench --peer` was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    /// An interpreter that has the peer; none: one is made.
    python: Option<PathBuf>,
    /// Where the rows go.
    json: Option<PathBuf>,
    threads: usize,
    rounds: usize,
}

impl Request {
    fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut request = Self {
            python: None,
            json: None,
            threads: 1,
            rounds: 7,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let missing = || Failure::Usage(format!("expected a value after {word}"));
                words.next().ok_or_else(missing)
            };
            match word.as_str() {
                OPTION => {}
                "--python" => request.python = Some(value()?.into()),
                "--json" => request.json = Some(value()?.into()),
                "--threads" => request.threads = at_least_one(word, value()?)?,
                "--rounds" => request.rounds = at_least_one(word, value()?)?,
                _ => {
                    let expected = "--python PATH, --json FILE, --threads N or --rounds N";
                    return Err(Failure::Usage(format!(
                        "found `{word}` beside {OPTION}, expected {expected}"
                    )));
                }
            }
        }
        Ok(request)
    }
}

fn at_least_one(option: &str, found: &str) -> Outcome<usize> {
    let number = found.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| {
        Failure::Usage(format!(
            "found {option} {found}, expected a number from 1 on"
        ))
    })
}

/// Runs the comparison and prints its table.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Outcome {
    let request = Request::parse(arguments)?;
    let python = match &request.python {
        Some(python) => python.clone(),
        None => environment(workspace)?,
    };
    let threads = request.threads.to_string();
    let mut peer = start_peer(&python, &folder(workspace).join("cells.py"), &threads)?;
    let mut ours = Command::new(built(PROGRAM)?);
    ours.arg("--serve").env("RAYON_NUM_THREADS", &threads);
    let mut ours = Side::start(ours)?;
    if sorted(&ours.cells) != sorted(&peer.cells) {
        return Err(strange(
            "the two programs",
            &format!("{:?} and {:?}", ours.cells, peer.cells),
            "the same cells",
        ));
    }

    println!("ours: {}; peer: {}", ours.program, peer.program);
    println!(
        "milliseconds a step outside the network, best of {} rounds, {threads} thread(s)\n",
        request.rounds
    );
    println!("{:<16} {:>9} {:>9} {:>7}", "cell", "ours", "peer", "ratio");
    let mut rows = Vec::new();
    for cell in ours.cells.clone() {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..request.rounds {
            times[0].push(ours.ask(&cell)?);
            times[1].push(peer.ask(&cell)?);
        }
        let row = Row::new(cell, times.map(least), request.threads);
        println!("{row}");
        rows.push(row);
    }
    println!("\n{}", verdict(&rows));
    match &request.json {
        Some(path) => write(path, &rows),
        None => Ok(()),
    }
}

/// Prints the peak memory of short and long runs.
pub(crate) fn memory() -> Outcome {
    process::run(Command::new(built(PROGRAM)?).arg("--memory"))
}

/// The figures of one cell.
struct Row {
    cell: String,
    ours_ms: f64,
    peer_ms: f64,
    threads: usize,
}

impl Row {
    fn new(cell: String, [ours_ms, peer_ms]: [f64; 2], threads: usize) -> Self {
        Self {
            cell,
            ours_ms,
            peer_ms,
            threads,
        }
    }

    fn ratio(&self) -> f64 {
        self.ours_ms / self.peer_ms
    }

    fn json(&self) -> Value {
        json!({
            "cell": self.cell, "ours_ms": self.ours_ms, "peer_ms": self.peer_ms, "ratio": self.ratio(), "must": MUST,
            "threads": self.threads,
        })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            cell,
            ours_ms,
            peer_ms,
            ..
        } = self;
        let ratio = self.ratio();
        let verdict = match ratio {
            _ if ratio > MUST => "slower than the peer",
            _ if ratio > GOAL => "above the goal",
            _ => "",
        };
        let line = format!("{cell:<16} {ours_ms:>9.3} {peer_ms:>9.3} {ratio:>7.2}  {verdict}");
        f.write_str(line.trim_end())
    }
}

/// Which cells exceed [`MUST`].
fn verdict(rows: &[Row]) -> String {
    let slower: Vec<&str> = rows
        .iter()
        .filter(|row| row.ratio() > MUST)
        .map(|row| row.cell.as_str())
        .collect();
    match slower.len() {
        0 => format!("no ratio exceeds {MUST}"),
        count => format!("{count} ratio(s) exceed {MUST}: {}", slower.join(", ")),
    }
}

/// One JSON document, a row a line.
fn write(path: &Path, rows: &[Row]) -> Outcome {
    let rows: Vec<String> = rows.iter().map(|row| row.json().to_string()).collect();
    let text = format!("[\n{}\n]\n", rows.join(",\n"));
    fs::write(path, text).map_err(|source| Failure::io(path, source))
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    names
}

/// What other work on the machine delayed least.
fn least(times: Vec<f64>) -> f64 {
    times.into_iter().fold(f64::INFINITY, f64::min)
}

/// A running program that times cells when asked.
struct Side {
    name: String,
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    program: String,
    cells: Vec<String>,
}

impl Side {
    fn start(mut command: Command) -> Outcome<Self> {
        let name = command.get_program().display().to_string();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.map_err(|source| Failure::Io {
            what: name.clone(),
            source,
        })?;
        let (questions, answers) = (process.stdin.take(), process.stdout.take());
        let mut side = Self {
            name,
            process,
            questions,
            answers: BufReader::new(answers.expect("its output was piped")),
            program: String::new(),
            cells: Vec::new(),
        };
        let greeting = side.answer()?;
        let (Some(program), Some(cells)) =
            (greeting["program"].as_str(), greeting["cells"].as_array())
        else {
            return Err(strange(
                &side.name,
                &greeting.to_string(),
                "its name and its cells",
            ));
        };
        side.program = program.to_owned();
        side.cells = cells
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        Ok(side)
    }

    /// Milliseconds a step of `cell`.
    fn ask(&mut self, cell: &str) -> Outcome<f64> {
        let asked = self
            .questions
            .as_mut()
            .map(|pipe| writeln!(pipe, "{cell}").and_then(|()| pipe.flush()));
        if !matches!(asked, Some(Ok(()))) {
            return Err(strange(&self.name, "a closed input", "an open one"));
        }
        let answer = self.answer()?;
        let found = answer["ms"].as_f64().filter(|_| answer["cell"] == *cell);
        found.ok_or_else(|| {
            strange(
                &self.name,
                &answer.to_string(),
                &format!("the time of {cell}"),
            )
        })
    }

    fn answer(&mut self) -> Outcome<Value> {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        let read = read.map_err(|source| Failure::Io {
            what: self.name.clone(),
            source,
        })?;
        if read == 0 {
            return Err(strange(&self.name, "that it ended", "a line of JSON"));
        }
        serde_json::from_str(&line)
            .map_err(|_| strange(&self.name, &format!("`{}`", line.trim()), "a line of JSON"))
    }
}

/// Both programs end with their input.
impl Drop for Side {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}

fn strange(program: &str, found: &str, expected: &str) -> Failure {
    Failure::Peer {
        program: program.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
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

fn start_peer(python: &Path, cells: &Path, threads: &str) -> Outcome<Side> {
    let mut peer = Command::new(python);
    peer.args(["-W", "ignore"])
        .arg(cells)
        .envs(["OMP_NUM_THREADS", "MKL_NUM_THREADS"].map(|name| (name, threads)));
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

    fn parse(line: &str) -> Outcome<Request> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Request::parse(&words)
    }

    #[test]
    fn one_thread_and_an_environment_of_its_own_are_the_defaults() {
        let request = parse("--peer").unwrap();
        assert_eq!((request.threads, request.rounds), (1, 7));
        assert_eq!((request.python, request.json), (None, None));
    }

    #[test]
    fn every_option_is_read() {
        let request = parse("--rounds 3 --peer --python p --json f.json --threads 2").unwrap();
        let expected = Request {
            python: Some("p".into()),
            json: Some("f.json".into()),
            threads: 2,
            rounds: 3,
        };
        assert_eq!(request, expected);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "--peer --rounds",
            "--peer --rounds 0",
            "--peer --threads x",
            "--peer dps",
        ] {
            assert!(matches!(parse(line), Err(Failure::Usage(_))), "{line}");
        }
    }

    #[test]
    fn an_interpreter_without_the_peer_is_named_beside_what_is_expected() {
        // The first does not exist; the second, where there is one, ends without a word.
        for python in ["no-such-python", "true"] {
            let failed = start_peer(Path::new(python), Path::new("cells.py"), "1");
            let message = failed.err().expect("no peer").to_string();
            for part in [python, "cells.py", "--python PATH", "requirements.txt"] {
                assert!(message.contains(part), "{message}: {part}");
            }
        }
    }

    #[test]
    fn the_verdict_names_the_cells_that_are_slower_than_the_peer() {
        let row = |cell: &str, ours_ms| Row::new(cell.into(), [ours_ms, 2.0], 1);
        let rows = [row("dps", 3.0), row("ddim", 2.0), row("ddpm", 2.5)];
        assert_eq!(verdict(&rows), "2 ratio(s) exceed 1: dps, ddpm");
        assert_eq!(verdict(&rows[1..2]), "no ratio exceeds 1");
    }

    #[test]
    fn a_row_holds_our_time_over_the_peers() {
        let row = Row::new("dps".into(), [1.0, 4.0], 2);
        let expected = json!({
            "cell": "dps", "ours_ms": 1.0, "peer_ms": 4.0, "ratio": 0.25, "must": 1.0, "threads": 2,
        });
        assert_eq!(row.json(), expected);
        assert!(
            Row::new("dps".into(), [3.0, 2.0], 1)
                .to_string()
                .contains("slower")
        );
        assert!(
            !Row::new("dps".into(), [2.0, 2.0], 1)
                .to_string()
                .contains("slower")
        );
    }
}
