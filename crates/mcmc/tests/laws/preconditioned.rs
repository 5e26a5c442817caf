//! The exact law of preconditioned steps: the noise they inject has the covariance of the preconditioner.

use burn::tensor::Tensor;
use nalgebra::DMatrix;
use tweedie_fidelity::{DataFidelity, Gradient, L2, Smooth, Tikhonov};
use tweedie_mcmc::{
    ChainError, ChainState, DiagonalPreconditioner, Hmc, MarkovKernel, PosteriorDensity,
    Preconditioner, SpectralPreconditioner, StepSize, Ula,
};
use tweedie_physics::{
    DenseSvd, ForwardOperator, FourierBlur, Identity, LinearOperator, MatrixOperator, Svd,
};
use tweedie_testkit::{assert_close, exact, values};

use crate::affine::AffineStep;
use crate::skewed::{Skewed, rng};
use crate::support::Quadratic;

const NOISE_STD: f64 = 0.3;
const PRIOR_STD: f64 = 0.8;
const STEP: f64 = 0.2;

fn step() -> StepSize {
    StepSize::new(STEP, Some(1.0)).unwrap()
}

/// The matrix of a linear map of images.
fn matrix(
    shape @ [_, channels, height, width]: [usize; 4],
    map: impl Fn(Tensor<4>) -> Tensor<4>,
) -> DMatrix<f64> {
    let pixels = channels * height * width;
    let units = DMatrix::<f64>::identity(pixels, pixels);
    let columns = map(exact(
        units.as_slice(),
        [pixels, shape[1], shape[2], shape[3]],
    ));
    DMatrix::from_column_slice(pixels, pixels, &values(&columns))
}

/// Preconditioned ULA against `M` by matrix inversion.
fn assert_exact_law(name: &str, operator: impl Svd + Clone, shape: [usize; 4]) {
    let pixels = shape[1] * shape[2] * shape[3];
    let identity = DMatrix::<f64>::identity(pixels, pixels);
    let normal = matrix(shape, |x| operator.adjoint(operator.forward(x)));
    let hessian = &normal / NOISE_STD.powi(2) + &identity / PRIOR_STD.powi(2);
    let covariance = hessian.clone().try_inverse().unwrap();

    let like = exact(&vec![0.0; pixels], shape);
    let preconditioner =
        SpectralPreconditioner::new(operator.clone(), &like, NOISE_STD, PRIOR_STD).unwrap();
    let product = matrix(shape, |x| preconditioner.apply(x));
    let scale = 1e-12 * covariance.amax();
    assert_close(name, product.as_slice(), covariance.as_slice(), scale);
    let factor = matrix(shape, |x| preconditioner.factor(x));
    let transposed = matrix(shape, |x| preconditioner.factor_transposed(x));
    assert_close(
        name,
        factor.transpose().as_slice(),
        transposed.as_slice(),
        1e-12,
    );

    let y = operator.forward(rng(1).normal(shape));
    let target = PosteriorDensity {
        fidelity: L2::new(operator, y, NOISE_STD).unwrap(),
        prior: Tikhonov::pixels(PRIOR_STD.powi(-2)).unwrap(),
    };
    let kernel = Ula::preconditioned(target, preconditioner, step()).unwrap();
    let law = AffineStep::of(&kernel, shape, 1, pixels);
    let injected = &law.noise * law.noise.transpose();
    let expected = &covariance * (2.0 * STEP);
    assert_close(name, injected.as_slice(), expected.as_slice(), scale);
    // The Hessian is that of the preconditioner: all directions contract alike.
    let contraction = &identity * (1.0 - STEP);
    assert_close(name, law.matrix.as_slice(), contraction.as_slice(), 1e-11);
    // White noise would have another covariance.
    let white = &identity * (2.0 * STEP * covariance.trace() / pixels as f64);
    assert!((injected - white).amax() > 0.01 * expected.amax());
}

#[test]
fn a_spectral_preconditioner_injects_its_covariance() {
    let kernel = [0.05, 0.1, 0.0, 0.2, 0.4, 0.1, 0.05, 0.1, 0.0];
    // Both parities: columns without a partner are where half a spectrum is counted wrongly.
    for size @ [height, width] in [[4, 6], [5, 5], [4, 5]] {
        let blur = FourierBlur::new(exact(&kernel, [1, 1, 3, 3]), size).unwrap();
        assert_exact_law("blur", blur, [1, 1, height, width]);
    }
    let entries = rng(2).normal([4, 6]);
    let wide = MatrixOperator::new(entries, [1, 2, 3]).unwrap();
    assert_exact_law("matrix", DenseSvd::new(wide).unwrap(), [1, 1, 2, 3]);
}

#[test]
fn a_spectral_preconditioner_bounds_the_curvature() {
    let shape = [1, 1, 2, 3];
    let entries = rng(2).normal([4, 6]);
    let operator = DenseSvd::new(MatrixOperator::new(entries, [1, 2, 3]).unwrap()).unwrap();
    let normal = matrix(shape, |x| operator.adjoint(operator.forward(x)));
    let like = exact(&[0.0; 6], shape);
    let preconditioner =
        SpectralPreconditioner::new(operator, &like, NOISE_STD, PRIOR_STD).unwrap();
    let factor = matrix(shape, |x| preconditioner.factor(x));
    for curvature in [0.1, 1.0 / PRIOR_STD.powi(2), 7.0] {
        let hessian = &normal / NOISE_STD.powi(2) + DMatrix::identity(6, 6) * curvature;
        let whitened = factor.transpose() * &hessian * &factor;
        let largest = whitened.symmetric_eigenvalues().max();
        let bound = f64::max(1.0, curvature * PRIOR_STD.powi(2));
        assert!(largest <= bound * (1.0 + 1e-12), "{largest} above {bound}");
        assert!(largest > 0.9 * bound, "{largest} far below {bound}");
        assert!(hessian.symmetric_eigenvalues().max() > 3.0 * bound);
    }
}

#[test]
fn a_diagonal_preconditioner_injects_its_variances() {
    let (precision, diagonal) = ([1.0, 40.0, 9.0], [0.9, 0.03, 0.1]);
    let target = Quadratic {
        mean: vec![0.5, -1.0, 2.0],
        precision: precision.to_vec(),
    };
    let preconditioner = DiagonalPreconditioner::new(exact(&diagonal, [1, 3])).unwrap();
    let kernel = Ula::preconditioned(target, preconditioner, step()).unwrap();
    let law = AffineStep::of::<2>(&kernel, [1, 3], 1, 3);
    for i in 0..3 {
        let kept = 1.0 - STEP * diagonal[i] * precision[i];
        assert_close("kept", &[law.matrix[(i, i)]], &[kept], 1e-13);
        let variance = law.noise[(i, i)].powi(2);
        assert_close("noise", &[variance], &[2.0 * STEP * diagonal[i]], 1e-13);
    }
    assert_eq!(law.noise.iter().filter(|entry| **entry != 0.0).count(), 3);
}

#[test]
fn standard_deviations_that_are_none_are_refused() {
    let like = exact(&[0.0; 4], [1, 1, 2, 2]);
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        for (noise_std, prior_std, expected) in [(bad, 1.0, "noise_std"), (1.0, bad, "prior_std")] {
            let made = SpectralPreconditioner::<_, 4>::new(Identity, &like, noise_std, prior_std);
            assert!(matches!(
                made.unwrap_err(),
                ChainError::OutOfRange { name, .. } if name == expected
            ));
        }
    }
}

#[test]
fn preconditioners_of_other_scales_have_other_descriptions() {
    let like = exact(&[0.0; 4], [1, 1, 2, 2]);
    let of = |noise_std, prior_std| {
        let made = SpectralPreconditioner::<_, 4>::new(Identity, &like, noise_std, prior_std);
        made.unwrap().describe()
    };
    assert_eq!(of(0.3, 0.8), of(0.3, 0.8));
    assert_ne!(of(0.3, 0.8), of(0.31, 0.8));
    assert_ne!(of(0.3, 0.8), of(0.3, 0.81));
}

/// `S`, neither symmetric nor diagonal.
const SHEAR: [f64; 4] = [0.9, 0.0, 0.7, 0.4];

/// `S z` of each row.
fn sheared(z: Tensor<2>) -> Tensor<2> {
    z.matmul(exact(&SHEAR, [2, 2]).transpose())
}

struct Shear;

impl Preconditioner<2> for Shear {
    fn factor(&self, z: Tensor<2>) -> Tensor<2> {
        sheared(z)
    }
    fn factor_transposed(&self, v: Tensor<2>) -> Tensor<2> {
        v.matmul(exact(&SHEAR, [2, 2]))
    }
    fn describe(&self) -> String {
        "shear".into()
    }
}

/// `z -> U(S z)`.
struct Unsheared;

impl Smooth for Unsheared {}

impl Gradient<2> for Unsheared {
    fn grad(&self, z: Tensor<2>) -> Tensor<2> {
        Skewed.grad(sheared(z)).matmul(exact(&SHEAR, [2, 2]))
    }
}

impl DataFidelity<2> for Unsheared {
    fn value(&self, z: Tensor<2>) -> Tensor<1> {
        Skewed.value(sheared(z))
    }
}

#[test]
fn a_preconditioned_kernel_is_the_plain_one_in_other_units() {
    let step = StepSize::new(0.2, None).unwrap();
    let (z, v) = (rng(3).normal([9, 2]).mul_scalar(0.5), rng(4).normal([9, 2]));
    let x = sheared(z.clone());

    let plain = Hmc::new(Unsheared, step.value, 3).unwrap();
    let hmc = Hmc::preconditioned(Skewed, Shear, step, 3).unwrap();
    let (end, momentum) = hmc.trajectory(x.clone(), v.clone());
    let (expected, kept) = plain.trajectory(z.clone(), v);
    assert_close(
        "end",
        &values(&end),
        &values(&sheared(expected.clone())),
        1e-12,
    );
    assert_close("momentum", &values(&momentum), &values(&kept), 1e-12);
    // Negative control: it does move, and not to the same numbers.
    assert!((expected - end).abs().max().into_scalar::<f64>() > 0.1);

    let plain = Ula::new(Unsheared, step.value).unwrap();
    let ula = Ula::preconditioned(Skewed, Shear, step).unwrap();
    let (end, _) = ula.step(ula.init(x), &mut rng(5));
    let (expected, _) = plain.step(plain.init(z), &mut rng(5));
    let expected = sheared(expected.position().clone());
    assert_close("step", &values(end.position()), &values(&expected), 1e-12);
}
