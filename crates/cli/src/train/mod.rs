//! `tweedie train`.

mod arguments;
mod dashboard;
mod data;
mod monitor;
mod names;
mod observer;
mod settings;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use indicatif::FormattedDuration;
use tweedie::{
    burn::{module::Module, tensor::Device},
    training::{CHECKPOINTS_FOLDER, Checkpoint, Outcome as Ending, Trainer, TrainingError},
};

pub(crate) use arguments::Arguments;

use self::{
    dashboard::Dashboard,
    data::Sets,
    monitor::Monitor,
    observer::{Observer, Seen},
    settings::{RUN_FILE, Settings, take_training},
};
use crate::{
    device::DeviceName,
    failure::{Failure, INTERRUPTED, Outcome},
    interrupt::Interrupt,
    sheet::make_folder,
};

/// A run before it starts.
struct Plan {
    settings: Settings,
    folder: PathBuf,
    /// Where it continues from.
    checkpoint: Option<Checkpoint>,
}

/// Trains.
pub(crate) fn run(arguments: &Arguments, device: DeviceName) -> Outcome {
    if arguments.dashboard {
        dashboard::require_terminal()?;
    }
    let plan = Plan::new(arguments)?;
    let opened = device.open()?;
    let settings = &plan.settings;
    let sets = settings
        .data
        .open(settings.shape(), settings.training.seed)?;
    let header = plan.header(&sets, device);
    let mut trainer = plan.trainer(sets, &opened).map_err(blame)?;
    make_folder(&plan.folder)?;
    settings.write(&plan.folder)?;

    println!("{header}");
    println!("  weights     {}", trainer.average().num_params());
    let interrupt = Interrupt::listen()?;
    let (done, total) = (trainer.step(), settings.training.steps);
    if done > 0 {
        println!("  resumed     after step {done} of {total}");
    }
    let monitor: Box<dyn Monitor> = if arguments.dashboard {
        Box::new(Dashboard::new(done, total))
    } else {
        monitor::plain(done, total)?
    };
    let mut observer = Observer::new(settings, &plan.folder, &opened, monitor, interrupt);
    let start = Instant::now();
    let ending = trainer.run(&plan.folder, |event| observer.observe(event))?;
    let seen = observer.finish()?;
    let elapsed = FormattedDuration(start.elapsed());
    println!("{}", plan.summary(&ending, &seen, done, elapsed, device));
    Ok(if ending.finished {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(INTERRUPTED)
    })
}

/// Those errors of a trainer that settings are to blame for have the exit code of wrong arguments.
fn blame(error: TrainingError) -> Failure {
    match error {
        TrainingError::Setting { .. }
        | TrainingError::TooFewImages { .. }
        | TrainingError::ImageShape { .. } => Failure::usage(error),
        _ => error.into(),
    }
}

impl Plan {
    fn new(arguments: &Arguments) -> Outcome<Self> {
        if arguments.resume {
            Self::resumed(arguments)
        } else {
            Self::fresh(arguments)
        }
    }

    fn fresh(arguments: &Arguments) -> Outcome<Self> {
        let settings = Settings::asked(arguments)?;
        let folder = match &arguments.out {
            Some(folder) => folder.clone(),
            None => usual_folder(&settings.data.name().word()),
        };
        // Before its settings are overwritten.
        match Checkpoint::latest(&folder.join(CHECKPOINTS_FOLDER)) {
            Ok(_) => Err(TrainingError::Occupied { folder }.into()),
            Err(TrainingError::NoCheckpoint { .. }) => Ok(Self {
                settings,
                folder,
                checkpoint: None,
            }),
            Err(error) => Err(error.into()),
        }
    }

    fn resumed(arguments: &Arguments) -> Outcome<Self> {
        let folder = match &arguments.out {
            Some(folder) => folder.clone(),
            None => usual_folder("phantoms"),
        };
        let checkpoint = Checkpoint::latest(&folder.join(CHECKPOINTS_FOLDER))?;
        let mut settings = Settings::read(&folder.join(RUN_FILE))?;
        settings.training = checkpoint.config()?;
        take_training(&mut settings.training, &arguments.training);
        settings.training.validate().map_err(Failure::usage)?;
        Ok(Self {
            settings,
            folder,
            checkpoint: Some(checkpoint),
        })
    }

    fn trainer(&self, sets: Sets, device: &Device) -> Result<Trainer, TrainingError> {
        let Settings {
            model, training, ..
        } = self.settings.clone();
        match &self.checkpoint {
            None => Trainer::new(training, model, sets.learnt, sets.held_out, device),
            Some(checkpoint) => Trainer::resume(
                checkpoint,
                training,
                model,
                sets.learnt,
                sets.held_out,
                device,
            ),
        }
    }

    fn header(&self, sets: &Sets, device: DeviceName) -> String {
        let [channels, height, width] = self.settings.shape();
        [
            format!("Training for {} steps", self.settings.training.steps),
            format!(
                "  data        {}: {} images of {channels} x {height} x {width}",
                self.settings.data.name().word(),
                sets.learnt.len()
            ),
            format!("  held out    {}: {}", sets.held_out.len(), sets.note),
            format!("  device      {}", device.name()),
            format!("  seed        {}", self.settings.training.seed),
            format!("  folder      {}", self.folder.display()),
        ]
        .join("\n")
    }

    fn summary(
        &self,
        ending: &Ending,
        seen: &Seen,
        done: u64,
        elapsed: FormattedDuration,
        device: DeviceName,
    ) -> String {
        let step = ending.checkpoint.step();
        let mut lines = vec![match (ending.finished, step == done) {
            (true, true) => format!("Nothing to do: all {step} steps were made before"),
            (true, false) => format!("Done: {} steps in {elapsed}", step - done),
            (false, _) => format!("Stopped after step {step}, {elapsed} after the start"),
        }];
        if let Some(loss) = seen.validation_loss {
            lines.push(format!("  validation  {loss:.4}"));
        }
        let checkpoint = ending.checkpoint.folder().display();
        lines.push(format!("  checkpoint  {checkpoint}"));
        if let Some(sheet) = &seen.sheet {
            lines.push(format!("  samples     {}", sheet.display()));
        }
        let folder = self.folder.display();
        lines.push(format!(
            "  metrics     {folder}/steps.csv, {folder}/validation.csv"
        ));
        let flag = match device {
            DeviceName::Cpu => String::new(),
            other => format!(" --device {}", other.name()),
        };
        lines.push(if ending.finished {
            format!("Next: cargo xtask sample --checkpoint {checkpoint}{flag}")
        } else {
            format!("Continue: cargo xtask train --resume --out {folder}{flag}")
        });
        lines.join("\n")
    }
}

fn usual_folder(data: &str) -> PathBuf {
    Path::new("runs").join(data)
}
