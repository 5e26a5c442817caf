//! The bookkeeping of draws: batch size, statistics, divergence.

use std::sync::Arc;

use burn::tensor::{DType, Tensor};
use tweedie_core::{Denoiser, GaussianPrior, Rng, TimeGrid, VariancePreserving};
use tweedie_samplers::{DiffusionSampler, Draw, DrawConfig, SampleError, draw};
use tweedie_sde::Reverse;
use tweedie_solvers::{Ddpm, SolveError};
use tweedie_testkit::{assert_close, device, exact, values};

fn sampler<P>(prior: P) -> DiffusionSampler<VariancePreserving, P, Ddpm> {
    DiffusionSampler::new(
        Reverse::sde(VariancePreserving::new(0.1, 20.0).unwrap(), prior),
        Ddpm,
        TimeGrid::uniform(1.0, 0.0, 6).unwrap(),
    )
}

fn prior() -> GaussianPrior {
    GaussianPrior::new(exact(&[0.3, 0.7], [1, 1, 1, 2]), 0.05)
}

fn rng() -> Rng {
    Rng::seeded(4, &device()).with_dtype(DType::F64)
}

/// All samples in order, their mean and standard deviation.
fn run(samples: usize, batch_size: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut all = Vec::new();
    let config = DrawConfig::new(samples, batch_size);
    let draws = draw(&sampler(prior()), [1, 1, 2], config, &rng(), |event| {
        if let Draw::Batch { first, samples } = event {
            assert_eq!(first, all.len() / 2);
            all.extend(values(samples));
        }
    })
    .unwrap();
    (all, values(&draws.mean), values(&draws.std.unwrap()))
}

#[test]
fn samples_and_statistics_do_not_depend_on_the_batch_size() {
    let reference = run(7, 7);
    for batch_size in [1, 2, 3, 100] {
        assert_eq!(run(7, batch_size), reference, "batches of {batch_size}");
    }
    // The first samples of a longer run are those of a shorter one.
    assert_eq!(run(4, 3).0, reference.0[..8]);
}

#[test]
fn statistics_are_those_of_the_samples() {
    let (all, mean, std) = run(7, 3);
    for pixel in 0..2 {
        let column: Vec<f64> = all.iter().skip(pixel).step_by(2).copied().collect();
        let average = column.iter().sum::<f64>() / 7.0;
        let variance = column.iter().map(|x| (x - average).powi(2)).sum::<f64>() / 6.0;
        assert_close("mean", &mean[pixel..=pixel], &[average], 1e-14);
        assert_close("std", &std[pixel..=pixel], &[variance.sqrt()], 1e-14);
    }
}

#[test]
fn one_sample_has_no_standard_deviation() {
    let config = DrawConfig::new(1, 8);
    let draws = draw(&sampler(prior()), [1, 1, 2], config, &rng(), |_| ()).unwrap();
    assert!(draws.std.is_none());
}

#[test]
fn steps_are_announced_with_their_batch() {
    let mut seen = Vec::new();
    let config = DrawConfig::new(3, 2);
    draw(&sampler(prior()), [1, 1, 2], config, &rng(), |event| {
        if let Draw::Step { first, step } = event {
            seen.push((first, step.index, step.state.dims()[0]));
        }
    })
    .unwrap();
    assert_eq!(seen.len(), 12);
    assert_eq!((seen[0], seen[11]), ((0, 0, 2), (2, 5, 1)));
}

/// Blows up in the sample whose start is above two standard deviations, which no row of the first batch is.
struct Explosive;
impl Denoiser for Explosive {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        if sigma < 100.0 {
            return noisy;
        }
        let high = noisy.clone().greater_elem(1.0 * sigma);
        noisy.mask_fill(high, f64::INFINITY)
    }
}

#[test]
fn divergence_is_an_error_that_names_the_samples() {
    let starts = values(&rng().normal::<4>([16, 1, 1, 1]));
    let culprit = starts
        .iter()
        .position(|z| *z > 1.0)
        .expect("one of sixteen");
    let batch = culprit / 2 * 2;
    let config = DrawConfig::new(16, 2);
    let error = draw(&sampler(Explosive), [1, 1, 1], config, &rng(), |_| ()).unwrap_err();
    let SampleError::Batch {
        first,
        last,
        source,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((*first, *last), (batch, batch + 1));
    let diverged = SolveError::Diverged {
        step: 1,
        steps: 6,
        time: 5.0 / 6.0,
    };
    assert_eq!(**source, SampleError::Solve(diverged));
}

#[test]
fn nothing_asked_for_is_refused() {
    for (samples, batch_size, field) in [(0, 1, "samples"), (1, 0, "batch_size")] {
        let config = DrawConfig::new(samples, batch_size);
        let error = draw(&sampler(prior()), [1, 1, 2], config, &rng(), |_| ()).unwrap_err();
        assert_eq!(error, SampleError::Zero { field });
    }
    // Schedules are shared by reference count where they come from a file.
    let shared: Arc<dyn tweedie_core::Schedule> =
        Arc::new(VariancePreserving::new(0.1, 20.0).unwrap());
    let sampler = DiffusionSampler::new(
        Reverse::sde(shared, prior()),
        Ddpm,
        TimeGrid::uniform(1.0, 0.0, 2).unwrap(),
    );
    let config = DrawConfig::new(1, 1);
    assert!(draw(&sampler, [1, 1, 2], config, &rng(), |_| ()).is_ok());
}
