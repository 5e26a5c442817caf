//! Implicit score matching at noise levels: `L = sigma^2/d E[ tr(ds/du) + |s|^2/2 ]`, `s(u) = (D(u; sigma) - u)/sigma^2`,
//! `u = x_0 + sigma n`.
//!
//! Hyvärinen 2005, eq. (4), <https://jmlr.org/papers/v6/hyvarinen05a.html>, on the noisy data of each level, weighted by `sigma^2`. The
//! trace is the sum of the central differences along all coordinates, with steps of `h = 1/64` noise levels: exact but for rounding for
//! a network that is affine in its input, else with an error of `O(h^2)`. `2 d + 1` evaluations of the network, so for small
//! dimensions; [`Sliced`](super::Sliced) has the same mean.

use burn::tensor::{Tensor, TensorData};
use tweedie_core::{Backbone, Given, Rng};

use super::{Objective, Prediction, distance::rows, jacobian::NoisyScore};
use crate::Level;

/// Implicit score matching with the full trace, in at most [`MAX_DIMENSIONS`](Self::MAX_DIMENSIONS).
#[derive(Clone)]
pub struct Implicit {
    /// What the network predicts.
    pub prediction: Prediction,
}

impl Implicit {
    /// The largest number of pixels times channels: that of a grey image of 8 by 8, for which one loss costs 129 evaluations.
    pub const MAX_DIMENSIONS: usize = 64;
}

impl<const D: usize> Objective<D> for Implicit {
    /// # Panics
    /// If a row has more than [`MAX_DIMENSIONS`](Implicit::MAX_DIMENSIONS) numbers.
    fn losses(
        &self,
        network: &dyn Backbone<D>,
        clean: Tensor<D>,
        given: Given<D>,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let shape = clean.dims();
        let dimensions: usize = shape[1..].iter().product();
        assert!(
            dimensions <= Self::MAX_DIMENSIONS,
            "implicit score matching takes at most {} dimensions, found {dimensions}",
            Self::MAX_DIMENSIONS
        );
        let told = (network, given);
        let noisy = NoisyScore::draw(&self.prediction, told, clean.clone(), levels, rng);
        let squares = rows(noisy.score().square()).mul_scalar(0.5);
        (0..dimensions).fold(squares, |sum, index| {
            let unit = unit(index, &clean);
            sum + rows(unit.clone() * noisy.along(unit).slope)
        })
    }
}

/// The unit vector of one coordinate, for each row.
fn unit<const D: usize>(index: usize, like: &Tensor<D>) -> Tensor<D> {
    let mut shape = like.dims();
    shape[0] = 1;
    let mut entries = vec![0.0; shape.iter().product()];
    entries[index] = 1.0;
    let options = (&like.device(), like.dtype());
    Tensor::<D>::from_data(TensorData::new(entries, shape), options).expand(like.dims())
}
