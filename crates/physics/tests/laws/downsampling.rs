//! Down-sampling behind a filter, its closed forms, and the decomposition of block means.

use burn::tensor::{DType, Tensor};
use tweedie_core::value_and_vjp;
use tweedie_physics::{
    AverageDownsampling, Boundary, Downsampling, DownsamplingFilter, ForwardOperator,
    LinearOperator, PhysicsError, Svd, pseudo_inverse_by_svd, solve_normal_by_svd,
};
use tweedie_testkit::{assert_adjoint, assert_close, device, values};

use crate::{
    blur::{BOUNDARIES, convolve},
    registry::{EXACT, normal},
};

const FILTERS: [DownsamplingFilter; 5] = [
    DownsamplingFilter::Nearest,
    DownsamplingFilter::Gaussian,
    DownsamplingFilter::Bilinear,
    DownsamplingFilter::Bicubic,
    DownsamplingFilter::Sinc,
];

#[test]
fn it_keeps_every_factor_th_pixel_of_the_convolution() {
    for (factor, side) in [(2, 12), (3, 12), (4, 16)] {
        for boundary in BOUNDARIES {
            let kernel = normal([1, 2, 4, 3], 1);
            let size = [side, 2 * side];
            let operator =
                Downsampling::with_kernel(size, factor, kernel.clone(), boundary).unwrap();
            let x: Tensor<4> = normal([2, 2, side, 2 * side], 2);
            let blurred = convolve(&x, &kernel, boundary);
            let width = match boundary {
                Boundary::Valid => 2 * side - 2,
                _ => 2 * side,
            };
            let height = blurred.len() / 4 / width;
            let expected: Vec<f64> = (0..blurred.len())
                .filter(|index| {
                    (index % width).is_multiple_of(factor)
                        && (index / width % height).is_multiple_of(factor)
                })
                .map(|index| blurred[index])
                .collect();
            let name = format!("{boundary:?} by {factor}");
            let y = operator.forward(x.clone());
            assert_eq!(y.dims(), operator.measurement_shape(x.dims()).unwrap());
            assert_close(&name, &values(&y), &expected, 1e-12);
            let v: Tensor<4> = normal(y.dims(), 3);
            let by_tape = value_and_vjp(x.clone(), |x| operator.forward(x), |_| v.clone()).1;
            let adjoint = operator.adjoint(v.clone());
            assert_close(&name, &values(&adjoint), &values(&by_tape), 1e-12);
            assert_adjoint(
                &name,
                |x| operator.forward(x),
                |y| operator.adjoint(y),
                x,
                v,
            );
        }
    }
}

#[test]
fn filters_keep_a_constant_image() {
    for filter in FILTERS {
        for factor in [1, 2, 3, 4, 8] {
            let side = 8 * factor;
            let made = Downsampling::new(
                [side, side],
                factor,
                filter,
                Boundary::Circular,
                (&device(), DType::F64),
            );
            let grey = Tensor::full([1, 1, side, side], 0.3, (&device(), DType::F64));
            let y = made.unwrap().forward(grey);
            assert_eq!(y.dims(), [1, 1, 8, 8]);
            let name = format!("{filter:?} by {factor}");
            assert_close(&name, &values(&y), &[0.3; 64], 1e-13);
        }
    }
}

#[test]
fn the_closed_form_solves_the_normal_equations() {
    for factor in [2, 3, 4, 8] {
        for filter in FILTERS {
            let size = [4 * factor, 5 * factor];
            let options = (&device(), DType::F64);
            let circular = Boundary::Circular;
            let operator = Downsampling::new(size, factor, filter, circular, options).unwrap();
            let rhs: Tensor<4> = normal([1, 2, size[0], size[1]], 1);
            let name = format!("{filter:?} by {factor}");
            for damping in [0.01, 2.0] {
                let x = operator.solve_normal(rhs.clone(), damping, EXACT);
                let gram = operator.adjoint(operator.forward(x.clone()));
                let again = gram + x.mul_scalar(damping);
                assert_close(&name, &values(&again), &values(&rhs), 1e-11);
            }
            let y = operator.forward(rhs.clone());
            let recovered = operator.pseudo_inverse(y.clone(), EXACT);
            let again = operator.forward(recovered.clone());
            assert_close(&name, &values(&again), &values(&y), 1e-10);
            // The filter's weakest frequency enters squared here.
            if filter != DownsamplingFilter::Gaussian {
                let by_normal = operator.solve_normal(operator.adjoint(y), 0.0, EXACT);
                assert_close(&name, &values(&recovered), &values(&by_normal), 1e-8);
            }
            let overlap = (recovered.clone() * (rhs - recovered)).sum();
            assert_close(&name, &values(&overlap), &[0.0], 1e-9);
        }
    }
}

#[test]
fn block_means_are_decomposed() {
    for factor in [1, 2, 3, 4] {
        let operator = AverageDownsampling::new(factor).unwrap();
        let image = [2, 3, 2 * factor, 3 * factor];
        let (x, c): (Tensor<4>, Tensor<4>) = (normal(image, 1), normal(image, 2));
        let y: Tensor<4> = normal([2, 3, 2, 3], 3);
        let same = |what: &str, a: Tensor<4>, b: Tensor<4>| {
            let name = format!("{what}, factor {factor}");
            assert_close(&name, &values(&a), &values(&b), 1e-12);
        };
        let singular = operator.singular_values(&x);
        let by_parts = operator.u(operator.v_adjoint(x.clone()) * singular);
        same("U S V^T", by_parts, operator.forward(x.clone()));
        same(
            "V V^T",
            operator.v(operator.v_adjoint(x.clone())),
            x.clone(),
        );
        same(
            "U U^T",
            operator.u(operator.u_adjoint(y.clone())),
            y.clone(),
        );
        assert_adjoint(
            "V",
            |c| operator.v(c),
            |x| operator.v_adjoint(x),
            c.clone(),
            x.clone(),
        );
        assert_adjoint(
            "U",
            |c| operator.u(c),
            |y| operator.u_adjoint(y),
            c,
            y.clone(),
        );
        let solved = operator.solve_normal(x.clone(), 0.2, EXACT);
        same("normal", solved, solve_normal_by_svd(&operator, x, 0.2));
        let inverse = operator.pseudo_inverse(y.clone(), EXACT);
        same(
            "pseudo-inverse",
            inverse,
            pseudo_inverse_by_svd(&operator, y),
        );
    }
}

#[test]
fn settings_that_make_no_sense() {
    let make = |size, factor, filter, boundary| {
        Downsampling::new(size, factor, filter, boundary, &device()).map(|_| ())
    };
    let nearest = DownsamplingFilter::Nearest;
    assert!(matches!(
        make([4, 4], 0, nearest, Boundary::Zero),
        Err(PhysicsError::ZeroFactor)
    ));
    assert!(matches!(
        make([4, 6], 4, nearest, Boundary::Zero),
        Err(PhysicsError::NotDivisible {
            size: [4, 6],
            factor: 4
        })
    ));
    assert!(matches!(
        make([8, 8], 8, DownsamplingFilter::Sinc, Boundary::Reflect),
        Err(PhysicsError::KernelTooLarge {
            kernel: [32, 32],
            ..
        })
    ));
    let operator = Downsampling::new([4, 8], 2, nearest, Boundary::Zero, &device()).unwrap();
    assert!(matches!(
        operator.measurement_shape([1, 1, 8, 4]),
        Err(PhysicsError::ImageSize {
            expected: [4, 8],
            found: [8, 4]
        })
    ));
    let text = make([4, 6], 4, nearest, Boundary::Zero)
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "a [4, 6] image does not split into blocks of 4 x 4 pixels"
    );
}
