//! Poisson-Gaussian noise of a camera, `y = gain k + std n`: photon counts `k ~ Poisson(clean / gain)` and read-out
//! noise.
//!
//! Foi, Trimeche, Katkovnik & Egiazarian 2008, <https://doi.org/10.1109/TIP.2008.2001399>; the generalised Anscombe
//! transform is of Starck, Murtagh & Bijaoui 1998, <https://doi.org/10.1017/CBO9780511564352>, its inverse of
//! Makitalo & Foi 2013, <https://doi.org/10.1109/TIP.2012.2202675>.

use std::f64::consts::TAU;

use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use tweedie_core::Rng;

use super::host::{log_poisson_at_mean, poisson_count, positive};
use super::poisson::check_rates;
use super::{
    LikelihoodScore, NoiseModel, VarianceStabiliser, anscombe, entries, matched, sum_entries,
};
use crate::PhysicsError;

/// `y = gain k + std n`, `k ~ Poisson(clean / gain)`, `n ~ N(0, I)`: mean `clean`, variance `gain clean + std^2`.
///
/// The clean measurement must not be negative. **The likelihood and its score are those of the Gaussian with the
/// exact mean and variance**, `N(clean, gain clean + std^2)`, which stay on the device and can be differentiated;
/// [`exact_log_likelihood`](Self::exact_log_likelihood) sums over the counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonGaussianNoise {
    gain: f64,
    std: f64,
}

impl PoissonGaussianNoise {
    /// One photon adds `gain > 0`, reading adds noise of standard deviation `std > 0`, both in the units of pixels in
    /// [0, 1].
    ///
    /// # Errors
    /// If `gain` or `std` is not finite and above 0.
    pub fn new(gain: f64, std: f64) -> Result<Self, PhysicsError> {
        Ok(Self {
            gain: positive("gain", gain)?,
            std: positive("std", std)?,
        })
    }

    /// What one photon adds.
    pub fn gain(&self) -> f64 {
        self.gain
    }

    /// The standard deviation of the read-out noise.
    pub fn std(&self) -> f64 {
        self.std
    }

    /// `log sum_k Poisson(k; clean / gain) N(y; gain k, std^2)` of each sample, `[batch]`.
    ///
    /// On the host, in double precision, over those counts whose terms are above `e^-40` of the largest; about
    /// `18 min(std / gain, sqrt(clean / gain))` of them for each entry. Not differentiable.
    ///
    /// # Panics
    /// If the tensors cannot be read from their device.
    pub fn exact_log_likelihood<const Y: usize>(
        &self,
        y: Tensor<Y>,
        clean: Tensor<Y>,
    ) -> Tensor<1> {
        let (y, clean) = matched(y, clean);
        let (device, dtype, rows) = (y.device(), y.dtype(), y.dims()[0]);
        let row_len = entries(&y) as usize;
        let read = |x: Tensor<Y>| {
            x.try_to_vec_as::<f64>()
                .expect("a measurement can be read from its device")
        };
        let (y, clean) = (read(y), read(clean));
        let log_densities: Vec<f64> = y
            .chunks(row_len)
            .zip(clean.chunks(row_len))
            .map(|(y, clean)| {
                let pairs = y.iter().zip(clean);
                pairs.map(|(&y, &clean)| self.log_density(y, clean)).sum()
            })
            .collect();
        Tensor::from_data(TensorData::new(log_densities, [rows]), (&device, dtype))
    }

    /// The sum over counts for one entry. Its terms rise up to one count and fall from there.
    fn log_density(&self, y: f64, clean: f64) -> f64 {
        let rate = clean / self.gain;
        // The log of term k + 1 over term k falls with k.
        let rise = |k: f64| {
            let photon = self.gain / (self.std * self.std);
            (rate / (k + 1.0)).ln() + photon * (y - self.gain * (k + 0.5))
        };
        let (mut peak, mut above) = (0.0, rate.max(y / self.gain).max(0.0).ceil());
        while peak < above {
            let middle = (0.5 * (peak + above)).floor();
            if rise(middle) > 0.0 {
                peak = middle + 1.0;
            } else {
                above = middle;
            }
        }
        let mut sum = 1.0;
        let (mut k, mut term) = (peak, 0.0);
        while term > -40.0 {
            term += rise(k);
            k += 1.0;
            sum += term.exp();
        }
        let (mut k, mut term) = (peak, 0.0);
        while k > 0.0 && term > -40.0 {
            k -= 1.0;
            term -= rise(k);
            sum += term.exp();
        }
        let misfit = (y - self.gain * peak) / self.std;
        let counts = if peak == 0.0 {
            -rate
        } else {
            peak * (rate / peak).ln() - (rate - peak) + log_poisson_at_mean(peak)
        };
        counts - 0.5 * misfit * misfit - self.std.ln() - 0.5 * TAU.ln() + sum.ln()
    }

    fn variance<const Y: usize>(&self, clean: Tensor<Y>) -> Tensor<Y> {
        clean.mul_scalar(self.gain).add_scalar(self.std * self.std)
    }
}

impl<const Y: usize> NoiseModel<Y> for PoissonGaussianNoise {
    fn corrupt(&self, clean: Tensor<Y>, rng: &mut Rng) -> Tensor<Y> {
        rng.draw_from(clean, |value, stream| {
            let photons = self.gain * poisson_count(value / self.gain, stream);
            let reading: f64 = StandardNormal.sample(stream);
            photons + self.std * reading
        })
    }

    /// `log N(y; clean, v)` with `v = gain clean + std^2`: `sum -(y - clean)^2 / (2 v) - (1/2) log(2 pi v)`.
    fn log_likelihood(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<1> {
        let constant = 0.5 * entries(&y) * TAU.ln();
        let variance = self.variance(clean.clone());
        let misfit = (y - clean).square() / variance.clone();
        sum_entries(misfit + variance.log())
            .mul_scalar(-0.5)
            .sub_scalar(constant)
    }

    fn check(&self, clean: &Tensor<Y>) -> Result<(), PhysicsError> {
        check_rates(clean, self.gain)
    }
}

impl<const Y: usize> LikelihoodScore<Y> for PoissonGaussianNoise {
    /// `r/v + gain (r^2/v - 1) / (2 v)`, `r = y - clean`, `v = gain clean + std^2`.
    fn score(&self, y: Tensor<Y>, clean: Tensor<Y>) -> Tensor<Y> {
        let variance = self.variance(clean.clone());
        let residual = y - clean;
        let misfit = residual.clone().square() / variance.clone();
        (residual + misfit.sub_scalar(1.0).mul_scalar(0.5 * self.gain)) / variance
    }
}

impl<const Y: usize> VarianceStabiliser<Y> for PoissonGaussianNoise {
    /// The generalised Anscombe transform, `2 sqrt(y / gain + 3/8 + (std / gain)^2)`, 0 where the root has no value:
    /// variance 1 within 5 % from a mean of 4 photons on.
    fn stabilise(&self, y: Tensor<Y>) -> Tensor<Y> {
        let reading = (self.std / self.gain).powi(2);
        anscombe::transform(y.mul_scalar(1.0 / self.gain), reading)
    }

    /// The closed form of Makitalo & Foi 2013: that without read-out noise, less `std^2 / gain`; never below 0,
    /// within `0.04 gain`.
    fn clean_from_mean(&self, mean: Tensor<Y>) -> Tensor<Y> {
        anscombe::mean_counts(mean)
            .mul_scalar(self.gain)
            .sub_scalar(self.std * self.std / self.gain)
            .clamp_min(0.0)
    }
}
