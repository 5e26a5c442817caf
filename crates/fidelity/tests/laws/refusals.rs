//! What is refused, and with which words.

use burn::tensor::Tensor;
use tweedie_fidelity::{
    Admm, Amplitude, Ball, DataFidelity, Dps, FidelityError, Gradient, Isotropic, L1, L2, Pigdm,
    Poisson, PoissonGaussian, ScorePrior, Stacked, Tikhonov, TotalVariation, Wavelet, WaveletL1,
};
use tweedie_physics::Identity;
use tweedie_testkit::exact;

fn y() -> Tensor<4> {
    exact(&[0.5], [1, 1, 1, 1])
}

#[test]
fn noise_levels_out_of_range() {
    let spread = Isotropic::default();
    for noise_std in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(L2::new(Identity, y(), noise_std).is_err());
        assert!(Dps::new(Identity, y(), noise_std).is_err());
        assert!(Dps::annealed(Identity, y(), noise_std, spread).is_err());
        assert!(Pigdm::new(Identity, y(), noise_std, spread).is_err());
    }
}

#[test]
fn noise_zero_is_refused_where_a_method_divides_by_it() {
    let spread = Isotropic::default();
    let refused = L2::new(Identity, y(), 0.0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "noise_std must be finite and above 0, found 0"
    );
    assert!(Dps::new(Identity, y(), 0.0).is_err());
    assert!(Dps::annealed(Identity, y(), 0.0, spread).is_ok());
    assert!(Pigdm::new(Identity, y(), 0.0, spread).is_ok());
}

#[test]
fn prior_variances_out_of_range() {
    for variance in [0.0, -1.0, f64::NAN] {
        assert!(matches!(
            Isotropic::new(variance),
            Err(FidelityError::OutOfRange {
                name: "prior variance",
                ..
            })
        ));
    }
}

#[test]
fn parameters_of_terms_out_of_range() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(L1::new(Identity, y(), bad).is_err());
        assert!(Poisson::new(Identity, y(), bad, 0.0).is_err());
        assert!(PoissonGaussian::new(Identity, y(), bad, 1.0).is_err());
        assert!(PoissonGaussian::new(Identity, y(), 1.0, bad).is_err());
        assert!(Amplitude::new(Identity, y(), bad).is_err());
        let admm = Admm {
            damping: bad,
            ..Admm::default()
        };
        assert!(
            L1::new(Identity, y(), 1.0)
                .unwrap()
                .with_admm(admm)
                .is_err()
        );
        assert!(
            L1::new(Identity, y(), 1.0)
                .unwrap()
                .with_frame_bound(bad)
                .is_err()
        );
        assert!(
            Poisson::new(Identity, y(), 1.0, 0.0)
                .unwrap()
                .with_frame_bound(bad)
                .is_err()
        );
        assert!(
            Ball::new(Identity, y(), 1.0)
                .unwrap()
                .with_frame_bound(bad)
                .is_err()
        );
    }
    assert!(Poisson::new(Identity, y(), 1.0, -0.1).is_err());
    assert_eq!(
        Ball::new(Identity, y(), -2.0).unwrap_err().to_string(),
        "radius must be finite and at least 0, found -2"
    );
    assert!(Ball::new(Identity, y(), 0.0).is_ok());
}

#[test]
fn counts_below_zero() {
    for bad in [-0.5, f64::NAN] {
        let y = exact(&[0.0, 0.5, bad], [1, 1, 1, 3]);
        assert!(Amplitude::new(Identity, y.clone(), 1.0).is_err());
        assert!(matches!(
            Poisson::new(Identity, y, 1.0, 0.0),
            Err(FidelityError::Counts { index: 2, .. })
        ));
    }
    let y = exact(&[-0.5], [1, 1, 1, 1]);
    assert_eq!(
        Poisson::new(Identity, y, 1.0, 0.0).unwrap_err().to_string(),
        "a measurement of counts must be finite and at least 0, found -0.5 at entry 0 in row-major order"
    );
}

#[test]
fn parameters_of_priors_out_of_range() {
    for bad in [0.0, -1.0, f64::NAN] {
        assert!(ScorePrior::new((), bad, 1.0).is_err());
        assert!(ScorePrior::new((), 1.0, bad).is_err());
        assert!(Tikhonov::pixels(bad).is_err());
        assert!(Tikhonov::differences(bad).is_err());
        assert!(TotalVariation::isotropic(bad).is_err());
        assert!(TotalVariation::anisotropic(bad).is_err());
        assert!(WaveletL1::new([4, 4], Wavelet::Haar, 1, bad).is_err());
    }
    assert!(
        TotalVariation::isotropic(1.0)
            .unwrap()
            .with_epsilon(-0.1)
            .is_err()
    );
    assert!(
        TotalVariation::isotropic(1.0)
            .unwrap()
            .with_epsilon(0.0)
            .is_ok()
    );
}

#[test]
fn wavelet_levels_that_do_not_divide_the_image() {
    for (size, levels) in [
        ([4, 6], 2),
        ([6, 4], 2),
        ([4, 4], 0),
        ([4, 4], 3),
        ([4, 4], 64),
        ([0, 4], 1),
    ] {
        assert!(
            matches!(
                WaveletL1::new(size, Wavelet::Haar, levels, 1.0),
                Err(FidelityError::Levels { .. })
            ),
            "{size:?}, {levels}"
        );
    }
    assert_eq!(
        WaveletL1::new([4, 6], Wavelet::Haar, 2, 1.0)
            .unwrap_err()
            .to_string(),
        "2 wavelet levels need 1 level or more and sides divisible by 2^levels, found a [4, 6] image"
    );
}

#[test]
fn a_sum_of_nothing() {
    let none: Vec<Box<dyn DataFidelity>> = Vec::new();
    assert!(matches!(Stacked::new(none), Err(FidelityError::NoTerms)));
}

/// A measurement that merely could be broadcast is another measurement.
#[test]
#[should_panic(
    expected = "these images have measurements of shape [2, 1, 1, 3], found y of shape [1, 1, 1, 1]"
)]
fn data_of_another_shape() {
    let data = L2::new(Identity, y(), 0.1).unwrap();
    let _ = data.grad(exact(&[0.5; 6], [2, 1, 1, 3]));
}
