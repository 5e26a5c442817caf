//! The model that the user names, or the one inside the program.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use tweedie::{
    burn::tensor::{Device, Tensor},
    core::{Conditioned, Denoiser, Padded, Schedule, SelfEnsemble, Tiled},
    models::{
        Architecture, InPrecision, LatentModel, MODEL_FILE, ModelConfig, ModelError, Network,
        Precision, Pretrained, PretrainedAutoencoder,
    },
    training::{CHECKPOINTS_FOLDER, Checkpoint, TrainingError},
};

use crate::{
    failure::{Failure, Outcome},
    latent::Decoder,
    train,
};

/// Where the shipped model was made, as shown to users.
const SHIPPED: &str = "the shipped checkpoint checkpoints/phantoms";

/// How far, relatively, a noise level may be from the only one of a network.
const SAME_LEVEL: f64 = 1e-3;

/// The model and how it is run.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A model folder; the folder of a training run, of which the newest checkpoint is taken; a file of weights (.pth, .pt or
    /// .safetensors) of a published network; or a folder of diffusers. The default is the model that the program carries:
    /// 32-pixel phantoms.
    #[arg(long, value_name = "PATH")]
    checkpoint: Option<PathBuf>,
    /// The network of a file of weights, where its tensors do not say it all; docs/models.md lists the names.
    #[arg(long, value_name = "NAME", requires = "checkpoint")]
    arch: Option<String>,
    /// The numbers that the network computes with; its norms and softmax have single precision always.
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    precision: PrecisionName,
    /// Denoise images in tiles of so many pixels on each side, for images that are larger than memory.
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..))]
    tile: Option<u32>,
    /// How many pixels two tiles share; half of that is blended.
    #[arg(long, default_value_t = 32, value_name = "PIXELS", requires = "tile")]
    tile_overlap: u32,
    /// Average the network over the eight symmetries of the square, at eight times the cost.
    #[arg(long)]
    self_ensemble: bool,
}

/// A precision by its name on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PrecisionName {
    #[default]
    F32,
    F16,
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::F16 => Self::F16,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

/// An opened model.
pub(crate) struct Model {
    /// Where it came from and how it is run.
    pub(crate) name: String,
    pretrained: Pretrained,
    denoiser: Box<dyn Denoiser>,
    arrangement: Arrangement,
    /// It was told the class of every image, so it never learnt what to make of none.
    needs_class: bool,
    /// Of a model of latents.
    autoencoder: Option<PretrainedAutoencoder>,
}

/// How a denoiser is put together from that of the network.
#[derive(Clone, Copy, Debug)]
struct Arrangement {
    /// A tile's pixels on each side, and how many two of them share.
    tiles: Option<[usize; 2]>,
    self_ensemble: bool,
    /// What the sides of the network's images are divisible by.
    multiple: usize,
}

/// A noise level that the network was not trained for.
#[derive(Debug, thiserror::Error)]
enum LevelError {
    #[error(
        "the network denoises at the level {only} alone (in units of pixels in [0, 1]), and a diffusion needs all levels: such a \
         network can be a prior of `mcmc --prior model --sigma {only}`"
    )]
    All { only: f64 },
    #[error("the network denoises at the level {only} alone, found {found}: use --sigma {only}")]
    One { only: f64, found: f64 },
}

/// A network that sees an image or not, in the place of the other.
#[derive(Debug, thiserror::Error)]
enum SightError {
    #[error(
        "the network of {name} sees an image of {channels} channel(s) beside its input, such as a measurement: `restore --learned` shows \
         it one, and a program can, by Pretrained::given"
    )]
    Sees { name: String, channels: usize },
    #[error(
        "--learned is for a network that sees a measurement beside its input, as one trained with task.measurement does, and that of \
         {name} sees none"
    )]
    Blind { name: String },
    #[error("--tile and --self-ensemble are for networks that see nothing beside their input")]
    Averaged,
}

/// A network that was always told a class would have to do without.
#[derive(Debug, thiserror::Error)]
#[error(
    "{name} was trained with task.label_dropout = 0 and knows images of a class alone: found a use of it without one, as all guidance \
     is; `sample --class` draws of a class"
)]
struct NeedsClass {
    name: String,
}

/// What is done to pixels is not done to latents.
#[derive(Debug, thiserror::Error)]
#[error("--tile and --self-ensemble are for models of images, found one of latents")]
struct LatentError;

/// Tiles that a network would halve elsewhere than the whole image.
#[derive(Debug, thiserror::Error)]
#[error(
    "--tile and --tile-overlap must be multiples of {multiple} for this network, found {tile} and {overlap}"
)]
struct OffGrid {
    multiple: usize,
    tile: usize,
    overlap: usize,
}

impl Arguments {
    /// Opens the model, of images or of latents.
    pub(crate) fn open_any(&self, device: &Device) -> Outcome<Model> {
        let Some(place) = self.latent_place()? else {
            return self.open(device);
        };
        if self.tile.is_some() || self.self_ensemble {
            return Err(Failure::usage(LatentError));
        }
        let (prior, autoencoder) = LatentModel::open(&place, device)?.into_parts();
        let model = self.made(prior, place.display().to_string())?;
        Ok(Model {
            autoencoder: Some(autoencoder),
            ..model
        })
    }

    /// The folder of a model of latents, if that is what is asked for.
    fn latent_place(&self) -> Outcome<Option<PathBuf>> {
        let Some(path) = self.checkpoint.as_deref().filter(|_| self.arch.is_none()) else {
            return Ok(None);
        };
        let place = place(path)?;
        Ok(LatentModel::is_in(&place).then_some(place))
    }

    /// Opens the model, of images.
    pub(crate) fn open(&self, device: &Device) -> Outcome<Model> {
        let (pretrained, name) = open(self.checkpoint.as_deref(), self.arch.as_deref(), device)?;
        self.made(pretrained, name)
    }

    /// Opens a model whose network sees an image beside its input.
    pub(crate) fn open_seeing(&self, device: &Device) -> Outcome<Model> {
        if self.tile.is_some() || self.self_ensemble {
            return Err(Failure::usage(SightError::Averaged));
        }
        let (pretrained, name) = open(self.checkpoint.as_deref(), self.arch.as_deref(), device)?;
        if pretrained.config().architecture.condition_channels() == 0 {
            return Err(Failure::usage(SightError::Blind { name }));
        }
        self.arranged(pretrained, name)
    }

    /// Where the model is, unless it is that of the program.
    pub(crate) fn checkpoint(&self) -> Option<&Path> {
        self.checkpoint.as_deref()
    }

    fn made(&self, pretrained: Pretrained, name: String) -> Outcome<Model> {
        let channels = pretrained.config().architecture.condition_channels();
        if channels > 0 {
            return Err(Failure::usage(SightError::Sees { name, channels }));
        }
        self.arranged(pretrained, name)
    }

    fn arranged(&self, pretrained: Pretrained, name: String) -> Outcome<Model> {
        let pretrained = pretrained.with_precision(self.precision.into())?;
        if self.arch.is_none() && told_no_level(pretrained.config()) {
            eprintln!(
                "note: {name} does not say its noise level and is taken for a blind network; for a DnCNN --arch NAME would say it"
            );
        }
        let arrangement = self.arrangement(&pretrained)?;
        let needs_class = pretrained.config().architecture.classes() > 0
            && match &self.checkpoint {
                Some(path) => train::recorded_label_dropout(path)? == Some(0.0),
                None => false,
            };
        Ok(Model {
            name: name + &self.manner(),
            denoiser: arrangement.of(Box::new(pretrained.denoiser().clone()))?,
            pretrained,
            arrangement,
            needs_class,
            autoencoder: None,
        })
    }

    /// The network in tiles, and averaged over symmetries.
    fn arrangement(&self, model: &Pretrained) -> Outcome<Arrangement> {
        let multiple = model.config().architecture.multiple();
        let tiles = self.tile.map(|tile| [tile, self.tile_overlap]);
        let tiles = tiles.map(|sizes| sizes.map(|size| size as usize));
        if let Some([tile, overlap]) = tiles
            && !(tile.is_multiple_of(multiple) && overlap.is_multiple_of(multiple))
        {
            return Err(Failure::usage(OffGrid {
                multiple,
                tile,
                overlap,
            }));
        }
        Ok(Arrangement {
            tiles,
            self_ensemble: self.self_ensemble,
            multiple,
        })
    }

    /// What differs from the network as it is.
    fn manner(&self) -> String {
        let mut words = String::new();
        if let Some(arch) = &self.arch {
            words += &format!(" as {arch}");
        }
        if self.precision != PrecisionName::F32 {
            words += &format!(", {}", Precision::from(self.precision));
        }
        if let Some(tile) = self.tile {
            words += &format!(", in tiles of {tile} that share {}", self.tile_overlap);
        }
        if self.self_ensemble {
            words += ", averaged over symmetries";
        }
        words
    }
}

impl Arrangement {
    fn of(self, whole: Box<dyn Denoiser>) -> Outcome<Box<dyn Denoiser>> {
        let denoiser: Box<dyn Denoiser> = match self.tiles {
            None => whole,
            Some([tile, overlap]) => {
                let inner = Tiled::new(whole, [tile; 2], overlap).map_err(Failure::usage)?;
                // So that all tiles lie on the grid on which the network halves an image.
                Box::new(Padded {
                    inner,
                    multiple: self.multiple,
                })
            }
        };
        Ok(if self.self_ensemble {
            Box::new(SelfEnsemble { inner: denoiser })
        } else {
            denoiser
        })
    }
}

impl Model {
    /// What the network is.
    pub(crate) fn config(&self) -> &ModelConfig {
        self.pretrained.config()
    }

    /// Height and width of the images of the training.
    pub(crate) fn image_size(&self) -> [usize; 2] {
        match &self.autoencoder {
            Some(autoencoder) => autoencoder.model().image_size,
            None => self.config().image_size,
        }
    }

    /// Whether the denoisers have a variance: the network has learnt one, and is not averaged over tiles or symmetries.
    pub(crate) fn has_variance(&self) -> bool {
        let averaged = self.arrangement.tiles.is_some() || self.arrangement.self_ensemble;
        self.config().architecture.learns_variance() && !averaged
    }

    /// Channels of the images.
    pub(crate) fn channels(&self) -> usize {
        match &self.autoencoder {
            Some(autoencoder) => autoencoder.model().architecture.channels,
            None => self.config().architecture.channels(),
        }
    }

    /// The decoder of images of this shape, `[channels, height, width]`, for a model of latents. A shape that there can be no image
    /// of is refused.
    pub(crate) fn decoder(&self, image: [usize; 3]) -> Outcome<Option<Decoder>> {
        let decoder = self.autoencoder.as_ref();
        let decoder = decoder.map(|autoencoder| Decoder::new(autoencoder, image));
        let decoder = decoder.transpose()?;
        let [channels, height, width] = decoder.as_ref().map_or(image, Decoder::latent);
        self.config().check_image(channels, height, width)?;
        Ok(decoder)
    }

    /// The values that a number of what it denoises can have.
    pub(crate) fn range(&self) -> (f64, f64) {
        match &self.autoencoder {
            Some(_) => (f64::NEG_INFINITY, f64::INFINITY),
            None => (0.0, 1.0),
        }
    }

    /// Of images in [0, 1], or of latents.
    pub(crate) fn denoiser(&self) -> &dyn Denoiser {
        self.denoiser.as_ref()
    }

    /// Refuses a network that has only learnt images of known classes.
    pub(crate) fn check_without_class(&self) -> Outcome<()> {
        if !self.needs_class {
            return Ok(());
        }
        let name = self.name.clone();
        Err(Failure::usage(NeedsClass { name }))
    }

    /// As [`denoiser`](Self::denoiser), of a class for each image, or told that it is told none.
    pub(crate) fn given(&self, classes: Option<&[usize]>) -> Outcome<Box<dyn Denoiser>> {
        if classes.is_none() {
            self.check_without_class()?;
        }
        let given = self.pretrained.given(classes, None);
        let given = given.map_err(|error| match error {
            ModelError::Class { .. } | ModelError::NoClasses => Failure::usage(error),
            _ => error.into(),
        })?;
        self.arrangement.of(Box::new(given))
    }

    /// As [`denoiser`](Self::denoiser), of a network that sees `image`, of one row for all images, in [0, 1].
    pub(crate) fn seeing(&self, image: Tensor<4>) -> Outcome<Box<dyn Denoiser>> {
        self.check_without_class()?;
        Ok(Box::new(self.pretrained.given(None, Some(image))?))
    }

    /// The network as it is, told a class for each image where there are classes.
    pub(crate) fn told(
        &self,
        classes: Option<&[usize]>,
    ) -> Outcome<Conditioned<InPrecision<Network>>> {
        let denoiser = self.pretrained.given(classes, None)?;
        Ok(denoiser.inner.inner.backbone)
    }

    /// The schedule of a diffusion, refused where the network knows one noise level only.
    pub(crate) fn schedule(&self) -> Outcome<Arc<dyn Schedule>> {
        match self.config().unit_range_sigma() {
            None => Ok(self.pretrained.schedule()),
            Some(only) => Err(Failure::usage(LevelError::All { only })),
        }
    }

    /// Refuses a noise level where the network knows another one only.
    pub(crate) fn check_level(&self, sigma: f64) -> Outcome<()> {
        match other_level(self.config(), sigma) {
            Some(only) => Err(Failure::usage(LevelError::One { only, found: sigma })),
            None => Ok(()),
        }
    }
}

/// The only noise level of a network, in pixels of [0, 1], if it is another than `sigma`.
pub(crate) fn other_level(config: &ModelConfig, sigma: f64) -> Option<f64> {
    let only = config.unit_range_sigma()?;
    ((sigma / only - 1.0).abs() > SAME_LEVEL).then_some(only)
}

/// Whether the network must know its noise level by itself, and nobody knows it.
fn told_no_level(config: &ModelConfig) -> bool {
    let alone = matches!(
        config.architecture,
        Architecture::Dncnn(_) | Architecture::PlainUNet(_)
    );
    alone && config.only_sigma.is_none()
}

/// The model at `checkpoint`, called `arch` if it has a name, and its place; without one that of the program.
pub(crate) fn open(
    checkpoint: Option<&Path>,
    arch: Option<&str>,
    device: &Device,
) -> Outcome<(Pretrained, String)> {
    let Some(path) = checkpoint else {
        let model = Pretrained::from_bytes(
            SHIPPED,
            include_str!("../../../checkpoints/phantoms/model.json"),
            include_bytes!("../../../checkpoints/phantoms/ema.safetensors"),
            device,
        )?;
        return Ok((model, SHIPPED.into()));
    };
    let (model, place) = match arch {
        Some(name) => (Pretrained::import(path, Some(name), device)?, path.into()),
        None => {
            let place = place(path)?;
            (Pretrained::open(&place, device)?, place)
        }
    };
    Ok((model, place.display().to_string()))
}

/// The file or the folder of the model that `path` leads to.
fn place(path: &Path) -> Outcome<PathBuf> {
    path.metadata().map_err(|source| ModelError::Read {
        path: path.into(),
        source,
    })?;
    let holds = |name: &str| path.join(name).exists();
    if !path.is_dir() || [MODEL_FILE, "config.json", "unet"].into_iter().any(holds) {
        return Ok(path.into());
    }
    match Checkpoint::latest(&path.join(CHECKPOINTS_FOLDER)) {
        Ok(checkpoint) => Ok(checkpoint.folder().into()),
        Err(TrainingError::NoCheckpoint { .. }) => Err(ModelError::NoModel {
            folder: path.into(),
            expected: "model.json, config.json of diffusers, or checkpoints/step-NNNNNNNN of a training run",
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
