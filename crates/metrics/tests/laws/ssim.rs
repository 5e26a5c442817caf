//! Structural similarity against closed forms and a direct evaluation in `f64`.

use burn::tensor::Tensor;
use tweedie_metrics::ssim;

use crate::host::{assert_close, host, images};

const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// The definition, window by window, with a two-dimensional window and deviations from its mean.
fn direct(x: &[f64], y: &[f64], [batch, channels, height, width]: [usize; 4]) -> Vec<f64> {
    let mut window = [[0.0; 11]; 11];
    for (i, row) in window.iter_mut().enumerate() {
        for (j, weight) in row.iter_mut().enumerate() {
            let (di, dj) = (i as f64 - 5.0, j as f64 - 5.0);
            *weight = (-(di * di + dj * dj) / (2.0 * 1.5 * 1.5)).exp();
        }
    }
    let total: f64 = window.iter().flatten().sum();
    let similarity = |plane: usize, top: usize, left: usize| {
        let at = |image: &[f64], i: usize, j: usize| {
            image[(plane * height + top + i) * width + left + j]
        };
        let mean = |value: &dyn Fn(usize, usize) -> f64| {
            let weighted = (0..121).map(|k| window[k / 11][k % 11] * value(k / 11, k % 11));
            weighted.sum::<f64>() / total
        };
        let mean_x = mean(&|i, j| at(x, i, j));
        let mean_y = mean(&|i, j| at(y, i, j));
        let variance_x = mean(&|i, j| (at(x, i, j) - mean_x).powi(2));
        let variance_y = mean(&|i, j| (at(y, i, j) - mean_y).powi(2));
        let covariance = mean(&|i, j| (at(x, i, j) - mean_x) * (at(y, i, j) - mean_y));
        (2.0 * mean_x * mean_y + C1) * (2.0 * covariance + C2)
            / ((mean_x.powi(2) + mean_y.powi(2) + C1) * (variance_x + variance_y + C2))
    };
    (0..batch)
        .map(|b| {
            let mut values = Vec::new();
            for plane in b * channels..(b + 1) * channels {
                for top in 0..=height - 11 {
                    values.extend((0..=width - 11).map(|left| similarity(plane, top, left)));
                }
            }
            values.iter().sum::<f64>() / values.len() as f64
        })
        .collect()
}

#[test]
fn it_agrees_with_the_definition() {
    // Contrasts from that of noise to one far below C2, where rounded variances would be lost.
    for (case, contrast) in [1.0, 0.1, 0.003].into_iter().enumerate() {
        for shape in [[2, 3, 16, 13], [1, 1, 11, 11], [1, 2, 11, 24]] {
            let seed = 10 * case as u64;
            let (noise_x, noise_y) = (images(shape, seed).0, images(shape, seed + 1).0);
            let x = noise_x.clone() * contrast + (0.9 - contrast) * 0.8;
            let y = noise_x * (0.6 * contrast) + noise_y * (0.4 * contrast) + (0.9 - contrast);
            let expected = direct(&host(x.clone()), &host(y.clone()), shape);
            // Moments carry about 20 roundings of values of size contrast^2 and are divided by at
            // least C2.
            let rounding = 20.0 * f64::from(f32::EPSILON);
            let tolerance = rounding * (1.0 + contrast * contrast / C2);
            assert_close(&host(ssim(x, y)), &expected, tolerance);
        }
    }
}

#[test]
fn constant_images_differ_by_their_luminance_alone() {
    let device = tweedie_testkit::device();
    for (a, b) in [(0.2, 0.7), (0.0, 1.0), (0.5, 0.5), (0.0, 0.0)] {
        let x = Tensor::<4>::full([1, 3, 14, 12], a, &device);
        let y = Tensor::<4>::full([1, 3, 14, 12], b, &device);
        let expected = (2.0 * a * b + C1) / (a * a + b * b + C1);
        assert_close(&host(ssim(x, y)), &[expected], 1e-5);
    }
}

#[test]
fn it_is_symmetric_and_1_for_equal_images() {
    let shape = [2, 3, 20, 15];
    let ((x, _), (y, _)) = (images(shape, 1), images(shape, 2));
    assert_eq!(
        host(ssim(x.clone(), y.clone())),
        host(ssim(y.clone(), x.clone()))
    );
    assert_close(&host(ssim(x.clone(), x.clone())), &[1.0; 2], 1e-6);
    assert!(host(ssim(x, y)).iter().all(|value| *value < 0.5));
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    let shape = [3, 1, 16, 16];
    let ((x, _), (y, _)) = (images(shape, 3), images(shape, 4));
    let together = host(ssim(x.clone(), y.clone()));
    for (i, expected) in together.iter().enumerate() {
        let alone = ssim(x.clone().narrow(0, i, 1), y.clone().narrow(0, i, 1));
        assert_close(&host(alone), &[*expected], 1e-6);
    }
}

#[test]
fn an_inverted_image_is_dissimilar() {
    let (x, _) = images([1, 1, 16, 16], 5);
    let inverted = x.clone().neg() + 1.0;
    assert!(host(ssim(x, inverted))[0] < -0.5);
}

#[test]
#[should_panic(expected = "images of 10 x 32 are smaller than the window of 11 x 11")]
fn images_below_the_window_are_refused() {
    let (x, _) = images([1, 1, 10, 32], 6);
    let _ = ssim(x.clone(), x);
}
