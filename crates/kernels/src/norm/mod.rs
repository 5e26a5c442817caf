//! Group normalisation and an affine map, with SiLU or nothing after it, and the gradients.
//!
//! `y = act(w)`, `w = scale x^ + shift`, `x^ = r (x - mean)`, `r = 1/sqrt(var + epsilon)`
//!
//! with the mean and the biased variance over the channels and pixels of a group of one image (Wu & He 2018, eqs. 1-6,
//! <https://arxiv.org/abs/1803.08494>). `x` is `[batch, channels, pixels]`; `scale` and `shift` hold a number for each channel,
//! the same for all images, `[channels]`, or one for each, `[batch, channels]`.
//!
//! Backward, with `g = dy act'(w)`, `s_1` and `s_2` the sums over the pixels of a channel of `g` and `g x^`, and `m_1` and `m_2`
//! the means over a group of `scale g` and `scale g x^`:
//!
//! `dx = r (scale g - m_1 - m_2 x^)`, `dscale = s_2`, `dshift = s_1`
//!
//! and the gradient of what images share is the sum of theirs.
//!
//! A group is read once for the moments and, where it fits in the cache, once more from there. Moments are those of blocks
//! about their own mean, joined in `f64` (Chan, Golub & LeVeque 1983, eq. (2.1), <https://doi.org/10.1080/00031305.1983.10483115>),
//! and `x` is centred by the nearest number of its own precision before anything is scaled: a small variance beside a large
//! mean is as exact as `x` is.

mod backward;
mod forward;

pub use backward::backward_in_place;
pub use forward::{forward, forward_in_place};

/// Sizes and options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupNorm {
    /// Images.
    pub batch: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Pixels of a channel.
    pub pixels: usize,
    /// Groups, a divisor of the channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
    /// Whether SiLU follows.
    pub silu: bool,
}

/// Numbers of the statistics of a group: its mean as the nearest `f32` and the rest, and `r`.
const STATISTICS: usize = 3;

/// Pixels of a group that are worth a piece of parallel work.
const PIECE: usize = 1 << 14;

impl GroupNorm {
    fn len(&self) -> usize {
        self.batch * self.channels * self.pixels
    }

    /// Channels of a group.
    fn members(&self) -> usize {
        self.channels / self.groups
    }

    /// Numbers of a group.
    fn group_len(&self) -> usize {
        self.members() * self.pixels
    }

    /// Groups of a piece of parallel work.
    fn groups_of_piece(&self) -> usize {
        PIECE.div_ceil(self.group_len())
    }

    /// That there are groups, and as many numbers as they have.
    fn check(&self, x: &[f32], affine: Affine<'_>) {
        let Self {
            batch,
            channels,
            groups,
            pixels,
            ..
        } = *self;
        assert!(
            groups > 0 && channels >= groups && channels.is_multiple_of(groups) && pixels > 0,
            "{channels} channels of {pixels} pixels in {groups} groups"
        );
        assert_eq!(x.len(), self.len(), "numbers of x");
        for (name, len) in [("scale", affine.scale.len()), ("shift", affine.shift.len())] {
            assert!(
                len == channels || len == batch * channels,
                "{len} numbers of {name} for {batch} images of {channels} channels"
            );
        }
    }
}

/// The affine map of all channels.
#[derive(Clone, Copy)]
struct Affine<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
}

impl Affine<'_> {
    /// Scale and shift of channel `plane`, counted through all images.
    fn of(&self, plane: usize) -> [f64; 2] {
        [self.scale, self.shift].map(|numbers| f64::from(numbers[plane % numbers.len()]))
    }
}
