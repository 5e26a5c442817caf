//! The denoising objective: `L = E[ w |F(c_in x; c_noise) - F*|^2 ]`, `x = x_0 + sigma n`, `F* = (x_0 - c_skip x)/c_out`.
//!
//! One formula, with `c` and `w` from the network's parametrisation and a [`Weighting`], is most losses of the literature:
//!
//! * noise prediction, where `F*` is the noise itself (Ho et al. 2020, eq. (14), <https://arxiv.org/abs/2006.11239>), prediction of
//!   `x_0` and of `v` (Salimans & Ho 2022, <https://arxiv.org/abs/2202.00512>);
//! * the loss of EDM (Karras et al. 2022, eq. (8), <https://arxiv.org/abs/2206.00364>), with log-normal levels;
//! * denoising score matching at one level (Vincent 2011, <https://doi.org/10.1162/NECO_a_00142>) and at many (Song & Ermon
//!   2019, eq. (6), <https://arxiv.org/abs/1907.05600>);
//! * flow matching and rectified flow (Lipman et al. 2023, eq. (23), <https://arxiv.org/abs/2210.02747>; Liu et al. 2023, eq. (1),
//!   <https://arxiv.org/abs/2209.03003>), where `F*` is the velocity of the straight path;
//! * regression of denoisers over a range of levels (Zhang et al. 2021, section 3.2, <https://arxiv.org/abs/2008.13751>).
//!
//! A distance other than the square is of `w^(1/2) (F - F*)`, so that it too is of the error that the weighting names.

use burn::tensor::Tensor;
use tweedie_core::{Backbone, Conditioning, Given, Rng};

use super::{Distance, Noisy, Objective, Prediction, Weighting, prediction::column};
use crate::Level;

/// Denoising at noise levels, each with its weight.
#[derive(Clone)]
pub struct Denoising {
    /// What the network predicts.
    pub prediction: Prediction,
    /// How much each noise level counts.
    pub weighting: Weighting,
    /// Distance that is minimised.
    pub distance: Distance,
}

impl<const D: usize> Objective<D> for Denoising {
    fn losses(
        &self,
        network: &dyn Backbone<D>,
        clean: Tensor<D>,
        given: Given<D>,
        levels: &[Level],
        rng: &mut Rng,
    ) -> Tensor<1> {
        let device = clean.device();
        let noisy = Noisy::draw(&self.prediction, clean, levels, rng);
        let noise = noisy.labels;
        let output = network.forward(noisy.input, Conditioning { noise, given });
        let scales = levels
            .iter()
            .zip(&noisy.coefficients)
            .map(|(level, c)| self.weighting.at(&self.prediction, level, c).sqrt())
            .collect();
        self.distance
            .rows((output - noisy.target) * column::<D>(scales, &device))
    }
}
