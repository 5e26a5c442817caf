//! Construction, refusal, and the way to tensors and back.

use burn::tensor::Tensor;
use tweedie_data::{DataError, Image};

use crate::samples::ramp;

#[test]
fn values_must_fit_the_shape() {
    let error = Image::new(3, 4, 5, vec![0.0; 59]).unwrap_err();
    assert!(matches!(
        error,
        DataError::PixelCount {
            channels: 3,
            height: 4,
            width: 5,
            found: 59
        }
    ));
    let error = Image::new(1, 0, 5, vec![]).unwrap_err();
    assert!(matches!(error, DataError::EmptyImage { height: 0, .. }));
    // A product that wraps around to the number of values.
    let error = Image::new(1 << 32, 1 << 32, 1, vec![]).unwrap_err();
    assert!(matches!(error, DataError::PixelCount { found: 0, .. }));
}

#[test]
fn a_value_that_is_not_finite_is_refused_with_its_place() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut pixels = vec![0.5; 2 * 3 * 4];
        pixels[12 + 4 + 2] = value;
        let error = Image::new(2, 3, 4, pixels).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::NotFinite {
                    channel: 1,
                    row: 1,
                    column: 2,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn tensors_and_images_convert_without_loss() {
    let device = tweedie_testkit::device();
    let first = ramp([3, 4, 5]);
    let second = Image::new(3, 4, 5, first.pixels().iter().map(|v| 1.5 - v).collect()).unwrap();
    let images = [first.clone(), second];
    let batch = Image::batch(&images, &device).unwrap();
    assert_eq!(batch.dims(), [2, 3, 4, 5]);
    let corner = batch
        .clone()
        .slice([1..2, 2..3, 3..4, 4..5])
        .into_scalar::<f32>();
    assert_eq!(corner, images[1].pixels()[59]);
    assert_eq!(Image::unbatch(batch).unwrap(), images);
    assert_eq!(Image::unbatch(first.to_tensor(&device)).unwrap(), [first]);
}

#[test]
fn batches_need_one_shape() {
    let device = tweedie_testkit::device();
    let images = [ramp([1, 4, 5]), ramp([1, 4, 5]), ramp([1, 5, 4])];
    let error = Image::batch(&images, &device).unwrap_err();
    assert!(matches!(
        error,
        DataError::ShapeMismatch {
            index: 2,
            found: [1, 5, 4],
            expected: [1, 4, 5]
        }
    ));
    assert!(matches!(
        Image::batch(&[], &device),
        Err(DataError::NoImages)
    ));
}

#[test]
fn a_diverged_tensor_is_refused() {
    let batch = Tensor::<4>::full([1, 1, 2, 2], f32::NAN, &tweedie_testkit::device());
    assert!(matches!(
        Image::unbatch(batch),
        Err(DataError::NotFinite { .. })
    ));
}
