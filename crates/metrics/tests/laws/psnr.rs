//! Mean squared error and PSNR in closed form.

use burn::tensor::Tensor;
use tweedie_metrics::{mse, psnr};

use crate::host::{assert_close, host, images, upload};

#[test]
fn each_sample_has_its_own_error() {
    // Differences 0.5 in sample 0; 0.1 in one of the 8 values of sample 1.
    let reference = upload(vec![0.25; 16], [2, 2, 2, 2]);
    let mut values = vec![0.75; 8];
    values.extend([0.25; 7]);
    values.push(0.35);
    let estimate = upload(values, [2, 2, 2, 2]);
    let error = host(mse(estimate.clone(), reference.clone()));
    assert_close(&error, &[0.25, 0.01 / 8.0], 1e-7);
    let decibels = host(psnr(estimate, reference, 1.0));
    assert_close(&decibels, &[6.020_599_913, 29.030_899_870], 1e-4);
}

#[test]
fn the_error_agrees_with_a_sum_in_f64() {
    let shape = [3, 2, 17, 13];
    let ((x, xs), (y, ys)) = (images(shape, 1), images(shape, 2));
    let size = 2 * 17 * 13;
    let expected: Vec<f64> = (0..3)
        .map(|b| {
            let squares = (b * size..(b + 1) * size).map(|i| (xs[i] - ys[i]).powi(2));
            squares.sum::<f64>() / size as f64
        })
        .collect();
    // Errors of 442 rounded additions, at worst.
    assert_close(
        &host(mse(x, y)),
        &expected,
        442.0 * f64::from(f32::EPSILON) * 0.2,
    );
}

#[test]
fn the_data_range_shifts_the_ratio() {
    let shape = [2, 1, 8, 8];
    let ((x, _), (y, _)) = (images(shape, 3), images(shape, 4));
    let unit = host(psnr(x.clone(), y.clone(), 1.0));
    let scaled = host(psnr(x * 255.0, y * 255.0, 255.0));
    assert_close(&scaled, &unit, 1e-4);
}

#[test]
fn equal_images_have_an_infinite_ratio() {
    let (x, _) = images([2, 1, 8, 8], 5);
    assert_eq!(host(psnr(x.clone(), x, 1.0)), [f64::INFINITY; 2]);
}

#[test]
#[should_panic(expected = "one shape")]
fn shapes_must_agree() {
    let device = tweedie_testkit::device();
    // These would broadcast.
    let _ = mse(
        Tensor::zeros([2, 1, 4, 4], &device),
        Tensor::zeros([1, 1, 4, 4], &device),
    );
}

#[test]
#[should_panic(expected = "data range")]
fn the_data_range_must_be_positive() {
    let (x, _) = images([1, 1, 4, 4], 6);
    let _ = psnr(x.clone(), x, 0.0);
}
