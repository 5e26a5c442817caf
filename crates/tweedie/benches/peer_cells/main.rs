//! What a step of each sampler costs outside the network, and what networks cost, on the CPU: our side of `cargo xtask bench
//! --peer`, whose `bench/peer/README.md` says what a cell is.
//!
//! Prints a table of all cells, or of those that have one of the arguments in their name. With `--serve` it answers questions on
//! its standard input, as that page says. With `--memory` it prints the peak memory of short and long runs.

#![expect(clippy::print_stdout, reason = "a program talks to its terminal")]

mod cells;
mod memory;
mod networks;
mod small_unet;

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use tweedie::burn::tensor::Device;

use cells::{Calls, Cell, cells};
use networks::{Built, NetworkCell};

/// Steps of a run, and how many runs are timed.
const STEPS: usize = 50;
const RUNS: usize = 5;

/// What follows the name of a sampler's cell, its batch, and the kind of the cell.
const BATCHES: [(&str, [usize; 4], &str); 2] = [
    ("", [1, 3, 64, 64], "step"),
    ("-x8", [8, 3, 64, 64], "batched-step"),
];

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == memory::ONE_RUN) {
        return memory::one_run(&words[at + 1..]);
    }
    let asked = |option: &str| words.iter().any(|word| word == option);
    if asked("--memory") {
        return memory::table();
    }
    let mut cells = Cells::new(Device::flex());
    if asked("--serve") {
        return cells.serve();
    }
    // As with the other benchmarks, which get the same arguments; options are theirs.
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    for (name, _) in cells.kinds() {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(*filter)) {
            let ms = cells.answer(&name)?["ms"].clone();
            println!("{name:<24} {:>10.3} ms", ms.as_f64().unwrap_or(f64::NAN));
        }
    }
    Ok(())
}

/// All cells. Of the networks, the last one asked for is kept.
struct Cells {
    device: Device,
    calls: Calls,
    samplers: Vec<Sampler>,
    built: Option<Built>,
}

struct Sampler {
    name: String,
    kind: &'static str,
    run: Cell,
}

impl Cells {
    fn new(device: Device) -> Self {
        let calls = Calls::default();
        let samplers = BATCHES.iter().flat_map(|(suffix, shape, kind)| {
            let cells = cells(*shape, &device, &calls).into_iter();
            cells.map(move |(name, run)| Sampler {
                name: format!("{name}{suffix}"),
                kind,
                run,
            })
        });
        Self {
            samplers: samplers.collect(),
            calls,
            device,
            built: None,
        }
    }

    fn kinds(&self) -> Vec<(String, &'static str)> {
        let samplers = self
            .samplers
            .iter()
            .map(|cell| (cell.name.clone(), cell.kind));
        let networks = networks::CELLS
            .iter()
            .map(|cell| (cell.name.to_owned(), cell.kind));
        samplers.chain(networks).collect()
    }

    fn serve(&mut self) -> io::Result<()> {
        let cells = self.kinds().into_iter();
        let cells: Vec<Value> = cells
            .map(|(name, kind)| json!({ "name": name, "kind": kind }))
            .collect();
        let program = concat!("tweedie ", env!("CARGO_PKG_VERSION"));
        say(&json!({ "program": program, "cells": cells }))?;
        for line in io::stdin().lock().lines() {
            say(&self.answer(&line?)?)?;
        }
        Ok(())
    }

    fn answer(&mut self, question: &str) -> io::Result<Value> {
        if let Some(name) = question.strip_prefix("memory ") {
            let mut built = network(name)?.built(&self.device);
            let (peak, growth) = memory::of_steps(|| built.call())?;
            return Ok(json!({ "cell": name, "peak_mib": peak, "growth_mib": growth }));
        }
        if let Some(cell) = self.samplers.iter().find(|cell| cell.name == question) {
            return Ok(json!({ "cell": question, "ms": ms_per_step(&cell.run, &self.calls) }));
        }
        let built = self.network(question)?;
        let ms = built.ms();
        Ok(json!({ "cell": built.name, "input": built.input, "weights": built.weights, "ms": ms }))
    }

    /// The cell, called once if it was not at hand.
    fn network(&mut self, name: &str) -> io::Result<&mut Built> {
        let built = match self.built.take().filter(|built| built.name == name) {
            Some(built) => built,
            None => {
                let mut built = network(name)?.built(&self.device);
                built.call();
                built
            }
        };
        Ok(self.built.insert(built))
    }
}

fn network(name: &str) -> io::Result<&'static NetworkCell> {
    let found = networks::CELLS.iter().find(|cell| cell.name == name);
    found.ok_or_else(|| io::Error::other(format!("no cell `{name}`")))
}

fn say(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

/// The median step of the best run. A step lasts from a call of the denoiser to the same call in the next step, so that what
/// is done once in a run falls out.
fn ms_per_step(run: &Cell, calls: &Calls) -> f64 {
    let medians = (0..RUNS).map(|_| {
        calls.borrow_mut().clear();
        run(STEPS);
        let calls = calls.borrow();
        let starts: Vec<_> = calls.iter().step_by(calls.len() / STEPS).collect();
        let steps = starts.windows(2).map(|pair| *pair[1] - *pair[0]);
        let mut steps: Vec<f64> = steps.map(|step| 1e3 * step.as_secs_f64()).collect();
        steps.sort_by(f64::total_cmp);
        steps[steps.len() / 2]
    });
    medians.fold(f64::INFINITY, f64::min)
}
