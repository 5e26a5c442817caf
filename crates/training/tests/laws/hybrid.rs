//! Learned variances: what the hybrid objective is worth, and where its gradient goes.

use std::f64::consts::LN_2;

use burn::tensor::{Tensor, TensorData};
use tweedie_core::{Backbone, Conditioning, Given, Parametrisation, Rng};
use tweedie_testkit::{assert_close, device, values};
use tweedie_training::{Hybrid, Level, Objective};

use crate::chain::{STEPS, log_bin, prediction, sigma, variances};

const ROWS: usize = 6;
const PIXELS: usize = 4;
const SHAPE: [usize; 4] = [ROWS, 1, 2, 2];

/// The steps of the rows; at step 1 the discretised normal law.
const AT: [usize; ROWS] = [2, 1, 3, 17, 40, 50];

/// Answers with what it holds, and must be told a class.
struct Holds {
    output: Tensor<4>,
    variance: Tensor<4>,
}

impl Backbone for Holds {
    fn forward(&self, _: Tensor<4>, _: Conditioning) -> Tensor<4> {
        self.output.clone()
    }

    fn forward_with_variance(
        &self,
        _: Tensor<4>,
        conditioning: Conditioning,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        conditioning.given.class.expect("a class is given");
        (self.output.clone(), Some(self.variance.clone()))
    }
}

fn levels() -> Vec<Level> {
    let level = |step: usize| Level {
        time: step as f64 / STEPS as f64,
        sigma: sigma(step),
        weight: 1.0,
    };
    AT.map(level).to_vec()
}

fn tracked(numbers: &[f64]) -> Tensor<4> {
    let data = TensorData::new(numbers.to_vec(), SHAPE);
    Tensor::from_data(data, &device()).autodiff().require_grad()
}

/// Black, white and grey.
fn clean() -> Vec<f64> {
    let row = [-1.0, 1.0, 51.0 / 127.5 - 1.0, 200.0 / 127.5 - 1.0];
    row.repeat(ROWS)
}

struct Found {
    losses: Vec<f64>,
    of_output: Vec<f64>,
    of_variance: Vec<f64>,
    noise: Vec<f64>,
}

/// Outputs are the noise with some error; `shares` is where between the variances each number lies.
#[expect(
    clippy::disallowed_methods,
    reason = "gradients of two inputs at once, as training takes them of weights"
)]
fn measure(errors: &[f64], shares: &[f64]) -> Found {
    let rng = Rng::seeded(2, &device());
    let noise = values(&rng.clone().normal(SHAPE));
    let outputs: Vec<f64> = noise.iter().zip(errors).map(|(n, e)| n + e).collect();
    let raw: Vec<f64> = shares.iter().map(|share| 2.0 * share - 1.0).collect();
    let network = Holds {
        output: tracked(&outputs),
        variance: tracked(&raw),
    };
    let hybrid = Hybrid::new(prediction(Parametrisation::Epsilon)).unwrap();
    let clean = Tensor::from_data(TensorData::new(clean(), SHAPE), &device());
    let given = Given {
        class: Some(Tensor::from_ints([7; ROWS], &device())),
        image: None,
    };
    let losses = hybrid.losses(&network, clean, given, &levels(), &mut rng.clone());
    let gradients = losses.clone().sum().backward();
    Found {
        losses: values(&losses.without_autodiff()),
        of_output: values(&network.output.grad(&gradients).unwrap()),
        of_variance: values(&network.variance.grad(&gradients).unwrap()),
        noise,
    }
}

fn errors() -> Vec<f64> {
    (0..ROWS * PIXELS).map(|i| 0.4 * (i as f64).sin()).collect()
}

fn shares() -> Vec<f64> {
    (0..ROWS * PIXELS)
        .map(|i| 0.5 + 0.6 * (1.7 * i as f64).cos())
        .collect()
}

/// The bound of one number in nats, by the parameters of both normal laws.
fn term(step: usize, pixel: f64, error: f64, share: f64) -> f64 {
    let (beta, posterior) = variances(step);
    let variance = beta.powf(share) * posterior.powf(1.0 - share);
    // D is the noisy number less sigma times the output.
    let clean_error = sigma(step) * error;
    if step == 1 {
        return -log_bin(pixel, pixel - clean_error, variance);
    }
    let kept = (sigma(step - 1) / sigma(step)).powi(2);
    // The means in the scaled variable.
    let scale = sigma(step - 1).hypot(1.0).recip();
    let shift = scale * (1.0 - kept) * clean_error;
    0.5 * ((variance / posterior).ln() + (posterior + shift * shift) / variance - 1.0)
}

/// What one number adds to the loss of its row, less its part in `L_simple`.
fn weighted(step: usize, pixel: f64, error: f64, share: f64) -> f64 {
    0.001 * STEPS as f64 / (LN_2 * PIXELS as f64) * term(step, pixel, error, share)
}

/// The smooth distribution function is off by less than 2e-4: relative to the least mass of the rows below, 0.02.
const SMOOTH: f64 = 4e-4 / 0.02;

#[test]
fn it_is_the_simple_loss_and_a_thousandth_of_the_bound() {
    let (errors, shares, clean) = (errors(), shares(), clean());
    let Found { losses, .. } = measure(&errors, &shares);
    for (row, step) in AT.into_iter().enumerate() {
        let part = row * PIXELS..(row + 1) * PIXELS;
        let simple = errors[part.clone()].iter().map(|e| e * e).sum::<f64>() / PIXELS as f64;
        let bound: f64 = part
            .map(|i| weighted(step, clean[i], errors[i], shares[i]))
            .sum();
        let rounding = 1e-5 * (1.0 + bound.abs());
        let smooth = 0.001 * STEPS as f64 / LN_2 * SMOOTH;
        let tolerance = if step == 1 { smooth } else { rounding };
        let name = format!("step {step}");
        assert_close(&name, &[losses[row]], &[simple + bound], tolerance);
        // The bound is seen.
        assert!(bound.abs() > 2.0 * tolerance, "{name}: {bound}");
    }
}

#[test]
fn the_gradient_of_the_output_is_that_of_the_simple_loss() {
    let errors = errors();
    let Found {
        of_output, noise, ..
    } = measure(&errors, &shares());
    let simple: Vec<f64> = errors.iter().map(|e| 2.0 * e / PIXELS as f64).collect();
    // The output is the noise and the error, rounded.
    let size = noise.iter().fold(1.0, |size: f64, n| size.max(n.abs()));
    assert_close(
        "output",
        &of_output,
        &simple,
        2.0 * size * f64::from(f32::EPSILON),
    );
}

#[test]
fn the_gradient_of_the_variance_is_that_of_the_bound() {
    let (errors, shares, clean) = (errors(), shares(), clean());
    let Found { of_variance, .. } = measure(&errors, &shares);
    let h = 1e-5;
    for (i, found) in of_variance.iter().enumerate() {
        let step = AT[i / PIXELS];
        let at = |share| weighted(step, clean[i], errors[i], share);
        // The share is half the network's number, and a half.
        let expected = 0.5 * (at(shares[i] + h) - at(shares[i] - h)) / (2.0 * h);
        let tolerance = match step {
            1 => 0.05 * expected.abs().max(1e-3),
            _ => 1e-4 * expected.abs().max(1e-3),
        };
        assert_close(&format!("number {i}"), &[*found], &[expected], tolerance);
    }
}

#[test]
fn white_noise_and_certainty_have_the_two_variances() {
    // The least of the bound is at 0 where the mean is exact.
    let at = |share: f64| measure(&[0.0; ROWS * PIXELS], &[share; ROWS * PIXELS]);
    let (low, none, high) = (at(-0.1), at(0.0), at(0.1));
    for row in (0..ROWS).filter(|row| AT[*row] > 1) {
        assert!(none.losses[row] < low.losses[row].min(high.losses[row]));
        assert!(none.losses[row].abs() < 1e-7);
    }
}
