//! `tweedie average`: other averages of the weights of a run, from its snapshots.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use tweedie::training::{Snapshots, Task, Trainer};

use super::{Plan, Run, Settings};
use crate::{
    device::DeviceName,
    failure::{Failure, Outcome},
};

/// Average the weights of a run over another part of its past
///
/// For runs whose settings keep snapshots: `--set training.post_hoc.every=250`. Prints the validation loss of each width, by which
/// one can be chosen; with one width and --out it writes a model folder for `sample` and `restore`.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Folder of the run.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Widths of the averages, as shares of the run's length, above 0 and at most 0.288.
    #[arg(long, required = true, value_delimiter = ',', value_name = "W,..")]
    width: Vec<f64>,
    /// Folder of the model that is written, new or empty; for one width.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What is there would be lost.
#[derive(Debug, thiserror::Error)]
#[error("--out {} is a folder that holds files: a model is written into one that is new or empty", folder.display())]
struct Occupied {
    folder: PathBuf,
}

/// Several models for one folder.
#[derive(Debug, thiserror::Error)]
#[error("--out takes one model, found {found} widths")]
struct OneWidth {
    found: usize,
}

/// Runs the verb.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    if arguments.out.is_some() && arguments.width.len() != 1 {
        return Err(Failure::usage(OneWidth {
            found: arguments.width.len(),
        }));
    }
    if let Some(folder) = &arguments.out
        && fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
    {
        let folder = folder.clone();
        return Err(Failure::usage(Occupied { folder }));
    }
    let plan = Plan::recorded(&arguments.run)?;
    let places = [device.into()];
    let devices = [device.open()?];
    let run = Run {
        plan: &plan,
        devices: &devices,
        places: &places,
        with_dashboard: false,
        average: Some(arguments),
    };
    run.open()
}

impl Arguments {
    /// Makes the averages of the run that `trainer` goes on from, and that `record` tells of. `next` says what there is to do with a model.
    pub(super) fn make<T: Task>(
        &self,
        trainer: &Trainer<T>,
        record: &Settings,
        next: impl Fn(&Path) -> Option<String>,
    ) -> Outcome {
        let snapshots = Snapshots::open(&self.run)?;
        println!("Averages at step {}", snapshots.step());
        println!("  width     validation");
        for &width in &self.width {
            let network = snapshots
                .average(width, trainer.average())
                .map_err(super::blame)?;
            let loss = trainer.validate_network(&network)?.record.loss;
            println!("  {width:<8}  {loss:.6}");
            if let Some(folder) = &self.out {
                trainer.save_network(&network, folder)?;
                record.write(folder)?;
                println!("  written   {}", folder.display());
                if let Some(next) = next(folder) {
                    println!("{next}");
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
