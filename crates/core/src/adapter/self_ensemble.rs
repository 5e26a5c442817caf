//! The mean over the symmetries of the square.
//!
//! `D_8(x) = 1/8 sum_g g^-1 D(g x)`, over the flips and quarter turns `g`: the geometric self-ensemble of Lim et al. 2017,
//! section 3.4, <https://arxiv.org/abs/1707.02921>.

use burn::tensor::Tensor;

use crate::Denoiser;

/// Makes a denoiser treat all orientations of an image alike: `D_8(g x) = g D_8(x)` for each flip and quarter turn `g`.
///
/// Where the images' law has these symmetries, so has its conditional mean, and the mean over them is nearer to it than the
/// denoiser was on average. It costs eight times as much, one after another: the memory is that of one. Images need not be square,
/// but the denoiser must take them turned.
#[derive(Clone, Debug)]
pub struct SelfEnsemble<T> {
    /// The denoiser.
    pub inner: T,
}

/// A symmetry of the square: the axes swapped or not, then those flipped that are named.
#[derive(Clone, Copy)]
struct Symmetry {
    swap: bool,
    flips: &'static [usize],
}

const FLIPS: [&[usize]; 4] = [&[], &[2], &[3], &[2, 3]];

impl Symmetry {
    /// The identity first.
    fn all() -> impl Iterator<Item = Self> {
        [false, true]
            .into_iter()
            .flat_map(|swap| FLIPS.map(|flips| Self { swap, flips }))
    }

    fn apply(self, x: Tensor<4>) -> Tensor<4> {
        self.flipped(self.swapped(x))
    }

    fn undo(self, x: Tensor<4>) -> Tensor<4> {
        self.swapped(self.flipped(x))
    }

    fn swapped(self, x: Tensor<4>) -> Tensor<4> {
        if self.swap { x.swap_dims(2, 3) } else { x }
    }

    fn flipped(self, x: Tensor<4>) -> Tensor<4> {
        self.flips.iter().fold(x, |x, &axis| x.flip([axis]))
    }
}

impl<T: Denoiser> Denoiser for SelfEnsemble<T> {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        let views =
            Symmetry::all().map(|g| g.undo(self.inner.denoise(g.apply(noisy.clone()), sigma)));
        let sum = views.reduce(|sum, view| sum + view);
        sum.expect("there are eight symmetries").mul_scalar(0.125)
    }
}
