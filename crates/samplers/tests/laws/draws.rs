//! Statistics of draws beyond the mean: quantiles, intervals, kept samples and trajectories, and what is held
//! meanwhile.

use std::cell::RefCell;

use burn::tensor::{DType, Tensor, TensorData};
use tweedie_core::{Noise, Rng, Span};
use tweedie_metrics::{EXACT_DRAWS, tails};
use tweedie_samplers::{Draw, DrawConfig, Draws, PosteriorSampler, SampleError, draw};
use tweedie_solvers::Step;
use tweedie_testkit::{assert_close, assert_z, device, values};

const IMAGE: [usize; 3] = [1, 2, 3];
const PIXELS: usize = 6;
const STEPS: usize = 5;

/// Standard normal samples; the state after step `k` is `k` times the sample.
struct Exact;

impl PosteriorSampler for Exact {
    fn sample(
        &self,
        shape: [usize; 4],
        rng: &mut Rng,
        observe: &mut dyn FnMut(Step<'_>),
    ) -> Result<Tensor<4>, SampleError> {
        let sample = Noise::normal(rng, shape);
        for index in 0..STEPS {
            let state = sample.clone() * index as f64;
            let (from, to) = ((STEPS - index) as f64, (STEPS - index - 1) as f64);
            observe(Step {
                index,
                steps: STEPS,
                span: Span { from, to },
                state: &state,
            });
        }
        Ok(sample)
    }
}

fn rng() -> Rng {
    Rng::seeded(11, &device()).with_dtype(DType::F64)
}

fn run(config: DrawConfig) -> Draws {
    draw(&Exact, IMAGE, config, &rng(), |_| ()).unwrap()
}

/// The first samples, straight from their random numbers.
fn samples(count: usize) -> Vec<f64> {
    let [channels, height, width] = IMAGE;
    values(&Noise::<4>::normal(
        &mut rng(),
        [count, channels, height, width],
    ))
}

/// Every number of a result.
fn numbers(draws: &Draws) -> Vec<f64> {
    let mut all = values(&draws.mean);
    for tensor in [&draws.std, &draws.quantiles, &draws.kept]
        .into_iter()
        .flatten()
    {
        all.extend(values(tensor));
    }
    for (time, state) in &draws.trajectory {
        all.push(*time);
        all.extend(values(state));
    }
    all
}

#[test]
fn no_result_depends_on_the_batch_size() {
    // Beyond the draws up to which quantiles are exact.
    let run = |batch_size| {
        numbers(&run(DrawConfig {
            quantiles: vec![0.05, 0.5, 0.95],
            keep: 7,
            frames: 2,
            ..DrawConfig::new(EXACT_DRAWS + 50, batch_size)
        }))
    };
    let reference = run(1000);
    assert_eq!(reference.len(), PIXELS * (1 + 1 + 3 + 7 + 2 * 7) + 2);
    for batch_size in [1, 3, 100, 256] {
        assert_eq!(run(batch_size), reference, "batches of {batch_size}");
    }
}

#[test]
fn quantiles_are_those_of_the_samples() {
    let draws = run(DrawConfig {
        quantiles: vec![0.5, 0.1],
        ..DrawConfig::new(9, 4)
    });
    assert_eq!((&draws.levels[..], draws.samples), (&[0.5, 0.1][..], 9));
    let found = values(draws.quantiles.as_ref().unwrap());
    let all = samples(9);
    for pixel in 0..PIXELS {
        let mut column: Vec<f64> = all.iter().skip(pixel).step_by(PIXELS).copied().collect();
        column.sort_by(f64::total_cmp);
        // Places 10 p: the fifth and the first of nine.
        assert_eq!(found[pixel], column[4]);
        assert_eq!(found[PIXELS + pixel], column[0]);
    }
    assert!(run(DrawConfig::new(9, 4)).quantiles.is_none());
}

#[test]
fn intervals_hold_the_truth_as_often_as_they_say() {
    // The truth of test i is the sample that would come next; the tests have numbers of their own.
    for (count, level) in [(19, 0.9), (EXACT_DRAWS + 43, 0.9), (3, 0.5)] {
        let tests = if count > 100 { 40 } else { 200 };
        let mut found = Vec::new();
        for test in 0..tests {
            let rng = rng().fork(test);
            let config = DrawConfig::new(count, count).with_interval(level).unwrap();
            let draws = draw(&Exact, IMAGE, config, &rng, |_| ()).unwrap();
            let mut rest = rng.starting_at(count as u64);
            let truth = Noise::<4>::normal(&mut rest, [1, 1, 2, 3]);
            found.push(draws.interval(level).unwrap().coverage(truth));
        }
        let all = found.into_iter().reduce(|a, b| a.merge(b)).unwrap();
        let name = format!("{count} draws");
        assert_z(&name, &[all.fraction()], &[level], &[all.standard_error()]);
        // The negative control: an interval of another level.
        let z = (all.fraction() - 0.7).abs() / all.standard_error();
        assert!(z > 5.0, "{name}: z {z}");
    }
}

#[test]
fn intervals_without_their_quantiles_or_draws_are_refused() {
    let config = |samples, level| DrawConfig {
        quantiles: tails(level).to_vec(),
        ..DrawConfig::new(samples, 20)
    };
    let draws = run(config(20, 0.9));
    assert!(draws.interval(0.9).is_ok());
    let missing = SampleError::NoInterval { level: 0.8 };
    assert_eq!(draws.interval(0.8).unwrap_err(), missing);
    let error = run(config(18, 0.9)).interval(0.9).unwrap_err();
    let few = SampleError::TooFew {
        level: 0.9,
        needed: 19,
        found: 18,
    };
    assert_eq!(error, few);
    assert_eq!(DrawConfig::new(18, 1).with_interval(0.9), Err(few));
    assert!(run(config(39, 0.95)).interval(0.95).is_ok());
    assert!(run(DrawConfig::new(20, 20)).interval(0.9).is_err());
    for level in [0.0, 1.0, f64::NAN] {
        let error = draws.interval(level).unwrap_err();
        assert!(matches!(
            error,
            SampleError::Parameter { name: "level", .. }
        ));
        assert!(DrawConfig::new(20, 1).with_interval(level).is_err());
    }
}

#[test]
fn the_first_samples_and_their_states_are_kept() {
    for (keep, batch_size) in [(1, 4), (5, 2), (6, 6), (100, 3)] {
        let draws = run(DrawConfig {
            keep,
            frames: 2,
            ..DrawConfig::new(6, batch_size)
        });
        let kept = samples(keep.min(6));
        assert_eq!(values(&draws.kept.unwrap()), kept);
        // Of five steps, the third and the last.
        let times: Vec<f64> = draws.trajectory.iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [2.0, 0.0]);
        for ((_, state), factor) in draws.trajectory.iter().zip([2.0, 4.0]) {
            let expected: Vec<f64> = kept.iter().map(|value| value * factor).collect();
            assert_close("states", &values(state), &expected, 1e-15);
        }
    }
    let draws = run(DrawConfig::new(6, 2));
    assert!(draws.kept.is_none() && draws.trajectory.is_empty());
}

#[test]
fn each_sample_is_announced_once_in_order_after_its_batch() {
    let (mut events, mut announced) = (Vec::new(), Vec::new());
    draw(
        &Exact,
        IMAGE,
        DrawConfig::new(5, 2),
        &rng(),
        |event| match event {
            Draw::Batch { first, .. } => events.push(format!("batch {first}")),
            Draw::Sample { index, image } => {
                assert_eq!(image.dims(), [1, 1, 2, 3]);
                announced.extend(values(image));
                events.push(format!("sample {index}"));
            }
            _ => {}
        },
    )
    .unwrap();
    let expected = "batch 0, sample 0, sample 1, batch 2, sample 2, sample 3, batch 4, sample 4";
    assert_eq!(events.join(", "), expected);
    assert_eq!(announced, samples(5));
}

/// The first sample counts as much as any other: a mean that started from it would have its weight twice.
#[test]
fn the_first_sample_is_counted_once() {
    struct Spike(RefCell<usize>);
    impl PosteriorSampler for Spike {
        fn sample(
            &self,
            shape: [usize; 4],
            _: &mut Rng,
            _: &mut dyn FnMut(Step<'_>),
        ) -> Result<Tensor<4>, SampleError> {
            let mut first = self.0.borrow_mut();
            let row = |i| if *first + i == 0 { 8.0 } else { 0.0 };
            let data: Vec<f64> = (0..shape[0]).map(row).collect();
            *first += shape[0];
            Ok(Tensor::from_data(
                TensorData::new(data, shape),
                (&device(), DType::F64),
            ))
        }
    }
    let config = DrawConfig {
        quantiles: vec![0.5],
        ..DrawConfig::new(4, 3)
    };
    let draws = draw(
        &Spike(RefCell::default()),
        [1, 1, 1],
        config,
        &rng(),
        |_| (),
    )
    .unwrap();
    assert_eq!(values(&draws.mean), [2.0]);
    assert_eq!(values(&draws.std.unwrap()), [4.0]);
    assert_eq!(values(&draws.quantiles.unwrap()), [0.0]);
}

#[test]
fn what_cannot_be_counted_is_refused() {
    for level in [-0.1, 1.5, f64::NAN] {
        let config = DrawConfig {
            quantiles: vec![0.5, level],
            ..DrawConfig::new(2, 1)
        };
        let error = draw(&Exact, IMAGE, config, &rng(), |_| ()).unwrap_err();
        assert!(matches!(
            error,
            SampleError::Parameter {
                name: "quantiles",
                ..
            }
        ));
    }
    let config = DrawConfig {
        frames: 3,
        ..DrawConfig::new(2, 1)
    };
    let error = draw(&Exact, IMAGE, config, &rng(), |_| ()).unwrap_err();
    assert_eq!(error, SampleError::Zero { field: "keep" });
}

#[test]
fn old_settings_stay_valid_and_unknown_ones_are_refused() {
    let read = |text: &str| serde_json::from_str::<DrawConfig>(text);
    let old = read(r#"{ "samples": 8, "batch_size": 4 }"#).unwrap();
    assert_eq!(old, DrawConfig::new(8, 4));
    let new =
        read(r#"{ "samples": 8, "batch_size": 4, "quantiles": [0.5], "keep": 2, "frames": 3 }"#);
    let expected = DrawConfig {
        quantiles: vec![0.5],
        keep: 2,
        frames: 3,
        ..old
    };
    assert_eq!(new.unwrap(), expected);
    assert!(read(r#"{ "samples": 8, "batch_size": 4, "quantile": [0.5] }"#).is_err());
    assert!(read(r#"{ "samples": 8 }"#).is_err());
}
