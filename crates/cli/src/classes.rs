//! The classes of samples, and how a network is led to them.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    sync::atomic::{AtomicUsize, Ordering},
};

use clap::Args;
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::{ClassifierFree, Clipped, Denoiser, NoisyClassifier, Rng},
    fidelity::{ClassLikelihood, Posterior},
    models::{CLASSIFIER_FILE, ModelError, PretrainedClassifier},
    samplers::{PosteriorSampler, SampleError},
    solvers::Step,
    training::{CHECKPOINTS_FOLDER, Checkpoint, TrainingError},
};

use crate::{
    failure::{Failure, Outcome},
    method::{non_negative, positive},
    model::Model,
};

/// Which classes are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    One(usize),
    /// One after another.
    All,
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            (_, Ok(class)) => Ok(Self::One(class)),
            _ => Err(format!(
                "expected a class, counted from 0, or all, found {text:?}"
            )),
        }
    }
}

/// The class options of a verb that draws.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The class of the samples, counted from 0; or all, one after another. The network was trained with classes, or there is a
    /// classifier.
    #[arg(long, value_name = "CLASS|all")]
    class: Option<Asked>,
    /// Scale of classifier-free guidance: 1 is none, more makes samples more typical of their class and less varied.
    #[arg(long, default_value_t = 1.0, value_name = "W", value_parser = non_negative)]
    guidance: f64,
    /// The noise levels at which there is such guidance, in units of pixels in [0, 1].
    #[arg(long, value_name = "LOW,HIGH", value_parser = interval, requires = "guidance")]
    guidance_interval: Option<[f64; 2]>,
    /// A classifier of noisy images, by whose gradient the samples are led to their class: its folder, or that of its training.
    #[arg(long, value_name = "PATH")]
    classifier: Option<PathBuf>,
    /// What the classifier's gradient is multiplied by.
    #[arg(long, default_value_t = 1.0, value_name = "S", value_parser = positive, requires = "classifier")]
    classifier_scale: f64,
}

/// Parses two noise levels.
fn interval(text: &str) -> Result<[f64; 2], String> {
    let numbers: Vec<f64> = text
        .split(',')
        .filter_map(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [low, high] if text.split(',').count() == 2 && low >= 0.0 && low < high => Ok([low, high]),
        _ => Err(format!(
            "expected two noise levels LOW,HIGH with 0 <= LOW < HIGH, found {text:?}"
        )),
    }
}

/// Why no class can be drawn.
#[derive(Debug, thiserror::Error)]
enum ClassError {
    #[error("{option} leads samples to a class: say which by --class")]
    Unasked { option: &'static str },
    #[error(
        "the network {name} is told no classes; samples of a class need a network trained with classes, or --classifier"
    )]
    NoClasses { name: String },
    #[error("the classes are counted from 0 and number {classes}, found --class {found}")]
    Range { found: usize, classes: usize },
    #[error("--guidance needs a network trained with classes, and {name} is told none")]
    Guidance { name: String },
    #[error(
        "the classifier takes images of {found} channel(s), and the network makes images of {expected}"
    )]
    Channels { expected: usize, found: usize },
}

/// How the samples of a model are led to their classes.
pub(crate) struct Classes<'a> {
    arguments: &'a Arguments,
    model: &'a Model,
    classifier: Option<PretrainedClassifier>,
    asked: Asked,
    count: usize,
    evaluations: AtomicUsize,
}

impl Arguments {
    /// With a model; none where no class is asked for.
    pub(crate) fn of<'a>(
        &'a self,
        model: &'a Model,
        device: &Device,
    ) -> Outcome<Option<Classes<'a>>> {
        if let Some(asked) = self.class {
            return self.leading(asked, model, device).map(Some);
        }
        let unused = [
            (self.guidance != 1.0, "--guidance"),
            (self.guidance_interval.is_some(), "--guidance-interval"),
            (self.classifier.is_some(), "--classifier"),
        ];
        match unused.into_iter().find(|(used, _)| *used) {
            Some((_, option)) => Err(Failure::usage(ClassError::Unasked { option })),
            None => model.check_without_class().map(|()| None),
        }
    }

    /// With a model, to all classes where none is asked for.
    pub(crate) fn of_or_all<'a>(
        &'a self,
        model: &'a Model,
        device: &Device,
    ) -> Outcome<Classes<'a>> {
        self.leading(self.class.unwrap_or(Asked::All), model, device)
    }

    fn leading<'a>(
        &'a self,
        asked: Asked,
        model: &'a Model,
        device: &Device,
    ) -> Outcome<Classes<'a>> {
        let classifier = match &self.classifier {
            Some(path) => Some(classifier_of(model, path, device)?),
            None => None,
        };
        let (told, name) = (model.config().architecture.classes(), || model.name.clone());
        if classifier.is_none() && told == 0 {
            return Err(Failure::usage(ClassError::NoClasses { name: name() }));
        }
        if told == 0 && self.guidance != 1.0 {
            return Err(Failure::usage(ClassError::Guidance { name: name() }));
        }
        let known = classifier.as_ref().map(|classifier| classifier.classes());
        let count = match (known, told) {
            (None, told) => told,
            (Some(known), 0) => known,
            (Some(known), told) => known.min(told),
        };
        if let Asked::One(found) = asked
            && found >= count
        {
            return Err(Failure::usage(ClassError::Range {
                found,
                classes: count,
            }));
        }
        Ok(Classes {
            arguments: self,
            model,
            classifier,
            asked,
            count,
            evaluations: AtomicUsize::new(0),
        })
    }
}

impl Classes<'_> {
    /// Whether a classifier leads the samples.
    pub(crate) fn has_classifier(&self) -> bool {
        self.classifier.is_some()
    }

    /// The class of a sample.
    pub(crate) fn class_of(&self, sample: usize) -> usize {
        match self.asked {
            Asked::One(class) => class,
            Asked::All => sample % self.count,
        }
    }

    /// How many classes can be asked for.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many classes there are, where samples of all are drawn.
    pub(crate) fn columns(&self) -> Option<usize> {
        (self.asked == Asked::All).then_some(self.count)
    }

    /// Evaluations of the network so far.
    pub(crate) fn evaluations(&self) -> usize {
        self.evaluations.load(Ordering::Relaxed)
    }

    /// The sampler of images in `[low, high]`, each of its class, that `build` makes of their denoiser.
    pub(crate) fn sampler<'a>(
        &'a self,
        build: impl Fn(Box<dyn Denoiser + 'a>) -> Outcome<Box<dyn PosteriorSampler + 'a>> + 'a,
        [low, high]: [f64; 2],
    ) -> Outcome<Box<dyn PosteriorSampler + 'a>> {
        let made = move |samples: Range<usize>| {
            let inner = self.denoiser(samples)?;
            build(Box::new(Clipped { inner, low, high }))
        };
        // What is wrong with one batch is wrong with all.
        made(0..1)?;
        Ok(Box::new(PerBatch(move |samples| {
            made(samples).expect("the first batch had a sampler")
        })))
    }

    /// The denoiser of a batch of samples, each of its class.
    fn denoiser(&self, samples: Range<usize>) -> Outcome<Box<dyn Denoiser + '_>> {
        let classes: Vec<usize> = samples.map(|sample| self.class_of(sample)).collect();
        let told = self.model.config().architecture.classes() > 0;
        let conditional = self.counted(self.model.given(told.then_some(classes.as_slice()))?);
        let scale = self.arguments.guidance;
        let prior: Box<dyn Denoiser> = if scale == 1.0 {
            conditional
        } else {
            let unconditional = self.counted(self.model.given(None)?);
            let guided = ClassifierFree::new(conditional, unconditional, scale);
            let interval = self.arguments.guidance_interval.unwrap_or(guided.interval);
            Box::new(ClassifierFree { interval, ..guided })
        };
        let Some(classifier) = &self.classifier else {
            return Ok(prior);
        };
        let scale = self.arguments.classifier_scale;
        let guidance = ClassLikelihood::new(classifier, &classes, scale)?;
        Ok(Box::new(Posterior { prior, guidance }))
    }

    fn counted<'b>(&'b self, denoiser: Box<dyn Denoiser>) -> Box<dyn Denoiser + 'b> {
        Box::new(Tallied {
            denoiser,
            evaluations: &self.evaluations,
        })
    }
}

/// One of several denoisers whose evaluations are counted together.
struct Tallied<'a> {
    denoiser: Box<dyn Denoiser>,
    evaluations: &'a AtomicUsize,
}

impl Denoiser for Tallied<'_> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        self.denoiser.denoise(noisy, sigma)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<4>,
        sigma: f64,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        self.denoiser.denoise_with_variance(noisy, sigma)
    }
}

/// Makes a sampler for each batch of samples, by their numbers.
struct PerBatch<F>(F);

impl<'a, F> PosteriorSampler for PerBatch<F>
where
    F: Fn(Range<usize>) -> Box<dyn PosteriorSampler + 'a>,
{
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        let first = rng.first_row() as usize;
        (self.0)(first..first + shape[0]).sample(shape, rng, observe)
    }
}

/// The classifier at `path` for what a model denoises.
pub(crate) fn classifier_of(
    model: &Model,
    path: &Path,
    device: &Device,
) -> Outcome<PretrainedClassifier> {
    let classifier = open(path, device)?;
    let expected = model.config().architecture.channels();
    let found = classifier.model().architecture.encoder.channels;
    if found == expected {
        return Ok(classifier);
    }
    Err(Failure::usage(ClassError::Channels { expected, found }))
}

/// The classifier at `path`, or the newest one of the training there.
pub(crate) fn open(path: &Path, device: &Device) -> Outcome<PretrainedClassifier> {
    if path.join(CLASSIFIER_FILE).exists() {
        return Ok(PretrainedClassifier::open(path, device)?);
    }
    match Checkpoint::latest(&path.join(CHECKPOINTS_FOLDER)) {
        Ok(checkpoint) => Ok(PretrainedClassifier::open(checkpoint.folder(), device)?),
        Err(TrainingError::NoCheckpoint { .. }) => Err(ModelError::NoModel {
            folder: path.into(),
            expected: "classifier.json, or checkpoints/step-NNNNNNNN of the training of a classifier",
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
