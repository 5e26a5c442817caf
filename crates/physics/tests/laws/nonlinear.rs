//! Saturation and rounding.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    ForwardOperator, JpegQuantisation, PhysicsError, Quantisation, Saturation, check_forward,
};
use tweedie_testkit::{assert_close, assert_vjp, device, exact, values};

use crate::registry::normal;

const IMAGE: [usize; 4] = [2, 3, 4, 5];

fn rng() -> Rng {
    Rng::seeded(2, &device()).with_dtype(DType::F64)
}

fn jpeg(quality: u32) -> JpegQuantisation {
    JpegQuantisation::new(quality, (&device(), DType::F64)).unwrap()
}

#[test]
fn saturation_has_the_slope_of_its_values() {
    for operator in [
        Saturation::hard(1.7, 2.2).unwrap(),
        Saturation::hard(0.9, 0.5).unwrap(),
        Saturation::smooth(1.7, 2.2, 12.0).unwrap(),
        Saturation::smooth(3.0, 1.0, 5.0).unwrap(),
    ] {
        let report = check_forward(&operator, IMAGE, &mut rng())
            .unwrap_or_else(|fault| panic!("{operator:?}: {fault}"));
        assert!(report.laws.iter().all(|law| law.allowed < 1e-6));
    }
}

#[test]
fn saturation_has_the_slope_of_its_values_far_outside_of_the_range_of_pixels() {
    let (d, v) = (normal(IMAGE, 4), normal(IMAGE, 5));
    let x = normal(IMAGE, 3).mul_scalar(2.0);
    for operator in [
        Saturation::hard(0.9, 0.5).unwrap(),
        Saturation::smooth(1.7, 2.2, 12.0).unwrap(),
        Saturation::smooth(3.0, 1.0, 5.0).unwrap(),
    ] {
        let vjp = operator.vjp(x.clone(), v.clone());
        assert_vjp("outside", |x| operator.forward(x), &x, &d, &v, &vjp);
    }
}

#[test]
fn saturation_is_the_formula() {
    let x = exact(&[-0.2, 0.0, 0.1, 0.25, 0.5, 0.9], [1, 1, 1, 6]);
    let ones = x.ones_like();
    let hard = Saturation::hard(2.0, 2.0).unwrap();
    let expected = [0.0, 0.0, 0.2f64.sqrt(), 0.5f64.sqrt(), 1.0, 1.0];
    assert_close(
        "values",
        &values(&hard.forward(x.clone())),
        &expected,
        1e-15,
    );
    let slope = |u: f64| 2.0 * 0.5 / u.sqrt();
    let expected = [0.0, 0.0, slope(0.2), slope(0.5), 0.0, 0.0];
    let found = values(&hard.vjp(x.clone(), ones.clone()));
    assert_close("slopes", &found, &expected, 1e-14);

    let sharpness = 4.0;
    let smooth = Saturation::smooth(2.0, 1.0, sharpness).unwrap();
    let softplus = |z: f64| z.exp().ln_1p();
    let clip = |u: f64| (softplus(sharpness * u) - softplus(sharpness * (u - 1.0))) / sharpness;
    let expected = values(&x).iter().map(|x| clip(2.0 * x)).collect::<Vec<_>>();
    assert_close("smooth", &values(&smooth.forward(x)), &expected, 1e-15);
    let extreme = exact(&[-1e6, 1e6], [1, 1, 1, 2]);
    assert_eq!(values(&smooth.forward(extreme)), [0.0, 1.0]);
}

#[test]
fn a_smooth_clip_is_close_to_the_hard_one() {
    let x = normal(IMAGE, 1).mul_scalar(3.0);
    for sharpness in [5.0, 50.0] {
        let hard = Saturation::hard(1.0, 1.0).unwrap().forward(x.clone());
        let smooth = Saturation::smooth(1.0, 1.0, sharpness)
            .unwrap()
            .forward(x.clone());
        let gap = values(&(hard - smooth).abs().max())[0];
        assert!(gap <= 2f64.ln() / sharpness, "{gap}");
        assert!(gap > 0.01 / sharpness, "{gap}");
    }
}

#[test]
fn quantisation_rounds_to_its_levels() {
    let x = exact(&[-0.4, 0.1, 0.13, 0.6, 0.99, 1.2], [1, 1, 2, 3]);
    let quantisation = Quantisation::new(5).unwrap();
    let expected = [0.0, 0.0, 0.25, 0.5, 1.0, 1.0];
    assert_close(
        "levels",
        &values(&quantisation.forward(x.clone())),
        &expected,
        1e-15,
    );
    let v = normal([1, 1, 2, 3], 1);
    let mut expected = values(&v);
    (expected[0], expected[5]) = (0.0, 0.0);
    assert_eq!(values(&quantisation.vjp(x, v)), expected);
    let image = normal(IMAGE, 1)
        .mul_scalar(0.2)
        .add_scalar(0.5)
        .clamp(0.0, 1.0);
    let error = (Quantisation::new(256).unwrap().forward(image.clone()) - image).abs();
    let largest = values(&error.max())[0];
    assert!(
        largest <= 0.5 / 255.0 + 1e-15 && largest > 0.45 / 255.0,
        "{largest}"
    );
}

/// The definition on one block, sum by sum (ITU-T T.81, A.3.3).
fn decoded(block: &[f64], steps: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let c = |k: usize| if k == 0 { 0.5f64.sqrt() } else { 1.0 };
    let angle =
        |k: usize, j: usize| ((2 * j + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos();
    let mut rounded = [[0.0; 8]; 8];
    for (u, row) in rounded.iter_mut().enumerate() {
        for (v, entry) in row.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (index, pixel) in block.iter().enumerate() {
                let level = 255.0 * pixel - 128.0;
                sum += level * angle(u, index / 8) * angle(v, index % 8);
            }
            let coefficient = 0.25 * c(u) * c(v) * sum;
            *entry = (coefficient / steps(u, v)).round() * steps(u, v);
        }
    }
    (0..64)
        .map(|index| {
            let mut sum = 0.0;
            for (u, row) in rounded.iter().enumerate() {
                for (v, entry) in row.iter().enumerate() {
                    sum += 0.25 * c(u) * c(v) * entry * angle(u, index / 8) * angle(v, index % 8);
                }
            }
            (sum + 128.0) / 255.0
        })
        .collect()
}

#[test]
fn jpeg_is_the_definition_on_each_block() {
    // At quality 1 all steps are cut off at 255, at 100 they are 1.
    for (quality, step) in [(1, 255.0), (100, 1.0)] {
        let x = normal([2, 2, 8, 16], 1).mul_scalar(0.3).add_scalar(0.5);
        let y = jpeg(quality).forward(x.clone());
        for (row, channel, column) in [(0, 0, 0), (0, 1, 8), (1, 0, 8)] {
            let block = |t: &Tensor<4>| {
                values(&t.clone().slice([
                    row..row + 1,
                    channel..channel + 1,
                    0..8,
                    column..column + 8,
                ]))
            };
            let expected = decoded(&block(&x), |_, _| step);
            assert_close("block", &block(&y), &expected, 1e-12);
        }
    }
}

#[test]
fn jpeg_uses_the_table_of_its_quality_with_rows_of_vertical_frequency() {
    // At quality 50 the table itself: 11 for (0, 1), 12 for (1, 0), 99 for (7, 7); at 25 twice that; at 75 half.
    for (quality, along, down, last) in [
        (50, 11.0, 12.0, 99.0),
        (25, 22.0, 24.0, 198.0),
        (75, 6.0, 6.0, 50.0),
    ] {
        for (u, v, step) in [(0, 1, along), (1, 0, down), (7, 7, last)] {
            let pattern = |amplitude: f64| -> Vec<f64> {
                let c = |k: usize| if k == 0 { 0.125f64.sqrt() } else { 0.5 };
                let wave = |k: usize, j: usize| {
                    c(k) * ((2 * j + 1) as f64 * k as f64 * std::f64::consts::PI / 16.0).cos()
                };
                (0..64)
                    .map(|i| (128.0 + amplitude * wave(u, i / 8) * wave(v, i % 8)) / 255.0)
                    .collect()
            };
            let coded = |amplitude: f64| {
                values(&jpeg(quality).forward(exact(&pattern(amplitude), [1, 1, 8, 8])))
            };
            assert_close(
                "below half a step",
                &coded(0.49 * step),
                &pattern(0.0),
                1e-12,
            );
            assert_close(
                "above half a step",
                &coded(0.51 * step),
                &pattern(step),
                1e-12,
            );
        }
    }
}

#[test]
fn jpeg_passes_gradients_straight_through_and_loses_less_at_higher_quality() {
    let x = normal([2, 3, 16, 8], 1).mul_scalar(0.2).add_scalar(0.5);
    let v = normal([2, 3, 16, 8], 2);
    assert_eq!(values(&jpeg(30).vjp(x.clone(), v.clone())), values(&v));
    let loss = |quality| {
        values(
            &(jpeg(quality).forward(x.clone()) - x.clone())
                .square()
                .mean(),
        )[0]
    };
    assert!(loss(90) < 0.5 * loss(50) && loss(50) < 0.5 * loss(5));
    // What was decoded is decoded to itself.
    let once = jpeg(40).forward(x);
    assert_close(
        "again",
        &values(&jpeg(40).forward(once.clone())),
        &values(&once),
        1e-12,
    );
}

#[test]
fn settings_out_of_range_are_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for refused in [
            Saturation::hard(bad, 1.0),
            Saturation::hard(1.0, bad),
            Saturation::smooth(1.0, 1.0, bad),
        ] {
            assert!(matches!(refused, Err(PhysicsError::NotPositive { .. })));
        }
    }
    let text = Saturation::hard(1.0, -2.0).unwrap_err().to_string();
    assert_eq!(text, "gamma must be finite and above 0, found -2");
    for levels in [0, 1] {
        assert!(matches!(
            Quantisation::new(levels),
            Err(PhysicsError::Levels { .. })
        ));
    }
    for quality in [0, 101] {
        let refused = JpegQuantisation::new(quality, &device());
        assert!(matches!(refused, Err(PhysicsError::Quality { .. })));
    }
    assert!(matches!(
        jpeg(50).measurement_shape([1, 1, 8, 12]),
        Err(PhysicsError::NotDivisible { factor: 8, .. })
    ));
}
