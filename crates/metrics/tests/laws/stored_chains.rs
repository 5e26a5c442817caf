//! Diagnostics of stored chains against ArviZ, and against their definition.

use serde::Deserialize;
use tweedie_metrics::{ChainsError, StoredChains};
use tweedie_testkit::golden;

use crate::{
    host::assert_close,
    markov::{autoregressive, of_pixel},
};

#[derive(Deserialize)]
struct Golden {
    sets: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    chains: Vec<Vec<f64>>,
    split_rhat: Number,
    rank_rhat: Number,
    ess: Number,
    bulk_ess: Number,
    tail_ess: Number,
    mcse: Number,
    autocorrelation: Vec<Number>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Infinite(Infinite),
    None,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Infinite {
    Infinite,
}

fn sets() -> Vec<Set> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/diagnostics.json");
    golden::<Golden>(path).sets
}

impl Number {
    /// Whether it is `found`; what the reference does not know says nothing.
    fn is(self, found: f64) -> bool {
        match self {
            Self::Finite(expected) => (found - expected).abs() <= 1e-9 * expected.abs().max(1e-6),
            Self::Infinite(_) => found == f64::INFINITY,
            Self::None => !found.is_nan(),
        }
    }
}

#[test]
fn they_are_those_of_arviz() {
    let sets = sets();
    assert_eq!(sets.len(), 18);
    for set in sets {
        let chains = StoredChains::new(&set.chains).unwrap();
        for (what, expected, found) in [
            ("split R-hat", set.split_rhat, chains.split_rhat()),
            ("R-hat", set.rank_rhat, chains.rank_rhat()),
            ("ESS", set.ess, chains.ess()),
            ("bulk ESS", set.bulk_ess, chains.bulk_ess()),
            ("tail ESS", set.tail_ess, chains.tail_ess()),
            ("MCSE", set.mcse, chains.mcse()),
        ] {
            assert!(expected.is(found), "{what} of {}: {found}", set.name);
        }
        let first = StoredChains::new(&set.chains[..1]).unwrap();
        for (expected, found) in set.autocorrelation.iter().zip(first.autocorrelation()) {
            assert!(
                expected.is(found),
                "autocorrelation of {}: {found}",
                set.name
            );
        }
    }
}

#[test]
fn where_nothing_moves_they_are_defined() {
    let one = [vec![0.1; 13], vec![0.1; 13], vec![0.1; 13]];
    let one = StoredChains::new(&one).unwrap();
    assert_eq!((one.split_rhat(), one.rank_rhat()), (1.0, 1.0));
    // Halves of six draws: the middle draw is left out.
    assert_eq!(
        (one.ess(), one.bulk_ess(), one.tail_ess()),
        (36.0, 36.0, 36.0)
    );
    assert_eq!(one.mcse(), 0.0);
    assert!(one.autocorrelation()[1..].iter().all(|rho| *rho == 0.0));

    let two = [vec![0.1; 12], vec![0.7; 12]];
    let two = StoredChains::new(&two).unwrap();
    assert_eq!(two.split_rhat(), f64::INFINITY);
    assert_eq!(two.rank_rhat(), f64::INFINITY);
    assert!(two.ess() < 12.0 && two.mcse() > 0.05);
    assert_eq!(two.autocorrelation()[..2], [1.0, 0.0]);
}

/// `c_k / c_0` by its definition.
fn by_definition(chains: &[Vec<f64>]) -> Vec<f64> {
    let n = chains[0].len();
    let mut sums = vec![0.0; n];
    for chain in chains {
        let mean = chain.iter().sum::<f64>() / n as f64;
        for (lag, sum) in sums.iter_mut().enumerate() {
            *sum += (lag..n)
                .map(|t| (chain[t] - mean) * (chain[t - lag] - mean))
                .sum::<f64>();
        }
    }
    sums.iter().map(|sum| sum / sums[0]).collect()
}

#[test]
fn the_transform_gives_the_autocorrelation_at_every_length() {
    for draws in [4, 5, 7, 8, 9, 31, 33, 64, 100, 257] {
        for chains in 1..4 {
            let chains = of_pixel(&autoregressive(draws, [chains, 1], 0.6, 3), 0);
            let found = StoredChains::new(&chains).unwrap().autocorrelation();
            assert_close(&found, &by_definition(&chains), 1e-13);
        }
    }
}

/// One chain whose sum is cut by its length, with a negative correlation first among what is left.
#[test]
fn a_sum_that_ends_with_the_chain_takes_what_is_next_as_it_is() {
    let halves = [[1.0, 1.0, 2.0, 1.0, 1.0], [0.0, 4.0, 5.0, 2.0, 2.0]];
    let (n, total) = (5.0, 10.0_f64);
    let means = halves.map(|half: [f64; 5]| half.iter().sum::<f64>() / n);
    let covariance = |lag: usize| {
        let of_half = |(half, mean): (&[f64; 5], &f64)| {
            let products = (lag..5).map(|t| (half[t] - mean) * (half[t - lag] - mean));
            products.sum::<f64>() / n
        };
        halves.iter().zip(&means).map(of_half).sum::<f64>() / 2.0
    };
    let within = covariance(0) * n / (n - 1.0);
    let between = (means[0] - means[1]).powi(2) / 2.0;
    let rho = |lag| 1.0 - (within - covariance(lag)) / (covariance(0) + between);
    // Draws 4 and 5 of a half are never summed.
    assert!(rho(2) < 0.0 && rho(2) + rho(3) > 0.0);
    let time = -1.0 + 2.0 * (1.0 + rho(1)) + rho(2);
    assert!(time > 1.0 / total.log10());
    let found = StoredChains::new(&[halves.concat()]).unwrap().ess();
    assert_close(&[found], &[total / time], 1e-12);
}

#[test]
fn ranks_forget_the_scale_and_moments_do_not() {
    let chains = of_pixel(&autoregressive(200, [4, 1], 0.5, 4), 0);
    let bent: Vec<Vec<f64>> = chains
        .iter()
        .map(|c| c.iter().map(|x| (3.0 * x).exp()).collect())
        .collect();
    let [chains, bent] = [&chains, &bent].map(|chains| StoredChains::new(chains).unwrap());
    assert_eq!(chains.bulk_ess(), bent.bulk_ess());
    assert_eq!(chains.tail_ess(), bent.tail_ess());
    assert!((chains.ess() / bent.ess() - 1.0).abs() > 0.1);
}

#[test]
fn what_is_no_set_of_chains_is_refused() {
    let refused = |chains: &[Vec<f64>]| StoredChains::new(chains).unwrap_err();
    let none: [Vec<f64>; 0] = [];
    assert_eq!(refused(&none), ChainsError::None);
    let error = refused(&[vec![1.0; 3]]);
    assert_eq!(
        error,
        ChainsError::TooShort {
            expected: 4,
            found: 3
        }
    );
    let error = refused(&[vec![1.0; 8], vec![1.0; 7]]);
    assert_eq!(
        error,
        ChainsError::Length {
            chain: 1,
            expected: 8,
            found: 7
        }
    );
    assert!(
        error
            .to_string()
            .contains("the first has 8 draws, chain 1 has 7")
    );
    for value in [f64::NAN, f64::INFINITY] {
        let error = refused(&[vec![1.0; 4], vec![1.0, 2.0, value, 3.0]]);
        assert!(matches!(
            error,
            ChainsError::NotFinite {
                chain: 1,
                draw: 2,
                ..
            }
        ));
    }
}
