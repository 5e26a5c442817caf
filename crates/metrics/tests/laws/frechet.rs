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

#[test]
#[should_panic(expected = "a covariance needs 2 images, found 1")]
fn one_image_has_no_covariance() {
    let x = upload(vec![1.0, 2.0], [1, 2]);
    let _ = frechet_distance(x.clone(), x);
}
