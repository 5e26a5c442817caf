//! Pearson's chi-square test and its p-value.
//!
//! `P(chi^2_k > x) = Q(k/2, x/2)` with the regularised upper incomplete gamma function
//! `Q(a + 1, y) = Q(a, y) + y^a e^{-y} / Gamma(a + 1)`, `Q(1/2, y) = erfc(sqrt(y))`, `Q(1, y) = e^{-y}`: a sum of
//! positive terms, <https://dlmf.nist.gov/8.8.E6>.

/// A statistic that follows the chi-square law under the hypothesis.
///
/// ```
/// use tweedie_metrics::ChiSquare;
///
/// let test = ChiSquare { statistic: 18.307, degrees_of_freedom: 10 };
/// assert!((test.p_value() - 0.05).abs() < 1e-5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquare {
    /// Sum of squared deviations over expected counts, at least 0.
    pub statistic: f64,
    /// Of the law, at least 1.
    pub degrees_of_freedom: usize,
}

impl ChiSquare {
    /// Pearson's statistic for counts that should all be equal, with one degree of freedom fewer than
    /// there are counts.
    pub(crate) fn of_equal_chances(counts: &[u64]) -> Self {
        let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        let squares = counts
            .iter()
            .map(|count| (*count as f64 - expected).powi(2));
        Self {
            statistic: squares.sum::<f64>() / expected,
            degrees_of_freedom: counts.len() - 1,
        }
    }

    /// Chance of a statistic at least as large, under the hypothesis. Small where it fails.
    pub fn p_value(&self) -> f64 {
        let y = 0.5 * self.statistic;
        if y <= 0.0 {
            return 1.0;
        }
        let odd = self.degrees_of_freedom % 2 == 1;
        let (first, start) = if odd {
            (0.5, libm::erfc(y.sqrt()))
        } else {
            (1.0, (-y).exp())
        };
        // Each term from its logarithm: y^a overflows and e^{-y} vanishes where their product does neither.
        let steps = (self.degrees_of_freedom - 1) / 2;
        let terms = (0..steps).map(|step| {
            let a = first + step as f64;
            (a * y.ln() - y - libm::lgamma(a + 1.0)).exp()
        });
        (start + terms.sum::<f64>()).min(1.0)
    }
}
