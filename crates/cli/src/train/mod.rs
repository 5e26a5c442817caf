//! `tweedie train`.

mod arguments;
pub(crate) mod average;
mod dashboard;
mod data;
mod error;
mod folder;
mod held_out;
mod monitor;
mod names;
mod observer;
mod options;
mod presets;
mod report;
mod score;
mod settings;
mod show;
mod table;
mod task;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use indicatif::FormattedDuration;
use tweedie::{
    burn::{module::Module, tensor::Device},
    training::{
        Autoencoding, CHECKPOINTS_FOLDER, Checkpoint, Classification, Diffusion, LatentDiffusion,
        Outcome as Ending, Task, Trainer, TrainingError,
    },
};

pub(crate) use arguments::Arguments;
pub(crate) use held_out::HeldOutArguments;
pub(crate) use settings::{recorded_label_dropout, recorded_measurement};
pub(crate) use show::{decoded_draws, draws};

use self::{
    dashboard::Dashboard,
    data::{DataName, Sets},
    error::SettingsError,
    monitor::Monitor,
    observer::{Observer, Scene, Seen},
    report::Report,
    score::Score,
    settings::Settings,
    show::{Decoded, Diffused, Reconstructed, Show, Silent},
    task::TaskConfig,
};
use crate::{
    device::{DeviceName, DevicePlace},
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
    let places = match arguments.devices.as_slice() {
        [] => vec![device.into()],
        several => several.to_vec(),
    };
    let devices = places
        .iter()
        .map(|place| place.open())
        .collect::<Outcome<Vec<Device>>>()?;
    let run = Run {
        plan: &plan,
        devices: &devices,
        places: &places,
        with_dashboard: arguments.dashboard,
        average: None,
    };
    run.open()
}

/// A run that starts.
struct Run<'a> {
    plan: &'a Plan,
    devices: &'a [Device],
    places: &'a [DevicePlace],
    with_dashboard: bool,
    /// Averages to be made in the place of steps.
    average: Option<&'a average::Arguments>,
}

impl Run<'_> {
    fn open(&self) -> Outcome {
        let Settings {
            data,
            task,
            training,
            ..
        } = &self.plan.settings;
        let shape = self.plan.shape()?;
        self.start(shape, data.open(shape, task.classes(), training.seed)?)
    }

    fn start(&self, shape: [usize; 3], sets: Sets) -> Outcome {
        let (device, held_out) = (&self.devices[0], sets.held_out.clone());
        match &self.plan.settings.task {
            TaskConfig::Diffusion(settings) => {
                let measure = settings
                    .measurement
                    .map(|measurement| measurement.build(shape, device))
                    .transpose()
                    .map_err(Failure::usage)?;
                let mut task = Diffusion::new(settings.model.clone(), settings.learning.clone())
                    .map_err(blame)?;
                if let Some(measure) = measure.clone() {
                    task = task.measuring(measure);
                }
                let show = Diffused {
                    model: &settings.model,
                    learning: &settings.learning,
                    measure,
                    held_out,
                };
                self.make(task, sets, &show)
            }
            TaskConfig::Classifier(settings) => {
                let task = Classification::new(settings.model.clone(), settings.learning.clone());
                self.make(task.map_err(blame)?, sets, &Silent)
            }
            TaskConfig::Autoencoder(settings) => {
                let task = Autoencoding::new(settings.model.clone(), settings.learning);
                self.make(task.map_err(blame)?, sets, &Reconstructed { held_out })
            }
            TaskConfig::Latent(settings) => {
                let checkpoint = self.plan.checkpoint.as_ref();
                let mut autoencoder = settings.open(checkpoint, device)?;
                if checkpoint.is_none() {
                    autoencoder = LatentDiffusion::scaled(autoencoder, &sets.learnt, device)?;
                }
                let (model, learning) = (settings.model.clone(), settings.learning.clone());
                let task = LatentDiffusion::new(model, learning, autoencoder.clone());
                let show = Decoded {
                    model: &settings.model,
                    autoencoder,
                };
                self.make(task.map_err(blame)?, sets, &show)
            }
        }
    }

    /// Makes it.
    fn make<T: Task>(&self, task: T, sets: Sets, show: &dyn Show<T::Network>) -> Outcome {
        let Self { plan, devices, .. } = *self;
        let settings = &plan.settings;
        let header = self.header(&sets)?;
        let held_out = sets.held_out.clone();
        let mut trainer = plan.trainer(task, sets, devices).map_err(blame)?;
        if let Some(average) = self.average {
            return average.make(&trainer, settings, |folder| self.next(folder));
        }
        let score = settings.feature_network.as_ref().map(|path| {
            Score::require_draws(show.are_draws())?;
            Score::open(path, &held_out, &plan.folder, trainer.step(), &devices[0])
        });
        let score = score.transpose()?;
        make_folder(&plan.folder)?;
        settings.write(&plan.folder)?;

        println!("{header}");
        println!("  weights     {}", trainer.average().num_params());
        let interrupt = Interrupt::listen()?;
        let (done, total) = (trainer.step(), settings.training.steps);
        if done > 0 {
            println!("  resumed     after step {done} of {total}");
        }
        let monitor: Box<dyn Monitor> = if self.with_dashboard {
            Box::new(Dashboard::new(done, total))
        } else {
            monitor::plain(done, total)?
        };
        let scene = Scene {
            folder: &plan.folder,
            seed: settings.training.seed,
            device: &devices[0],
            show,
            score,
            report: Report::new(&plan.folder, plan.title(), show.caption()),
        };
        let mut observer = Observer::new(scene, monitor, interrupt);
        let start = Instant::now();
        let ending = trainer.run(&plan.folder, |event| observer.observe(event));
        // The report of a run that failed shows how.
        let seen = observer.finish();
        let (ending, seen) = (ending?, seen?);
        let elapsed = FormattedDuration(start.elapsed());
        println!("{}", self.summary(&ending, &seen, done, elapsed));
        Ok(if ending.finished || ending.stopped_early {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(INTERRUPTED)
        })
    }

    fn header(&self, sets: &Sets) -> Outcome<String> {
        let Settings { data, training, .. } = &self.plan.settings;
        let [channels, height, width] = self.plan.shape()?;
        let devices: Vec<String> = self.places.iter().map(DevicePlace::to_string).collect();
        Ok([
            format!("Training for {} steps", training.steps),
            format!(
                "  data        {}: {} images of {channels} x {height} x {width}",
                data.name().word(),
                sets.learnt.len()
            ),
            format!("  held out    {}: {}", sets.held_out.len(), sets.note),
            format!("  device      {}", devices.join(", ")),
            format!("  seed        {}", training.seed),
            format!("  folder      {}", self.plan.folder.display()),
        ]
        .join("\n"))
    }

    fn summary(
        &self,
        ending: &Ending,
        seen: &Seen,
        done: u64,
        elapsed: FormattedDuration,
    ) -> String {
        let step = ending.checkpoint.step();
        let mut lines = vec![match ending {
            Ending {
                stopped_early: true,
                ..
            } => {
                format!("Stopped early after step {step}: the validation has not improved")
            }
            Ending { finished: true, .. } if step == done => {
                format!("Nothing to do: all {step} steps were made before")
            }
            Ending { finished: true, .. } => format!("Done: {} steps in {elapsed}", step - done),
            _ => format!("Stopped after step {step}, {elapsed} after the start"),
        }];
        if let Some(loss) = seen.validation_loss {
            lines.push(format!("  validation  {loss:.4}"));
        }
        if let Some(best) = ending.best {
            lines.push(format!(
                "  best        {:.4} after step {}",
                best.loss, best.step
            ));
        }
        let checkpoint = ending.checkpoint.folder().display();
        lines.push(format!("  checkpoint  {checkpoint}"));
        if let Some(sheet) = &seen.sheet {
            lines.push(format!("  samples     {}", sheet.display()));
        }
        let folder = self.plan.folder.display();
        lines.push(format!(
            "  metrics     {folder}/report.html, {folder}/steps.csv, {folder}/validation.csv"
        ));
        if ending.finished || ending.stopped_early {
            lines.extend(self.next(ending.checkpoint.folder()));
        } else {
            let flag = self.flag();
            lines.push(format!(
                "Continue: cargo xtask train --resume --out {folder}{flag}"
            ));
        }
        lines.join("\n")
    }

    /// What there is to do with a model of the run, where images come of it.
    fn next(&self, model: &Path) -> Option<String> {
        let verb = match &self.plan.settings.task {
            TaskConfig::Diffusion(settings) if settings.measurement.is_some() => {
                "restore --learned"
            }
            // It denoises at one level, and draws nothing.
            TaskConfig::Diffusion(settings) if settings.model.only_sigma.is_some() => return None,
            TaskConfig::Diffusion(_) | TaskConfig::Latent(_) => "sample",
            TaskConfig::Classifier(_) | TaskConfig::Autoencoder(_) => return None,
        };
        let (model, flag) = (model.display(), self.flag());
        Some(format!(
            "Next: cargo xtask {verb} --checkpoint {model}{flag}"
        ))
    }

    /// The option that names the run's device, where it is one and not the usual one.
    fn flag(&self) -> String {
        match self.places {
            [place] if place.name != DeviceName::Cpu => format!(" --device {}", place.name.name()),
            _ => String::new(),
        }
    }
}

/// Those errors of a trainer that settings are to blame for have the exit code of wrong arguments.
fn blame(error: TrainingError) -> Failure {
    match error {
        TrainingError::Setting { .. }
        | TrainingError::Precision { .. }
        | TrainingError::NoSteps { .. }
        | TrainingError::NotPreserving { .. }
        | TrainingError::NoVariance
        | TrainingError::UntrainedVariance
        | TrainingError::HybridPixels { .. }
        | TrainingError::HybridLatents
        | TrainingError::OnlyLevel { .. }
        | TrainingError::OffTable { .. }
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
        let settings = Settings::asked(arguments, Settings::base(arguments)?, None)?;
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

    /// The recorded run, of which only the length and what is done every so many steps may be asked for anew.
    fn resumed(arguments: &Arguments) -> Outcome<Self> {
        let folder = match &arguments.out {
            Some(folder) => folder.clone(),
            None => usual_folder(&arguments.data.data.unwrap_or(DataName::Phantoms).word()),
        };
        let Self {
            settings: recorded,
            checkpoint,
            ..
        } = Self::recorded(&folder)?;
        let base = if arguments.config.is_some() || arguments.preset.is_some() {
            Settings::base(arguments)?
        } else {
            recorded.table()?
        };
        let settings = Settings::asked(arguments, base, checkpoint.as_ref())?;
        let differences = recorded.forbidden_differences(&settings)?;
        if !differences.is_empty() {
            return Err(Failure::usage(SettingsError::Resumed {
                folder,
                differences,
            }));
        }
        let made = checkpoint.as_ref().map_or(0, Checkpoint::step);
        let asked = settings.training.steps;
        if asked < made {
            return Err(Failure::usage(SettingsError::Fewer {
                folder,
                asked,
                made,
            }));
        }
        Ok(Self {
            settings,
            folder,
            checkpoint,
        })
    }

    /// A run as it was made.
    fn recorded(folder: &Path) -> Outcome<Self> {
        let checkpoint = Checkpoint::latest(&folder.join(CHECKPOINTS_FOLDER))?;
        // First, as its error names the settings that another version knew.
        let training = checkpoint.config()?;
        Ok(Self {
            settings: Settings {
                training,
                ..Settings::recorded(folder)?
            },
            folder: folder.into(),
            checkpoint: Some(checkpoint),
        })
    }

    fn trainer<T: Task>(
        &self,
        task: T,
        sets: Sets,
        devices: &[Device],
    ) -> Result<Trainer<T>, TrainingError> {
        let training = self.settings.training.clone();
        let Sets {
            learnt, held_out, ..
        } = sets;
        let device = &devices[0];
        let trainer = match &self.checkpoint {
            None => Trainer::new(training, task, learnt, held_out, device),
            Some(checkpoint) => {
                Trainer::resume(checkpoint, training, task, learnt, held_out, device)
            }
        }?;
        trainer.with_devices(&devices[1..])
    }

    /// Channels, height and width of the images.
    fn shape(&self) -> Outcome<[usize; 3]> {
        self.settings.task.shape(self.checkpoint.as_ref())
    }

    /// What the run is called in its report.
    fn title(&self) -> String {
        let data = self.settings.data.name().word();
        format!("{} on {data}", self.settings.task.name())
    }
}

fn usual_folder(data: &str) -> PathBuf {
    Path::new("runs").join(data)
}
