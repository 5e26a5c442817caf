//! Draws that see the data and not the prior have the law of their two factors.

use std::cell::RefCell;

use burn::tensor::Tensor;
use tweedie_core::{Karras, Noise, PointMass, TimeGrid};
use tweedie_fidelity::L2;
use tweedie_physics::{AverageDownsampling, Identity};
use tweedie_samplers::{
    Daps, DapsConfig, Langevin, LangevinConfig, LikelihoodStep, Measurement, Near, PnpDm,
    PnpDmConfig, PosteriorSampler,
};
use tweedie_testkit::{Moments, affine_law, assert_close, exact, values};

use crate::support::rng;

/// Rows: nothing, then one for each number drawn so far, in order, with that number 1.
pub(crate) struct UnitProbe {
    pub(crate) next: usize,
}

impl Noise for UnitProbe {
    fn normal(&mut self, shape: [usize; 4]) -> Tensor<4> {
        let row_len: usize = shape[1..].iter().product();
        let mut units = vec![0.0; shape[0] * row_len];
        for entry in 0..row_len {
            units[(self.next + entry) * row_len + entry] = 1.0;
        }
        self.next += row_len;
        exact(&units, shape)
    }
}

#[test]
fn the_exact_step_draws_from_the_product_of_its_factors() {
    // One measurement of four pixels: other shapes, and pixels that it couples.
    let operator = AverageDownsampling::new(2).unwrap();
    let (y, rho) = (exact(&[0.9], [1, 1, 1, 1]), 0.3);
    let centre = [0.1, 0.7, 0.4, 0.6];
    let law = |noise_std: f64| {
        let measurement = Measurement {
            operator,
            y: y.clone(),
            noise_std,
        };
        let rows = 6;
        let centre = exact(&centre, [1, 1, 2, 2]).expand([rows, 1, 2, 2]);
        let mut noise = UnitProbe { next: 1 };
        let near = Near {
            state: centre.clone(),
            centre,
            spread: rho,
            remaining: 1.0,
        };
        let drawn = values(&measurement.draw(near, &mut noise));
        (drawn, noise.next)
    };
    let mean: f64 = centre.iter().sum::<f64>() / 4.0;
    for noise_std in [0.2, 0.0] {
        let (drawn, used) = law(noise_std);
        assert_eq!(used, if noise_std > 0.0 { 6 } else { 5 });
        // Of one Gaussian number with variance rho^2/4: the mean of the pixels. The rest keeps its law.
        let weight = 0.25 * rho * rho / (0.25 * rho * rho + noise_std * noise_std);
        let offset: Vec<f64> = centre.iter().map(|c| c + weight * (0.9 - mean)).collect();
        assert_close("mean", &drawn[..4], &offset, 1e-12);
        for (i, j) in [(0, 0), (0, 3), (2, 1)] {
            let covariance: f64 = (1..used)
                .map(|row| (drawn[4 * row + i] - offset[i]) * (drawn[4 * row + j] - offset[j]))
                .sum();
            let expected = rho * rho * (f64::from(i == j) - 0.25 * weight);
            assert_close("covariance", &[covariance], &[expected], 1e-12);
        }
    }
}

#[test]
fn langevin_steps_are_the_formula_and_converge_to_the_product() {
    let (y, noise_std, rho, centre) = (1.1, 0.2, 0.3, 0.4);
    let law = |h: f64, steps: usize, remaining: f64, delta: f64| {
        let config = LangevinConfig {
            steps,
            step_size: h,
            delta,
        };
        let data = L2::new(Identity, exact(&[y], [1, 1]), noise_std).unwrap();
        let step = Langevin::new(data, config).unwrap();
        affine_law(steps, |state: Tensor<2>, noise| {
            let centre = state.full_like(centre);
            step.draw(
                Near {
                    state,
                    centre,
                    spread: rho,
                    remaining,
                },
                noise,
            )
        })
    };
    // One step by hand, its length half way from 0.01 to half of that.
    let (one, h) = (law(0.01, 1, 0.5, 0.5), 0.0075f64);
    let kept = (-h / (rho * rho)).exp();
    let pull = rho * rho * (1.0 - kept) / (noise_std * noise_std);
    let got = [one.offset, one.start, one.noises[0]];
    let expected = [
        (1.0 - kept) * centre + pull * y,
        kept - pull,
        rho * (1.0 - kept * kept).sqrt(),
    ];
    assert_close("a step", &got, &expected, 1e-14);

    let precision = noise_std.powi(-2) + rho.powi(-2);
    let target = Moments {
        mean: (y / (noise_std * noise_std) + centre / (rho * rho)) / precision,
        variance: precision.recip(),
    };
    let error = |h: f64, steps: usize| {
        let law = law(h, steps, 1.0, 1.0);
        let got = law.output(Moments {
            mean: centre,
            variance: 0.0,
        });
        assert_close("mean", &[got.mean], &[target.mean], 1e-5);
        (got.variance - target.variance).abs() / target.variance
    };
    // The steps cover twelve relaxation times; first order in their length.
    let (coarse, fine) = (error(0.0125, 36), error(0.00625, 72));
    assert!(
        fine > 1e-3 && (0.4..0.6).contains(&(fine / coarse)),
        "{coarse:e} {fine:e}"
    );
}

/// Stays at the centre and keeps what it is told of the run.
#[derive(Default)]
struct Told(RefCell<Vec<f64>>);

impl LikelihoodStep for &Told {
    fn draw(&self, near: Near, _: &mut dyn Noise) -> Tensor<4> {
        self.0.borrow_mut().push(near.remaining);
        near.centre
    }
}

#[test]
fn samplers_tell_how_much_of_the_run_is_left() {
    let prior = PointMass::new(exact(&[0.4], [1, 1, 1, 1]));
    let told = Told::default();
    let schedule = Karras::new(2.0).unwrap();
    let grid = TimeGrid::new(vec![2.0, 1.0, 0.5, 0.1, 0.0]).unwrap();
    let daps = Daps::new(schedule, &prior, &told, grid, DapsConfig::default()).unwrap();
    let config = PnpDmConfig {
        iterations: 4,
        ..PnpDmConfig::default()
    };
    let pnp_dm = PnpDm::new(&prior, &told, config).unwrap();
    for sampler in [&daps as &dyn PosteriorSampler, &pnp_dm] {
        sampler
            .sample([1, 1, 1, 1], &mut rng(1), &mut |_| ())
            .unwrap();
        assert_eq!(told.0.take(), [1.0, 0.75, 0.5, 0.25]);
    }
}
