//! Drift on the device under test against its formula in `f64` on the host.

use tweedie_core::{GaussianPrior, Schedule, VariancePreserving};
use tweedie_sde::{Reverse, Sde};
use tweedie_testkit::{exact, values};

#[test]
fn drift_follows_its_formula() {
    let schedule = VariancePreserving::new(0.1, 20.0).unwrap();
    let prior = GaussianPrior::new(exact::<2>(&[0.7], [1, 1]), 0.25);
    let process = Reverse::new(schedule, prior, 0.5).unwrap();
    for t in [0.01, 0.4, 1.0] {
        let x = 1.3;
        let (s, sigma) = (schedule.scale(t), schedule.sigma(t));
        let score = (s * 0.7 - x) / (s * s * (0.25 + sigma * sigma));
        let expected = schedule.drift_rate(t) * x - 0.75 * schedule.diffusion_sq(t) * score;
        let got = values(&process.drift(exact(&[x], [1, 1]), t))[0];
        assert!(
            (got - expected).abs() < 1e-10 * expected.abs().max(1.0),
            "{t}: {got} {expected}"
        );
    }
}
