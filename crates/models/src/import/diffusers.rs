//! A folder of diffusers with a `UNet2DModel`, as the program writes it and as `google/ddpm-*` are published.
//!
//! | file | content |
//! |---|---|
//! | `config.json` | the shape of the network |
//! | `diffusion_pytorch_model.safetensors` or `.bin` | the weights |
//! | `scheduler_config.json`, here or in `../scheduler` | the training: betas, steps, what is predicted |
//!
//! Without the last, the training is that of Ho et al. 2020, <https://arxiv.org/abs/2006.11239>.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use serde_json::{Map, Value, json};
use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::{Imported, import_as};
use crate::{
    Architecture, ModelConfig, ModelError, NoiseEmbedding, Resampling, TimeInjection, UNetConfig,
};

const CONFIG: &str = "config.json";

const SCHEDULER: &str = "scheduler_config.json";

/// The first that exists is read.
const WEIGHTS: [&str; 2] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.bin",
];

/// What may only be so, where it is said at all.
const FIXED: [(&str, &str); 15] = [
    ("_class_name", r#""UNet2DModel""#),
    ("act_fn", r#""silu""#),
    ("add_attention", "true"),
    ("attn_norm_num_groups", "null"),
    ("center_input_sample", "false"),
    ("class_embed_type", "null"),
    ("downsample_type", r#""conv""#),
    ("mid_block_scale_factor", "1"),
    ("mid_block_type", r#""UNetMidBlock2D""#),
    ("num_class_embeds", "null"),
    ("num_train_timesteps", "null"),
    ("resnet_time_scale_shift", r#""default""#),
    ("time_embedding_dim", "null"),
    ("time_embedding_type", r#""positional""#),
    ("upsample_type", r#""conv""#),
];

/// The folder of the network in a folder of diffusers: itself, or its `unet` where it has several networks.
pub(crate) fn folder(path: &Path) -> Option<PathBuf> {
    [path.to_owned(), path.join("unet")]
        .into_iter()
        .find(|folder| folder.join(CONFIG).is_file())
}

/// The network in `folder`.
///
/// # Errors
/// As [`config`], and as [`import`](super::import) of the weights.
pub(crate) fn import(folder: &Path, device: &Device) -> Result<Imported, ModelError> {
    let config = config(folder)?;
    let weights = WEIGHTS
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| ModelError::NoModel {
            folder: folder.into(),
            expected: "diffusion_pytorch_model.safetensors or diffusion_pytorch_model.bin",
        })?;
    import_as(&weights, config, device)
}

/// What the files of `folder` say about its network.
///
/// # Errors
/// [`ModelError::NoModel`] without a `config.json`, [`ModelError::Read`] and [`ModelError::Json`] for a file that cannot be read,
/// [`ModelError::Foreign`] for a network or a training that does not exist here, naming the field.
pub(crate) fn config(folder: &Path) -> Result<ModelConfig, ModelError> {
    let fields = Fields::read(folder.join(CONFIG))?.ok_or_else(|| ModelError::NoModel {
        folder: folder.into(),
        expected: CONFIG,
    })?;
    let unet = fields.unet()?;
    let image_size = fields.image_size()?;
    fields.check_the_rest()?;
    let training = [folder.join(SCHEDULER), beside(folder)].map(Fields::read);
    let mut config = ModelConfig::new(
        Architecture::UNet(unet),
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        image_size,
    );
    for fields in training {
        if let Some(fields) = fields? {
            fields.set_training(&mut config)?;
            break;
        }
    }
    config.validate()?;
    Ok(config)
}

/// The place of the scheduler beside the folder of the network.
fn beside(folder: &Path) -> PathBuf {
    folder.join("..").join("scheduler").join(SCHEDULER)
}

/// A file of fields.
struct Fields {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl Fields {
    /// `None` where there is no such file.
    fn read(path: PathBuf) -> Result<Option<Self>, ModelError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ModelError::Read { path, source }),
        };
        match serde_json::from_str(&text) {
            Ok(fields) => Ok(Some(Self { path, fields })),
            Err(source) => Err(ModelError::Json { path, source }),
        }
    }

    fn refused(&self, field: &'static str, expected: &'static str) -> ModelError {
        let found = self.fields.get(field);
        ModelError::Foreign {
            path: self.path.clone(),
            field: field.into(),
            found: found.map_or_else(|| "missing".into(), Value::to_string),
            expected: expected.into(),
        }
    }

    fn get<'a, T>(
        &'a self,
        field: &'static str,
        expected: &'static str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, ModelError> {
        let value = self.fields.get(field).and_then(read);
        value.ok_or_else(|| self.refused(field, expected))
    }

    fn count(&self, field: &'static str) -> Result<usize, ModelError> {
        self.get(field, "a whole number", whole)
    }

    fn number(&self, field: &'static str) -> Result<f64, ModelError> {
        self.get(field, "a number", Value::as_f64)
    }

    /// As [`number`](Self::number), where the field may be missing.
    fn number_or(&self, field: &'static str, default: f64) -> Result<f64, ModelError> {
        if self.fields.contains_key(field) {
            self.number(field)
        } else {
            Ok(default)
        }
    }

    fn unet(&self) -> Result<UNetConfig, ModelError> {
        let channels = self.count("in_channels")?;
        if self.count("out_channels")? != channels {
            return Err(self.refused("out_channels", "the value of in_channels"));
        }
        let widths = self.get("block_out_channels", "a list of whole numbers", |value| {
            value
                .as_array()?
                .iter()
                .map(whole)
                .collect::<Option<Vec<_>>>()
        })?;
        let multiples = |base: &usize| {
            let multiple = |width: &usize| width.checked_rem(*base) == Some(0);
            widths.iter().all(multiple)
        };
        let base_channels = widths.first().copied().filter(multiples).ok_or_else(|| {
            self.refused("block_out_channels", "a list of multiples of its first")
        })?;
        let head_channels = self.get("attention_head_dim", "a whole number or null", optional)?;
        Ok(UNetConfig {
            channels,
            base_channels,
            channel_multipliers: widths.iter().map(|width| width / base_channels).collect(),
            blocks_per_level: self.count("layers_per_block")?,
            attention_levels: self.attention(widths.len())?,
            heads: 1,
            head_channels,
            groups: self.count("norm_num_groups")?,
            dropout: self.number_or("dropout", 0.0)?,
            time_injection: TimeInjection::Add,
            resampling: match self.count("downsample_padding")? {
                0 => Resampling::Convolution,
                1 => Resampling::PaddedConvolution,
                _ => return Err(self.refused("downsample_padding", "0 or 1")),
            },
            noise_embedding: self.noise_embedding()?,
            norm_epsilon: self.number("norm_eps")?,
            ..UNetConfig::default()
        })
    }

    /// The levels with attention, of so many.
    fn attention(&self, levels: usize) -> Result<Vec<usize>, ModelError> {
        let expected = "DownBlock2D or AttnDownBlock2D for each of block_out_channels";
        let attends = self.get("down_block_types", expected, |value| {
            let types = value.as_array().filter(|types| types.len() == levels)?;
            let attends = types.iter().map(|block| match block.as_str() {
                Some("DownBlock2D") => Some(false),
                Some("AttnDownBlock2D") => Some(true),
                _ => None,
            });
            attends.collect::<Option<Vec<_>>>()
        })?;
        let mirrored: Vec<Value> = (attends.iter().rev())
            .map(|&attends| {
                if attends {
                    json!("AttnUpBlock2D")
                } else {
                    json!("UpBlock2D")
                }
            })
            .collect();
        self.get(
            "up_block_types",
            "UpBlock2D or AttnUpBlock2D, in the reverse order of down_block_types",
            |found| (found == &Value::from(mirrored.clone())).then_some(()),
        )?;
        Ok((0..levels).filter(|&level| attends[level]).collect())
    }

    fn noise_embedding(&self) -> Result<NoiseEmbedding, ModelError> {
        let cosines_first = self.get("flip_sin_to_cos", "true or false", Value::as_bool)?;
        match (cosines_first, self.count("freq_shift")?) {
            (false, 1) => Ok(NoiseEmbedding::SinesFirst),
            (true, 0) => Ok(NoiseEmbedding::CosinesFirst),
            (false, _) => Err(self.refused("freq_shift", "1, since flip_sin_to_cos is false")),
            (true, _) => Err(self.refused("freq_shift", "0, since flip_sin_to_cos is true")),
        }
    }

    fn image_size(&self) -> Result<[usize; 2], ModelError> {
        self.get("sample_size", "a whole number, or two", |value| match value
            .as_array()
            .map(Vec::as_slice)
        {
            Some([height, width]) => Some([whole(height)?, whole(width)?]),
            Some(_) => None,
            None => whole(value).map(|size| [size, size]),
        })
    }

    /// Refuses what has not been read and says something else than the networks that are.
    fn check_the_rest(&self) -> Result<(), ModelError> {
        const READ: [&str; 15] = [
            "attention_head_dim",
            "block_out_channels",
            "down_block_types",
            "downsample_padding",
            "dropout",
            "flip_sin_to_cos",
            "freq_shift",
            "in_channels",
            "layers_per_block",
            "norm_eps",
            "norm_num_groups",
            "out_channels",
            "sample_size",
            "up_block_types",
            "_diffusers_version",
        ];
        for (field, found) in &self.fields {
            let fixed = FIXED.iter().find(|(name, _)| name == field);
            let expected = match fixed {
                Some((_, expected)) if is_equal(found, expected) => continue,
                Some((_, expected)) => *expected,
                // Notes about where the file comes from.
                None if READ.contains(&field.as_str()) || field.starts_with('_') => continue,
                None => "no such field",
            };
            return Err(ModelError::Foreign {
                path: self.path.clone(),
                field: field.clone(),
                found: found.to_string(),
                expected: expected.into(),
            });
        }
        Ok(())
    }

    /// From the file of a scheduler, of which what concerns sampling alone is not read.
    fn set_training(&self, config: &mut ModelConfig) -> Result<(), ModelError> {
        let steps = self.count("num_train_timesteps")?;
        config.label = NoiseLabel::Step { steps };
        config.schedule = self.schedule(steps)?;
        config.parametrisation = match self.fields.get("prediction_type").map(Value::as_str) {
            // Older files have no such field.
            None | Some(Some("epsilon")) => Parametrisation::Epsilon,
            Some(Some("sample")) => Parametrisation::X0,
            Some(Some("v_prediction")) => Parametrisation::V,
            Some(_) => {
                let expected = "epsilon, sample or v_prediction";
                return Err(self.refused("prediction_type", expected));
            }
        };
        let rescaled = self.fields.get("rescale_betas_zero_snr");
        if rescaled.is_some_and(|value| value != false) {
            return Err(self.refused("rescale_betas_zero_snr", "false"));
        }
        Ok(())
    }

    fn schedule(&self, steps: usize) -> Result<ScheduleConfig, ModelError> {
        if let Some(betas) = self.fields.get("trained_betas").filter(|it| !it.is_null()) {
            let numbers = |betas: &Value| {
                let betas = betas.as_array().filter(|betas| betas.len() == steps)?;
                betas.iter().map(Value::as_f64).collect::<Option<Vec<_>>>()
            };
            let betas = numbers(betas).ok_or_else(|| {
                self.refused("trained_betas", "null, or num_train_timesteps numbers")
            })?;
            return Ok(ScheduleConfig::DdpmTable { betas });
        }
        let kind = self.get("beta_schedule", "a name", Value::as_str)?;
        let (beta_min, beta_max) = (self.number("beta_start")?, self.number("beta_end")?);
        match kind {
            "linear" => Ok(ScheduleConfig::Ddpm {
                steps,
                beta_min,
                beta_max,
            }),
            "scaled_linear" => Ok(ScheduleConfig::DdpmScaledLinear {
                steps,
                beta_min,
                beta_max,
            }),
            "squaredcos_cap_v2" => Ok(ScheduleConfig::DdpmCosine {
                steps,
                offset: 0.008,
                beta_cap: 0.999,
            }),
            _ => {
                let expected = "linear, scaled_linear or squaredcos_cap_v2";
                Err(self.refused("beta_schedule", expected))
            }
        }
    }
}

fn whole(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|value| value.try_into().ok())
}

/// A whole number, or none where it says `null`.
fn optional(value: &Value) -> Option<Option<usize>> {
    if value.is_null() {
        Some(None)
    } else {
        whole(value).map(Some)
    }
}

/// Whether a value is what a text of JSON says; 1.0 is 1.
fn is_equal(found: &Value, expected: &str) -> bool {
    let text = found.to_string();
    text == expected || (found.is_f64() && found.as_f64() == expected.parse::<f64>().ok())
}
