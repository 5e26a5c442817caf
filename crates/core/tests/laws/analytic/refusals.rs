//! What no prior is made of.

use tweedie_core::{FullGaussian, GaussianMixture, GaussianPrior, PriorError};
use tweedie_testkit::{assert_close, exact};

use super::{COVARIANCE, MEAN, MEANS, WEIGHTS, full};

#[test]
fn bad_covariances_are_refused() {
    let message = |covariance: &[f64]| full(covariance).unwrap_err().to_string();
    assert_eq!(
        message(&[1.0, 0.5, 0.4, 1.0]),
        "a covariance must be symmetric: [1, 0] is 0.4 but [0, 1] is 0.5"
    );
    let Err(PriorError::Indefinite { smallest, largest }) = full(&[1.0, 2.0, 2.0, 1.0]) else {
        panic!("an indefinite covariance was taken");
    };
    assert_close("eigenvalues", &[smallest, largest], &[-1.0, 3.0], 1e-14);
    assert!(
        message(&[1.0, 2.0, 2.0, 1.0]).starts_with("a covariance must be positive semi-definite")
    );
    assert_eq!(
        message(&[1.0, 0.0, f64::NAN, 1.0]),
        "covariance [1, 0] must be finite, found NaN"
    );
    assert!(matches!(
        full(&[-1.0, 0.0, 0.0, -2.0]),
        Err(PriorError::Indefinite { .. })
    ));
    // Rounding is neither.
    assert!(full(&[1.0, 1.0 + 1e-16, 1.0, 1.0]).is_ok());
    assert!(full(&[0.0; 4]).is_ok());
    let wide = FullGaussian::new(exact(&MEAN, [1, 2]), exact(&[1.0; 6], [2, 3]));
    assert_eq!(
        wide.unwrap_err().to_string(),
        "covariance must have shape [2, 2], found [2, 3]"
    );
    let two = FullGaussian::new(exact(&MEANS, [3, 2]), exact(&COVARIANCE, [2, 2]));
    assert_eq!(
        two.unwrap_err().to_string(),
        "mean must have shape [1, 2], found [3, 2]"
    );
}

#[test]
fn bad_variances_and_weights_are_refused() {
    let mean = || exact(&MEAN, [1, 2]);
    let message = |variances| {
        GaussianPrior::diagonal(mean(), variances)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message(exact(&[0.1, -0.2], [1, 2])),
        "variance 1 must be finite and at least 0, found -0.2"
    );
    assert_eq!(
        message(exact(&[0.1; 4], [2, 2])),
        "variances must have shape [1, 2], found [2, 2]"
    );
    let means = || exact::<2>(&MEANS, [3, 2]);
    let message = |weights: &[f64], variances: &[f64]| {
        let refused = GaussianMixture::new(weights, means(), variances);
        refused.unwrap_err().to_string()
    };
    assert_eq!(
        message(&[0.5, -0.1, 0.6], &[0.1; 3]),
        "weight 1 must be finite and above 0, found -0.1"
    );
    assert_eq!(
        message(&[], &[0.1; 3]),
        "expected one of weights for each of 3 means, found 0"
    );
    assert_eq!(
        message(&[1.0; 3], &[0.1; 2]),
        "expected one of variances for each of 3 means, found 2"
    );
    assert_eq!(
        message(&[1.0; 3], &[0.1, f64::INFINITY, 0.1]),
        "variance 1 must be finite and at least 0, found inf"
    );
    let narrow = GaussianMixture::diagonal(&WEIGHTS, means(), exact(&[0.1; 3], [3, 1]));
    assert_eq!(
        narrow.unwrap_err().to_string(),
        "variances must have shape [3, 2], found [3, 1]"
    );
}
