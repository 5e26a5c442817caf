//! Every operator, in double precision on the device under test. A new operator is one more row of [`all`].

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    AverageDownsampling, Blur, ConjugateGradient, Identity, Inpainting, LinearOperator, Region,
};
use tweedie_testkit::{device, exact};

/// Enough iterations for conjugate gradients to reach rounding error on the registry's sizes.
pub(crate) const EXACT: ConjugateGradient = ConjugateGradient { iterations: 300 };

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) operator: Box<dyn LinearOperator>,
    pub(crate) image: [usize; 4],
}

impl Case {
    fn new(name: &'static str, operator: impl LinearOperator + 'static, image: [usize; 4]) -> Self {
        let operator = Box::new(operator);
        Self {
            name,
            operator,
            image,
        }
    }

    pub(crate) fn random_image(&self, seed: u64) -> Tensor<4> {
        normal(self.image, seed)
    }

    pub(crate) fn random_measurement(&self, seed: u64) -> Tensor<4> {
        normal(self.operator.measurement_shape(self.image).unwrap(), seed)
    }
}

pub(crate) fn normal<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Rng::seeded(seed, &device())
        .with_dtype(DType::F64)
        .normal(shape)
}

/// 3 x 5, with no symmetry and a sum other than 1.
pub(crate) fn lopsided_kernel() -> Tensor<2> {
    let values: Vec<f64> = (0..15)
        .map(|i| f64::from((7 * i) % 11) / 40.0 - 0.05)
        .collect();
    exact(&values, [3, 5])
}

pub(crate) fn all() -> Vec<Case> {
    let device = device();
    let double = (&device, DType::F64);
    let per_channel = normal([2, 3, 3, 4], 5).greater_elem(0.0).float();
    let hole = Region {
        top: 1,
        left: 2,
        height: 3,
        width: 2,
    };
    vec![
        Case::new("identity", Identity, [2, 3, 5, 4]),
        Case::new(
            "inpainting, random mask",
            Inpainting::random([8, 6], 0.4, 3, double).unwrap(),
            [2, 3, 8, 6],
        ),
        Case::new(
            "inpainting, one mask for each row and channel",
            Inpainting::new(per_channel.cast(DType::F64)).unwrap(),
            [2, 3, 3, 4],
        ),
        Case::new(
            "inpainting, rectangle",
            Inpainting::without([5, 5], hole, double).unwrap(),
            [2, 1, 5, 5],
        ),
        Case::new(
            "blur, Gaussian",
            Blur::gaussian([9, 8], 0.8, double).unwrap(),
            [2, 3, 9, 8],
        ),
        Case::new(
            "blur, lopsided kernel",
            Blur::new(lopsided_kernel()).unwrap(),
            [2, 2, 5, 6],
        ),
        Case::new(
            "blur, kernel as large as the image",
            Blur::new(lopsided_kernel()).unwrap(),
            [1, 1, 3, 5],
        ),
        Case::new(
            "downsampling by 2",
            AverageDownsampling::new(2).unwrap(),
            [2, 3, 4, 6],
        ),
        Case::new(
            "downsampling by 3",
            AverageDownsampling::new(3).unwrap(),
            [2, 1, 6, 3],
        ),
    ]
}
