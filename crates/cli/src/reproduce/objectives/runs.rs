//! The trainings of the experiment, in pixels and in the latents of an autoencoder, and draws of what they have learnt.

use std::{fs, ops::Range, path::PathBuf, sync::Arc, time::Instant};

use clap::ValueEnum;
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    data::{Idx, Split, Unlabelled},
    models::PretrainedAutoencoder,
    training::{
        Autoencoding, AutoencodingConfig, CHECKPOINTS_FOLDER, Checkpoint, Diffusion, Event,
        Examples, Flow, LatentDiffusion, LearningRateDecay, Task, Trainer, TrainingConfig,
        TrainingError,
    },
};

use super::{
    Arguments,
    names::{self, ObjectiveName, PADDED},
};
use crate::{
    failure::{Failure, Outcome},
    judge::SIZE,
    quality::save_report,
    sheet::make_folder,
    train::{decoded_draws, draws},
};

/// Images that are drawn at a time.
const BATCH: usize = 64;

/// Keeps the random numbers of the samples apart from those of the training.
const PURPOSE: u64 = u64::from_be_bytes(*b"judged\0\0");

/// Black pixels on each side of a digit that an autoencoder sees.
const BORDER: usize = (PADDED - SIZE) / 2;

/// Training examples, and those held out.
struct Sets {
    learnt: Examples,
    held_out: Examples,
}

impl Sets {
    fn open(arguments: &Arguments, border: usize) -> Outcome<Self> {
        let open = |split| -> Outcome<Examples> {
            let digits = Idx::open(&arguments.data, split)?.padded(border);
            Ok(Arc::new(Unlabelled(digits)))
        };
        Ok(Self {
            learnt: open(Split::Train)?,
            held_out: open(Split::Test)?,
        })
    }
}

/// All runs of one call.
pub(super) struct Runs<'a> {
    arguments: &'a Arguments,
    device: &'a Device,
    digits: Sets,
    padded: Sets,
}

/// Name of the file in their folder that says what the runs have learnt from.
const DATA_FILE: &str = "data.json";

/// What lies in the folder of the runs is not what is asked for.
#[derive(Debug, thiserror::Error)]
enum OtherRuns {
    #[error("{} holds runs on {found}, asked for {asked}: choose another --out", folder.display())]
    Data {
        folder: PathBuf,
        found: String,
        asked: String,
    },
    #[error("{} was trained with other --steps or another --batch-size: choose another --out", folder.display())]
    Settings { folder: PathBuf },
}

impl<'a> Runs<'a> {
    pub(super) fn open(arguments: &'a Arguments, device: &'a Device) -> Outcome<Self> {
        let runs = Self {
            arguments,
            device,
            digits: Sets::open(arguments, 0)?,
            padded: Sets::open(arguments, BORDER)?,
        };
        runs.claim()?;
        Ok(runs)
    }

    /// Runs on other data would be taken for what is asked for.
    fn claim(&self) -> Outcome<()> {
        let folder = &self.arguments.out;
        make_folder(folder)?;
        let (file, asked) = (folder.join(DATA_FILE), &self.arguments.data);
        let asked = asked.canonicalize()?.display().to_string();
        if !file.exists() {
            return save_report(&asked, &file);
        }
        let found: String = serde_json::from_str(&fs::read_to_string(&file)?)?;
        if found == asked {
            return Ok(());
        }
        let folder = folder.clone();
        Err(Failure::usage(OtherRuns::Data {
            folder,
            found,
            asked,
        }))
    }

    /// The test digits.
    pub(super) fn held_out(&self) -> &Examples {
        &self.digits.held_out
    }

    /// Trains and draws; the samples, and the seconds that the training took.
    pub(super) fn one(&self, name: ObjectiveName) -> Outcome<(Tensor<4>, f64)> {
        let (model, learning) = name.task()?;
        let batch_size = name.batch_size(self.arguments.batch_size as usize);
        if !name.is_of_latents() {
            let task = Diffusion::new(model.clone(), learning)?;
            let (trainer, seconds) = self.trained(&word(name), task, &self.digits, batch_size)?;
            let images = self.images(|rows, rng| draws(&model, trainer.average(), rows, rng))?;
            return Ok((images, seconds));
        }
        let autoencoder = self.autoencoder()?;
        let task = LatentDiffusion::new(model.clone(), learning, autoencoder.clone())?;
        let (trainer, seconds) = self.trained(&word(name), task, &self.padded, batch_size)?;
        let images = self.images(|rows, rng| {
            decoded_draws(&model, trainer.average(), &autoencoder, rows, rng)
        })?;
        Ok((cropped(images), seconds))
    }

    /// The controls of models of latents: digits through the autoencoder, and what it makes of white noise.
    pub(super) fn decoded(&self, digits: Tensor<4>) -> Outcome<[(&'static str, Tensor<4>); 2]> {
        let autoencoder = self.autoencoder()?;
        let mut rng = Rng::seeded(1, self.device).fork(PURPOSE);
        let padded = digits.pad((BORDER, BORDER, BORDER, BORDER), 0.0);
        let latents = autoencoder.encode(padded).sample(&mut rng);
        let white = rng.normal(latents.dims());
        let decode = |latents| cropped(autoencoder.decode(latents).clamp(0.0, 1.0));
        Ok([
            ("(autoencoded)", decode(latents)),
            ("(white latents)", decode(white)),
        ])
    }

    /// The autoencoder, with latents of variance 1: trained, unless it was.
    fn autoencoder(&self) -> Outcome<PretrainedAutoencoder> {
        let model = names::autoencoder();
        let learning = AutoencodingConfig {
            reconstruction_std: 0.1,
            ..AutoencodingConfig::default()
        };
        let task = Autoencoding::new(model.clone(), learning)?;
        let batch_size = self.arguments.batch_size as usize;
        let (trainer, _) = self.trained("autoencoder", task, &self.padded, batch_size)?;
        let network = trainer.average().clone();
        let autoencoder = PretrainedAutoencoder::from_network(model, network)?;
        let learnt = &self.padded.learnt;
        Ok(LatentDiffusion::scaled(autoencoder, learnt, self.device)?)
    }

    /// A run that is at its end, in this call or before, and the seconds that were left of it.
    fn trained<T: Task>(
        &self,
        run: &str,
        task: T,
        sets: &Sets,
        batch_size: usize,
    ) -> Outcome<(Trainer<T>, f64)> {
        let config = TrainingConfig {
            steps: self.arguments.steps,
            batch_size,
            learning_rate_decay: LearningRateDecay::Cosine { floor: 0.0 },
            validate_every: 0,
            sample_every: 0,
            ..TrainingConfig::default()
        };
        let folder = self.arguments.out.join(run);
        let mut trainer = self.started(config, task, sets, folder.clone())?;
        let start = Instant::now();
        trainer.run(&folder, |event| {
            if let Event::Checkpoint(checkpoint) = event {
                eprintln!("{run}: step {}", checkpoint.step());
            }
            Flow::Continue
        })?;
        Ok((trainer, start.elapsed().as_secs_f64()))
    }

    /// A new run, or the one that was interrupted.
    fn started<T: Task>(
        &self,
        config: TrainingConfig,
        task: T,
        sets: &Sets,
        folder: PathBuf,
    ) -> Outcome<Trainer<T>> {
        let (learnt, held_out) = (sets.learnt.clone(), sets.held_out.clone());
        Ok(match Checkpoint::latest(&folder.join(CHECKPOINTS_FOLDER)) {
            Ok(checkpoint) if checkpoint.config()? == config => {
                Trainer::resume(&checkpoint, config, task, learnt, held_out, self.device)?
            }
            Ok(_) => return Err(Failure::usage(OtherRuns::Settings { folder })),
            Err(TrainingError::NoCheckpoint { .. }) => {
                Trainer::new(config, task, learnt, held_out, self.device)?
            }
            Err(error) => return Err(error.into()),
        })
    }

    /// As many as are asked for, in batches, in [0, 1].
    fn images(
        &self,
        draw: impl Fn(Range<usize>, &mut Rng) -> Outcome<Tensor<4>>,
    ) -> Outcome<Tensor<4>> {
        let rng = Rng::seeded(0, self.device).fork(PURPOSE);
        let count = self.arguments.samples as usize;
        let batches = (0..count).step_by(BATCH).map(|start| {
            let mut rng = rng.clone().starting_at(start as u64);
            draw(start..count.min(start + BATCH), &mut rng)
        });
        let batches = batches.collect::<Result<Vec<_>, Failure>>()?;
        Ok(Tensor::cat(batches, 0).clamp(0.0, 1.0))
    }
}

/// Digits without the border that an autoencoder sees.
fn cropped(images: Tensor<4>) -> Tensor<4> {
    images.narrow(2, BORDER, SIZE).narrow(3, BORDER, SIZE)
}

pub(super) fn word(name: ObjectiveName) -> String {
    name.to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}
