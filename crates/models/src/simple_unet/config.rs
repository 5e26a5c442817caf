//! The shape of a SimpleUnet, and what is refused.

use serde::{Deserialize, Serialize};

use super::published;
use crate::{ModelError, checks, import::Layout};

/// The shape of a [`SimpleUnet`](super::SimpleUnet).
///
/// Level `i` works on images of `1 / 2^i` of the size with `widths[i]` channels.
///
/// ```
/// use tweedie_models::SimpleUnetConfig;
///
/// # fn main() -> Result<(), tweedie_models::ModelError> {
/// let course = SimpleUnetConfig::published(3);
/// course.validate()?;
/// assert_eq!(course.multiple(), 16);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimpleUnetConfig {
    /// Channels of the images: 1 for grey, 3 for colour.
    pub channels: usize,
    /// Channels of each level, full resolution first.
    pub widths: Vec<usize>,
    /// Length of the embedding of the noise label: even and at least 4.
    pub time_width: usize,
}

impl SimpleUnetConfig {
    /// The network of the course: five levels of 64, 128, 256, 512 and 1024 channels, an embedding of 32.
    pub fn published(channels: usize) -> Self {
        Self {
            channels,
            widths: vec![64, 128, 256, 512, 1024],
            time_width: 32,
        }
    }

    /// What the height and the width of the network's input are divisible by: 2 for each level after the first.
    pub fn multiple(&self) -> usize {
        1 << self.widths.len().saturating_sub(1)
    }

    /// Whether the network takes images of this size without padding.
    ///
    /// # Errors
    /// [`ModelError::Size`] when it does not.
    pub fn check_size(&self, height: usize, width: usize) -> Result<(), ModelError> {
        checks::size(self.multiple(), height, width)
    }

    /// The names that published checkpoints of this network have.
    pub(crate) fn layouts(&self) -> Vec<Layout> {
        published::layouts(self)
    }

    /// Refuses what no network can be.
    ///
    /// # Errors
    /// [`ModelError`], naming the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        checks::counts([("channels", self.channels)])?;
        checks::levels("widths", &self.widths)?;
        if self.time_width < 4 || !self.time_width.is_multiple_of(2) {
            return Err(ModelError::OutOfRange {
                field: "time_width",
                expected: "even and at least 4",
                found: self.time_width as f64,
            });
        }
        Ok(())
    }
}
