//! From a file to a network: what it is, which of its tensors are the weights, and the weights in place.

use std::path::Path;

use burn::{module::Module, tensor::Device};

use super::{
    Layout, diffusers,
    file::{Checkpoint, Entry, elements},
    known::{NAMED, RECOGNISERS},
    plan::{Differences, Plan},
    slots::{filled, slots},
    stored::carried,
    wrapping::{behind, prefixes},
};
use crate::{ModelConfig, ModelError, Network};

/// A network out of a checkpoint.
///
/// It is as for training; [`Pretrained`](crate::Pretrained) makes it a denoiser.
#[derive(Debug)]
pub struct Imported {
    /// All that turns the network into a denoiser.
    pub config: ModelConfig,
    /// With the checkpoint's weights, in single precision.
    pub network: Network,
}

/// Reads a network of another program from a file: `.pth` or `.pt` of PyTorch, as it is written since 0.1.10, or `.safetensors`.
///
/// With a name, one of [`import_names`], the file must hold weights for that network. Without, names and shapes
/// of the tensors decide; a file of [`Imported::save`] says itself what it is.
///
/// The weights may stand in dictionaries (`state_dict`, `model`, `params`, ...) beside optimizer states and counters, and
/// behind the names of modules that wrap a network (`module`, `_orig_mod`, ...). Of weights and their moving
/// average (`ema`, `params_ema`, ...) that fit equally well, the average is taken. Elements may be of half, bfloat16, single or
/// double precision; they are made single. Code in the file is not run.
///
/// What cannot be read is refused: archives of TorchScript, which hold a program; the tar archives of PyTorch before 0.1.10; sparse
/// and quantised tensors; files with big-endian numbers; archives that are compressed to less than half.
///
/// A folder of diffusers with a `UNet2DModel` is read too: its `config.json` says what it is.
///
/// ```no_run
/// use burn::tensor::Device;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let colour = tweedie_models::import("drunet_color.pth".as_ref(), None, &Device::flex())?;
/// assert_eq!(colour.config.architecture.channels(), 3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ModelError::UnknownName`] for a name that does not exist; [`ModelError::Read`], [`ModelError::Checkpoint`],
/// [`ModelError::Pytorch`] or [`ModelError::Safetensors`] when the file cannot be read, saying what it is instead;
/// [`ModelError::Unrecognised`] when it is no known network; [`ModelError::OtherNetwork`] when it is another one than asked
/// for; [`ModelError::Weights`] with all tensors that are missing, unexpected or of another shape.
pub fn import(path: &Path, name: Option<&str>, device: &Device) -> Result<Imported, ModelError> {
    if name.is_none()
        && let Some(folder) = diffusers::folder(path)
    {
        return diffusers::import(&folder, device);
    }
    let config = name.map(named).transpose()?;
    let checkpoint = Checkpoint::open(path)?;
    let fit = match (config, carried(&checkpoint)?) {
        (Some(config), _) => {
            let fit = best(config, &checkpoint, device)?;
            if fit.differences.count() > 0 {
                refuse_another(&fit.config, name.unwrap_or_default(), &checkpoint)?;
            }
            fit
        }
        (None, Some(config)) => {
            let network = config.architecture.init(0, device)?;
            Fit::new(config, network, &checkpoint, &[String::new()], &[])
        }
        (None, None) => {
            let mut best: Option<Fit> = None;
            for (prefix, config) in recognised(&checkpoint) {
                let network = config.architecture.init(0, device)?;
                if is_out_of_proportion(&network, &checkpoint) {
                    continue;
                }
                let layouts = config.layouts();
                let fit = Fit::new(config, network, &checkpoint, &[prefix], &layouts);
                best = Some(match best {
                    Some(best) => best.better(fit),
                    None => fit,
                });
            }
            best.ok_or_else(|| unrecognised(&checkpoint))?
        }
    };
    fit.load(&checkpoint)
}

/// As [`import`] of a checkpoint, for a network of this configuration.
pub(crate) fn import_as(
    path: &Path,
    config: ModelConfig,
    device: &Device,
) -> Result<Imported, ModelError> {
    let checkpoint = Checkpoint::open(path)?;
    best(config, &checkpoint, device)?.load(&checkpoint)
}

/// The names that [`import`] takes, sorted.
pub fn import_names() -> impl Iterator<Item = &'static str> {
    NAMED.iter().map(|named| named.name)
}

/// The tensors of a checkpoint, by our own names, into a module.
pub(crate) fn load_module<M: Module>(
    module: &mut M,
    checkpoint: &Checkpoint,
) -> Result<(), ModelError> {
    let plan = Plan::new(&slots(module), None);
    let differences = plan.compare(checkpoint, "");
    if differences.count() > 0 {
        return Err(differences.error(checkpoint));
    }
    *module = filled(module.clone(), |slot| plan.values(checkpoint, "", slot))?;
    Ok(())
}

fn named(name: &str) -> Result<ModelConfig, ModelError> {
    match NAMED.iter().find(|named| named.name == name) {
        Some(named) => Ok((named.config)()),
        None => Err(ModelError::UnknownName {
            found: name.into(),
            expected: import_names().collect(),
        }),
    }
}

/// All prefixes behind which a network stands, with its configuration.
fn recognised(checkpoint: &Checkpoint) -> Vec<(String, ModelConfig)> {
    prefixes(checkpoint)
        .into_iter()
        .filter_map(|prefix| {
            let inventory = behind(checkpoint, &prefix);
            let config = RECOGNISERS
                .iter()
                .find_map(|recogniser| recogniser(&inventory))?;
            config.validate().ok()?;
            Some((prefix, config))
        })
        .collect()
}

fn unrecognised(checkpoint: &Checkpoint) -> ModelError {
    let tensors = checkpoint.tensors.iter();
    ModelError::Unrecognised {
        path: checkpoint.path().into(),
        tensors: tensors
            .map(|(name, entry)| (name.clone(), entry.shape.clone()))
            .collect(),
        expected: import_names().collect(),
    }
}

/// Says so when a checkpoint is clearly of another network than asked for.
fn refuse_another(
    config: &ModelConfig,
    name: &str,
    checkpoint: &Checkpoint,
) -> Result<(), ModelError> {
    let found = recognised(checkpoint);
    if found.is_empty() {
        return Ok(());
    }
    let is_asked_for = |(_, found): &(_, ModelConfig)| found.architecture == config.architecture;
    if found.iter().any(is_asked_for) {
        return Ok(());
    }
    Err(ModelError::OtherNetwork {
        path: checkpoint.path().into(),
        found: Box::new(found[0].1.architecture.clone()),
        name: name.into(),
        expected: Box::new(config.architecture.clone()),
    })
}

/// Whether a network has more than twice the numbers of a checkpoint: a few shapes can promise any. What such a network is made
/// from is not worked out.
fn is_out_of_proportion(network: &Network, checkpoint: &Checkpoint) -> bool {
    let sum = |numbers: u64, more: u64| numbers.saturating_add(more);
    let needed = slots(network).into_iter().map(|slot| elements(&slot.shape));
    let found = checkpoint.tensors.values().map(Entry::elements);
    needed.fold(0, sum) / 2 > found.fold(0, sum)
}

fn best(config: ModelConfig, checkpoint: &Checkpoint, device: &Device) -> Result<Fit, ModelError> {
    let network = config.architecture.init(0, device)?;
    let layouts = config.layouts();
    let prefixes = prefixes(checkpoint);
    Ok(Fit::new(config, network, checkpoint, &prefixes, &layouts))
}

/// A network, and the tensors that fit it best.
struct Fit {
    config: ModelConfig,
    network: Network,
    prefix: String,
    plan: Plan,
    differences: Differences,
}

impl Fit {
    /// The best of the prefixes, of which there is one, and layouts, our own names among them; the first of equally good ones.
    ///
    /// The weights of the network are drawn when they are first used, which they never are.
    fn new(
        config: ModelConfig,
        network: Network,
        checkpoint: &Checkpoint,
        prefixes: &[String],
        layouts: &[Layout],
    ) -> Self {
        let slots = slots(&network);
        let layouts = layouts.iter().map(Some).chain([None]);
        let (differences, prefix, plan) = layouts
            .filter_map(|layout| {
                let plan = Plan::new(&slots, layout);
                let compared = prefixes.iter().map(|prefix| {
                    let differences = plan.compare(checkpoint, prefix);
                    (differences, prefix)
                });
                let (differences, prefix) = compared.min_by_key(|(found, _)| found.count())?;
                Some((differences, prefix, plan))
            })
            .min_by_key(|(differences, ..)| differences.count())
            .expect("our own names behind the first prefix are always tried");
        Self {
            config,
            network,
            prefix: prefix.clone(),
            plan,
            differences,
        }
    }

    fn better(self, other: Self) -> Self {
        if other.differences.count() < self.differences.count() {
            other
        } else {
            self
        }
    }

    fn load(self, checkpoint: &Checkpoint) -> Result<Imported, ModelError> {
        if self.differences.count() > 0 {
            return Err(self.differences.error(checkpoint));
        }
        let network = filled(self.network, |slot| {
            self.plan.values(checkpoint, &self.prefix, slot)
        })?;
        Ok(Imported {
            config: self.config,
            network,
        })
    }
}
