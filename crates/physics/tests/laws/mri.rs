//! Masked Fourier transforms against the reference and against one another; masks and sensitivities.

use burn::tensor::{DType, Tensor};
use serde::Deserialize;
use tweedie_physics::{
    ConjugateGradient, ForwardOperator, LinearOperator, Mri, MultiCoilMri, PhysicsError, Svd,
    birdcage_sensitivities, cartesian_mask, radial_mask, squared_norm,
};
use tweedie_testkit::{assert_close, assert_z, device, exact, golden, values};

use crate::registry::{EXACT, normal};

const TOLERANCE: f64 = 1e-10;

#[derive(Deserialize)]
struct Golden {
    mask: Vec<f64>,
    x: Vec<f64>,
    forward: Vec<f64>,
    v: Vec<f64>,
    adjoint: Vec<f64>,
    pseudo_inverse: Vec<f64>,
}

#[test]
fn the_reference_agrees() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/mri.json");
    let golden: Golden = golden(path);
    let operator = Mri::new(exact(&golden.mask, [1, 1, 4, 6])).unwrap();
    let image = |values: &[f64]| exact(values, [1, 2, 4, 6]);
    let forward = operator.forward(image(&golden.x));
    assert_close("A x", &values(&forward), &golden.forward, 1e-5);
    let adjoint = operator.adjoint(image(&golden.v));
    assert_close("A^T v", &values(&adjoint), &golden.adjoint, 1e-5);
    let restored = operator.pseudo_inverse(image(&golden.v), EXACT);
    assert_close("A^+ v", &values(&restored), &golden.pseudo_inverse, 1e-3);
}

fn full_mask([height, width]: [usize; 2]) -> Tensor<4> {
    Tensor::ones([1, 1, height, width], (&device(), DType::F64))
}

fn random_mask(shape: [usize; 4]) -> Tensor<4> {
    normal(shape, 8).greater_elem(0.0).float().cast(DType::F64)
}

#[test]
fn singular_values_put_the_operator_together() {
    let operator = Mri::new(random_mask([2, 1, 5, 6])).unwrap();
    let (x, y) = (normal([2, 2, 5, 6], 1), normal([2, 2, 5, 6], 2));
    let s = operator.singular_values(&x);
    let forward = operator.u(s.clone() * operator.v_adjoint(x.clone()));
    assert_close(
        "U S V^T x",
        &values(&forward),
        &values(&operator.forward(x.clone())),
        TOLERANCE,
    );
    let adjoint = operator.v(s * operator.u_adjoint(y.clone()));
    assert_close(
        "V S U^T y",
        &values(&adjoint),
        &values(&operator.adjoint(y)),
        TOLERANCE,
    );
    let back = operator.v(operator.v_adjoint(x.clone()));
    assert_close("V V^T x", &values(&back), &values(&x), TOLERANCE);
}

#[test]
fn zero_frequency_is_in_the_middle() {
    for [height, width] in [[4, 6], [5, 7]] {
        let operator = Mri::new(full_mask([height, width])).unwrap();
        let ones = Tensor::<4>::ones([1, 1, height, width], (&device(), DType::F64));
        let y = values(&operator.forward(Tensor::cat(vec![ones.clone(), ones.mul_scalar(2.0)], 1)));
        let mut expected = vec![0.0; 2 * height * width];
        let middle = height / 2 * width + width / 2;
        let root = ((height * width) as f64).sqrt();
        expected[middle] = root;
        expected[height * width + middle] = 2.0 * root;
        assert_close("constant image", &y, &expected, TOLERANCE);
    }
}

#[test]
fn without_missing_frequencies_the_norm_stays() {
    let x = normal([2, 2, 6, 5], 3);
    let expected = values(&squared_norm(x.clone()));
    let one = Mri::new(full_mask([6, 5])).unwrap();
    let maps = birdcage_sensitivities([6, 5], 3, (&device(), DType::F64)).unwrap();
    let many = MultiCoilMri::new(full_mask([6, 5]), maps).unwrap();
    for (name, y) in [
        ("one coil", one.forward(x.clone())),
        ("many", many.forward(x.clone())),
    ] {
        assert_close(name, &values(&squared_norm(y)), &expected, 1e-9);
    }
    let sparse = Mri::new(random_mask([1, 1, 6, 5])).unwrap();
    let lost = values(&squared_norm(sparse.forward(x)));
    assert!(lost[0] < 0.95 * expected[0], "a mask loses frequencies");
}

/// `S_c x` with the parts of `S_c` in channels `2 c` and `2 c + 1`.
fn seen_by(coil: usize, maps: &Tensor<4>, x: &Tensor<4>) -> Tensor<4> {
    let map = |part| maps.clone().narrow(1, 2 * coil + part, 1);
    let image = |part| x.clone().narrow(1, part, 1);
    let re = map(0) * image(0) - map(1) * image(1);
    let im = map(0) * image(1) + map(1) * image(0);
    Tensor::cat(vec![re, im], 1)
}

#[test]
fn each_coil_measures_its_own_view() {
    let mask = random_mask([2, 1, 4, 5]);
    let (maps, x) = (normal([2, 6, 4, 5], 5), normal([2, 2, 4, 5], 6));
    let many = MultiCoilMri::new(mask.clone(), maps.clone()).unwrap();
    assert_eq!(many.coils(), 3);
    let y = many.forward(x.clone());
    let one = Mri::new(mask).unwrap();
    for coil in 0..3 {
        let found = y.clone().narrow(1, 2 * coil, 2);
        let expected = one.forward(seen_by(coil, &maps, &x));
        assert_close("coil", &values(&found), &values(&expected), TOLERANCE);
    }
}

#[test]
fn more_coils_restore_what_one_cannot() {
    let mask = cartesian_mask([8, 8], 2.0, 0.25, 1, (&device(), DType::F64)).unwrap();
    let maps = birdcage_sensitivities([8, 8], 6, (&device(), DType::F64)).unwrap();
    let x = normal([1, 2, 8, 8], 7);
    let error = |restored: Tensor<4>| values(&squared_norm(restored - x.clone()))[0];
    let many = MultiCoilMri::new(mask.clone(), maps).unwrap();
    let budget = ConjugateGradient { iterations: 1000 };
    let unfolded = error(many.pseudo_inverse(many.forward(x.clone()), budget));
    let one = Mri::new(mask).unwrap();
    let folded = error(one.pseudo_inverse(one.forward(x.clone()), budget));
    assert!(unfolded < 1e-6 && folded > 1.0, "{unfolded}, {folded}");
}

#[test]
fn sensitivities_are_smooth_and_of_unit_sum() {
    let maps = birdcage_sensitivities([24, 18], 5, (&device(), DType::F64)).unwrap();
    assert_eq!(maps.dims(), [1, 10, 24, 18]);
    let sums = values(&maps.clone().square().sum_dim(1));
    assert_close("sum |S|^2", &sums, &[1.0; 24 * 18], TOLERANCE);
    // The first coil lies to the right: its map is strongest there.
    let strength = values(&maps.clone().narrow(1, 0, 2).square().sum_dim(1));
    assert!(strength[12 * 18 + 17] > 2.0 * strength[12 * 18]);
    let step = maps.clone().narrow(2, 1, 23) - maps.narrow(2, 0, 23);
    let largest = values(&step.abs().max())[0];
    // The slope of 1/(z - z_c), normalised, is at most 1/|z - z_c|; the corners are the closest, and a pixel is 2/24 half sides.
    let bound = 2.0 / 24.0 / (2.0 - 2.0_f64.sqrt());
    assert!(
        largest < bound,
        "neighbours differ by {largest}, bound {bound}"
    );
    assert!(largest > 0.1 * bound, "the maps are not constant");
}

fn columns(mask: &Tensor<4>) -> Vec<f64> {
    let [_, _, height, width] = mask.dims();
    let rows = values(mask);
    for row in rows.chunks(width) {
        assert_eq!(row, &rows[..width], "whole columns");
    }
    assert_eq!(rows.len(), height * width);
    rows[..width].to_vec()
}

#[test]
fn cartesian_masks_hold_the_centre_and_the_asked_number_of_columns() {
    for (width, acceleration, centre_fraction, total, centre) in [
        (32, 4.0, 0.08, 8, 15..18),
        (31, 4.0, 0.1, 8, 14..17),
        (16, 1.0, 0.0, 16, 8..8),
        (20, 5.0, 0.2, 4, 8..12),
    ] {
        let mask = cartesian_mask([3, width], acceleration, centre_fraction, 5, &device());
        let columns = columns(&mask.unwrap());
        assert_eq!(columns.iter().sum::<f64>(), f64::from(total));
        assert!(columns[centre].iter().all(|&measured| measured == 1.0));
    }
    let draw = |seed| columns(&cartesian_mask([2, 40], 4.0, 0.1, seed, &device()).unwrap());
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn each_outer_column_is_measured_equally_often() {
    let draws = 2000;
    let mut counts = [0.0; 12];
    for seed in 0..draws {
        let mask = cartesian_mask([1, 12], 3.0, 1.0 / 6.0, seed, &device()).unwrap();
        for (count, measured) in counts.iter_mut().zip(columns(&mask)) {
            *count += measured / draws as f64;
        }
    }
    assert_eq!(counts[5..7], [1.0, 1.0].map(|_: f64| counts[5]));
    let outer: Vec<f64> = [&counts[..5], &counts[7..]].concat();
    let se = (0.2 * 0.8 / draws as f64).sqrt();
    assert_z("columns", &outer, &[0.2; 10], &[se; 10]);
}

#[test]
fn radial_masks_are_lines_through_the_middle() {
    let mask = values(&radial_mask([5, 5], 4, &device()).unwrap());
    #[rustfmt::skip]
    let star = [
        1.0, 0.0, 1.0, 0.0, 1.0,
        0.0, 1.0, 1.0, 1.0, 0.0,
        1.0, 1.0, 1.0, 1.0, 1.0,
        0.0, 1.0, 1.0, 1.0, 0.0,
        1.0, 0.0, 1.0, 0.0, 1.0,
    ];
    assert_eq!(mask, star);
    for (spokes, size) in [(1, [6, 9]), (3, [16, 16]), (40, [33, 20])] {
        let mask = values(&radial_mask(size, spokes, &device()).unwrap());
        let middle = size[0] / 2 * size[1] + size[1] / 2;
        let measured: f64 = mask.iter().sum();
        assert_eq!(mask[middle], 1.0);
        let bound = spokes * size[0].max(size[1]);
        assert!(measured <= bound as f64, "{measured} of {bound}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let device = device();
    let cartesian = |acceleration, centre| {
        let made = cartesian_mask([4, 16], acceleration, centre, 1, &device);
        made.err().unwrap()
    };
    for bad in [0.5, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            cartesian(bad, 0.1),
            PhysicsError::Acceleration { .. }
        ));
    }
    for bad in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(
            cartesian(2.0, bad),
            PhysicsError::CentreFraction { .. }
        ));
    }
    assert!(matches!(
        cartesian(4.0, 0.5),
        PhysicsError::CentreTooWide {
            centre: 8,
            total: 4
        }
    ));
    assert!(matches!(
        cartesian(100.0, 0.0),
        PhysicsError::NothingObserved { .. }
    ));
    let no_spokes = radial_mask([4, 4], 0, &device).err().unwrap();
    assert!(matches!(no_spokes, PhysicsError::NoSpokes));
    let no_coils = birdcage_sensitivities([4, 4], 0, &device).err().unwrap();
    assert!(matches!(no_coils, PhysicsError::NoCoils));
    let two_masks = Mri::new(Tensor::ones([1, 2, 4, 4], &device)).err().unwrap();
    assert!(matches!(two_masks, PhysicsError::MaskChannels { .. }));

    let mask = || Tensor::<4>::ones([2, 1, 4, 4], &device);
    for shape in [[1, 4, 4, 5], [1, 3, 4, 4], [3, 4, 4, 4]] {
        let refused = MultiCoilMri::new(mask(), Tensor::ones(shape, &device)).err();
        let text = refused.unwrap().to_string();
        assert!(text.contains(&format!("{shape:?}")), "{text}");
    }
    let one = Mri::new(mask()).unwrap();
    let many = MultiCoilMri::new(
        Tensor::ones([1, 1, 4, 4], &device),
        Tensor::ones([2, 4, 4, 4], &device),
    )
    .unwrap();
    for image in [[2, 3, 4, 4], [2, 2, 4, 5], [3, 2, 4, 4]] {
        assert!(one.measurement_shape(image).is_err(), "{image:?}");
        assert!(many.measurement_shape(image).is_err(), "{image:?}");
    }
}
