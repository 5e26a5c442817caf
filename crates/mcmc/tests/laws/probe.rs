//! Noise that a test writes down, and the exact step of a kernel that is affine in a state of many pixels and its noise.

use std::collections::VecDeque;

use burn::tensor::{DType, Tensor};
use nalgebra::{DMatrix, DVector};
use tweedie_core::Noise;
use tweedie_mcmc::{ChainState, MarkovKernel};
use tweedie_testkit::{device, exact, values};

/// Gives these numbers, and zeros after them: so a proposal is taken if it is as likely as the state.
pub(crate) struct Replay<const D: usize>(VecDeque<Tensor<D>>);

impl<const D: usize> Replay<D> {
    pub(crate) fn new(numbers: Vec<Tensor<D>>) -> Self {
        Self(numbers.into())
    }
}

impl<const D: usize> Noise<D> for Replay<D> {
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        let zeros = || Tensor::zeros(shape, (&device(), DType::F64));
        let numbers = self.0.pop_front().unwrap_or_else(zeros);
        assert_eq!(numbers.dims(), shape);
        numbers
    }
}

/// `x -> offset + start x + noise n`, pixels in row-major order.
pub(crate) struct AffineMap {
    pub(crate) offset: DVector<f64>,
    pub(crate) start: DMatrix<f64>,
    pub(crate) noise: DMatrix<f64>,
}

/// The step of a kernel that draws noise of the shape of an image first, `[1, ..]`: unit vectors on separate rows.
pub(crate) fn affine_map<const D: usize, K: MarkovKernel<D>>(
    kernel: &K,
    image: [usize; D],
) -> AffineMap {
    let pixels: usize = image.iter().product();
    let mut shape = image;
    shape[0] = 2 * pixels + 1;
    let units = |first: usize| {
        let mut rows = DMatrix::<f64>::zeros(pixels, shape[0]);
        (0..pixels).for_each(|pixel| rows[(pixel, first + pixel)] = 1.0);
        exact(rows.as_slice(), shape)
    };
    let mut noise = Replay::new(vec![units(1 + pixels)]);
    let (state, _) = kernel.step(kernel.init(units(1)), &mut noise);
    let columns = DMatrix::from_column_slice(pixels, shape[0], &values(state.position()));
    let offset = columns.column(0).into_owned();
    let block = |first: usize| {
        let mut block = columns.columns(first, pixels).into_owned();
        block
            .column_iter_mut()
            .for_each(|mut column| column -= &offset);
        block
    };
    AffineMap {
        start: block(1),
        noise: block(1 + pixels),
        offset,
    }
}
