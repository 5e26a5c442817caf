//! The sinusoidal embedding.

use tweedie_models::sinusoidal_embedding;
use tweedie_testkit::{assert_close, exact, values};

#[test]
fn it_is_the_formula() {
    let (labels, width) = ([0.0, 0.25, 17.0, 999.0], 8);
    let mut expected = Vec::new();
    for label in labels {
        let angle = |k: i32| label * 10_000_f64.powf(-f64::from(k) / 3.0);
        expected.extend((0..4).map(|k| angle(k).sin()));
        expected.extend((0..4).map(|k| angle(k).cos()));
    }
    let found = sinusoidal_embedding(exact(&labels, [4]), width);
    assert_eq!(found.dims(), [4, width]);
    // An angle of 1000 carries a rounding error of 1000 eps.
    assert_close("embedding", &values(&found), &expected, 1e-12);
}

#[test]
fn neighbouring_steps_differ() {
    let found = values(&sinusoidal_embedding(exact(&[500.0, 501.0], [2]), 32));
    let distance: f64 = (0..32).map(|k| (found[k] - found[32 + k]).powi(2)).sum();
    assert!(distance > 0.1, "squared distance {distance}");
}
