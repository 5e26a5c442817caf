//! Streaming diagnostics of chains against stored ones, and against the exact law of chains that are known.

use burn::tensor::Tensor;
use tweedie_core::Rng;
use tweedie_metrics::{ChainMoments, ChiSquare, StoredChains, Welford};
use tweedie_testkit::{assert_z, device, exact, values, z_bound};

use crate::{
    host::{assert_close, host, upload},
    markov::{autoregressive, counted, of_pixel, variance_of_mean},
};

/// How many full batches of how many draws there are of `draws`, with room for 32.
fn batches(draws: usize) -> (usize, usize) {
    let mut length = 1;
    while draws >= 32 * length {
        length *= 2;
    }
    (draws / length, length)
}

#[test]
fn mean_and_variance_are_those_of_all_draws_whatever_the_batches() {
    let draws = autoregressive(300, [3, 4], 0.8, 1);
    for room in [8, 14, 32] {
        let (mut chains, mut all) = (ChainMoments::new(room), Welford::<2>::default());
        for (t, draw) in draws.iter().enumerate() {
            chains.update(draw.clone() + 2.0);
            all.update(draw.clone() + 2.0);
            assert_eq!((chains.chains(), chains.draws()), (3, t as u64 + 1));
            let [found, expected] = [chains.mean(), all.mean()].map(|mean| host(mean.unwrap()));
            assert_close(&found, &expected, 1e-13);
            let [found, expected] = [chains.std(), all.std()].map(|std| host(std.unwrap()));
            assert_close(&found, &expected, 1e-12);
        }
    }
}

#[test]
fn split_rhat_is_that_of_the_stored_batches_at_every_length() {
    let draws = autoregressive(300, [3, 2], 0.8, 2);
    let stored: Vec<_> = (0..2).map(|pixel| of_pixel(&draws, pixel)).collect();
    let mut chains = ChainMoments::default();
    for (t, draw) in draws.into_iter().enumerate() {
        chains.update(draw);
        let (full, length) = batches(t + 1);
        let half = full / 2 * length;
        if t + 1 < 4 {
            assert!(chains.split_rhat().is_none());
            continue;
        }
        let end = full * length;
        let halves = |chain: &Vec<f64>| [&chain[..half], &chain[end - half..end]].concat();
        let expected: Vec<f64> = stored
            .iter()
            .map(|pixel| pixel.iter().map(halves).collect::<Vec<_>>())
            .map(|pixel| StoredChains::new(&pixel).unwrap().split_rhat())
            .collect();
        assert_close(&host(chains.split_rhat().unwrap()), &expected, 1e-10);
        // At an even number of full batches nothing is left out.
        if full % 2 == 0 && end == t + 1 {
            let all = StoredChains::new(&stored[0].iter().map(|c| &c[..end]).collect::<Vec<_>>())
                .unwrap()
                .split_rhat();
            assert!((all - expected[0]).abs() < 1e-12);
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let centre = mean(values);
    values.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

/// Square of the error of the mean by its definition.
fn squared_error(chains: &[Vec<f64>]) -> f64 {
    let draws = chains[0].len();
    let (mut full, mut length) = batches(draws);
    while length * length < draws && full >= 8 {
        (full, length) = (full / 2, length * 2);
    }
    let of_chain = |chain: &Vec<f64>| {
        let batches = chain[..full * length].chunks_exact(length);
        variance(&batches.map(mean).collect::<Vec<_>>())
    };
    let within = mean(&chains.iter().map(of_chain).collect::<Vec<_>>());
    let within = within * length as f64 / draws as f64;
    let means: Vec<f64> = chains.iter().map(|chain| mean(chain)).collect();
    if means.len() == 1 {
        within
    } else {
        within.max(variance(&means)) / means.len() as f64
    }
}

#[test]
fn the_error_is_that_of_its_definition_at_every_length() {
    for count in [1, 4] {
        let draws = autoregressive(300, [count, 2], 0.6, 3);
        let stored: Vec<_> = (0..2).map(|pixel| of_pixel(&draws, pixel)).collect();
        let mut chains = ChainMoments::default();
        for (t, draw) in draws.into_iter().enumerate() {
            chains.update(draw);
            if t + 1 < 16 {
                assert!(chains.ess().is_none() && chains.mcse().is_none());
                continue;
            }
            let (found, ess) = (
                values(&chains.mcse().unwrap()),
                values(&chains.ess().unwrap()),
            );
            let spread = values(&chains.variance().unwrap());
            for pixel in 0..2 {
                let now: Vec<_> = stored[pixel].iter().map(|c| c[..=t].to_vec()).collect();
                let total = (count * (t + 1)) as f64;
                let capped = squared_error(&now).max(spread[pixel] / (total * total.log10()));
                assert!((found[pixel].powi(2) / capped - 1.0).abs() < 1e-10);
                assert!((ess[pixel] * capped / spread[pixel] - 1.0).abs() < 1e-10);
            }
        }
    }
}

#[test]
fn one_chain_knows_its_autocorrelation_time() {
    // 17 batches of 128 draws of 200 pixels.
    let (pixels, full, length, rho) = (200, 17, 128, 0.9);
    let draws = full * length;
    assert_eq!(batches(draws), (full, length));
    let chains = counted(&autoregressive(draws, [1, pixels], rho, 4));
    let squared: Vec<f64> = values(&chains.mcse().unwrap())
        .iter()
        .map(|e| e * e)
        .collect();
    // The expectation of the estimate, exactly: correlations beyond a batch are not seen.
    let (n, a) = (draws as f64, full as f64);
    let of_batches = (variance_of_mean(length, rho) - variance_of_mean(draws, rho)) * a / (a - 1.0);
    let expected = of_batches * length as f64 / n;
    // Batch means are almost independent and normal: chi-square with 16 degrees of freedom.
    let error = expected * (2.0 / ((a - 1.0) * pixels as f64)).sqrt();
    assert_z("squared error", &[mean(&squared)], &[expected], &[error]);
    // What is not seen is of the order of the autocorrelation time over the length of a batch.
    let time = (1.0 + rho) / (1.0 - rho);
    assert!((expected * n / time - 1.0).abs() < time / length as f64);
    // The negative control: draws taken for independent.
    assert!((mean(&squared) - 1.0 / n) / error > 5.0 * z_bound(1));
    let ess = mean(&values(&chains.ess().unwrap()));
    assert!(
        (0.8..1.3).contains(&(ess * time / n)),
        "{ess} of {}",
        n / time
    );
}

/// Mean and variance of the larger one of two independent chi-square numbers over their degrees of freedom.
fn larger_of(degrees: [usize; 2]) -> (f64, f64) {
    let below = |x: f64, degrees_of_freedom: usize| {
        let statistic = x * degrees_of_freedom as f64;
        1.0 - ChiSquare {
            statistic,
            degrees_of_freedom,
        }
        .p_value()
    };
    let step = 1e-3;
    let (mut first, mut second) = (0.0, 0.0);
    for x in (0..30_000).map(|i| (i as f64 + 0.5) * step) {
        let above = 1.0 - below(x, degrees[0]) * below(x, degrees[1]);
        first += above * step;
        second += 2.0 * x * above * step;
    }
    (first, second - first * first)
}

#[test]
fn chains_that_agree_have_the_larger_of_two_estimates() {
    let (chains, pixels, full, length) = (3, 300, 17, 32);
    let draws = full * length;
    assert_eq!(batches(draws), (full, length));
    let found = counted(&autoregressive(draws, [chains, pixels], 0.0, 5));
    // In units of the exact squared error of the mean of independent draws.
    let found: Vec<f64> = values(&found.mcse().unwrap())
        .iter()
        .map(|e| e * e * (chains * draws) as f64)
        .collect();
    let (expected, spread) = larger_of([chains - 1, chains * (full - 1)]);
    let error = (spread / pixels as f64).sqrt();
    assert_z("squared error", &[mean(&found)], &[expected], &[error]);
    // The negative control: one estimate alone would be 1 on average.
    assert!((mean(&found) - 1.0) / error > z_bound(1));
}

#[test]
fn chains_that_disagree_are_flagged_and_others_beside_them_are_not() {
    let places = exact(&[0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, -2.0], [4, 2]);
    for draws in [32, 100, 1000] {
        let draws: Vec<_> = autoregressive(draws, [4, 2], 0.3, 6)
            .into_iter()
            .map(|draw| draw + places.clone())
            .collect();
        let chains = counted(&draws);
        let rhat = values(&chains.split_rhat().unwrap());
        let ess = values(&chains.ess().unwrap());
        assert!(rhat[0] < 1.1 && rhat[1] > 1.1, "{rhat:?}");
        // Four chains that do not meet are worth four draws, and their own spread a little more.
        let expected = 4.0 * (1.0 + 1.0 / variance(&[0.0, 3.0, 0.0, -2.0]));
        assert!((ess[1] / expected - 1.0).abs() < 0.4, "{ess:?}");
        assert!(ess[0] > 0.1 * 4.0 * draws.len() as f64, "{ess:?}");
    }
}

#[test]
fn where_nothing_moves_they_are_defined() {
    // All chains at one value; each at its own; all moved, once, in the middle.
    let still = |t: usize| {
        let late = f64::from(u8::from(t >= 32));
        exact(&[0.1, 0.1, late, 0.1, 0.7, late, 0.1, 0.3, late], [3, 3])
    };
    let chains = counted(&(0..64).map(still).collect::<Vec<_>>());
    let rhat = values(&chains.split_rhat().unwrap());
    assert_eq!(rhat, [1.0, f64::INFINITY, f64::INFINITY]);
    let (ess, error) = (
        values(&chains.ess().unwrap()),
        values(&chains.mcse().unwrap()),
    );
    assert_eq!((ess[0], error[0]), (192.0, 0.0));
    // Three chains less the mean, up to the draws counted for the variance: 3 64 2/(3 64 - 1).
    assert!((ess[1] - 3.0 * 64.0 * 2.0 / 191.0).abs() < 1e-9, "{ess:?}");
    let places: [f64; 3] = [0.1, 0.7, 0.3];
    assert!((error[1] - (variance(&places) / 3.0).sqrt()).abs() < 1e-12);
    // Eight batches of eight draws, half of them at 0 and half at 1.
    let expected = (0.25 * 8.0 / 7.0 * 8.0 / 64.0 / 3.0_f64).sqrt();
    assert!((error[2] - expected).abs() < 1e-12, "{error:?}");
}

#[test]
fn better_than_independent_draws_is_capped() {
    let alternates = |t: usize| exact(&[(t % 2) as f64], [1, 1]);
    let chains = counted(&(0..64).map(alternates).collect::<Vec<_>>());
    // Halves of 32 draws with the same mean.
    let rhat = (1.0 - 1.0 / 32.0_f64).sqrt();
    assert_close(&values(&chains.split_rhat().unwrap()), &[rhat], 1e-14);
    let cap = 64.0 * 64.0_f64.log10();
    assert_close(&values(&chains.ess().unwrap()), &[cap], 1e-10);
    let spread = values(&chains.std().unwrap())[0];
    assert_close(
        &values(&chains.mcse().unwrap()),
        &[spread / cap.sqrt()],
        1e-12,
    );
}

#[test]
fn a_chain_does_not_depend_on_others_beside_it() {
    let draws = autoregressive(75, [6, 5], 0.5, 7);
    let all = counted(&draws).record();
    let some: Vec<_> = draws.into_iter().map(|draw| draw.narrow(0, 2, 3)).collect();
    let some = counted(&some).record();
    assert_eq!(all.full.len(), 18);
    for (all, some) in all.full.iter().zip(&some.full) {
        for (all, some) in [(&all.mean, &some.mean), (&all.squares, &some.squares)] {
            let rows = &all.as_slice::<f64>().unwrap()[2 * 5..5 * 5];
            assert_eq!(rows, some.as_slice::<f64>().unwrap());
        }
    }
}

#[test]
fn there_is_nothing_before_the_first_draw() {
    let mut chains = ChainMoments::<2>::default();
    assert_eq!((chains.chains(), chains.draws()), (0, 0));
    assert!(chains.mean().is_none() && chains.variance().is_none() && chains.std().is_none());
    assert!(chains.split_rhat().is_none() && chains.ess().is_none() && chains.mcse().is_none());
    chains.update(exact(&[3.0], [1, 1]));
    assert_eq!(values(&chains.mean().unwrap()), [3.0]);
    assert!(chains.variance().is_none());
}

mod on_device {
    use super::*;

    #[test]
    fn single_precision_far_from_zero_gives_the_same_numbers() {
        let (count, offset) = (200, 100.0);
        let noise: Tensor<4> = Rng::seeded(8, &device()).normal([count * 4, 1, 2, 3]);
        let draws = (noise + offset).split(4, 0);
        let mut chains = ChainMoments::default();
        let mut reference = ChainMoments::<2>::default();
        for draw in draws {
            reference.update(exact(&host(draw.clone()), [4, 6]));
            chains.update(draw);
        }
        let dtype = Tensor::<4>::zeros([1, 1, 1, 1], &device()).dtype();
        // Draws around 100 are rounded by 4e-6, and their differences are exact.
        for (found, expected, tolerance) in [
            (chains.mean(), reference.mean(), 3e-5),
            (chains.std(), reference.std(), 1e-5),
            (chains.split_rhat(), reference.split_rhat(), 1e-5),
            (chains.mcse(), reference.mcse(), 1e-5),
            (chains.ess(), reference.ess(), 0.1),
        ] {
            let found = found.unwrap();
            assert_eq!((found.dims(), found.dtype()), ([1, 1, 2, 3], dtype));
            assert_close(&host(found), &host(expected.unwrap()), tolerance);
        }
    }

    #[test]
    fn what_never_moves_is_never_not_a_number() {
        let mut chains = ChainMoments::default();
        for _ in 0..20 {
            chains.update(upload(vec![0.1, 0.1, 0.1, 0.7], [2, 2]));
        }
        let rhat = host(chains.split_rhat().unwrap());
        assert_eq!(rhat, [1.0, f64::INFINITY]);
        let (ess, error) = (host(chains.ess().unwrap()), host(chains.mcse().unwrap()));
        assert_eq!((ess[0], error[0]), (40.0, 0.0));
        // Two chains less the mean, 2 20/(2 20 - 1), and half their distance.
        assert_close(&[ess[1], error[1]], &[40.0 / 39.0, 0.3], 1e-6);
    }

    #[test]
    fn sums_of_squares_would_fail_there() {
        // The negative control: E[x^2] - E[x]^2 in single precision around 1000, where x^2 is rounded by 0.06.
        let noise: Tensor<4> = Rng::seeded(8, &device()).normal([200, 1, 2, 3]);
        let draws = noise * 0.01 + 1000.0;
        let exact = host(draws.clone());
        let variances: Vec<f64> = (0..6)
            .map(|p| variance(&exact.iter().skip(p).step_by(6).copied().collect::<Vec<_>>()))
            .collect();
        let mut chains = ChainMoments::default();
        for draw in draws.clone().split(1, 0) {
            chains.update(draw);
        }
        assert_close(&host(chains.variance().unwrap()), &variances, 1e-7);
        let naive = draws.clone().square().mean_dim(0) - draws.mean_dim(0).square();
        let off = host(naive)
            .iter()
            .zip(&variances)
            .map(|(n, v)| (n - v).abs())
            .fold(0.0, f64::max);
        assert!(off > 1e-3, "{off}");
    }
}

#[test]
#[should_panic(expected = "one shape")]
fn draws_of_another_shape_are_refused() {
    let mut chains = ChainMoments::<2>::default();
    chains.update(exact(&[1.0, 2.0], [2, 1]));
    chains.update(exact(&[1.0], [1, 1]));
}

#[test]
#[should_panic(expected = "even and at least 8, found 9")]
fn an_odd_number_of_batches_is_refused() {
    let _ = ChainMoments::<2>::new(9);
}
