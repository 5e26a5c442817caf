//! Integrals over noise levels, on the host.

use tweedie_core::{Schedule, gauss_legendre};

/// Longest panel in `y`.
const PANEL: f64 = 0.5;

/// `int s dsigma^2` over `[low, high]`, the scale `s` as a function of `sigma`, to rounding for all schedules here.
///
/// In `sigma = sinh y` the integrand is smooth down to no noise and grows like an exponential, and tables with jumping
/// rates are as smooth as any: `s` is `1/sqrt(1 + sigma^2)` for every process that preserves variance.
pub(crate) fn scale_over_variance(schedule: &dyn Schedule, low: f64, high: f64) -> f64 {
    let (start, end) = (low.asinh(), high.asinh());
    let panels = ((end - start) / PANEL).ceil().max(1.0);
    let width = (end - start) / panels;
    let integrand = |y: f64| schedule.scale(schedule.time_at(y.sinh())) * (2.0 * y).sinh();
    (0..panels as usize)
        .map(|panel| start + width * panel as f64)
        .flat_map(|left| gauss_legendre(left, left + width))
        .map(|(y, weight)| weight * integrand(y))
        .sum()
}
