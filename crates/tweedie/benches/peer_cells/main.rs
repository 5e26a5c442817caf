//! What a step of each sampler costs outside the network, on the CPU: our side of `cargo xtask bench --peer`, whose
//! `bench/peer/README.md` says what a cell is.
//!
//! Prints a table of all cells, or of those that have one of the arguments in their name. With `--serve` it first prints one
//! JSON line `{program, cells}`, then answers each line of standard input, the name of a cell, with one JSON line
//! `{cell, ms}`. With `--memory` it prints the peak memory of short and long runs.

#![expect(clippy::print_stdout, reason = "a program talks to its terminal")]

mod cells;
mod memory;

use std::io::{self, BufRead, Write};

use serde_json::json;
use tweedie::burn::tensor::Device;

use cells::{Calls, Cell, cells};

/// Steps of a run, and how many runs are timed.
const STEPS: usize = 50;
const RUNS: usize = 5;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == memory::ONE_RUN) {
        return memory::one_run(&words[at + 1..]);
    }
    let asked = |option: &str| words.iter().any(|word| word == option);
    if asked("--memory") {
        return memory::table();
    }
    let calls = Calls::default();
    let cells = cells(&Device::flex(), &calls);
    if asked("--serve") {
        return serve(&cells, &calls);
    }
    // As with the other benchmarks, which get the same arguments; options are theirs.
    let filters: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    for (name, run) in &cells {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(*filter)) {
            println!("{name:<16} {:>8.3} ms a step", ms_per_step(run, &calls));
        }
    }
    Ok(())
}

fn serve(cells: &[(&str, Cell)], calls: &Calls) -> io::Result<()> {
    let names: Vec<&str> = cells.iter().map(|(name, _)| *name).collect();
    let program = concat!("tweedie ", env!("CARGO_PKG_VERSION"));
    answer(&json!({ "program": program, "cells": names }))?;
    for line in io::stdin().lock().lines() {
        let asked = line?;
        let found = cells.iter().find(|(name, _)| *name == asked);
        let (name, run) = found.ok_or_else(|| io::Error::other(format!("no cell `{asked}`")))?;
        answer(&json!({ "cell": name, "ms": ms_per_step(run, calls) }))?;
    }
    Ok(())
}

fn answer(value: &serde_json::Value) -> io::Result<()> {
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
