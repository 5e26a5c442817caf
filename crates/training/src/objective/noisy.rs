//! Clean data with noise at given levels, as a network sees it, and what it should answer.

use burn::tensor::Tensor;
use tweedie_core::{Coefficients, Rng};

use super::{Prediction, prediction};
use crate::Level;

/// `x = x_0 + sigma n` in the network's terms.
pub(crate) struct Noisy<const D: usize> {
    /// `c_in x`.
    pub(crate) input: Tensor<D>,
    /// `F* = (x_0 - c_skip x)/c_out`: with this output the network would denoise to `x_0`.
    pub(crate) target: Tensor<D>,
    /// `c_noise` of each row.
    pub(crate) labels: Tensor<1>,
    /// Of each row.
    pub(crate) coefficients: Vec<Coefficients>,
}

impl<const D: usize> Noisy<D> {
    /// Row `i` draws its noise from row `i` of `rng`.
    pub(crate) fn draw(
        own: &Prediction,
        clean: Tensor<D>,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Self {
        let device = clean.device();
        let coefficients = own.coefficients(levels);
        let column = |of: fn(&Level, &Coefficients) -> f64| {
            let pairs = levels.iter().zip(&coefficients);
            prediction::column::<D>(pairs.map(|(level, c)| of(level, c)).collect(), &device)
        };
        let noise = rng.normal(clean.dims());
        // The target's two weights are formed in f64: their naive difference loses the noise where sigma is small.
        let input = clean.clone() * column(|_, c| c.input)
            + noise.clone() * column(|level, c| level.sigma * c.input);
        let target = clean * column(|_, c| (1.0 - c.skip) / c.out)
            - noise * column(|level, c| c.skip * level.sigma / c.out);
        Self {
            input,
            target,
            labels: prediction::column::<1>(
                coefficients.iter().map(|c| c.noise).collect(),
                &device,
            ),
            coefficients,
        }
    }
}
