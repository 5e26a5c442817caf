//! The inverse problem: what was measured, by what, and, when known, of what.

use std::{path::Path, rc::Rc};

use tweedie::{
    burn::tensor::{Device, Tensor},
    core::Rng,
    data::{Channels, Image, Phantoms},
    physics::{AnyOperator, ConjugateGradient, GaussianNoise, Inpainting, NoiseModel},
};

mod arguments;

pub(crate) use arguments::Arguments;
use arguments::{ArgumentError, OperatorName};

use crate::{
    failure::{Failure, Outcome},
    measurement::blanked,
    sheet::save_sheet,
};

/// Purposes of the random numbers.
const NOISE: u64 = 0;
/// The purpose of the samples' numbers.
pub(crate) const SAMPLING: u64 = 1;

/// A measurement and its operator.
pub(crate) struct Problem {
    /// Where the image came from.
    pub(crate) name: String,
    /// `[1, channels, height, width]` of the image that is sought.
    pub(crate) image_shape: [usize; 4],
    /// The image itself, when the measurement was simulated.
    pub(crate) clean: Option<Tensor<4>>,
    /// `A`.
    pub(crate) operator: Rc<AnyOperator>,
    /// For inpainting, 1 where a pixel was seen, of the shape of the image.
    pub(crate) mask: Option<Tensor<4>>,
    /// `y`; zero where nothing was seen.
    pub(crate) measurement: Tensor<4>,
}

/// A picture does not fit.
#[derive(Debug, thiserror::Error)]
enum ProblemError {
    /// The mask is of another size.
    #[error("the mask has {found:?} pixels (height, width), the image has {expected:?}")]
    MaskSize {
        expected: [usize; 2],
        found: [usize; 2],
    },
}

impl Problem {
    /// Reads or makes the image and the measurement. `phantom` is the height and width of a phantom; `fits` refuses images of
    /// a number of channels, a height and a width.
    pub(crate) fn pose(
        arguments: &Arguments,
        phantom: [usize; 2],
        fits: impl FnOnce([usize; 3]) -> Outcome<()>,
        device: &Device,
    ) -> Outcome<Self> {
        let config = arguments.operator_config().map_err(Failure::usage)?;
        let given = arguments.measurement.as_deref().map(load).transpose()?;
        let (name, shown) = match (&given, &arguments.measurement) {
            (Some(image), Some(path)) => (path.display().to_string(), image.clone()),
            _ => (arguments.input.clone(), input(&arguments.input, phantom)?),
        };
        let [channels, height, width] = shown.shape();
        let shown_shape = [1, channels, height, width];
        let image_shape = match (&given, config) {
            (Some(_), Some(config)) => config.image_shape(shown_shape),
            _ => shown_shape,
        };
        let [_, channels, height, width] = image_shape;
        fits([channels, height, width])?;
        let operator = match (config, &arguments.mask) {
            (Some(config), _) => config.build(image_shape, device, arguments.seed)?,
            (None, Some(path)) => {
                AnyOperator::Inpainting(mask_from(path, [height, width], device)?)
            }
            (None, None) => return Err(Failure::usage(ArgumentError::NoMask)),
        };
        let shown = shown.to_tensor(device);
        let measurement = match given {
            Some(_) => shown.clone(),
            None => {
                let mut rng = Rng::seeded(arguments.seed, device).fork(NOISE);
                let noise = GaussianNoise::new(arguments.noise_std)?;
                noise.corrupt(operator.forward().forward(shown.clone()), &mut rng)
            }
        };
        let inpainting = arguments.operator == OperatorName::Inpainting;
        let mask = inpainting.then(|| {
            operator
                .forward()
                .forward(Tensor::ones(image_shape, device))
        });
        Ok(Self {
            name,
            image_shape,
            clean: given.is_none().then_some(shown),
            measurement: blanked(&operator, measurement),
            operator: Rc::new(operator),
            mask,
        })
    }

    /// Writes clean.png, measurement.png and mask.png, as far as there are such.
    pub(crate) fn save(&self, folder: &Path) -> Outcome<()> {
        if let Some(clean) = &self.clean {
            save_sheet(clean.clone(), 1, &folder.join("clean.png"))?;
        }
        let measurement = self.measurement.clone();
        save_sheet(measurement, 1, &folder.join("measurement.png"))?;
        match &self.mask {
            Some(mask) => save_sheet(mask.clone(), 1, &folder.join("mask.png")),
            None => Ok(()),
        }
    }

    /// What the measurement says without a prior: the pseudo-inverse, which is zero where nothing was seen, or, for an
    /// operator that is not linear, the measurement itself.
    pub(crate) fn back_projection(&self) -> Tensor<4> {
        let y = self.measurement.clone();
        match self.operator.linear() {
            Some(operator) => operator.pseudo_inverse(y, ConjugateGradient::default()),
            None => y,
        }
    }
}

fn load(path: &Path) -> Outcome<Image> {
    Ok(Image::load(path, None)?)
}

fn input(name: &str, [height, width]: [usize; 2]) -> Outcome<Image> {
    let Some(seed) = name.strip_prefix("phantom:") else {
        return load(Path::new(name));
    };
    let seed: u64 = seed.parse().map_err(|_| {
        Failure::usage(ArgumentError::Phantom {
            found: name.to_owned(),
        })
    })?;
    Ok(Phantoms::new(seed, 1, height, width)?.image(0))
}

/// A mask from a picture: white is seen. Values in between are rounded.
fn mask_from(path: &Path, expected: [usize; 2], device: &Device) -> Outcome<Inpainting> {
    let picture = Image::load(path, Some(Channels::Grey))?;
    let found = [picture.height(), picture.width()];
    if found != expected {
        return Err(ProblemError::MaskSize { expected, found }.into());
    }
    Ok(Inpainting::new(picture.to_tensor(device).round())?)
}
