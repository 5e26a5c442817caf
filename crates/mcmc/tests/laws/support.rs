//! What the tests of the kernels share: a Gaussian target with known law, and exact output laws by unit noise.

use burn::tensor::Tensor;
use tweedie_core::Noise;
use tweedie_fidelity::{DataFidelity, Gradient, Smooth};
use tweedie_mcmc::{ChainState, MarkovKernel};
use tweedie_testkit::{Moments, affine_law, exact};

/// `U(x) = sum p_i (x_i - m_i)^2 / 2` for images of one row of pixels.
#[derive(Clone, Debug)]
pub(crate) struct Quadratic {
    pub(crate) mean: Vec<f64>,
    pub(crate) precision: Vec<f64>,
}

impl Quadratic {
    pub(crate) fn pixel(mean: f64, precision: f64) -> Self {
        Self {
            mean: vec![mean],
            precision: vec![precision],
        }
    }

    fn row<const D: usize>(values: &[f64]) -> Tensor<D> {
        let mut shape = [1; D];
        shape[D - 1] = values.len();
        exact(values, shape)
    }
}

impl Smooth for Quadratic {
    fn lipschitz(&self) -> Option<f64> {
        self.precision.iter().copied().reduce(f64::max)
    }
}

impl<const D: usize> Gradient<D> for Quadratic {
    fn grad(&self, x: Tensor<D>) -> Tensor<D> {
        (x - Self::row(&self.mean)) * Self::row(&self.precision)
    }
}

impl<const D: usize> DataFidelity<D> for Quadratic {
    fn value(&self, x: Tensor<D>) -> Tensor<1> {
        let rows = x.dims()[0];
        let terms = (x - Self::row(&self.mean)).square() * Self::row(&self.precision);
        let terms: Tensor<2> = terms.reshape([rows as i32, -1]);
        terms.sum_dim(1).mul_scalar(0.5).reshape([rows])
    }
}

/// The stationary law of a chain whose step is affine in one pixel and its noises: the fixed point of its moments.
///
/// # Panics
/// If there is none, the step being no contraction.
pub(crate) fn stationary<K: MarkovKernel<2>>(kernel: &K, draws: usize) -> Moments {
    let law = affine_law(draws, |x, noise: &mut dyn Noise<2>| {
        let (state, _) = kernel.step(kernel.init(x), noise);
        state.position().clone()
    });
    assert!(law.start.abs() < 1.0, "the step is no contraction");
    let injected: f64 = law.noises.iter().map(|c| c * c).sum();
    Moments {
        mean: law.offset / (1.0 - law.start),
        variance: injected / (1.0 - law.start * law.start),
    }
}

/// The first of the numbers given, then the next at each call.
pub(crate) struct Replay(pub(crate) std::vec::IntoIter<Vec<f64>>);

impl<const D: usize> Noise<D> for Replay {
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        exact(&self.0.next().expect("numbers are left"), shape)
    }
}
