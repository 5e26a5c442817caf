//! The readers of checkpoints.
//!
//! `cargo bench -p tweedie-models --bench readers -- --seconds 600` gives them damaged files for so long, and stops at a panic or
//! when the memory in use grows by more than a file can ask for. `... --bench readers -- FILE...` reads files and prints the time
//! and the largest memory in use, beyond that of the idle program.

#![allow(clippy::print_stdout, reason = "it reports")]

#[path = "../tests/laws/mutation.rs"]
mod mutation;

use std::{
    collections::BTreeMap,
    env, fs, panic,
    path::Path,
    time::{Duration, Instant},
};

use burn::tensor::{Device, Tensor};
use mutation::Mutations;
use tweedie_core::{Backbone, Conditioning};
use tweedie_models::{Imported, ModelError, import};

/// Memory in use that a small damaged file may cost.
const LIMIT: u64 = 128 << 20;

/// Seconds without an argument.
const SECONDS: f64 = 5.0;

fn main() {
    let mut seconds = SECONDS;
    let mut files = Vec::new();
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seconds" => {
                let found = words.next().and_then(|number| number.parse().ok());
                seconds = found.expect("--seconds takes a number");
            }
            flag if flag.starts_with("--") => {}
            _ => files.push(word),
        }
    }
    if files.is_empty() {
        damage(Duration::from_secs_f64(seconds));
    }
    for file in files {
        load(Path::new(&file));
    }
}

fn load(path: &Path) {
    let length = fs::metadata(path).expect("a file").len();
    let idle = memory("VmRSS");
    let start = Instant::now();
    let Imported { config, network } = import(path, None, &Device::flex()).expect("a checkpoint");
    let seconds = start.elapsed().as_secs_f64();
    let peak = memory("VmHWM").saturating_sub(idle);
    println!(
        "{}: {:.1} MB in {seconds:.3} s, {:.1} MB of memory, {:.2} of the file",
        path.display(),
        length as f64 / 1e6,
        peak as f64 / 1e6,
        peak as f64 / length as f64
    );
    // One image that is a formula, for comparison with other programs.
    let channels = config.architecture.channels();
    let values: Vec<f32> = (0..channels * 64 * 64)
        .map(|index| (index * 37 % 101) as f32 / 100.0)
        .collect();
    let x = Tensor::<1>::from_floats(values.as_slice(), &Device::flex());
    let x = x.reshape([1, channels, 64, 64]);
    let label = Conditioning::uniform(0.1, &x);
    let data = network.forward(x, label).into_data();
    let output: Vec<f32> = data.iter().collect();
    fs::write(path.with_added_extension("out.json"), format!("{output:?}")).expect("a folder");
}

fn damage(limit: Duration) {
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/import"));
    let path = env::temp_dir().join(format!("readers-{}", std::process::id()));
    let whole = import(&golden.join("zip.pth"), None, &Device::flex()).expect("a golden file");
    whole.save(&path).expect("a folder");
    let mutations = Mutations::new(golden, vec![fs::read(&path).expect("a file")]);
    let (mut counts, mut number, mut failure) = (BTreeMap::new(), 0, None);
    let (start, idle) = (Instant::now(), memory("VmRSS"));
    while start.elapsed() < limit && failure.is_none() {
        fs::write(&path, mutations.make(number)).expect("a folder");
        let outcome = panic::catch_unwind(|| import(&path, None, &Device::flex()));
        let grown = memory("VmHWM").saturating_sub(idle);
        match outcome {
            Ok(outcome) => *counts.entry(kind(&outcome)).or_insert(0_u64) += 1,
            Err(_) => failure = Some(format!("mutation {number} made the reader panic")),
        }
        if grown > LIMIT {
            failure = Some(format!("mutation {number} took {grown} bytes"));
        }
        number += 1;
    }
    fs::remove_file(&path).expect("a file");
    let grown = memory("VmHWM").saturating_sub(idle) as f64 / 1e6;
    println!(
        "{number} files in {:.0?}, {grown:.1} MB of memory: {counts:?}",
        start.elapsed()
    );
    assert_eq!(failure, None);
}

fn kind(outcome: &Result<Imported, ModelError>) -> &'static str {
    match outcome {
        Ok(_) => "read",
        Err(ModelError::Weights { .. }) => "other tensors",
        Err(ModelError::Unrecognised { .. }) => "no known network",
        Err(ModelError::Pytorch { .. }) => "damaged PyTorch file",
        Err(ModelError::Safetensors { .. }) => "damaged safetensors file",
        Err(ModelError::Checkpoint { .. }) => "no checkpoint",
        Err(ModelError::Read { .. }) => "unreadable tensor",
        Err(_) => "invalid configuration",
    }
}

/// A line of Linux's account of this process, in bytes; 0 elsewhere.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes * 1024)
}
