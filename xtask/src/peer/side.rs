//! One of the two programs: started, asked, and refused where its answers are strange.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::row::{Cell, Kind, Usage};
use crate::outcome::{Failure, Outcome};

/// A running program that times cells when asked.
pub(super) struct Side {
    name: String,
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Its name and versions.
    pub(super) program: String,
    pub(super) cells: Vec<Cell>,
}

/// The answer to the name of a cell.
pub(super) struct Timed {
    pub(super) ms: f64,
    /// The batch and the shapes of the weights, of a cell with a network.
    pub(super) work: [Value; 2],
}

impl Side {
    pub(super) fn start(mut command: Command) -> Outcome<Self> {
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
        let (Some(program), Some(cells)) = (greeting["program"].as_str(), cells(&greeting)) else {
            let expected = "its name and its cells";
            return Err(strange(&side.name, &greeting.to_string(), expected));
        };
        (side.program, side.cells) = (program.to_owned(), cells);
        Ok(side)
    }

    /// Milliseconds of `cell`, and what was done.
    pub(super) fn time(&mut self, cell: &str) -> Outcome<Timed> {
        let answer = self.ask(cell, cell)?;
        let ms = self.number(&answer, "ms")?;
        let work = ["input", "weights"].map(|field| answer[field].clone());
        Ok(Timed { ms, work })
    }

    /// The memory of some steps of `cell`; meaningful once per process.
    pub(super) fn memory(&mut self, cell: &str) -> Outcome<Usage> {
        let answer = self.ask(&format!("memory {cell}"), cell)?;
        Ok(Usage {
            peak: self.number(&answer, "peak_mib")?,
            growth: self.number(&answer, "growth_mib")?,
        })
    }

    fn ask(&mut self, question: &str, cell: &str) -> Outcome<Value> {
        let asked = self
            .questions
            .as_mut()
            .map(|pipe| writeln!(pipe, "{question}").and_then(|()| pipe.flush()));
        if !matches!(asked, Some(Ok(()))) {
            return Err(strange(&self.name, "a closed input", "an open one"));
        }
        let answer = self.answer()?;
        if answer["cell"] == *cell {
            return Ok(answer);
        }
        let expected = format!("an answer to `{question}`");
        Err(strange(&self.name, &answer.to_string(), &expected))
    }

    fn number(&self, answer: &Value, field: &str) -> Outcome<f64> {
        let missing = || {
            strange(
                &self.name,
                &answer.to_string(),
                &format!("a number `{field}`"),
            )
        };
        answer[field].as_f64().ok_or_else(missing)
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

fn cells(greeting: &Value) -> Option<Vec<Cell>> {
    let cells = greeting["cells"].as_array()?.iter();
    let cell = |cell: &Value| {
        Some(Cell {
            name: cell["name"].as_str()?.to_owned(),
            kind: Kind::parse(cell["kind"].as_str()?)?,
        })
    };
    cells.map(cell).collect()
}

/// Refuses two sides that do not have the same cells, in whatever order.
pub(super) fn same_cells(ours: &[Cell], peer: &[Cell]) -> Outcome {
    let lacks = |one: &[Cell], other: &[Cell]| -> Vec<String> {
        let missing = one.iter().filter(|cell| !other.contains(cell));
        missing.map(|cell| cell.name.clone()).collect()
    };
    let (here, there) = (lacks(ours, peer), lacks(peer, ours));
    if here.is_empty() && there.is_empty() {
        return Ok(());
    }
    let found = format!("{here:?} here alone and {there:?} in the peer alone");
    Err(strange(
        "the two programs",
        &found,
        "the same cells of the same kinds",
    ))
}

/// Refuses two sides that do not do the same work.
pub(super) fn same_work(cell: &Cell, ours: &Timed, peer: &Timed) -> Outcome {
    let known = !cell.kind.has_network() || ours.work.iter().all(Value::is_array);
    if known && ours.work == peer.work {
        return Ok(());
    }
    let [ours, peer] = [ours, peer].map(|side| {
        let [input, weights] = &side.work;
        format!("{} weights for {input}", parameters(weights))
    });
    let found = format!("{ours} here and {peer} in the peer");
    Err(strange(&cell.name, &found, "the same network and batch"))
}

/// How many numbers the weights of these shapes hold.
fn parameters(weights: &Value) -> u64 {
    let shapes = weights.as_array().into_iter().flatten();
    let product = |shape: &Value| -> u64 {
        let sizes = shape.as_array().into_iter().flatten();
        sizes.filter_map(Value::as_u64).product()
    };
    shapes.map(product).sum()
}

pub(super) fn strange(program: &str, found: &str, expected: &str) -> Failure {
    Failure::Peer {
        program: program.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(name: &str, kind: Kind) -> Cell {
        Cell {
            name: name.to_owned(),
            kind,
        }
    }

    #[test]
    fn a_greeting_names_each_cell_and_its_kind() {
        let one = |kind: &str| json!({"cells": [{"name": "dps", "kind": kind}]});
        assert_eq!(cells(&one("step")), Some(vec![named("dps", Kind::Step)]));
        assert_eq!(cells(&one("sprint")), None);
        assert_eq!(cells(&json!({"cells": ["dps"]})), None);
        assert_eq!(cells(&json!({})), None);
    }

    #[test]
    fn cells_that_one_side_lacks_are_named() {
        let [a, b, other] =
            [("a", Kind::Step), ("b", Kind::Step), ("b", Kind::Network)].map(|(n, k)| named(n, k));
        assert!(same_cells(&[a.clone(), b.clone()], &[b.clone(), a.clone()]).is_ok());
        let message = same_cells(&[a, b], &[other]).unwrap_err().to_string();
        assert!(
            message.contains(r#"["a", "b"] here alone and ["b"] in the peer alone"#),
            "{message}"
        );
    }

    #[test]
    fn another_network_or_batch_is_refused() {
        let cell = named("net", Kind::Network);
        let timed = |input: Value, weights: Value| Timed {
            ms: 1.0,
            work: [input, weights],
        };
        let ours = timed(json!([1, 3]), json!([[2, 3], [4]]));
        assert!(same_work(&cell, &ours, &timed(json!([1, 3]), json!([[2, 3], [4]]))).is_ok());
        for other in [
            timed(json!([2, 3]), json!([[2, 3], [4]])),
            timed(json!([1, 3]), json!([[2, 3], [5]])),
        ] {
            let message = same_work(&cell, &ours, &other).unwrap_err().to_string();
            assert!(message.contains("10 weights for [1,3] here"), "{message}");
        }
        let silent = || timed(Value::Null, Value::Null);
        assert!(same_work(&cell, &silent(), &silent()).is_err());
        assert!(same_work(&named("dps", Kind::Step), &silent(), &silent()).is_ok());
    }
}
