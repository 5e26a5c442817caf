//! Published DnCNNs: the names in their files, and the noise levels of their training.
//!
//! | files | names | normalisation |
//! |---|---|---|
//! | KAIR, as released | `model.0`, `model.2`, ... | folded |
//! | KAIR, in training | `model.0`, then convolution `model.2`, norm `model.3`, ... | epsilon 1e-4 |
//! | the two PyTorch ports | the same with `dncnn.` | 1e-4 where the first convolution has a bias, else 1e-5 |
//! | deepinv | `in_conv`, `conv_list.0`, ..., `out_conv` | none |
//!
//! The numbers count the layers without weights too. deepinv's network predicts the negative of the noise, `D(x) = x + N(x)`: its
//! last convolution is negated on the way in.

use tweedie_core::{NoiseLabel, Parametrisation, ScheduleConfig};

use super::DncnnConfig;
use crate::{
    Architecture, ModelConfig, Pixels,
    import::{Fold, Inventory, Layout},
};

/// The largest noise level in the training of the blind networks: the paper's section IV-A, as are the sizes of patches.
const LARGEST: f64 = 55.0 / 255.0;

/// A network for all noise levels.
pub(crate) fn blind(network: DncnnConfig) -> ModelConfig {
    let mut config = ModelConfig::new(
        Architecture::Dncnn(network),
        Parametrisation::Residual,
        ScheduleConfig::Karras { sigma_max: LARGEST },
        NoiseLabel::Time { scale: 1.0 },
        [50, 50],
    );
    config.pixels = Pixels::Unit;
    config
}

/// A network for one noise level, in 255ths; the files do not say which.
pub(crate) fn single(channels: usize, depth: usize, level: f64) -> ModelConfig {
    let sigma = level / 255.0;
    let mut config = blind(DncnnConfig::published(channels, depth));
    config.schedule = ScheduleConfig::Karras { sigma_max: sigma };
    config.image_size = [40, 40];
    config.only_sigma = Some(sigma);
    config
}

/// The number of a convolution in a `Sequential` where a ReLU follows each one, and a norm each but the first.
fn number(index: usize, normalised: bool) -> usize {
    match (normalised, index) {
        (false, _) => 2 * index,
        (true, 0) => 0,
        (true, _) => 3 * index - 1,
    }
}

/// All names that files of this network have.
pub(super) fn layouts(config: &DncnnConfig) -> Vec<Layout> {
    let last = config.depth - 1;
    let ours = |index: usize| format!("convolutions.{index}");
    let plain = |prefix: &str| {
        (0..=last).fold(Layout::default(), |layout, index| {
            layout.layer(ours(index), format!("{prefix}.{}", number(index, false)))
        })
    };
    let normalised = |prefix: &str, bias: bool, epsilon: f64| {
        let name = |index| format!("{prefix}.{}", number(index, true));
        let fold = Fold { bias, epsilon };
        (1..last)
            .fold(Layout::default(), |layout, index| {
                let norm = format!("{prefix}.{}", number(index, true) + 1);
                layout.folded(ours(index), name(index), norm, fold)
            })
            .layer(ours(0), name(0))
            .layer(ours(last), name(last))
            .without("num_batches_tracked")
    };
    let deepinv = (1..last)
        .fold(Layout::default(), |layout, index| {
            layout.layer(ours(index), format!("conv_list.{}", index - 1))
        })
        .layer(ours(0), "in_conv")
        .negated(ours(last), "out_conv");

    let mut layouts = vec![plain("model"), plain("dncnn"), deepinv];
    let [head, body, _] = config.biases;
    // A folded normalisation always leaves a bias.
    if body && last > 1 {
        layouts.push(normalised("model", true, 1e-4));
        layouts.push(normalised("dncnn", false, if head { 1e-4 } else { 1e-5 }));
    }
    layouts
}

/// Recognises a DnCNN of any width and depth by its names, all tensors being accounted for.
///
/// A file does not tell a network for one noise level from a blind one, so the result is a blind one. Seven convolutions called
/// `model` are not recognised: they are those of IRCNN, which are dilated, and no shape says so.
pub(crate) fn recognised(inventory: &Inventory) -> Option<ModelConfig> {
    let (names, norms) = convolutions(inventory)?;
    let last = names.len().checked_sub(1).filter(|&last| last > 0)?;
    let has_bias = |name: &String| inventory.has(&format!("{name}.bias"));
    let weight = |name: &String| format!("{name}.weight");
    let width = inventory.length(&weight(&names[0]), 0)?;
    let channels = inventory.length(&weight(&names[0]), 1)?;
    for (index, name) in names.iter().enumerate() {
        let inputs = if index == 0 { channels } else { width };
        let outputs = if index == last { channels } else { width };
        if inventory.shape(&weight(name))? != [outputs, inputs, 3, 3] {
            return None;
        }
    }
    let biases = [
        has_bias(&names[0]),
        norms > 0 || names[1..last].iter().any(has_bias),
        has_bias(&names[last]),
    ];
    let tensors = names.len() + names.iter().filter(|name| has_bias(name)).count() + 4 * norms;
    let counters = |name: &&String| name.ends_with("num_batches_tracked");
    if inventory.0.len() - inventory.0.keys().filter(counters).count() != tensors {
        return None;
    }
    Some(blind(DncnnConfig {
        channels,
        width,
        depth: names.len(),
        biases,
    }))
}

/// The names of the convolutions, first to last, and the number of norms between them.
fn convolutions(inventory: &Inventory) -> Option<(Vec<String>, usize)> {
    if inventory.has("in_conv.weight") {
        let inner = inventory.count(|index| format!("conv_list.{index}.weight"));
        let inner = (0..inner).map(|index| format!("conv_list.{index}"));
        let names = ["in_conv".to_owned()].into_iter().chain(inner);
        return Some((names.chain(["out_conv".to_owned()]).collect(), 0));
    }
    let first = |prefix: &&str| inventory.has(&format!("{prefix}.0.weight"));
    let prefix = ["model", "dncnn"].into_iter().find(first)?;
    let normalised = inventory.has(&format!("{prefix}.3.running_mean"));
    let name = |index| format!("{prefix}.{}", number(index, normalised));
    let depth = inventory.count(|index| format!("{}.weight", name(index)));
    if prefix == "model" && depth == 7 && !normalised {
        return None;
    }
    let norms = if normalised {
        depth.saturating_sub(2)
    } else {
        0
    };
    Some(((0..depth).map(name).collect(), norms))
}
