//! The Fréchet distance against its closed forms.

use burn::tensor::Tensor;
use tweedie_metrics::frechet_distance;

use crate::host::{assert_close, host, images, upload};

#[test]
fn the_distance_has_its_closed_forms() {
    let spread = images([1, 1, 6, 40], 4).0.reshape([6, 40]);
    let total: f64 = {
        let centred = spread.clone() - spread.clone().mean_dim(0);
        host(centred).iter().map(|value| value * value).sum::<f64>() / 5.0
    };
    let tolerance = 1e-5 * total;
    let distance = |other: Tensor<2>| frechet_distance(spread.clone(), other);
    assert_close(&[distance(spread.clone())], &[0.0], tolerance);
    // All 40 features moved by a half.
    assert_close(&[distance(spread.clone() + 0.5)], &[10.0], 10.0 * 1e-5);
    // Twice as far from the mean: (2 - 1)^2 times the trace of the covariance.
    let mean = spread.clone().mean_dim(0);
    let wider = (spread.clone() - mean.clone()) * 2.0 + mean;
    assert_close(&[distance(wider)], &[total], tolerance);
    // Along one axis the variances are 2 and 18, along two axes they share nothing.
    let x = upload(vec![-1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [2, 3]);
    let along = upload(vec![-3.0, 0.0, 0.0, 3.0, 0.0, 0.0], [2, 3]);
    let across = upload(vec![0.0, -3.0, 0.0, 0.0, 3.0, 0.0], [2, 3]);
    assert_close(&[frechet_distance(x.clone(), along)], &[8.0], 1e-12);
    assert_close(&[frechet_distance(x, across)], &[20.0], 1e-12);
}

/// Mean, and entries `xx`, `xy`, `yy` of the covariance, of two features.
fn moments(set: &[[f64; 2]]) -> ([f64; 2], [f64; 3]) {
    let count = set.len() as f64;
    let mean = [0, 1].map(|i| set.iter().map(|row| row[i]).sum::<f64>() / count);
    let entry = |[i, j]: [usize; 2]| {
        let terms = set
            .iter()
            .map(|row| (row[i] - mean[i]) * (row[j] - mean[j]));
        terms.sum::<f64>() / (count - 1.0)
    };
    (mean, [[0, 0], [0, 1], [1, 1]].map(entry))
}

/// For two features `tr (A B)^{1/2} = sqrt(tr(A B) + 2 sqrt(det A det B))`; the covariances here do not commute, and the sets differ in
/// size.
#[test]
fn more_images_than_features_have_their_closed_form() {
    let one = [
        [0.0, 0.125],
        [1.0, 0.75],
        [-0.5, 1.25],
        [2.0, -0.75],
        [0.5, 0.25],
    ];
    let other = [[1.5, 2.0], [-1.0, 0.5], [0.25, -1.5], [0.75, 1.0]];
    let ((m, [axx, axy, ayy]), (n, [bxx, bxy, byy])) = (moments(&one), moments(&other));
    let product = axx * bxx + 2.0 * axy * bxy + ayy * byy;
    let root = ((axx * ayy - axy * axy) * (bxx * byy - bxy * bxy)).sqrt();
    let means = (m[0] - n[0]).powi(2) + (m[1] - n[1]).powi(2);
    let expected = means + axx + ayy + bxx + byy - 2.0 * (product + 2.0 * root).sqrt();
    let set = |rows: &[[f64; 2]]| {
        let numbers = rows.iter().flatten().map(|&number| number as f32);
        upload(numbers.collect(), [rows.len(), 2])
    };
    // The entries are exact in single precision, all else is double.
    assert_close(
        &[frechet_distance(set(&one), set(&other))],
        &[expected],
        1e-12,
    );
    assert_close(
        &[frechet_distance(set(&other), set(&one))],
        &[expected],
        1e-12,
    );
}

#[test]
#[should_panic(expected = "a covariance needs 2 images, found 1")]
fn one_image_has_no_covariance() {
    let x = upload(vec![1.0, 2.0], [1, 2]);
    let _ = frechet_distance(x.clone(), x);
}
