//! Operators of operators, frames and closures.

use burn::tensor::Tensor;
use tweedie_physics::{
    AverageDownsampling, ConjugateGradient, Crop, ForwardClosure, ForwardOperator, Identity,
    LinearClosure, LinearOperator, Margins, PhysicsError, Product, Scaled, Stack, Sum, ZeroPad,
};
use tweedie_testkit::{assert_close, assert_vjp, exact, values};

use crate::registry::{EXACT, normal};

const IMAGE: [usize; 4] = [2, 3, 4, 6];
const MARGINS: Margins = Margins {
    top: 1,
    bottom: 0,
    left: 0,
    right: 2,
};

fn means() -> AverageDownsampling {
    AverageDownsampling::new(2).unwrap()
}

fn squares() -> ForwardClosure<impl Fn(Tensor<4>) -> Tensor<4>> {
    ForwardClosure::new([3, 4, 6], [3, 4, 6], |x| x.clone() * x)
}

#[test]
fn sums_products_and_multiples_are_those_of_their_parts() {
    let x = normal(IMAGE, 1);
    let shifted = || ZeroPad::new(MARGINS);
    let cropped = Crop::new(Margins {
        top: 0,
        bottom: 1,
        left: 2,
        right: 0,
    });
    let shift = Product::new(cropped, shifted());
    let sum = Sum::new(shift, Scaled::new(3.0, Identity).unwrap());
    let expected = cropped.forward(shifted().forward(x.clone())) + x.clone().mul_scalar(3.0);
    let found = sum.forward(x.clone());
    assert_close("sum", &values(&found), &values(&expected), 1e-14);
    // The shift moves rows down by one and columns left by two.
    let moved = shift.forward(x.clone()).narrow(2, 1, 3).narrow(3, 0, 4);
    let source = x.narrow(2, 0, 3).narrow(3, 2, 4);
    assert_eq!(values(&moved), values(&source));
}

#[test]
fn compositions_of_what_is_not_linear_obey_the_chain_rule() {
    let (x, d) = (normal(IMAGE, 1), normal(IMAGE, 2));
    let (after, before) = (
        Product::new(means(), squares()),
        Product::new(squares(), Sum::new(squares(), Identity)),
    );
    let operators: [&dyn ForwardOperator; 3] =
        [&after, &before, &Scaled::new(-2.0, squares()).unwrap()];
    for operator in operators {
        let v = normal(operator.measurement_shape(IMAGE).unwrap(), 3);
        let vjp = operator.vjp(x.clone(), v.clone());
        assert_vjp("vjp", |x| operator.forward(x), &x, &d, &v, &vjp);
    }
}

#[test]
fn a_multiple_keeps_the_closed_forms_of_its_operator() {
    let multiple = Scaled::new(-0.3, means()).unwrap();
    let y = normal([2, 3, 2, 3], 1);
    // No iteration at all: only a closed form can be right.
    let budget = ConjugateGradient { iterations: 0 };
    let back = multiple.forward(multiple.pseudo_inverse(y.clone(), budget));
    assert_close("A A^+ y", &values(&back), &values(&y), 1e-13);
    let rhs = normal(IMAGE, 2);
    let solution = multiple.solve_normal(rhs.clone(), 0.2, budget);
    let gram = multiple.adjoint(multiple.forward(solution.clone()));
    let found = values(&(gram + solution.mul_scalar(0.2)));
    assert_close("normal equations", &found, &values(&rhs), 1e-13);
}

#[test]
fn a_stack_splits_into_the_measurements_of_its_operators() {
    let parts: Vec<Box<dyn LinearOperator>> = vec![
        Box::new(means()),
        Box::new(Identity),
        Box::new(Crop::new(MARGINS)),
    ];
    let stack = Stack::new(parts, [1, 3, 4, 6]).unwrap();
    let x = normal(IMAGE, 1);
    let y = stack.forward(x.clone());
    assert_eq!(y.dims(), [2, 1, 1, 18 + 72 + 36]);
    let split = stack.split(y.clone());
    let expected = [
        means().forward(x.clone()),
        x.clone(),
        Crop::new(MARGINS).forward(x.clone()),
    ];
    for (found, expected) in split.iter().zip(&expected) {
        assert_eq!(found.dims(), expected.dims());
        assert_eq!(values(found), values(expected));
    }
    // The identity is in it, so the image comes back.
    let back = stack.pseudo_inverse(y, EXACT);
    assert_close("image", &values(&back), &values(&x), 1e-12);
}

#[test]
fn frames_are_each_others_adjoints() {
    let x = exact(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2]);
    let framed = ZeroPad::new(MARGINS).forward(x.clone());
    let expected = [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0];
    assert_eq!(values(&framed), expected);
    assert_eq!(values(&Crop::new(MARGINS).adjoint(x.clone())), expected);
    let back = Crop::new(MARGINS).forward(framed.clone());
    assert_eq!(values(&back), values(&x));
    assert_eq!(values(&ZeroPad::new(MARGINS).adjoint(framed)), values(&x));
    let none = ZeroPad::new(Margins::default());
    assert_eq!(values(&none.forward(x.clone())), values(&x));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let refused = Sum::new(Identity, means()).measurement_shape(IMAGE);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "measurements of shapes [2, 3, 4, 6] and [2, 3, 2, 3] cannot be added"
    );
    let twice = Product::new(means(), means()).measurement_shape(IMAGE);
    assert!(matches!(
        twice,
        Err(PhysicsError::NotDivisible { size: [2, 3], .. })
    ));
    for factor in [0.0, f64::NAN, f64::INFINITY] {
        let refused = Scaled::new(factor, Identity);
        assert!(matches!(refused, Err(PhysicsError::ScaleFactor { .. })));
    }
    assert!(matches!(
        Stack::new(Vec::new(), IMAGE),
        Err(PhysicsError::EmptyStack)
    ));
    let odd = Stack::new(vec![Box::new(means())], [1, 1, 3, 4]);
    assert!(matches!(odd, Err(PhysicsError::NotDivisible { .. })));
    let stack = Stack::new(vec![Box::new(means())], IMAGE).unwrap();
    assert!(matches!(
        stack.measurement_shape([1, 3, 4, 4]),
        Err(PhysicsError::ImageShape { .. })
    ));
    for image in [[1, 1, 1, 6], [1, 1, 4, 2], [1, 1, 0, 1]] {
        let refused = Crop::new(MARGINS).measurement_shape(image);
        assert!(matches!(refused, Err(PhysicsError::MarginsTooLarge { .. })));
    }
    let closures = LinearClosure::new([1, 2, 3], [1, 2, 3], |x| x, |y| y);
    for image in [[1, 1, 3, 2], [1, 2, 2, 3]] {
        let refused = closures.measurement_shape(image);
        assert!(matches!(refused, Err(PhysicsError::ImageShape { .. })));
        assert!(squares().measurement_shape(image).is_err());
    }
}
