//! Measurements of each kind, in double precision on the device under test. A new kind is one more row.

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    AverageDownsampling, Blur, ConjugateGradient, ForwardOperator, Identity, Inpainting,
    LinearOperator, PhysicsError,
};
use tweedie_testkit::device;

/// Enough iterations for conjugate gradients to reach rounding error on the registry's sizes.
pub(crate) const EXACT: ConjugateGradient = ConjugateGradient { iterations: 200 };

/// Images of the registry: three draws.
pub(crate) const IMAGE: [usize; 4] = [3, 2, 4, 6];

pub(crate) fn normal<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Rng::seeded(seed, &device())
        .with_dtype(DType::F64)
        .normal(shape)
}

/// `A(x) = x^2`, with the derivative left to automatic differentiation.
pub(crate) struct Square;

impl ForwardOperator for Square {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        Ok(image)
    }
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        x.clone() * x
    }
}

pub(crate) struct Measurement<A: ?Sized> {
    pub(crate) name: &'static str,
    pub(crate) operator: Box<A>,
    /// One row for all images, or one for each.
    pub(crate) y: Tensor<4>,
}

pub(crate) fn linear() -> Vec<Measurement<dyn LinearOperator>> {
    let device = device();
    let double = (&device, DType::F64);
    let size = [IMAGE[2], IMAGE[3]];
    let kernel = normal([3, 3], 9).mul_scalar(0.2);
    let operators: Vec<(&str, Box<dyn LinearOperator>)> = vec![
        ("identity", Box::new(Identity)),
        (
            "inpainting",
            Box::new(Inpainting::random(size, 0.4, 3, double).unwrap()),
        ),
        ("blur", Box::new(Blur::new(kernel).unwrap())),
        (
            "downsampling",
            Box::new(AverageDownsampling::new(2).unwrap()),
        ),
    ];
    operators
        .into_iter()
        .map(|(name, operator)| {
            // A measurement is consistent with the operator: 0 where pixels are missing.
            let y = operator.forward(normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 4).add_scalar(0.5));
            Measurement { name, operator, y }
        })
        .collect()
}

pub(crate) fn differentiable() -> Vec<Measurement<dyn ForwardOperator>> {
    let mut all: Vec<Measurement<dyn ForwardOperator>> = linear()
        .into_iter()
        .map(|case| Measurement {
            name: case.name,
            operator: Box::new(case.operator) as Box<dyn ForwardOperator>,
            y: case.y,
        })
        .collect();
    all.push(Measurement {
        name: "square",
        operator: Box::new(Square),
        y: normal([1, IMAGE[1], IMAGE[2], IMAGE[3]], 6),
    });
    all.push(Measurement {
        name: "square, one measurement for each image",
        operator: Box::new(Square),
        y: normal(IMAGE, 7),
    });
    all
}
