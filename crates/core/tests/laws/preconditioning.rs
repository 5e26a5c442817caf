//! Every parametrisation recovers the clean image from a perfect network.

use std::sync::Arc;

use tweedie_core::{
    DdpmTable, Edm, NoiseLabel, Parametrisation, Preconditioning, Schedule, VariancePreserving,
};

const LABEL: NoiseLabel = NoiseLabel::Step { steps: 1000 };

fn schedule() -> Arc<dyn Schedule> {
    Arc::new(DdpmTable::linear(1000, 1e-4, 0.02).unwrap())
}

#[test]
fn a_perfect_network_gives_back_the_clean_image() {
    let (clean, noise) = (0.37, -1.4);
    for sigma in [0.011, 0.5, 3.0, 150.0f64] {
        let noisy = clean + sigma * noise;
        let targets = [
            (Parametrisation::Epsilon, noise),
            (Parametrisation::X0, clean),
            (
                Parametrisation::V,
                (noise - sigma * clean) / sigma.hypot(1.0),
            ),
        ];
        for (parametrisation, output) in targets {
            let c = parametrisation.preconditioning(schedule(), LABEL).at(sigma);
            let denoised = c.skip * noisy + c.out * output;
            // Rounding of numbers as large as the noisy pixel.
            assert!(
                (denoised - clean).abs() < 1e-15 * (10.0 + sigma.powi(2).min(1e4)),
                "{parametrisation:?} at {sigma}: {denoised}"
            );
            assert!((c.input * sigma.hypot(1.0) - 1.0).abs() < 1e-15);
        }
    }
}

#[test]
fn edm_has_unit_variances() {
    // Karras et al. 2022, appendix B.6: Var[c_in x] = 1 and Var[(x_0 - c_skip x)/c_out] = 1.
    let sigma_data = 0.5;
    for sigma in [0.002, 0.3, 80.0] {
        let c = Edm { sigma_data }.at(sigma);
        let input = c.input.powi(2) * (sigma_data.powi(2) + sigma.powi(2));
        let target = ((1.0 - c.skip).powi(2) * sigma_data.powi(2) + c.skip.powi(2) * sigma.powi(2))
            / c.out.powi(2);
        assert!(
            (input - 1.0).abs() < 1e-12 && (target - 1.0).abs() < 1e-12,
            "{input} {target}"
        );
        assert!((c.noise - 0.25 * sigma.ln()).abs() < 1e-15);
    }
}

#[test]
fn labels_are_the_indices_of_the_table() {
    let schedule = schedule();
    let network = Parametrisation::Epsilon.preconditioning(schedule.clone(), LABEL);
    for index in [0, 1, 499, 999] {
        let sigma = schedule.sigma((index + 1) as f64 / 1000.0);
        assert!((network.at(sigma).noise - index as f64).abs() < 1e-9);
    }
    assert_eq!(network.at(1e-6).noise, 0.0);
    assert_eq!(network.at(1e6).noise, 999.0);
    let continuous = VariancePreserving::new(0.1, 20.0).unwrap();
    let label = NoiseLabel::Time { scale: 999.0 };
    let network = Parametrisation::V.preconditioning(Arc::new(continuous), label);
    assert!((network.at(continuous.sigma(0.25)).noise - 249.75).abs() < 1e-9);
}
