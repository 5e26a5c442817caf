//! The variational bound, against its terms in closed form and the exact law of the chain.

use std::{
    f64::consts::{LN_2, TAU},
    sync::Arc,
};

use burn::tensor::{Tensor, TensorData};
use tweedie_core::{
    Backbone, Conditioning, DdpmTable, Given, NoiseLabel, Parametrisation, Rng, VarianceExploding,
    gauss_legendre,
};
use tweedie_testkit::{assert_close, assert_z, device, values, z_bound};
use tweedie_training::{
    Bound, Estimate, Prediction, ReverseVariance, TrainingError, VariationalBound,
};

use crate::chain::{
    Exact, MEAN, STEPS, VARIANCE, exact_share, log_bin, normal_mean, prediction, sigma,
    squared_error, table, variances,
};

const IMAGES: usize = 400;
/// For the difference of two bounds.
const MANY: usize = 20_000;
const PIXELS: usize = 6;

/// Values of pixels, from 0 to 255: those of the law of the data, cut off at both ends.
fn data(images: usize) -> Vec<u32> {
    let rng = &mut Rng::seeded(12, &device());
    let normal: Tensor<2> = rng.normal([images, PIXELS]);
    let spread = VARIANCE.sqrt();
    values(&normal)
        .into_iter()
        .map(|n| {
            (127.5 * (MEAN + spread * n + 1.0))
                .round()
                .clamp(0.0, 255.0) as u32
        })
        .collect()
}

fn pixel(value: u32) -> f64 {
    f64::from(value) / 127.5 - 1.0
}

fn images(count: usize) -> Tensor<4> {
    let values: Vec<f64> = data(count)
        .into_iter()
        .map(|v| f64::from(v) / 255.0)
        .collect();
    Tensor::from_data(TensorData::new(values, [count, 1, 2, 3]), &device())
}

fn exact(share: fn(usize) -> f64) -> Exact {
    Exact {
        prediction: prediction(Parametrisation::V),
        share,
    }
}

fn bound(variance: ReverseVariance, ranges: Option<usize>) -> Bound {
    Bound::new(
        prediction(Parametrisation::V),
        (-1.0, 1.0),
        variance,
        ranges,
    )
    .unwrap()
}

fn measure(
    count: usize,
    variance: ReverseVariance,
    ranges: Option<usize>,
    network: &Exact,
) -> VariationalBound {
    let mut rng = Rng::seeded(3, &device());
    let bound = bound(variance, ranges);
    bound
        .of(network, images(count), Given::nothing(), &mut rng)
        .unwrap()
}

/// The variance of each way, over `beta_tilde`.
fn ratio(variance: ReverseVariance, share: fn(usize) -> f64, step: usize) -> f64 {
    let (beta, posterior) = variances(step);
    match variance {
        ReverseVariance::Posterior => 1.0,
        ReverseVariance::Beta => beta / posterior,
        ReverseVariance::Learned => (beta / posterior).powf(share(step)),
    }
}

/// The mean of the divergence of a step at a pixel, in nats.
fn divergence(ratio: f64, step: usize, value: u32) -> f64 {
    let precision = sigma(step - 1).powi(-2) - sigma(step).powi(-2);
    let error = squared_error(step, pixel(value));
    0.5 * (ratio.ln() + (1.0 + precision * error) / ratio - 1.0)
}

/// The mean of the reconstruction of a pixel, in nats.
fn reconstruction(ratio: f64, pixel: f64, log_bin: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let sigma = sigma(1);
    let gain = VARIANCE / (VARIANCE + sigma * sigma);
    let variance = ratio * variances(1).1;
    normal_mean(|n| {
        let mean = MEAN + gain * (pixel + sigma * n - MEAN);
        -log_bin(pixel, mean, variance)
    })
}

/// What is left of each image of a term: found less expected, in bits per dimension, with its standard error.
fn excess(found: &[f64], expected: impl Fn(u32) -> f64) -> Estimate {
    let data = data(found.len());
    let expected: Vec<f64> = (0..=255).map(expected).collect();
    let rows = found.iter().zip(data.chunks(PIXELS)).map(|(found, image)| {
        let nats: f64 = image.iter().map(|value| expected[*value as usize]).sum();
        found - nats / (PIXELS as f64 * LN_2)
    });
    Estimate::of(&rows.collect::<Vec<_>>())
}

/// The share of `ln beta_k` in the logarithm of the variance of step `k`.
type Share = fn(usize) -> f64;

const WAYS: [(ReverseVariance, Share); 3] = [
    (ReverseVariance::Beta, |_| 0.0),
    (ReverseVariance::Posterior, |_| 0.0),
    (ReverseVariance::Learned, |_| 0.3),
];

#[test]
fn every_term_has_its_mean() {
    for (variance, share) in WAYS {
        let found = measure(IMAGES, variance, None, &exact(share));
        assert_eq!(found.denoising.len(), STEPS - 1);
        let mut gaps = vec![];
        for (term, step) in found.denoising.iter().zip(2..) {
            assert_eq!(term.steps, step..=step);
            let ratio = ratio(variance, share, step);
            gaps.push(excess(&term.bits, |value| divergence(ratio, step, value)));
        }
        let first = ratio(variance, share, 1);
        gaps.push(excess(&found.reconstruction, |value| {
            reconstruction(first, pixel(value), log_bin)
        }));
        let gap: Vec<f64> = gaps.iter().map(|g| g.mean).collect();
        let error: Vec<f64> = gaps.iter().map(|g| g.standard_error).collect();
        let name = format!("{variance:?}");
        assert_z(&name, &gap, &vec![0.0; gap.len()], &error);
    }
}

/// The control: the terms of one variance are not those of another.
#[test]
fn the_terms_of_another_variance_are_seen() {
    let found = measure(IMAGES, ReverseVariance::Posterior, None, &exact(|_| 0.0));
    for step in [2, 3] {
        let ratio = ratio(ReverseVariance::Beta, |_| 0.0, step);
        let gap = excess(&found.denoising[step - 2].bits, |value| {
            divergence(ratio, step, value)
        });
        let z = gap.mean.abs() / gap.standard_error;
        assert!(z > z_bound(STEPS), "step {step}: {gap}, z {z}");
    }
}

#[test]
fn the_prior_term_is_exact() {
    let found = measure(IMAGES, ReverseVariance::Posterior, Some(1), &exact(|_| 0.0));
    let kept = table().alpha_bar(STEPS);
    for (found, image) in found.prior.iter().zip(data(IMAGES).chunks(PIXELS)) {
        let nats: f64 = image
            .iter()
            .map(|v| 0.5 * (kept * pixel(*v).powi(2) - kept - (1.0 - kept).ln()))
            .sum();
        let expected = nats / (PIXELS as f64 * LN_2);
        assert_close(
            "prior",
            &[*found],
            &[expected],
            20.0 * f64::from(f32::EPSILON),
        );
    }
}

#[test]
fn one_step_of_each_range_stands_for_it() {
    let variance = ReverseVariance::Beta;
    let found = measure(IMAGES, variance, Some(7), &exact(|_| 0.0));
    // Powers of 49^(1/7), rounded, and one more.
    let ends = found.denoising.iter().map(|term| *term.steps.end());
    assert_eq!(ends.collect::<Vec<_>>(), [3, 4, 6, 10, 17, 29, 50]);
    let mut next = 2;
    let gaps: Vec<Estimate> = found
        .denoising
        .iter()
        .map(|term| {
            assert_eq!(*term.steps.start(), next);
            next = term.steps.end() + 1;
            excess(&term.bits, |value| {
                let of = |k| divergence(ratio(variance, |_| 0.0, k), k, value);
                term.steps.clone().map(of).sum()
            })
        })
        .collect();
    assert_eq!(next, STEPS + 1);
    let gap: Vec<f64> = gaps.iter().map(|g| g.mean).collect();
    let error: Vec<f64> = gaps.iter().map(|g| g.standard_error).collect();
    assert_z("ranges", &gap, &[0.0; 7], &error);
}

/// Of each image, the bound less the bits of its law, a discretised normal one.
fn above_the_truth(variance: ReverseVariance, share: fn(usize) -> f64) -> Estimate {
    let found = measure(MANY, variance, None, &exact(share));
    excess(&found.total(), |value| {
        -log_bin(pixel(value), MEAN, VARIANCE)
    })
}

/// With the exact variances the chain that starts from the law of `x_T` has the law of the data, so the bound is above the truth by
/// the divergence of that law from white noise, and by what rounding to 256 values does to the noisy data.
#[test]
fn the_exact_chain_has_the_bits_of_its_law() {
    let kept = table().alpha_bar(STEPS);
    let (mean, variance) = (kept.sqrt() * MEAN, kept * VARIANCE + 1.0 - kept);
    let divergence = 0.5 * (variance + mean * mean - 1.0 - variance.ln()) / LN_2;
    let Estimate {
        mean,
        standard_error,
    } = above_the_truth(ReverseVariance::Learned, exact_share);
    // The variance of uniform numbers in a bin, over that of the first reverse step.
    let bin = (2.0 / 255.0_f64).powi(2) / 12.0;
    let rounding = bin / (VARIANCE * sigma(1).powi(2) / (VARIANCE + sigma(1).powi(2)));
    let gap = (mean - divergence).abs();
    assert!(
        gap <= z_bound(1) * standard_error + rounding,
        "{mean} +- {standard_error}, expected {divergence} within {rounding}"
    );
    assert!(divergence > z_bound(1) * standard_error, "{divergence}");
}

#[test]
fn it_is_a_bound_and_the_exact_variance_is_best() {
    let best = above_the_truth(ReverseVariance::Learned, exact_share);
    for variance in [ReverseVariance::Beta, ReverseVariance::Posterior] {
        let found = above_the_truth(variance, |_| 0.0);
        let error = found.standard_error.hypot(best.standard_error);
        assert!(
            found.mean - best.mean > z_bound(2) * error,
            "{variance:?}: {found}, {best}"
        );
    }
    assert!(best.mean > z_bound(1) * best.standard_error, "{best}");
}

#[test]
fn batches_make_the_whole() {
    let network = exact(|_| 0.3);
    let whole = measure(IMAGES, ReverseVariance::Learned, Some(3), &network);
    let bound = bound(ReverseVariance::Learned, Some(3));
    let part = |first: usize, count: usize| {
        let mut rng = Rng::seeded(3, &device()).starting_at(first as u64);
        let images = images(IMAGES).narrow(0, first, count);
        bound
            .of(&network, images, Given::nothing(), &mut rng)
            .unwrap()
    };
    let mut joined = part(0, 150);
    joined.append(part(150, IMAGES - 150));
    assert_close("total", &joined.total(), &whole.total(), 1e-5);
    assert_eq!(joined.denoising[1].steps, whole.denoising[1].steps);
}

#[test]
fn the_mean_and_its_error() {
    let found = Estimate::of(&[1.0, 3.0, 8.0]);
    assert_eq!(found.mean, 4.0);
    assert_close(
        "error",
        &[found.standard_error],
        &[(13.0_f64 / 3.0).sqrt()],
        1e-15,
    );
}

#[test]
fn images_are_rounded_to_their_values() {
    let whole = measure(IMAGES, ReverseVariance::Beta, Some(2), &exact(|_| 0.0));
    let off = images(IMAGES).add_scalar(0.4 / 255.0);
    let mut rng = Rng::seeded(3, &device());
    let found = bound(ReverseVariance::Beta, Some(2))
        .of(&exact(|_| 0.0), off, Given::nothing(), &mut rng)
        .unwrap();
    assert_eq!(found, whole);
}

/// A network of images in [0, 1]: the terms depend on the image, not on its law.
#[test]
fn pixels_may_have_other_units() {
    let own = |value: u32| f64::from(value) / 255.0;
    let bound = Bound::new(
        prediction(Parametrisation::V),
        (0.0, 1.0),
        ReverseVariance::Posterior,
        Some(1),
    );
    let mut rng = Rng::seeded(3, &device());
    let found = bound
        .unwrap()
        .of(&exact(|_| 0.0), images(IMAGES), Given::nothing(), &mut rng)
        .unwrap();
    let kept = table().alpha_bar(STEPS);
    let prior = excess(&found.prior, |value| {
        0.5 * (kept * own(value).powi(2) - kept - (1.0 - kept).ln())
    });
    assert!(prior.mean.abs() < 20.0 * f64::from(f32::EPSILON), "{prior}");
    // The bins are those of [-1, 1], shrunk to a half.
    let log_bin =
        |pixel, mean, variance| log_bin(2.0 * pixel - 1.0, 2.0 * mean - 1.0, 4.0 * variance);
    let gap = excess(&found.reconstruction, |value| {
        reconstruction(1.0, own(value), log_bin)
    });
    assert_z("reconstruction", &[gap.mean], &[0.0], &[gap.standard_error]);
}

/// Denoises to one number for each row, and must be told a class.
struct Says(Vec<f64>);

impl Backbone for Says {
    fn forward(&self, x: Tensor<4>, conditioning: Conditioning) -> Tensor<4> {
        conditioning.given.class.expect("a class is given");
        let said = Tensor::<1>::from_data(self.0.as_slice(), &x.device());
        said.reshape([-1, 1, 1, 1]).expand(x.dims())
    }
}

/// `-ln p(x_0 | x_1)` of single pixels of which a network says the mean, by a chain.
fn decoded(prediction: Prediction, variance: ReverseVariance, pairs: &[(u32, f64)]) -> Vec<f64> {
    let rows = pairs.len();
    let shares: Vec<f64> = pairs.iter().map(|(v, _)| f64::from(*v) / 255.0).collect();
    let images = Tensor::from_data(TensorData::new(shares, [rows, 1, 1, 1]), &device());
    let network = Says(pairs.iter().map(|(_, mean)| *mean).collect());
    let given = Given {
        class: Some(Tensor::from_ints([7], &device())),
        image: None,
    };
    let bound = Bound::new(prediction, (-1.0, 1.0), variance, None).unwrap();
    let mut rng = Rng::seeded(3, &device());
    let found = bound.of(&network, images, given, &mut rng).unwrap();
    found.reconstruction.iter().map(|b| b * LN_2).collect()
}

/// `ln` of the mass of the standard normal law from `near`, above 0, over `width`.
fn log_tail_mass(near: f64, width: f64) -> f64 {
    // What is beyond is below e^-40 of it.
    let cell = width.min(40.0 / near) / 40.0;
    let mass: f64 = (0..40)
        .flat_map(|k| gauss_legendre(f64::from(k) * cell, f64::from(k + 1) * cell))
        .map(|(t, weight)| weight * (-near * t - 0.5 * t * t).exp())
        .sum();
    mass.ln() - 0.5 * (near * near + TAU.ln())
}

/// Where a mass is below every number of a computer, up to 58 standard deviations away.
#[test]
fn the_reconstruction_of_a_bad_network_is_exact() {
    let pairs = [
        (255, 0.0),
        (255, -0.125),
        (255, -1.0),
        (0, 0.125),
        (0, 1.0),
        (100, 1.0),
        (100, 0.875),
        (100, -1.0),
    ];
    let clean = prediction(Parametrisation::Denoised);
    let found = decoded(clean, ReverseVariance::Posterior, &pairs);
    let deviation = variances(1).1.sqrt();
    let half = 1.0 / 255.0;
    for ((value, mean), found) in pairs.into_iter().zip(found) {
        let width = if value == 100 {
            2.0 * half
        } else {
            f64::INFINITY
        };
        let near = ((pixel(value) - mean).abs() - half) / deviation;
        let expected = -log_tail_mass(near, width / deviation);
        // A pixel is rounded to single precision.
        let rounding = near / deviation * f64::from(f32::EPSILON);
        let name = format!("{value}, {mean}, {near} deviations");
        assert_close(&name, &[found], &[expected], 2.0 * rounding);
    }
}

#[test]
fn the_first_step_has_its_own_beta() {
    let pairs = [(0, -0.9375), (100, -0.25), (255, 0.9375)];
    let clean = prediction(Parametrisation::Denoised);
    let found = decoded(clean, ReverseVariance::Beta, &pairs);
    let (beta, _) = variances(1);
    let expected = pairs.map(|(value, mean)| -log_bin(pixel(value), mean, beta));
    assert_close("beta", &found, &expected, 1e-4);
}

#[test]
fn a_chain_of_one_step_has_its_beta() {
    let table = Arc::new(DdpmTable::new(&[0.02]).unwrap());
    let label = NoiseLabel::Step { steps: 1 };
    let prediction = Prediction::new(table, label, Parametrisation::Denoised);
    let pairs = [(0, -0.9), (100, 0.0), (255, 0.75)];
    let found = decoded(prediction, ReverseVariance::Posterior, &pairs);
    let expected = pairs.map(|(value, mean)| -log_bin(pixel(value), mean, 0.02));
    assert_close("one step", &found, &expected, 1e-4);
}

/// Hears no variance.
struct Mute;

impl Backbone for Mute {
    fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
        x.zeros_like()
    }
}

#[test]
fn what_has_no_bound_is_refused() {
    let learned = bound(ReverseVariance::Learned, Some(1));
    let mut rng = Rng::seeded(0, &device());
    let found = learned.of(&Mute, images(IMAGES), Given::nothing(), &mut rng);
    assert!(matches!(found, Err(TrainingError::NoVariance)));

    let new = |prediction, ranges| {
        Bound::new(prediction, (-1.0, 1.0), ReverseVariance::Posterior, ranges).err()
    };
    let exploding = |label| {
        let schedule = Arc::new(VarianceExploding::new(0.01, 50.0).unwrap());
        Prediction::new(schedule, label, Parametrisation::Epsilon)
    };
    let continuous = new(exploding(NoiseLabel::Time { scale: 1.0 }), None);
    assert!(matches!(continuous, Some(TrainingError::NoSteps { .. })));
    let preserving = new(exploding(NoiseLabel::Step { steps: 10 }), None);
    let Some(TrainingError::NotPreserving { step: 1, .. }) = preserving else {
        panic!("{preserving:?}");
    };
    let none = new(prediction(Parametrisation::V), Some(0)).unwrap();
    assert_eq!(
        none.to_string(),
        "training setting ranges of steps must be at least 1, found 0"
    );
}
