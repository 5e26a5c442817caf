//! Grids and colour maps.

use tweedie_data::{DataError, Image, grid, magma};

use crate::samples::{image_of, ramp};

#[test]
fn a_grid_places_each_image_in_its_cell() {
    let images: Vec<Image> = (0..5)
        .map(|n| image_of([2, 3, 4], |c, i, j| (100 * n + 50 * c + 4 * i + j) as f32))
        .collect();
    let sheet = grid(&images, 3, 2).unwrap();
    assert_eq!(sheet.shape(), [2, 3 + 2 + 3, 4 + 2 + 4 + 2 + 4]);
    for channel in 0..2 {
        for row in 0..8 {
            for column in 0..16 {
                let found = sheet.pixels()[(channel * 8 + row) * 16 + column];
                let (n, i, j) = (row / 5 * 3 + column / 6, row % 5, column % 6);
                let inside = i < 3 && j < 4 && n < 5;
                let expected = if inside {
                    (100 * n + 50 * channel + 4 * i + j) as f32
                } else {
                    1.0
                };
                assert_eq!(
                    found, expected,
                    "channel {channel}, row {row}, column {column}"
                );
            }
        }
    }
}

#[test]
fn a_short_strip_is_not_widened() {
    let strip = grid(&[ramp([1, 3, 4]), ramp([1, 3, 4])], 10, 1).unwrap();
    assert_eq!(strip.shape(), [1, 3, 9]);
    assert_eq!(grid(&[ramp([1, 3, 4])], 1, 5).unwrap(), ramp([1, 3, 4]));
}

#[test]
fn impossible_grids_are_refused() {
    assert!(matches!(grid(&[], 2, 1), Err(DataError::NoImages)));
    assert!(matches!(
        grid(&[ramp([1, 2, 2])], 0, 1),
        Err(DataError::ZeroSetting { .. })
    ));
    let mixed = [ramp([1, 2, 2]), ramp([3, 2, 2])];
    assert!(matches!(
        grid(&mixed, 2, 1),
        Err(DataError::ShapeMismatch { index: 1, .. })
    ));
}

#[test]
fn magma_runs_from_black_to_pale_yellow() {
    let map = image_of([1, 1, 5], |_, _, j| [0.0, 0.1, 0.2, 0.4, 0.8][j]);
    let picture = magma(&map, 0.4);
    let color =
        |column: usize| [0, 1, 2].map(|c| (picture.pixels()[c * 5 + column] * 255.0).round());
    assert_eq!(color(0), [0.0, 0.0, 4.0]);
    assert_eq!(color(2), [183.0, 55.0, 121.0]);
    assert_eq!(color(3), [252.0, 253.0, 191.0]);
    assert_eq!(color(4), color(3));
}

#[test]
fn magma_grows_lighter_with_the_value() {
    let map = image_of([1, 1, 256], |_, _, j| j as f32);
    let picture = magma(&map, map.maximum());
    let luminance: Vec<f32> = (0..256)
        .map(|j| {
            let [r, g, b] = [0, 1, 2].map(|c| picture.pixels()[c * 256 + j].powf(2.2));
            0.2126 * r + 0.7152 * g + 0.0722 * b
        })
        .collect();
    assert!(luminance.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn channels_of_a_map_are_averaged_in_variance() {
    let colour = image_of([3, 1, 1], |c, _, _| [0.3, 0.0, 0.6][c]);
    let grey = image_of([1, 1, 1], |_, _, _| (0.45_f32 / 3.0).sqrt());
    for (a, b) in magma(&colour, 1.0)
        .pixels()
        .iter()
        .zip(magma(&grey, 1.0).pixels())
    {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    assert!(
        magma(&image_of([1, 1, 1], |_, _, _| 0.0), 0.0)
            .pixels()
            .iter()
            .all(|v| *v < 0.02)
    );
}
