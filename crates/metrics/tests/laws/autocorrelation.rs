//! Streaming autocorrelation against that of stored chains.

use burn::tensor::Tensor;
use tweedie_core::Rng;
use tweedie_metrics::{Autocorrelation, StoredChains};
use tweedie_testkit::{device, exact, values};

use crate::{
    host::{assert_close, host},
    markov::{autoregressive, of_pixel},
};

#[test]
fn it_is_that_of_the_stored_chains_at_every_length() {
    let lags = [3, 1, 20, 1, 7];
    let draws = autoregressive(120, [3, 2], 0.8, 1);
    let stored: Vec<_> = (0..2).map(|pixel| of_pixel(&draws, pixel)).collect();
    let mut found = Autocorrelation::new(&lags);
    assert_eq!((found.lags(), found.draws()), (&lags[..], 0));
    for (t, draw) in draws.into_iter().enumerate() {
        found.update(draw);
        assert_eq!(found.draws(), t as u64 + 1);
        if t < 20 {
            assert!(found.autocorrelation().is_none());
            continue;
        }
        let of_pixels: Vec<Vec<f64>> = stored
            .iter()
            .map(|pixel| pixel.iter().map(|chain| &chain[..=t]).collect::<Vec<_>>())
            .map(|pixel| StoredChains::new(&pixel).unwrap().autocorrelation())
            .collect();
        let expected: Vec<f64> = lags
            .iter()
            .flat_map(|lag| of_pixels.iter().map(|pixel| pixel[*lag]))
            .collect();
        assert_close(&values(&found.autocorrelation().unwrap()), &expected, 1e-11);
    }
}

#[test]
fn each_chain_has_its_own_mean() {
    let places = exact(&[0.0, 10.0, -20.0], [3, 1]);
    let draws = autoregressive(400, [3, 1], 0.5, 2);
    let (mut here, mut apart) = (Autocorrelation::new(&[1, 5]), Autocorrelation::new(&[1, 5]));
    for draw in draws {
        apart.update(draw.clone() + places.clone());
        here.update(draw);
    }
    let [here, apart] = [here, apart].map(|found| values(&found.autocorrelation().unwrap()));
    assert_close(&apart, &here, 1e-11);
    // The standard error at lag 1 is sqrt((1 - rho^2)/N) = 0.025, and at lag 5, by Bartlett, 0.037.
    assert_close(&apart, &[0.5, 0.5_f64.powi(5)], 0.15);
}

#[test]
fn where_nothing_moves_it_is_0() {
    let mut found = Autocorrelation::new(&[1, 2]);
    for t in 0..30 {
        found.update(exact(&[0.1, f64::from(t % 2), 0.7, 0.3], [2, 2]));
    }
    let found = values(&found.autocorrelation().unwrap());
    assert_close(&found, &[0.0, -29.0 / 30.0, 0.0, 28.0 / 30.0], 1e-12);
}

mod on_device {
    use super::*;

    #[test]
    fn single_precision_far_from_zero_gives_the_same_numbers() {
        let lags = [1, 4];
        let noise: Tensor<4> = Rng::seeded(3, &device()).normal([2 * 100, 1, 2, 3]);
        let mut found = Autocorrelation::new(&lags);
        let mut reference = Autocorrelation::<2>::new(&lags);
        let mut naive = Autocorrelation::<4>::new(&lags);
        // The first draw is the origin of all sums: of an origin far away nothing is left in single precision.
        naive.update(Tensor::zeros([2, 1, 2, 3], &device()));
        for draw in (noise * 0.1 + 1000.0).split(2, 0) {
            reference.update(exact(&host(draw.clone()), [2, 6]));
            naive.update(draw.clone());
            found.update(draw);
        }
        let found = found.autocorrelation().unwrap();
        assert_eq!(found.dims(), [2, 1, 2, 3]);
        let expected = host(reference.autocorrelation().unwrap());
        assert_close(&host(found), &expected, 1e-5);
        let naive = host(naive.autocorrelation().unwrap());
        assert!(
            naive
                .iter()
                .zip(&expected)
                .any(|(n, e)| (n - e).abs() > 0.1)
        );
    }
}

#[test]
#[should_panic(expected = "lags must be at least 1")]
fn lag_0_is_refused() {
    let _ = Autocorrelation::<2>::new(&[1, 0]);
}

#[test]
#[should_panic(expected = "one shape")]
fn draws_of_another_shape_are_refused() {
    let mut found = Autocorrelation::<2>::new(&[1]);
    found.update(exact(&[1.0, 2.0], [2, 1]));
    found.update(exact(&[1.0], [1, 1]));
}
