//! Matrices, Walsh-Hadamard transforms and mixing of channels.

use burn::tensor::{DType, Tensor};
use serde::Deserialize;
use tweedie_physics::{
    ConjugateGradient, DenseSvd, ForwardOperator, Hadamard, LinearOperator, MatrixOperator,
    PhysicsError, SpectralMixing,
};
use tweedie_testkit::{assert_close, assert_z, device, exact, golden, values};

use crate::registry::{EXACT, normal};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    matrix: Vec<Vec<f64>>,
    image: [usize; 3],
    x: Vec<f64>,
    forward: Vec<f64>,
    v: Vec<f64>,
    adjoint: Vec<f64>,
    z: Vec<f64>,
    prox_0p7: Vec<f64>,
    pseudo_inverse: Vec<f64>,
}

#[test]
fn compressed_sensing_agrees_with_the_reference() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/compressed_sensing.json"
    );
    let golden: Golden = golden(path);
    let (m, n) = (golden.matrix.len(), golden.matrix[0].len());
    let matrix = exact(&golden.matrix.concat(), [m, n]);
    let [channels, height, width] = golden.image;
    let image = |values: &[f64]| exact(values, [values.len() / n, channels, height, width]);
    let measurement = |values: &[f64]| exact(values, [values.len() / m, 1, 1, m]);
    let iterative = MatrixOperator::new(matrix, golden.image).unwrap();
    let closed = DenseSvd::new(iterative.clone()).unwrap();
    let operators: [&dyn LinearOperator; 2] = [&iterative, &closed];
    for operator in operators {
        let y = operator.forward(image(&golden.x));
        assert_close("forward", &values(&y), &golden.forward, 1e-5);
        let back = operator.adjoint(measurement(&golden.v));
        assert_close("adjoint", &values(&back), &golden.adjoint, 1e-5);
        // prox of |A x - y|^2 / 2 with y = v and step 0.7 at z: (A^T A + I / 0.7)^-1 (A^T y + z / 0.7).
        let y = measurement(&golden.v);
        let rhs = operator.adjoint(y.clone()) + image(&golden.z).mul_scalar(1.0 / 0.7);
        let prox = operator.solve_normal(rhs, 1.0 / 0.7, EXACT);
        assert_close("prox", &values(&prox), &golden.prox_0p7, 1e-3);
        let inverse = operator.pseudo_inverse(y, EXACT);
        assert_close(
            "pseudo-inverse",
            &values(&inverse),
            &golden.pseudo_inverse,
            1e-3,
        );
    }
}

#[test]
fn entries_of_compressed_sensing_have_variance_one_over_m() {
    let (m, n) = (40, 240);
    let entries = |seed| {
        let operator = MatrixOperator::compressed_sensing([3, 8, 10], m, seed, &device()).unwrap();
        values(operator.matrix())
    };
    assert_eq!(entries(1), entries(1));
    assert_ne!(entries(1), entries(2));
    let sample = entries(1);
    let count = (m * n) as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let variance = sample.iter().map(|entry| entry * entry).sum::<f64>() / count;
    let expected = 1.0 / m as f64;
    assert_z(
        "mean and variance",
        &[mean, variance],
        &[0.0, expected],
        &[(expected / count).sqrt(), expected * (2.0 / count).sqrt()],
    );
}

#[test]
fn a_matrix_acts_on_rows_of_pixels() {
    let matrix = exact(&(0..12).map(f64::from).collect::<Vec<_>>(), [2, 6]);
    let operator = MatrixOperator::new(matrix, [1, 2, 3]).unwrap();
    let x = exact(
        &[1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [2, 1, 2, 3],
    );
    let expected = [8.0, 26.0, 2.0, 8.0];
    assert_close("y", &values(&operator.forward(x)), &expected, 1e-14);
}

/// Entry of Sylvester's matrix: the parity of the bits that row and column share.
fn sylvester(row: usize, column: usize) -> f64 {
    if (row & column).count_ones().is_multiple_of(2) {
        1.0
    } else {
        -1.0
    }
}

/// Rows of the operator on images of one channel.
fn patterns(operator: &Hadamard, [height, width]: [usize; 2]) -> Vec<Vec<f64>> {
    let n = height * width;
    let unit = Tensor::<2>::eye(n, &device()).cast(DType::F64);
    let columns = values(&operator.forward(unit.reshape([n, 1, height, width])));
    let m = columns.len() / n;
    (0..m)
        .map(|row| (0..n).map(|pixel| columns[pixel * m + row]).collect())
        .collect()
}

#[test]
fn a_complete_transform_without_signs_is_sylvesters_matrix_in_another_order() {
    let size = [4, 8];
    let camera = Hadamard::single_pixel(size, 32, double_of(&device())).unwrap();
    let mut found = patterns(&camera, size);
    let mut expected: Vec<Vec<f64>> = (0..32)
        .map(|row| {
            (0..32)
                .map(|column| sylvester(row, column) / 32f64.sqrt())
                .collect()
        })
        .collect();
    for rows in [&mut found, &mut expected] {
        rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    }
    for (found, expected) in found.iter().zip(&expected) {
        assert_close("pattern", found, expected, 1e-14);
    }
}

fn double_of(device: &burn::tensor::Device) -> (&burn::tensor::Device, DType) {
    (device, DType::F64)
}

#[test]
fn the_single_pixel_camera_measures_in_order_of_sequency() {
    let size @ [height, width] = [8, 4];
    let camera = Hadamard::single_pixel(size, 32, double_of(&device())).unwrap();
    let changes = |line: Vec<f64>| {
        line.windows(2)
            .filter(|pair| pair[0] * pair[1] < 0.0)
            .count()
    };
    let mut seen = Vec::new();
    for pattern in patterns(&camera, size) {
        let down = changes((0..height).map(|row| pattern[row * width]).collect());
        let along = changes(pattern[..width].to_vec());
        seen.push((down + along, down, along));
    }
    let mut expected: Vec<_> = (0..height)
        .flat_map(|down| (0..width).map(move |along| (down + along, down, along)))
        .collect();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[test]
fn a_randomised_transform_has_orthonormal_rows_chosen_by_its_seed() {
    let size = [4, 8];
    let operator = |seed| Hadamard::randomised(size, 12, seed, double_of(&device())).unwrap();
    let y = normal([2, 3, 1, 12], 1);
    let back = operator(1).forward(operator(1).adjoint(y.clone()));
    assert_close("A A^T", &values(&back), &values(&y), 1e-14);
    let rows = patterns(&operator(1), size);
    assert_eq!(rows, patterns(&operator(1), size));
    assert_ne!(rows, patterns(&operator(2), size));
    // A flat image is no longer the first pattern: signs spread it over the coefficients.
    let flat = operator(1).forward(Tensor::ones([1, 1, 4, 8], double_of(&device())));
    let large = values(&flat)
        .iter()
        .filter(|value| value.abs() > 0.1)
        .count();
    assert!(large > 1, "{large} coefficients see a flat image");
}

#[test]
fn grey_is_luma_and_its_pseudo_inverse_has_that_luma() {
    let grey = SpectralMixing::grey(double_of(&device()));
    let colour = exact(&[0.2, 0.5, 1.0], [1, 3, 1, 1]);
    let y = grey.forward(colour);
    let luma = 0.299 * 0.2 + 0.587 * 0.5 + 0.114;
    assert_close("luma", &values(&y), &[luma], 1e-15);
    let back = grey.pseudo_inverse(y, ConjugateGradient::default());
    let scale = luma / (0.299f64.powi(2) + 0.587f64.powi(2) + 0.114f64.powi(2));
    let expected = [0.299 * scale, 0.587 * scale, 0.114 * scale];
    assert_close("colour of least norm", &values(&back), &expected, 1e-14);
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = MatrixOperator::new(normal([3, 5], 1), [1, 2, 3]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a matrix of shape [3, 5] does not act on [channels, height, width] = [1, 2, 3]: it needs 6 columns and at least \
         one row"
    );
    let undefined = exact(&[1.0, 2.0, f64::NAN, 4.0], [2, 2]);
    for refused in [
        MatrixOperator::new(undefined.clone(), [1, 1, 2]).unwrap_err(),
        SpectralMixing::new(undefined).unwrap_err(),
    ] {
        assert!(matches!(
            refused,
            PhysicsError::MatrixValue { at: [1, 0], .. }
        ));
    }
    let nothing = MatrixOperator::compressed_sensing([1, 2, 2], 0, 0, &device());
    assert!(matches!(nothing, Err(PhysicsError::MatrixShape { .. })));
    let operator = MatrixOperator::new(normal([3, 6], 1), [1, 2, 3]).unwrap();
    let refused = operator.measurement_shape([4, 1, 3, 2]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the operator measures images of [channels, height, width] = [1, 2, 3], found images of shape [4, 1, 3, 2]"
    );
    for size in [[4, 6], [0, 4], [3, 1]] {
        let refused = Hadamard::single_pixel(size, 1, &device());
        assert!(
            matches!(refused, Err(PhysicsError::NotPowerOfTwo { .. })),
            "{size:?}"
        );
    }
    for m in [0, 17] {
        let refused = Hadamard::randomised([4, 4], m, 1, &device());
        assert!(matches!(
            refused,
            Err(PhysicsError::MeasurementCount { limit: 16, .. })
        ));
    }
    let camera = Hadamard::single_pixel([4, 8], 3, &device()).unwrap();
    assert!(matches!(
        camera.measurement_shape([1, 1, 8, 4]),
        Err(PhysicsError::ImageSize {
            expected: [4, 8],
            found: [8, 4]
        })
    ));
    assert!(matches!(
        SpectralMixing::grey(&device()).measurement_shape([1, 4, 8, 4]),
        Err(PhysicsError::Channels {
            expected: 3,
            found: 4
        })
    ));
}
