//! The public check: planted faults are found and named.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    AverageDownsampling, ConjugateGradient, ForwardClosure, ForwardOperator, Identity, Inpainting,
    Law, LinearClosure, LinearOperator, OperatorCheck, OperatorFault, PhysicsError, Quantisation,
    Svd, check_forward, check_operator, check_svd,
};
use tweedie_testkit::device;

use crate::registry::normal;

const IMAGE: [usize; 4] = [2, 2, 4, 6];
const SHAPE: [usize; 3] = [2, 4, 6];

fn rng(dtype: DType) -> Rng {
    Rng::seeded(5, &device()).with_dtype(dtype)
}

fn both() -> [Rng; 2] {
    [DType::F64, DType::F32].map(rng)
}

#[track_caller]
fn assert_broken<T: std::fmt::Debug>(result: Result<T, OperatorFault>, expected: Law) {
    match result {
        Err(OperatorFault::Broken {
            law,
            error,
            allowed,
        }) => {
            assert_eq!(law, expected, "error {error:e}");
            assert!(error.is_nan() || error > allowed, "{error:e} {allowed:e}");
        }
        other => panic!("expected {expected:?}, found {other:?}"),
    }
}

fn shift(x: Tensor<4>, by: i64) -> Tensor<4> {
    x.roll_dim(by, 3)
}

#[test]
fn a_right_operator_passes_with_a_report() {
    for mut rng in both() {
        let operator = LinearClosure::new(SHAPE, SHAPE, |x| shift(x, 1), |y| shift(y, -1));
        let report = check_operator(&operator, IMAGE, &mut rng).unwrap();
        let laws: Vec<Law> = report.laws.iter().map(|check| check.law).collect();
        let expected = [
            Law::Linear,
            Law::Rows,
            Law::Adjoint,
            Law::Vjp,
            Law::NormalEquations,
        ];
        assert_eq!(laws, expected);
        assert!(report.laws.iter().all(|check| check.error <= check.allowed));
    }
}

#[test]
fn a_wrong_adjoint() {
    for mut rng in both() {
        let shifted = LinearClosure::new(SHAPE, SHAPE, |x| shift(x, 1), |y| shift(y, 1));
        assert_broken(check_operator(&shifted, IMAGE, &mut rng), Law::Adjoint);
        let scaled = LinearClosure::new(SHAPE, SHAPE, |x| x, |y| y.mul_scalar(1.001));
        assert_broken(check_operator(&scaled, IMAGE, &mut rng), Law::Adjoint);
        let undefined = LinearClosure::new(SHAPE, SHAPE, |x| x, |y| y.mul_scalar(f64::NAN));
        assert_broken(check_operator(&undefined, IMAGE, &mut rng), Law::Rows);
    }
}

#[test]
fn one_wrong_pixel_of_a_large_image_in_single_precision() {
    let size = 128;
    let shape = [1, size, size];
    let corner = move |y: Tensor<4>| {
        let wrong = y.clone().slice([0..2, 0..1, 0..1, 0..1]).mul_scalar(1.5);
        y.slice_assign([0..2, 0..1, 0..1, 0..1], wrong)
    };
    let operator = LinearClosure::new(shape, shape, |x| x, corner);
    let result = check_operator(&operator, [2, 1, size, size], &mut rng(DType::F32));
    assert_broken(result, Law::Adjoint);
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Offset,
    Cubic,
    MixedRows,
    MixedAdjointRows,
    Vjp,
    SolveNormal,
    NegativeValue,
    V,
    ScaledV,
    UnclearedU,
    U,
    WrongValue,
}

/// Keeps the left half of an image, but for its fault. Its decomposition is that of inpainting, with `V` a shift of
/// columns.
struct Faulty(Fault);

impl Faulty {
    fn keep(&self, x: Tensor<4>) -> Tensor<4> {
        let width = x.dims()[3];
        let seen = x.clone().narrow(3, 0, width / 2);
        let missing = x.narrow(3, width / 2, width - width / 2).zeros_like();
        Tensor::cat(vec![seen, missing], 3)
    }
}

impl ForwardOperator for Faulty {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.keep(x.clone());
        match self.0 {
            Fault::Offset => y.add_scalar(0.01),
            Fault::Cubic => y.clone() + y.powi_scalar(3).mul_scalar(0.01),
            Fault::MixedRows => y.clone() + y.mean_dim(0).mul_scalar(0.01),
            _ => y,
        }
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        let back = self.adjoint(v);
        if self.0 == Fault::Vjp {
            back.mul_scalar(1.01)
        } else {
            back
        }
    }
}

impl LinearOperator for Faulty {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let back = self.keep(y);
        match self.0 {
            Fault::MixedRows | Fault::MixedAdjointRows => {
                back.clone() + back.mean_dim(0).mul_scalar(0.01)
            }
            _ => back,
        }
    }

    fn solve_normal(&self, rhs: Tensor<4>, damping: f64, _: ConjugateGradient) -> Tensor<4> {
        let seen = self.keep(rhs.clone());
        let missing = rhs - seen.clone();
        let damping = if self.0 == Fault::SolveNormal {
            1.01 * damping
        } else {
            damping
        };
        seen.mul_scalar((1.0 + damping).recip()) + missing.mul_scalar(damping.recip())
    }
}

impl Svd for Faulty {
    fn singular_values(&self, like: &Tensor<4>) -> Tensor<4> {
        let s = shift(self.keep(like.ones_like()), 1);
        match self.0 {
            Fault::NegativeValue => s.neg(),
            Fault::WrongValue => s.mul_scalar(1.01),
            _ => s,
        }
    }

    fn v_adjoint(&self, x: Tensor<4>) -> Tensor<4> {
        match self.0 {
            Fault::ScaledV => shift(x, 1).mul_scalar(0.5),
            _ => shift(x, 1),
        }
    }

    fn v(&self, coefficients: Tensor<4>) -> Tensor<4> {
        match self.0 {
            Fault::V => shift(coefficients, -2),
            Fault::ScaledV => shift(coefficients, -1).mul_scalar(2.0),
            _ => shift(coefficients, -1),
        }
    }

    fn u_adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        match self.0 {
            Fault::UnclearedU => shift(y, 1),
            _ => shift(self.keep(y), 1),
        }
    }

    fn u(&self, coefficients: Tensor<4>) -> Tensor<4> {
        match self.0 {
            Fault::UnclearedU => shift(coefficients, -1),
            Fault::U => self.keep(shift(coefficients, -1)).neg(),
            _ => self.keep(shift(coefficients, -1)),
        }
    }
}

#[test]
fn each_fault_of_a_linear_operator_is_named() {
    for (fault, law) in [
        (Fault::Offset, Law::Linear),
        (Fault::Cubic, Law::Linear),
        (Fault::MixedRows, Law::Rows),
        (Fault::MixedAdjointRows, Law::Rows),
        (Fault::Vjp, Law::Vjp),
        (Fault::SolveNormal, Law::NormalEquations),
    ] {
        for mut rng in both() {
            assert_broken(check_operator(&Faulty(fault), IMAGE, &mut rng), law);
        }
    }
    for mut rng in both() {
        check_operator(&Faulty(Fault::None), IMAGE, &mut rng).unwrap();
    }
}

#[test]
fn rows_of_an_operator_that_is_checked_on_one() {
    let one_row = [1, 2, 4, 6];
    let result = check_operator(&Faulty(Fault::MixedRows), one_row, &mut rng(DType::F64));
    assert_broken(result, Law::Rows);
    let per_row = Inpainting::new(normal([1, 2, 4, 6], 1).greater_elem(0.0).float()).unwrap();
    let mut single = rng(DType::F32);
    check_operator(&per_row, one_row, &mut single).unwrap();
}

#[test]
fn each_fault_of_a_decomposition_is_named() {
    for (fault, law) in [
        (Fault::NegativeValue, Law::SingularValues),
        (Fault::V, Law::RightVectors),
        (Fault::ScaledV, Law::RightVectors),
        (Fault::UnclearedU, Law::LeftVectors),
        (Fault::U, Law::LeftVectors),
        (Fault::WrongValue, Law::Decomposition),
    ] {
        for mut rng in both() {
            assert_broken(check_svd(&Faulty(fault), IMAGE, &mut rng), law);
        }
    }
    for mut rng in both() {
        check_svd(&Faulty(Fault::None), IMAGE, &mut rng).unwrap();
    }
}

struct WrongSlope;

impl ForwardOperator for WrongSlope {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x.powi_scalar(3)
    }

    fn vjp(&self, x: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        v * x.powi_scalar(2).mul_scalar(2.9)
    }
}

#[test]
fn faults_of_an_operator_that_need_not_be_linear() {
    for mut rng in both() {
        let cubic = ForwardClosure::new(SHAPE, SHAPE, |x| x.powi_scalar(3));
        let report = check_forward(&cubic, IMAGE, &mut rng).unwrap();
        let laws: Vec<Law> = report.laws.iter().map(|check| check.law).collect();
        assert_eq!(laws, [Law::Vjp, Law::Rows]);
        assert_broken(check_forward(&WrongSlope, IMAGE, &mut rng), Law::Vjp);
        let rounding = Quantisation::new(4).unwrap();
        assert_broken(check_forward(&rounding, IMAGE, &mut rng), Law::Vjp);
        let normalised = ForwardClosure::new(SHAPE, SHAPE, |x| x.clone() - x.mean_dim(0));
        assert_broken(check_forward(&normalised, IMAGE, &mut rng), Law::Rows);
    }
}

#[test]
fn shapes_are_named_and_images_that_do_not_fit_are_refused() {
    let shape_of = |result: Result<_, OperatorFault>| match result.map(|_: OperatorCheck| ()) {
        Err(OperatorFault::Shape { of, .. }) => of,
        other => panic!("expected a wrong shape, found {other:?}"),
    };
    let mut rng = rng(DType::F64);
    let smaller = LinearClosure::new(SHAPE, SHAPE, |x| x.narrow(3, 0, 5), |y| y);
    assert_eq!(
        shape_of(check_operator(&smaller, IMAGE, &mut rng)),
        "forward"
    );
    let larger = LinearClosure::new(SHAPE, SHAPE, |x| x, |y| Tensor::cat(vec![y.clone(), y], 3));
    assert_eq!(
        shape_of(check_operator(&larger, IMAGE, &mut rng)),
        "adjoint"
    );
    let refused = check_operator(&AverageDownsampling::new(5).unwrap(), IMAGE, &mut rng);
    assert!(matches!(
        refused,
        Err(OperatorFault::Refused(PhysicsError::NotDivisible {
            factor: 5,
            ..
        }))
    ));
    let nothing = check_operator(&Identity, [0, 1, 1, 1], &mut rng);
    assert!(matches!(nothing, Err(OperatorFault::NoEntries { .. })));
}

#[test]
fn the_message_says_which_law_by_how_much_and_what_was_allowed() {
    let doubled = LinearClosure::new(SHAPE, SHAPE, |x| x, |y| y.mul_scalar(2.0));
    let fault = check_operator(&doubled, IMAGE, &mut rng(DType::F64)).unwrap_err();
    let text = fault.to_string();
    assert!(
        text.starts_with("adjoint (<A x, y> = <x, A^T y>): relative error "),
        "{text}"
    );
    assert!(text.ends_with("allowed 2.5e-14"), "{text}");
}
