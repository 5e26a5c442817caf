//! Quantiles of draws, pixel by pixel.
//!
//! `Q(p) = x_(j) + g (x_(j+1) - x_(j))`, `j + g = 1 + (k - 1) p`, for the sorted draws `x_(1) <= .. <= x_(k)`.
//!
//! Hyndman & Fan 1996, definition 7, <https://doi.org/10.1080/00031305.1996.10473566>.

use burn::tensor::{Tensor, TensorData};

use crate::draws::SortedDraws;

/// Quantiles of each pixel over the draws `[draws, ...]`, for every level in [0, 1]: `[levels, ...]`,
/// on the device of the draws and in their type.
///
/// They are exact and need all draws at once; [`StreamingQuantiles`](crate::StreamingQuantiles) are
/// kept while draws arrive, by a definition that suits intervals better. Level 0 is the minimum, 0.5
/// the median, 1 the maximum. A pixel with a draw that is not a number has quantiles that are none.
///
/// # Panics
///
/// Panics if there are no draws or no levels, if a level is outside [0, 1], or if the draws cannot be
/// read from their device.
///
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let draws = Tensor::<2>::from_data([[4.0], [0.0], [1.0]], &Device::flex());
/// let quartiles = tweedie_metrics::quantiles(draws, &[0.25, 0.5, 0.75]);
/// assert_eq!(quartiles.into_data().to_vec::<f32>().unwrap(), [0.5, 1.0, 2.5]);
/// ```
pub fn quantiles<const D: usize>(draws: Tensor<D>, levels: &[f64]) -> Tensor<D> {
    assert!(!levels.is_empty(), "at least one level is needed");
    for level in levels {
        assert!(
            (0.0..=1.0).contains(level),
            "levels must lie in [0, 1], found {level}"
        );
    }
    let mut shape = draws.dims();
    shape[0] = levels.len();
    let options = (&draws.device(), draws.dtype());
    let sorted = SortedDraws::read(draws);

    let last = (sorted.count() - 1) as f64;
    let at = |level: &f64| sorted.at(1.0 + last * level);
    let values: Vec<f64> = levels.iter().flat_map(at).collect();
    Tensor::from_data(TensorData::new(values, shape), options)
}
