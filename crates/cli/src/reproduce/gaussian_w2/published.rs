//! The published table: Pierret & Galerne 2025, table 1, <https://arxiv.org/abs/2405.14250>.

/// Numbers of grid points of the table's columns.
pub(crate) const POINTS: [usize; 4] = [50, 250, 500, 1000];

/// One row: W2 at each number of points.
pub(crate) struct Published {
    pub(crate) scheme: Scheme,
    pub(crate) eps: f64,
    pub(crate) w2: [f64; 4],
}

/// The schemes of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    EulerMaruyama,
    ExponentialEuler,
    Ddpm,
    Euler,
    Heun,
    Rk4,
}

const fn row(scheme: Scheme, eps: f64, w2: [f64; 4]) -> Published {
    Published { scheme, eps, w2 }
}

/// The rows in the order of the table. The published columns of Heun count grid points, not evaluations; a column of RK4
/// has a quarter of the points.
#[rustfmt::skip]
pub(crate) const TABLE: &[Published] = &[
    row(Scheme::EulerMaruyama,    0.0,  [4.78, 0.66, 0.32, 0.16]),
    row(Scheme::EulerMaruyama,    1e-3, [4.68, 0.70, 0.40, 0.27]),
    row(Scheme::ExponentialEuler, 0.0,  [2.81, 0.57, 0.30, 0.16]),
    row(Scheme::ExponentialEuler, 1e-3, [2.91, 0.67, 0.41, 0.29]),
    row(Scheme::Ddpm,             0.0,  [6.82, 0.97, 0.47, 0.23]),
    row(Scheme::Ddpm,             1e-3, [6.74, 1.00, 0.53, 0.32]),
    row(Scheme::Euler,            0.0,  [1.78, 0.44, 0.26, 0.17]),
    row(Scheme::Euler,            1e-3, [1.79, 0.48, 0.32, 0.25]),
    row(Scheme::Heun,             1e-5, [23.42, 2.87, 1.06, 0.38]),
    row(Scheme::Heun,             1e-4, [4.68, 0.44, 0.14, 0.08]),
    row(Scheme::Heun,             1e-3, [0.59, 0.15, 0.18, 0.19]),
    row(Scheme::Rk4,              1e-3, [2.60, 0.12, 0.17, 0.19]),
];
