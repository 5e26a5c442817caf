//! Integrals of the polynomial through given values: the weights of multistep methods on uneven grids.
//!
//! Hairer, Nørsett & Wanner 1993, section III.5, <https://doi.org/10.1007/978-3-540-78862-1>. Host arithmetic.

/// `w` with `sum_j w_j p(nodes[j]) = int p` for every polynomial `p` of a degree below the number of nodes, which are
/// distinct; `moments[k]` is the integral of `c^k` with its weight function.
pub(crate) fn weights(nodes: &[f64], moments: &[f64]) -> Vec<f64> {
    let weight = |index: usize| {
        let basis = basis(nodes, index);
        basis.iter().zip(moments).map(|(a, m)| a * m).sum()
    };
    (0..nodes.len()).map(weight).collect()
}

/// Coefficients, lowest power first, of the polynomial that is 1 at `nodes[index]` and 0 at the others.
fn basis(nodes: &[f64], index: usize) -> Vec<f64> {
    let mut polynomial = vec![1.0];
    for (other, root) in nodes.iter().enumerate() {
        if other == index {
            continue;
        }
        // Times (c - root)/(node - root).
        let scale = (nodes[index] - root).recip();
        polynomial.push(0.0);
        for power in (0..polynomial.len()).rev() {
            let lower = if power > 0 {
                polynomial[power - 1]
            } else {
                0.0
            };
            polynomial[power] = scale * (lower - root * polynomial[power]);
        }
    }
    polynomial
}
