//! What depends on the backend: uploads, tapes and padding.

use burn::tensor::{DType, Tensor, TensorData};
use tweedie_core::{
    AnalyticPrior, Denoiser, FullGaussian, GaussianMixture, GaussianPrior, Padded, Rng, UnitRange,
    value_and_vjp,
};
use tweedie_testkit::{assert_close, device, exact, values};

#[test]
fn random_numbers_are_the_same_on_every_device() {
    // The first numbers of stream (11, 0), as drawn on the host in f64 and rounded to f32.
    let got = Rng::seeded(11, &device()).normal([1, 2, 2]);
    let host = Rng::seeded(11, &device())
        .with_dtype(DType::F64)
        .normal([1, 2, 2]);
    let host: Vec<f64> = values(&host).iter().map(|z| f64::from(*z as f32)).collect();
    assert_eq!(values(&got), host);
}

#[test]
fn gradient_of_a_wrapped_denoiser() {
    let prior = GaussianPrior::new(exact::<4>(&[0.1], [1, 1, 1, 1]), 0.5);
    let denoiser = Padded {
        inner: UnitRange::symmetric(prior),
        multiple: 4,
    };
    let x = exact(&[0.1, 0.5, 0.9, 0.2, 0.4, 0.6], [1, 1, 2, 3]);
    let (_, gradient) = value_and_vjp(x, |x| denoiser.denoise(x, 0.25), |y| y.ones_like());
    // In symmetric units: variance 0.5, noise level 0.5; the edge is not seen through the crop.
    for slope in values(&gradient) {
        assert!((slope - 0.5 / 0.75).abs() < 1e-12, "{slope}");
    }
}

#[test]
fn analytic_priors_in_single_precision() {
    let upload = |values: &[f64], rows| {
        let data = TensorData::new(values.to_vec(), [rows, 2]);
        Tensor::<2>::from_data(data, (&device(), DType::F32))
    };
    let x = || upload(&[0.4, -0.7, 1.5, 0.2], 2);
    let rounding = 16.0 * f64::from(f32::EPSILON);

    // Along (1, 1) the covariance is 3, along (1, -1) it is 1; sigma^2 = 1.
    let full = FullGaussian::new(upload(&[0.1, 0.3], 1), upload(&[2.0, 1.0, 1.0, 2.0], 2)).unwrap();
    let got = values(&full.denoise(x(), 1.0));
    let expected = [[0.4, -0.7], [1.5, 0.2]].map(|x: [f64; 2]| {
        let (sum, difference) = (x[0] + x[1] - 0.4, x[0] - x[1] + 0.2);
        let (sum, difference) = (0.75 * sum, 0.5 * difference);
        [
            0.1 + 0.5 * (sum + difference),
            0.3 + 0.5 * (sum - difference),
        ]
    });
    assert_close("full", &got, expected.as_flattened(), rounding);
    let draws = full.sample(2, &mut Rng::seeded(1, &device()));
    assert_eq!(draws.dims(), [2, 2]);

    // Two points: the responsibility of the second is logistic.
    let means = upload(&[0.0, 0.5, 1.0, -0.5], 2);
    let mixture = GaussianMixture::new(&[1.0, 3.0], means, &[0.0; 2]).unwrap();
    let got = values(&mixture.denoise(x(), 0.8));
    let expected = [[0.4, -0.7], [1.5, 0.2]].map(|x: [f64; 2]| {
        let square = |a: f64, b: f64| (x[0] - a).powi(2) + (x[1] - b).powi(2);
        let logit = 3f64.ln() + (square(0.0, 0.5) - square(1.0, -0.5)) / (2.0 * 0.64);
        let share = 1.0 / (1.0 + (-logit).exp());
        [share, 0.5 - share]
    });
    assert_close("mixture", &got, expected.as_flattened(), rounding);
    let draws = values(&mixture.sample(2, &mut Rng::seeded(1, &device())));
    for draw in draws.chunks_exact(2) {
        assert!(draw == [0.0, 0.5] || draw == [1.0, -0.5], "{draw:?}");
    }
}
