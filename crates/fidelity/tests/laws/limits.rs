//! Guidance at the ends of its range: no noise in the measurement, hardly any in the image.

use burn::tensor::{DType, Tensor};
use tweedie_core::{Denoiser, GaussianPrior, Rng};
use tweedie_fidelity::{
    Ald, Diagonal, Dps, Full, GaussianGuidance, Isotropic, LgdMc, Mmps, NoisyFidelity, Pigdm,
    ReconstructionGuidance, Sda, Tmpd,
};
use tweedie_physics::{ForwardOperator, FourierBlur, Identity, Inpainting, LinearOperator};
use tweedie_testkit::{device, values};

use crate::guidance::Constant;

const SHAPE: [usize; 4] = [1, 1, 4, 4];
const VARIANCE: f64 = 0.04;

fn normal(seed: u64, dtype: DType) -> Tensor<4> {
    Rng::seeded(seed, &device()).with_dtype(dtype).normal(SHAPE)
}

fn operators(dtype: DType) -> Vec<Box<dyn LinearOperator>> {
    let device = device();
    let options = (&device, dtype);
    let kernel = Tensor::<4>::ones([1, 1, 3, 3], options).div_scalar(9.0);
    vec![
        Box::new(Identity),
        Box::new(Inpainting::random([4, 4], 0.4, 3, options).unwrap()),
        Box::new(FourierBlur::new(kernel, [4, 4]).unwrap()),
    ]
}

/// Every guidance that takes a measurement with this noise.
fn guidances<'a>(
    operator: &'a dyn LinearOperator,
    y: &Tensor<4>,
    noise_std: f64,
) -> Vec<(&'static str, Box<dyn NoisyFidelity + 'a>)> {
    let y = || y.clone();
    let spread = Isotropic::new(VARIANCE).unwrap();
    let diagonal = Diagonal::new(y().ones_like().mul_scalar(VARIANCE)).unwrap();
    let covariance = Tensor::<2>::eye(16, &device()).cast(y().dtype());
    let prior = tweedie_core::FullGaussian::new(y(), covariance.mul_scalar(VARIANCE)).unwrap();
    let mut all: Vec<(&'static str, Box<dyn NoisyFidelity + 'a>)> = vec![
        ("ALD", Box::new(Ald::new(operator, y(), noise_std).unwrap())),
        (
            "annealed DPS",
            Box::new(Dps::annealed(operator, y(), noise_std, spread).unwrap()),
        ),
        (
            "diagonal",
            Box::new(GaussianGuidance::new(operator, y(), noise_std, diagonal).unwrap()),
        ),
        (
            "full",
            Box::new(GaussianGuidance::new(operator, y(), noise_std, Full::new(prior)).unwrap()),
        ),
        (
            "MMPS",
            Box::new(Mmps::new(operator, y(), noise_std).unwrap()),
        ),
        (
            "PiGDM",
            Box::new(Pigdm::new(operator, y(), noise_std, spread).unwrap()),
        ),
        (
            "reconstruction",
            Box::new(ReconstructionGuidance::new(operator, y(), 1.0).unwrap()),
        ),
        (
            "SDA",
            Box::new(Sda::new(operator, y(), noise_std, 1.0).unwrap()),
        ),
    ];
    if noise_std > 0.0 {
        all.push(("DPS", Box::new(Dps::new(operator, y(), noise_std).unwrap())));
        all.push((
            "LGD-MC",
            Box::new(LgdMc::new(operator, y(), noise_std, spread).unwrap()),
        ));
        all.push((
            "TMPD",
            Box::new(Tmpd::new(operator, y(), noise_std).unwrap()),
        ));
    }
    all
}

#[test]
fn guidance_is_finite_without_noise_and_at_tiny_levels() {
    for dtype in [DType::F64, DType::F32] {
        let prior = GaussianPrior::new(normal(1, dtype), VARIANCE);
        let priors: [&dyn Denoiser; 2] = [&prior, &Constant];
        for operator in operators(dtype) {
            let clean = normal(2, dtype);
            let y = operator.forward(clean.clone());
            // The second image explains the measurement: nothing is left to pull.
            let estimates = Tensor::cat(vec![normal(3, dtype), clean], 0);
            for noise_std in [0.0, 0.1] {
                for (name, guidance) in guidances(&*operator, &y, noise_std) {
                    for sigma in [1e-8, 1e-3, 80.0] {
                        for prior in priors {
                            let guided = guidance.guide(prior, estimates.clone(), sigma);
                            let update = guided.likelihood_score.mul_scalar(sigma * sigma);
                            let all = [values(&guided.denoised), values(&update)].concat();
                            assert!(
                                all.iter().all(|v| v.is_finite() && v.abs() < 1e4),
                                "{name} {dtype:?}, noise {noise_std}, sigma {sigma}: {all:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
