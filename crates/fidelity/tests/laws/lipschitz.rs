//! Lipschitz constants of gradients: each is a bound, and none could be much less.

use burn::tensor::Tensor;
use tweedie_core::{GaussianPrior, PointMass};
use tweedie_fidelity::{
    Amplitude, DataFidelity, Gradient, L1, L2, Poisson, PoissonGaussian, ScorePrior, Smooth,
    Stacked, Tikhonov, TotalVariation, Wavelet, WaveletL1,
};
use tweedie_physics::{AverageDownsampling, Identity};
use tweedie_testkit::{exact, values};

use crate::registry::normal;

const SIDE: usize = 16;
const SHAPE: [usize; 4] = [20, 1, SIDE, SIDE];
const EPSILON: f64 = 0.2;
const BACKGROUND: f64 = 0.5;

struct Case {
    name: &'static str,
    term: Box<dyn Gradient>,
    /// Where and along which change the constant is attained, and by which share of it at least.
    sharp: (Tensor<4>, Tensor<4>, f64),
    /// Whether the constant holds for images `>= 0` only.
    positive: bool,
}

fn one_image(values: impl Fn(usize, usize) -> f64) -> Tensor<4> {
    let pixels: Vec<f64> = (0..SIDE * SIDE)
        .map(|index| values(index / SIDE, index % SIDE))
        .collect();
    exact(&pixels, [1, 1, SIDE, SIDE])
}

/// The sharpest image of a Neumann boundary: the last cosine of each axis, of length below 1.
fn finest_wave() -> Tensor<4> {
    let wave = |i: usize| {
        let last = (SIDE - 1) as f64;
        (std::f64::consts::PI * last * (i as f64 + 0.5) / SIDE as f64).cos()
    };
    one_image(|i, j| wave(i) * wave(j))
}

/// Counts with their largest one, 3, in the first pixel.
fn counts() -> Tensor<4> {
    one_image(|i, j| {
        if i + j == 0 {
            3.0
        } else {
            0.1 * (i + j) as f64
        }
    })
}

fn cases() -> Vec<Case> {
    let zero = one_image(|_, _| 0.0);
    let ones = one_image(|_, _| 1.0);
    let first = one_image(|i, j| if i + j == 0 { 1e-3 * BACKGROUND } else { 0.0 });
    let measured = |side: usize| normal([1, 1, side, side], 3);
    let exactly = |direction: &Tensor<4>| (zero.clone(), direction.clone(), 1.0 - 1e-9);
    // Small enough for Huber's parabola.
    let wave = (zero.clone(), finest_wave().mul_scalar(0.1 * EPSILON), 0.99);
    let case = |name, term: Box<dyn Gradient>, sharp| Case {
        name,
        term,
        sharp,
        positive: false,
    };
    let downsampled = L2::new(AverageDownsampling::new(2).unwrap(), measured(8), 0.3).unwrap();
    let whole = L2::new(Identity, measured(SIDE), 0.3).unwrap();
    let terms: Vec<Box<dyn DataFidelity>> = vec![
        Box::new(whole.with_operator_norm(1.0).unwrap()),
        Box::new(Tikhonov::pixels(2.0).unwrap()),
    ];
    let poisson = Poisson::new(Identity, counts(), 0.3, BACKGROUND).unwrap();
    let point = ScorePrior::new(PointMass::new(zero.clone()), 0.3, 1.5).unwrap();
    let gaussian = ScorePrior::new(GaussianPrior::new(zero.clone(), 0.01), 0.3, 1.5).unwrap();
    let tv = |tv: TotalVariation| Box::new(tv.with_epsilon(EPSILON).unwrap());
    vec![
        case(
            "L2",
            Box::new(downsampled.with_operator_norm(0.5).unwrap()),
            exactly(&ones),
        ),
        case(
            "stacked",
            Box::new(Stacked::new(terms).unwrap()),
            exactly(&ones),
        ),
        Case {
            positive: true,
            ..case(
                "Poisson",
                Box::new(poisson.with_operator_norm(1.0).unwrap()),
                (zero.clone(), first, 0.99),
            )
        },
        case(
            "pixels",
            Box::new(Tikhonov::pixels(0.7).unwrap()),
            exactly(&ones),
        ),
        case(
            "differences",
            Box::new(Tikhonov::differences(0.7).unwrap()),
            wave.clone(),
        ),
        case(
            "isotropic",
            tv(TotalVariation::isotropic(0.7).unwrap()),
            wave.clone(),
        ),
        case(
            "anisotropic",
            tv(TotalVariation::anisotropic(0.7).unwrap()),
            wave,
        ),
        case("score of a point", Box::new(point), exactly(&ones)),
        case(
            "score of a Gaussian",
            Box::new(gaussian),
            (zero.clone(), ones.clone(), 0.89),
        ),
    ]
}

/// `|grad f(a) - grad f(b)| / |a - b|` of each row, the largest.
fn steepest(term: &dyn Gradient, a: &Tensor<4>, b: &Tensor<4>) -> f64 {
    let lengths = |x: Tensor<4>| -> Vec<f64> {
        let row = x.dims()[1..].iter().product();
        let squares = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>();
        values(&x).chunks(row).map(squares).collect()
    };
    let change = lengths(term.grad(a.clone()) - term.grad(b.clone()));
    let distance = lengths(a.clone() - b.clone());
    let ratios = change.iter().zip(distance).map(|(c, d)| (c / d).sqrt());
    ratios.fold(0.0, f64::max)
}

#[test]
fn constants_are_bounds_and_sharp() {
    for Case {
        name,
        term,
        sharp: (at, direction, share),
        positive,
    } in cases()
    {
        let bound = term.lipschitz().unwrap();
        for (size, change) in [(1.0, 1.0), (0.01, 0.01), (1.0, 0.01), (0.1, 3.0)] {
            let a = normal(SHAPE, 1).mul_scalar(size);
            let b = a.clone() + normal(SHAPE, 2).mul_scalar(change);
            let [a, b] = [a, b].map(|x| if positive { x.abs() } else { x });
            let found = steepest(term.as_ref(), &a, &b);
            assert!(
                found <= bound * (1.0 + 1e-9),
                "{name}: {found} above {bound}"
            );
        }
        let found = steepest(term.as_ref(), &at, &(at.clone() + direction));
        assert!(
            found <= bound * (1.0 + 1e-9),
            "{name}: {found} above {bound}"
        );
        // Negative control: half of the constant, or any less than this share, is no bound.
        assert!(
            found >= share * bound && share > 0.5,
            "{name}: {found} of {bound}"
        );
    }
}

#[test]
fn terms_without_a_constant_say_so() {
    let y = counts;
    let terms: Vec<(&str, Box<dyn Smooth>)> = vec![
        (
            "L2 of unknown norm",
            Box::new(L2::new(Identity, y(), 0.1).unwrap()),
        ),
        ("L1", Box::new(L1::new(Identity, y(), 0.1).unwrap())),
        (
            "amplitude",
            Box::new(Amplitude::new(Identity, y(), 0.1).unwrap()),
        ),
        (
            "Poisson-Gaussian",
            Box::new(PoissonGaussian::new(Identity, y(), 0.1, 0.1).unwrap()),
        ),
        (
            "Poisson of unknown norm",
            Box::new(Poisson::new(Identity, y(), 0.3, 0.5).unwrap()),
        ),
        (
            "Poisson in the dark",
            Box::new(
                Poisson::new(Identity, y(), 0.3, 0.0)
                    .unwrap()
                    .with_operator_norm(1.0)
                    .unwrap(),
            ),
        ),
        (
            "total variation",
            Box::new(TotalVariation::isotropic(1.0).unwrap()),
        ),
        (
            "wavelets",
            Box::new(WaveletL1::new([16, 16], Wavelet::Haar, 1, 1.0).unwrap()),
        ),
    ];
    for (name, term) in terms {
        assert_eq!(term.lipschitz(), None, "{name}");
    }
    assert!(
        Poisson::new(Identity, y(), 0.3, 0.5)
            .unwrap()
            .with_operator_norm(-1.0)
            .is_err()
    );
}

/// Between 0 and `-background` the curvature of counts is above the constant.
#[test]
fn the_constant_of_counts_holds_for_images_above_zero() {
    let poisson = Poisson::new(Identity, counts(), 0.3, BACKGROUND).unwrap();
    let poisson = poisson.with_operator_norm(1.0).unwrap();
    let below = one_image(|_, _| -0.5 * BACKGROUND);
    let most = one_image(|i, j| if i + j == 0 { 1e-3 * BACKGROUND } else { 0.0 });
    let found = steepest(&poisson, &below, &(below.clone() - most));
    assert!(found > 3.9 * poisson.lipschitz().unwrap());
}
