//! The weightings against the formulas of their papers, each in the paper's own terms.

use std::sync::Arc;

use tweedie_core::{
    DdpmTable, Karras, NoiseLabel, Parametrisation, Schedule, VarianceExploding, VariancePreserving,
};
use tweedie_testkit::assert_close;
use tweedie_training::{Level, Prediction, TrainingError, Weighting};

const STEPS: usize = 100;

fn table() -> DdpmTable {
    DdpmTable::linear(STEPS, 1e-3, 0.2).unwrap()
}

fn on_table(parametrisation: Parametrisation) -> Prediction {
    let label = NoiseLabel::Step { steps: STEPS };
    Prediction::new(Arc::new(table()), label, parametrisation)
}

/// What multiplies the squared error of the output at a time.
fn weight(weighting: Weighting, prediction: &Prediction, time: f64) -> f64 {
    let sigma = prediction.schedule.sigma(time);
    let level = Level {
        time,
        sigma,
        weight: 1.0,
    };
    weighting.at(prediction, &level, &prediction.preconditioning.at(sigma))
}

/// Fails unless the weights of all steps of the table are these functions of `alpha_bar`.
fn assert_on_table(
    weighting: Weighting,
    parametrisation: Parametrisation,
    expected: impl Fn(f64) -> f64,
) {
    let prediction = on_table(parametrisation);
    for step in 1..=STEPS {
        let found = weight(weighting, &prediction, step as f64 / STEPS as f64);
        let expected = expected(table().alpha_bar(step));
        let name = format!("{weighting:?}, {parametrisation:?}, step {step}");
        assert_close(&name, &[found], &[expected], 1e-11 * expected);
    }
}

fn snr(alpha_bar: f64) -> f64 {
    alpha_bar / (1.0 - alpha_bar)
}

#[test]
fn the_simple_loss_is_of_the_noise_for_every_parametrisation() {
    let simple = Weighting::Simple;
    assert_on_table(simple, Parametrisation::Epsilon, |_| 1.0);
    assert_on_table(simple, Parametrisation::X0, snr);
    // Salimans & Ho 2022: max(SNR, ..) and SNR + 1 are other weightings; the noise's error is alpha times that of v.
    assert_on_table(simple, Parametrisation::V, |alpha_bar| alpha_bar);
}

/// Hang et al. 2023, section 3.4: `min(SNR, gamma)` for `x_0`, over `SNR` for the noise, over `SNR + 1` for `v`.
#[test]
fn min_snr_is_the_papers_for_each_parametrisation() {
    let weighting = Weighting::MinSnr { gamma: 5.0 };
    let least = |alpha_bar: f64| snr(alpha_bar).min(5.0);
    assert_on_table(weighting, Parametrisation::X0, least);
    assert_on_table(weighting, Parametrisation::Epsilon, |a| least(a) / snr(a));
    assert_on_table(weighting, Parametrisation::V, |a| least(a) / (snr(a) + 1.0));
}

/// Choi et al. 2022: the simple loss over `(k + SNR)^gamma`.
#[test]
fn p2_is_the_papers() {
    let p2 = |k, gamma| Weighting::P2 { k, gamma };
    assert_on_table(p2(1.0, 1.0), Parametrisation::Epsilon, |a| {
        1.0 / (1.0 + snr(a))
    });
    assert_on_table(p2(2.0, 0.5), Parametrisation::Epsilon, |a| {
        1.0 / (2.0 + snr(a)).sqrt()
    });
    assert_on_table(p2(1.0, 0.0), Parametrisation::X0, snr);
}

/// Ho et al. 2020, eq. (12): `beta^2 / (2 sigma^2 alpha (1 - alpha_bar))` for the noise, with the variance of eq. (7).
#[test]
fn the_bound_on_a_table_is_that_of_ddpm() {
    let (prediction, table) = (on_table(Parametrisation::Epsilon), table());
    for step in 2..=STEPS {
        let (beta, variance) = (table.beta(step), table.posterior_variance(step));
        let noise = 1.0 - table.alpha_bar(step);
        let expected = STEPS as f64 * beta * beta / (2.0 * variance * (1.0 - beta) * noise);
        let found = weight(Weighting::Elbo, &prediction, step as f64 / STEPS as f64);
        let name = format!("step {step}");
        assert_close(&name, &[found], &[expected], 1e-11 * expected);
    }
    // -ln N(x_0; D, sigma^2): |D - x_0|^2/(2 sigma^2), half the squared error of the noise.
    let first = weight(Weighting::Elbo, &prediction, 1.0 / STEPS as f64);
    assert_close("step 1", &[first], &[STEPS as f64 / 2.0], 1e-11);
}

/// Kingma et al. 2021: between two times the weights of `|D - x_0|^2` add up to half the loss of signal to noise.
#[test]
fn the_bound_in_continuous_time_adds_up_to_the_loss_of_signal() {
    let schedules: [Arc<dyn Schedule>; 3] = [
        Arc::new(VariancePreserving::new(0.1, 20.0).unwrap()),
        Arc::new(VarianceExploding::new(0.01, 50.0).unwrap()),
        Arc::new(Karras::new(3.0).unwrap()),
    ];
    for schedule in schedules {
        let label = NoiseLabel::Time { scale: 1.0 };
        let prediction = Prediction::new(schedule.clone(), label, Parametrisation::Denoised);
        let horizon = schedule.horizon();
        let (from, to) = (0.3 * horizon, 0.8 * horizon);
        // The midpoint rule: its error is the square of 1e-4 times a factor of order 10.
        let n = 10_000;
        let mean = (0..n)
            .map(|i| from + (to - from) * (i as f64 + 0.5) / n as f64)
            .map(|time| weight(Weighting::Elbo, &prediction, time))
            .sum::<f64>()
            / n as f64;
        // The density of a uniform time from 1e-5 of the horizon on.
        let found = mean * (to - from) / (horizon * (1.0 - 1e-5));
        let snr = |time: f64| schedule.sigma(time).powi(-2);
        let expected = 0.5 * (snr(from) - snr(to));
        assert_close("loss of signal", &[found], &[expected], 1e-6 * expected);
    }
}

/// Song & Ermon 2019: `sigma^2` of the error of the score, which is what the network predicts where `s = 1`.
#[test]
fn the_weight_of_ncsn_is_the_simple_one() {
    let schedule = Arc::new(VarianceExploding::new(0.01, 50.0).unwrap());
    let label = NoiseLabel::Time { scale: 1.0 };
    let prediction = Prediction::new(schedule.clone(), label, Parametrisation::Score);
    for time in [0.1, 0.5, 1.0] {
        let expected = schedule.sigma(time).powi(2);
        let found = weight(Weighting::Simple, &prediction, time);
        assert_close("lambda", &[found], &[expected], 1e-12 * expected);
    }
}

/// Karras et al. 2022, table 1: `lambda c_out^2 = 1`.
#[test]
fn the_weight_of_edm_is_that_of_the_output() {
    let sigma_data = 0.5;
    let schedule = Arc::new(Karras::new(80.0).unwrap());
    let label = NoiseLabel::Time { scale: 1.0 };
    let prediction = Prediction::new(schedule, label, Parametrisation::Edm { sigma_data });
    for sigma in [0.01, 0.5, 20.0_f64] {
        let lambda = (sigma.powi(2) + sigma_data.powi(2)) / (sigma * sigma_data).powi(2);
        let out = prediction.preconditioning.at(sigma).out;
        assert_eq!(weight(Weighting::Output, &prediction, sigma), 1.0);
        assert_close("lambda", &[lambda * out * out], &[1.0], 1e-14);
    }
}

#[test]
fn parameters_out_of_range_are_named() {
    let p2 = |k, gamma| Weighting::P2 { k, gamma };
    for (weighting, field) in [
        (Weighting::MinSnr { gamma: 0.0 }, "weighting.gamma"),
        (Weighting::MinSnr { gamma: f64::NAN }, "weighting.gamma"),
        (p2(0.0, 1.0), "weighting.k"),
        (p2(1.0, -1.0), "weighting.gamma"),
        (p2(1.0, f64::INFINITY), "weighting.gamma"),
    ] {
        let error = weighting.validate().unwrap_err();
        assert!(
            matches!(error, TrainingError::Setting { field: found, .. } if found == field),
            "{weighting:?}: {error}"
        );
    }
    p2(1.0, 0.0).validate().unwrap();
}
