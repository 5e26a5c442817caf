//! What is refused, and with which words.

use burn::tensor::Tensor;
use tweedie_fidelity::{Dps, FidelityError, Isotropic, L2, Pigdm};
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
