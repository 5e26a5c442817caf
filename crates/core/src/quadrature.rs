//! Gauss-Legendre quadrature on the host.

/// Positive nodes and weights of the rule with eight points on [-1, 1].
const RULE: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];

/// Nodes and weights between two ends, eight of them: exact for polynomials up to degree 15.
///
/// Digital Library of Mathematical Functions, section 3.5(v), <https://dlmf.nist.gov/3.5#v>.
///
/// ```
/// let cube: f64 = tweedie_core::gauss_legendre(1.0, 3.0).map(|(x, weight)| weight * x * x).sum();
/// assert!((cube - 26.0 / 3.0).abs() < 1e-14);
/// ```
pub fn gauss_legendre(from: f64, to: f64) -> impl Iterator<Item = (f64, f64)> {
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    RULE.into_iter().flat_map(move |(node, weight)| {
        [-node, node].map(|node| (middle + half * node, half * weight))
    })
}
