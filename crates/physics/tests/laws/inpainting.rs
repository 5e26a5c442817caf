//! The random mask.

use tweedie_physics::{ForwardOperator, Inpainting};
use tweedie_testkit::{assert_z, device, values};

fn mask(size: [usize; 2], missing: f64, seed: u64) -> Vec<f64> {
    values(
        Inpainting::random(size, missing, seed, &device())
            .unwrap()
            .mask(),
    )
}

#[test]
fn exactly_the_asked_number_of_pixels_is_missing() {
    for (size, missing, expected) in [
        ([10, 10], 0.0, 0),
        ([10, 10], 0.37, 37),
        ([3, 7], 0.5, 11),
        ([1, 100], 0.994, 99),
    ] {
        let mask = mask(size, missing, 1);
        let holes = mask.iter().filter(|&&observed| observed == 0.0).count();
        assert_eq!((holes, mask.len()), (expected, size[0] * size[1]));
    }
}

#[test]
fn the_seed_decides() {
    assert_eq!(mask([16, 16], 0.5, 7), mask([16, 16], 0.5, 7));
    assert_ne!(mask([16, 16], 0.5, 7), mask([16, 16], 0.5, 8));
}

#[test]
fn each_pixel_is_missing_equally_often() {
    let (draws, missing) = (4000, 0.25);
    let mut holes = [0.0; 16];
    for seed in 0..draws {
        for (count, observed) in holes.iter_mut().zip(mask([4, 4], missing, seed)) {
            *count += (1.0 - observed) / draws as f64;
        }
    }
    let se = (missing * (1.0 - missing) / draws as f64).sqrt();
    assert_z("holes", &holes, &[missing; 16], &[se; 16]);
}

#[test]
fn one_mask_serves_any_batch_and_channels() {
    let operator = Inpainting::random([4, 4], 0.5, 1, &device()).unwrap();
    for image in [[1, 1, 4, 4], [5, 3, 4, 4]] {
        assert_eq!(operator.measurement_shape(image).unwrap(), image);
    }
}
