//! Weights of the networks, from the files in which PyTorch publishes them.

use std::path::{Path, PathBuf};

use burn::store::{ApplyError, ModuleSnapshot, PytorchStore, PytorchStoreError};
use burn::tensor::Device;

use super::{InceptionV3FeatureExtractor, Lpips, LpipsConfig, LpipsNet};

/// Places of the layers in torchvision's `features`, and their names here.
const ALEX: &[(usize, &str)] = &[
    (0, "conv1"),
    (3, "conv2"),
    (6, "conv3"),
    (8, "conv4"),
    (10, "conv5"),
];
const SQUEEZE: &[(usize, &str)] = &[
    (0, "conv1"),
    (3, "fire1"),
    (4, "fire2"),
    (6, "fire3"),
    (7, "fire4"),
    (9, "fire5"),
    (10, "fire6"),
    (11, "fire7"),
    (12, "fire8"),
];
const VGG: &[(usize, &str)] = &[
    (0, "conv1_1"),
    (2, "conv1_2"),
    (5, "conv2_1"),
    (7, "conv2_2"),
    (10, "conv3_1"),
    (12, "conv3_2"),
    (14, "conv3_3"),
    (17, "conv4_1"),
    (19, "conv4_2"),
    (21, "conv4_3"),
    (24, "conv5_1"),
    (26, "conv5_2"),
    (28, "conv5_3"),
];

/// Why a network has no weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PerceptualError {
    /// The file cannot be read, or is not one of PyTorch's.
    #[error("cannot load the weights in {}: {source}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: PytorchStoreError,
    },
    /// The tensors of the file are not those of the network.
    #[error("the weights in {} belong to another network: {}", path.display(), difference(missing, mismatched))]
    Weights {
        /// The file.
        path: PathBuf,
        /// Tensors of the network that the file lacks, by their names here.
        missing: Vec<String>,
        /// Tensors of another shape or type.
        mismatched: Vec<ApplyError>,
    },
}

/// One of many differences is enough to tell which file it is.
fn difference(missing: &[String], mismatched: &[ApplyError]) -> String {
    let mismatched = mismatched.iter().map(ApplyError::to_string);
    let missing = missing.iter().map(|name| format!("it lacks {name}"));
    let mut differences = mismatched.chain(missing);
    let first = differences.next().unwrap_or_default();
    match differences.count() {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}

/// The network of [`lpips`](super::lpips()), with weights from two files.
///
/// `backbone` is torchvision's network for ImageNet, at [`get_backbone_weights_url`](super::get_backbone_weights_url);
/// `heads` the weights of its layers by the authors of LPIPS, version 0.1, at
/// [`get_lpips_weights_url`](super::get_lpips_weights_url).
///
/// # Errors
///
/// If a file cannot be read, or is not that of the network.
pub fn load_lpips(
    net: LpipsNet,
    backbone: impl AsRef<Path>,
    heads: impl AsRef<Path>,
    device: &Device,
) -> Result<Lpips, PerceptualError> {
    let (backbone, heads) = (backbone.as_ref(), heads.as_ref());
    let mut network = LpipsConfig::new().with_net(net).init(device);
    // Each variant by itself: the name of the variant is no part of the names of the tensors.
    match &mut network {
        Lpips::Alex(network) => fill_lpips(network, ALEX, backbone, heads),
        Lpips::Squeeze(network) => fill_lpips(network, SQUEEZE, backbone, heads),
        Lpips::Vgg(network) => fill_lpips(network, VGG, backbone, heads),
    }?;
    Ok(network)
}

/// The network of [`inception_features`](super::inception_features), with weights from a file.
///
/// It is TensorFlow's Inception V3 of 2015, to which published distances refer, as the PyTorch file
/// `pt-inception-2015-12-05-6726825d.pth` of <https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights>.
/// torchvision's own Inception V3 has other weights, and would give other distances.
///
/// # Errors
///
/// If the file cannot be read, or is not that of the network.
pub fn load_inception(
    path: impl AsRef<Path>,
    device: &Device,
) -> Result<InceptionV3FeatureExtractor, PerceptualError> {
    let mut network = InceptionV3FeatureExtractor::new(device);
    let names = [
        (r"^Conv2d_(\d[ab])_\dx\d\.", "conv2d_$1."),
        ("^Mixed_", "mixed_"),
    ];
    fill(&mut network, path.as_ref(), "", names)?;
    Ok(network)
}

fn fill_lpips(
    network: &mut impl ModuleSnapshot,
    layers: &[(usize, &str)],
    backbone: &Path,
    heads: &Path,
) -> Result<(), PerceptualError> {
    let names = layers.iter().map(|(place, name)| {
        (
            format!(r"^features\.{place}\."),
            format!("extractor.{name}."),
        )
    });
    fill(network, backbone, "extractor.", names)?;
    fill(network, heads, "lin", [(r"^lin(\d)\.model\.1\.", "lin$1.")])
}

/// Fills the tensors whose names start with `part`, all of which the file must have once its names are replaced.
fn fill(
    network: &mut impl ModuleSnapshot,
    path: &Path,
    part: &str,
    names: impl IntoIterator<Item = (impl AsRef<str>, impl Into<String>)>,
) -> Result<(), PerceptualError> {
    let store = PytorchStore::from_file(path)
        .allow_partial(true)
        .validate(false)
        .map_indices_contiguous(false);
    let mut store = names.into_iter().fold(store, |store, (theirs, ours)| {
        store.with_key_remapping(theirs, ours)
    });
    let found = network
        .load_from(&mut store)
        .map_err(|source| PerceptualError::Load {
            path: path.to_owned(),
            source,
        })?;
    let missing: Vec<String> = found
        .missing
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with(part))
        .collect();
    if missing.is_empty() && found.errors.is_empty() {
        Ok(())
    } else {
        Err(PerceptualError::Weights {
            path: path.to_owned(),
            missing,
            mismatched: found.errors,
        })
    }
}
