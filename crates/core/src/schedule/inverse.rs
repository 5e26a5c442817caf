//! Root of an increasing function: Newton's method inside a bracket, with bisection where Newton is slow.

/// The time in the bracket at which `curve`, which gives value and derivative, has the value `target`.
///
/// The ends of the bracket are (time, value). Accurate to an ulp of the later time, as far as the curve is. NaN when
/// `target` is outside the bracket by more than rounding.
pub(super) fn invert(
    curve: impl Fn(f64) -> (f64, f64),
    target: f64,
    low: (f64, f64),
    high: (f64, f64),
) -> f64 {
    let slack = |level: f64| 16.0 * f64::EPSILON * level.abs();
    if !(target >= low.1 - slack(low.1) && target <= high.1 + slack(high.1)) {
        return f64::NAN;
    }
    if target <= low.1 {
        return low.0;
    }
    if target >= high.1 {
        return high.0;
    }
    let resolution = f64::EPSILON * high.0;
    let (mut low, mut high) = (low.0, high.0);
    let mut time = 0.5 * (low + high);
    let mut last_move = high - low;
    while high - low > resolution {
        let (value, slope) = curve(time);
        if value < target {
            low = time;
        } else {
            high = time;
        }
        let newton = time - (value - target) / slope;
        let converging = slope.is_finite() && (newton - time).abs() <= 0.5 * last_move;
        let next = if converging && newton >= low && newton <= high {
            newton
        } else {
            0.5 * (low + high)
        };
        last_move = (next - time).abs();
        time = next;
        if last_move <= 0.5 * resolution {
            break;
        }
    }
    time
}
