//! Singular value decompositions: every operator that has one.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    AverageDownsampling, Crop, DenseSvd, ForwardOperator, FourierBlur, Hadamard, Identity,
    Inpainting, LinearOperator, Margins, MatrixOperator, Mri, Scaled, SpectralMixing, Svd, ZeroPad,
    check_svd, kernels, pseudo_inverse_by_svd, solve_normal_by_svd,
};
use tweedie_testkit::{assert_close, device, exact, values};

use crate::registry::{EXACT, decaying_kernels, normal};

const TOLERANCE: f64 = 1e-10;

/// Name, operator, and shape of images.
type Row = (&'static str, Box<dyn Svd>, [usize; 4]);

/// 4 x 6 of rank 3.
fn deficient() -> Tensor<2> {
    normal([4, 3], 1).matmul(normal([3, 6], 2))
}

fn dense(matrix: Tensor<2>) -> DenseSvd {
    let columns = matrix.dims()[1];
    DenseSvd::new(MatrixOperator::new(matrix, [columns / 2, 1, 2]).unwrap()).unwrap()
}

fn rows() -> Vec<Row> {
    let device = device();
    let double = (&device, DType::F64);
    let mask = || Inpainting::random([4, 6], 0.4, 3, double).unwrap();
    let box_kernel = kernels::uniform([3, 2], double).unwrap();
    let per_row = normal([2, 3, 3, 4], 5).greater_elem(0.0).float();
    let frequencies = normal([2, 1, 3, 4], 8)
        .greater_elem(0.0)
        .float()
        .cast(DType::F64);
    let margins = Margins {
        top: 1,
        bottom: 2,
        left: 0,
        right: 1,
    };
    vec![
        ("identity", Box::new(Identity), [2, 3, 3, 4]),
        (
            "blur, Fourier",
            Box::new(FourierBlur::new(decaying_kernels(DType::F64), [5, 4]).unwrap()),
            [2, 2, 5, 4],
        ),
        (
            "blur, Fourier, blind to some frequencies",
            Box::new(FourierBlur::new(box_kernel.unsqueeze(), [6, 5]).unwrap()),
            [2, 2, 6, 5],
        ),
        (
            "downsampling by 3",
            Box::new(AverageDownsampling::new(3).unwrap()),
            [2, 1, 6, 3],
        ),
        ("inpainting", Box::new(mask()), [2, 3, 4, 6]),
        (
            "inpainting, one mask for each row",
            Box::new(Inpainting::new(per_row.cast(DType::F64)).unwrap()),
            [2, 3, 3, 4],
        ),
        (
            "matrix, wide",
            Box::new(dense(normal([4, 10], 3))),
            [2, 5, 1, 2],
        ),
        (
            "matrix, tall",
            Box::new(dense(normal([9, 4], 4))),
            [2, 2, 1, 2],
        ),
        (
            "matrix, square",
            Box::new(dense(normal([6, 6], 4))),
            [2, 3, 1, 2],
        ),
        (
            "matrix, of rank 3",
            Box::new(dense(deficient())),
            [2, 3, 1, 2],
        ),
        (
            "Hadamard, random",
            Box::new(Hadamard::randomised([4, 8], 11, 1, double).unwrap()),
            [2, 3, 4, 8],
        ),
        (
            "Hadamard, complete",
            Box::new(Hadamard::randomised([4, 2], 8, 2, double).unwrap()),
            [2, 1, 4, 2],
        ),
        (
            "Hadamard, single pixel",
            Box::new(Hadamard::single_pixel([8, 2], 5, double).unwrap()),
            [2, 2, 8, 2],
        ),
        ("grey", Box::new(SpectralMixing::grey(double)), [2, 3, 3, 4]),
        (
            "mixing of 2 channels to 5",
            Box::new(SpectralMixing::new(normal([5, 2], 6)).unwrap()),
            [2, 2, 3, 4],
        ),
        (
            "mixing of rank 3",
            Box::new(SpectralMixing::new(deficient()).unwrap()),
            [2, 6, 3, 4],
        ),
        (
            "scaled by a negative number",
            Box::new(Scaled::new(-0.7, mask()).unwrap()),
            [2, 3, 4, 6],
        ),
        (
            "zero padding",
            Box::new(ZeroPad::new(margins)),
            [2, 2, 4, 3],
        ),
        ("cropping", Box::new(Crop::new(margins)), [2, 2, 4, 3]),
        (
            "MRI",
            Box::new(Mri::new(frequencies).unwrap()),
            [2, 2, 3, 4],
        ),
    ]
}

#[test]
fn every_decomposition_passes_the_public_check() {
    for (name, operator, image) in rows() {
        let mut rng = Rng::seeded(1, &device()).with_dtype(DType::F64);
        let report = check_svd(operator.as_ref(), image, &mut rng)
            .unwrap_or_else(|fault| panic!("{name}: {fault}"));
        for law in report.laws {
            assert!(law.allowed <= TOLERANCE, "{name}: {law:?}");
        }
    }
}

#[test]
fn u_s_v_is_the_operator() {
    for (name, operator, image) in rows() {
        let x = normal(image, 1);
        let weighted = operator.v_adjoint(x.clone()) * operator.singular_values(&x);
        let composed = values(&operator.u(weighted));
        assert_close(name, &composed, &values(&operator.forward(x)), TOLERANCE);
    }
}

#[test]
fn closed_forms_of_the_decomposition_solve_their_systems() {
    for (name, operator, image) in rows() {
        let rhs = normal(image, 1);
        let solution = solve_normal_by_svd(&operator, rhs.clone(), 0.1);
        let gram = operator.adjoint(operator.forward(solution.clone()));
        let back = gram + solution.mul_scalar(0.1);
        assert_close(name, &values(&back), &values(&rhs), TOLERANCE);
        let y = normal(operator.measurement_shape(image).unwrap(), 2);
        let by_svd = pseudo_inverse_by_svd(&operator, y.clone());
        let own = operator.pseudo_inverse(y, EXACT);
        assert_close(name, &values(&by_svd), &values(&own), TOLERANCE);
    }
}

#[test]
fn a_rank_is_found() {
    let like = normal([1, 3, 1, 2], 1);
    let s = values(&dense(deficient()).singular_values(&like));
    assert_eq!(s.iter().filter(|&&s| s > 0.0).count(), 3, "{s:?}");
    let exact_rank = exact(&[3.0, 0.0, 0.0, 0.0, 0.0, 4.0], [3, 2]);
    let s = values(&dense(exact_rank).singular_values(&normal([1, 1, 1, 2], 1)));
    assert_close("singular values", &s, &[4.0, 3.0], 1e-14);
}
