//! Statistics of draws, pixel by pixel, in memory that does not grow with their number.

use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tweedie_metrics::{
    Autocorrelation, AutocorrelationRecord, ChainMoments, ChainMomentsRecord, RecordError,
    StreamingQuantiles, StreamingQuantilesRecord,
};

use super::ChainConfig;

/// Statistics of draws, or of a function of them, over all chains and pixel by pixel.
#[derive(Clone, Debug)]
pub struct Statistics<const D: usize = 4> {
    /// Their mean, `[1, ...]`.
    pub mean: Tensor<D>,
    /// Their standard deviation, `[1, ...]`; none for a single draw.
    pub std: Option<Tensor<D>>,
    /// Their effective sample size, that of all chains together, `[1, ...]`; none while there are too few draws.
    pub ess: Option<Tensor<D>>,
    /// Split R-hat, `[1, ...]`; none while there are too few draws.
    pub rhat: Option<Tensor<D>>,
    /// The Monte-Carlo standard error of the mean, `[1, ...]`; none while there are too few draws.
    pub mcse: Option<Tensor<D>>,
    /// The quantiles asked for, `[levels, ...]`.
    pub quantiles: Option<Tensor<D>>,
    /// The autocorrelations asked for, `[lags, ...]`; none while there are too few draws.
    pub autocorrelation: Option<Tensor<D>>,
}

/// Counts draws.
pub(super) struct Monitor<const D: usize> {
    moments: ChainMoments<D>,
    quantiles: Option<StreamingQuantiles<D>>,
    autocorrelation: Option<Autocorrelation<D>>,
}

impl<const D: usize> Monitor<D> {
    pub(super) fn new(config: &ChainConfig) -> Self {
        let (levels, lags) = (&config.quantiles, &config.lags);
        Self {
            moments: ChainMoments::default(),
            quantiles: (!levels.is_empty()).then(|| StreamingQuantiles::new(levels)),
            autocorrelation: (!lags.is_empty()).then(|| Autocorrelation::new(lags)),
        }
    }

    /// Counts one draw of each chain, `[chains, ...]`.
    pub(super) fn update(&mut self, draws: Tensor<D>) {
        if let Some(quantiles) = &mut self.quantiles {
            quantiles.update(draws.clone());
        }
        if let Some(autocorrelation) = &mut self.autocorrelation {
            autocorrelation.update(draws.clone());
        }
        self.moments.update(draws);
    }

    /// How many draws of each chain were counted.
    pub(super) fn draws(&self) -> usize {
        self.moments.draws() as usize
    }

    /// The smallest effective sample size and the largest split R-hat of a pixel: two numbers are read back.
    pub(super) fn extremes(&self) -> (Option<f64>, Option<f64>) {
        let scalar = |extreme: Tensor<1>| extreme.into_scalar::<f64>();
        (
            self.moments.ess().map(|ess| scalar(ess.min())),
            self.moments.split_rhat().map(|rhat| scalar(rhat.max())),
        )
    }

    /// None before the first draw.
    pub(super) fn statistics(&self) -> Option<Statistics<D>> {
        let (moments, autocorrelation) = (&self.moments, self.autocorrelation.as_ref());
        Some(Statistics {
            mean: moments.mean()?,
            std: moments.std(),
            ess: moments.ess(),
            rhat: moments.split_rhat(),
            mcse: moments.mcse(),
            quantiles: self
                .quantiles
                .as_ref()
                .and_then(StreamingQuantiles::quantiles),
            autocorrelation: autocorrelation.and_then(Autocorrelation::autocorrelation),
        })
    }

    pub(super) fn record(&self) -> MonitorRecord {
        MonitorRecord {
            moments: self.moments.record(),
            quantiles: self.quantiles.as_ref().map(StreamingQuantiles::record),
            autocorrelation: self.autocorrelation.as_ref().map(Autocorrelation::record),
        }
    }
}

/// The state of a [`Monitor`].
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MonitorRecord {
    moments: ChainMomentsRecord,
    quantiles: Option<StreamingQuantilesRecord>,
    autocorrelation: Option<AutocorrelationRecord>,
}

impl MonitorRecord {
    pub(super) fn restore<const D: usize>(
        self,
        device: &Device,
    ) -> Result<Monitor<D>, RecordError> {
        let quantiles = self.quantiles.map(|record| record.restore(device));
        let autocorrelation = self.autocorrelation.map(|record| record.restore(device));
        Ok(Monitor {
            moments: self.moments.restore(device)?,
            quantiles: quantiles.transpose()?,
            autocorrelation: autocorrelation.transpose()?,
        })
    }
}
