//! The model that the user names, or the one inside the program.

use std::path::{Path, PathBuf};

use tweedie::{
    burn::tensor::Device,
    models::{MODEL_FILE, ModelError, Pretrained},
    training::{CHECKPOINTS_FOLDER, Checkpoint, TrainingError},
};

use crate::failure::Outcome;

/// Where the shipped model was made, as shown to users.
const SHIPPED: &str = "the shipped checkpoint checkpoints/phantoms";

/// Opens `checkpoint`: a model folder, or the folder of a training run, of which the newest checkpoint is taken. Without one
/// it is the model that the program carries: a small denoiser of 32-pixel phantoms.
pub(crate) fn open(checkpoint: Option<&Path>, device: &Device) -> Outcome<(Pretrained, String)> {
    let Some(folder) = checkpoint else {
        let model = Pretrained::from_bytes(
            SHIPPED,
            include_str!("../../../checkpoints/phantoms/model.json"),
            include_bytes!("../../../checkpoints/phantoms/ema.safetensors"),
            device,
        )?;
        return Ok((model, SHIPPED.into()));
    };
    let folder = model_folder(folder)?;
    let model = Pretrained::open(&folder, device)?;
    Ok((model, folder.display().to_string()))
}

fn model_folder(folder: &Path) -> Outcome<PathBuf> {
    if folder.join(MODEL_FILE).exists() {
        return Ok(folder.into());
    }
    match Checkpoint::latest(&folder.join(CHECKPOINTS_FOLDER)) {
        Ok(checkpoint) => Ok(checkpoint.folder().into()),
        Err(TrainingError::NoCheckpoint { .. }) => Err(ModelError::NoModel {
            folder: folder.into(),
            expected: "model.json, or checkpoints/step-NNNNNNNN of a training run",
        }
        .into()),
        Err(error) => Err(error.into()),
    }
}
