//! Random streams: independence of batch, and the right law.

use burn::tensor::{DType, Tensor};
use rand::{Rng as _, RngExt};
use rand_distr::StandardNormal;
use tweedie_core::{Noise, Rng, RngPosition, stream};
use tweedie_testkit::{assert_z, device, values, z_bound};

fn exact_rng(seed: u64) -> Rng {
    Rng::seeded(seed, &device()).with_dtype(DType::F64)
}

#[test]
fn a_row_depends_on_seed_and_index_alone() {
    let together = values(&exact_rng(5).normal([6, 4]));
    for row in 0..6 {
        let alone = values(&exact_rng(5).starting_at(row as u64).normal([1, 4]));
        assert_eq!(alone, together[4 * row..4 * row + 4]);
    }
    assert_ne!(together, values(&exact_rng(6).normal([6, 4])));
}

#[test]
fn later_calls_continue_the_streams_whatever_the_batch_was() {
    let mut rng = exact_rng(5);
    rng.normal([2, 3]);
    let second = values(&rng.normal([2, 3]));
    let mut alone = exact_rng(5).starting_at(1);
    alone.normal([1, 3]);
    assert_eq!(values(&alone.normal([1, 3])), second[3..]);
}

#[test]
fn a_resumed_generator_goes_on_where_it_stood() {
    for dtype in [DType::F32, DType::F64] {
        let mut rng = Rng::seeded(5, &device()).starting_at(2).with_dtype(dtype);
        // Counts of words that end within and at the ends of blocks, and rows that stand at different places.
        for count in [1, 7, 8, 31, 32, 33, MANY] {
            rng.normal([2, count]);
            Noise::<2>::normal(&mut rng.row(1), [1, 3]);
            let text = serde_json::to_string(&rng.position()).unwrap();
            let position: RngPosition = serde_json::from_str(&text).unwrap();
            assert_eq!(position, rng.position());
            let mut resumed = Rng::resume(&position, &device());
            let mut ahead = rng.clone();
            // Rows that have not been drawn from yet included.
            for count in [1, 5, MANY] {
                let (next, expected) = (resumed.normal([3, count]), ahead.normal([3, count]));
                assert_eq!(next.dtype(), expected.dtype());
                assert_eq!(values(&next), values(&expected));
            }
            assert_eq!(resumed.position(), ahead.position());
            // A generator that starts afresh draws other numbers.
            let mut afresh = rng.clone().starting_at(2);
            assert_ne!(
                values(&afresh.normal([2, 5])),
                values(&rng.clone().normal([2, 5]))
            );
        }
    }
}

#[test]
fn forks_are_repeatable_and_differ() {
    let rng = exact_rng(5);
    let draw = |mut rng: Rng| values(&rng.normal([1, 8]));
    assert_eq!(draw(rng.fork(1)), draw(rng.fork(1)));
    assert_ne!(draw(rng.fork(1)), draw(rng.fork(2)));
    assert_ne!(draw(rng.fork(1)), draw(rng.clone()));
    assert_ne!(draw(rng.fork(1)), draw(exact_rng(1)));
}

#[test]
fn streams_differ() {
    let first: Vec<u64> = (0..64).map(|index| stream(9, index).next_u64()).collect();
    let mut unique = first.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), first.len());
    assert_ne!(stream(10, 0).next_u64(), first[0]);
}

#[test]
fn streams_are_those_of_chacha8() {
    // The key and nonce of zeros: the first bytes of test vector TC1 of draft-strombergson-chacha-test-vectors.
    let mut zeros = stream(0, 0);
    assert_eq!(zeros.next_u64().to_le_bytes(), TC1[..8]);
    assert_eq!(zeros.next_u64().to_le_bytes(), TC1[8..]);
    // Another key and nonce, at the start and after 1000 words.
    let mut other = stream(7, 3);
    assert_eq!(other.next_u64(), 0xa9b5_3dc8_acbb_c55e);
    let later = (0..1000).map(|_| other.next_u64()).last();
    assert_eq!(later, Some(0x7632_7b97_1a49_08fd));
}

const TC1: [u8; 16] = [
    0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6, 0x7f, 0x5b, 0xb8, 0xe8, 0x1f, 0x09, 0xa5, 0xa1,
];

/// So many normal numbers need some rejections, and thus more words than numbers.
const MANY: usize = 1000;

#[test]
fn a_tensor_holds_the_numbers_of_its_streams_one_after_the_other() {
    for dtype in [DType::F32, DType::F64] {
        let rounded = |z: f64| match dtype {
            DType::F32 => f64::from(z as f32),
            _ => z,
        };
        let mut host = stream(7, 3);
        let mut rng = Rng::seeded(7, &device()).starting_at(2).with_dtype(dtype);
        let mut alone = rng.clone();
        for count in [MANY, 1, 255, 256, 257, 503, 504, 505, MANY, 1009, 2017] {
            let normal: Vec<f64> = (0..count).map(|_| host.sample(StandardNormal)).collect();
            let expected: Vec<f64> = normal.into_iter().map(rounded).collect();
            assert_eq!(values(&rng.normal([2, count]))[count..], expected);
            let row: Tensor<2> = alone.row(1).normal([1, count]);
            assert_eq!(values(&row), expected);

            let uniform: Vec<f64> = (0..count).map(|_| host.random()).collect();
            let expected: Vec<f64> = uniform.into_iter().map(rounded).collect();
            assert_eq!(values(&rng.uniform([2, count]))[count..], expected);
            assert_eq!(values(&alone.uniform([2, count]))[count..], expected);

            // From here on the stream stands between two words, and then again at the start of one.
            if count == 505 || count == 1009 {
                let half = f64::from(host.next_u32());
                for rng in [&mut rng, &mut alone] {
                    let zeros = Tensor::<2>::zeros([2, 1], (&device(), DType::F64));
                    let halves = rng.draw_from(zeros, |_, stream| f64::from(stream.next_u32()));
                    assert_eq!(values(&halves)[1], rounded(half));
                }
            }
        }
    }
}

#[test]
fn normal_numbers_never_change() {
    let draws = values(&exact_rng(7).starting_at(3).normal([1, MANY]));
    let known = [0.5788494920807502, 0.01743058714928656, 1.3176040760310084];
    assert_eq!(draws[..3], known);
    assert_eq!(draws[MANY - 1], -0.2955234516680631);
}

/// Mean, variance and fourth moment with their standard errors, over all rows and in the correlation of neighbours.
fn standardised_moments(draws: &[f64], row: usize) -> [f64; 4] {
    let n = draws.len() as f64;
    let moment = |power: i32| draws.iter().map(|z| z.powi(power)).sum::<f64>() / n;
    let neighbours = draws
        .iter()
        .zip(&draws[row..])
        .map(|(a, b)| a * b)
        .sum::<f64>()
        / (n - row as f64);
    [
        moment(1) * n.sqrt(),
        (moment(2) - 1.0) * (n / 2.0).sqrt(),
        (moment(4) - 3.0) * (n / 96.0).sqrt(),
        neighbours * (n - row as f64).sqrt(),
    ]
}

#[test]
fn normal_numbers_have_the_normal_law() {
    let draws = values(&exact_rng(2).normal([400, 500]));
    let z = standardised_moments(&draws, 500);
    assert_z("moments and correlation of rows", &z, &[0.0; 4], &[1.0; 4]);
    // Negative control: a variance wrong by two percent.
    let wrong: Vec<f64> = draws.iter().map(|z| 1.01 * z).collect();
    assert!(standardised_moments(&wrong, 500)[1] > z_bound(4));
}

#[test]
fn a_step_in_time_draws_fresh_numbers() {
    let plain = values(&exact_rng(3).normal([2, 5]));
    let over = Noise::<2>::normal_over(&mut exact_rng(3), [2, 5], 0.75, 0.5);
    assert_eq!(values(&over), plain);
}

#[test]
fn uniform_numbers_fill_the_unit_interval() {
    let mut rng = exact_rng(4);
    let draws = values(&rng.uniform([100, 1000]));
    assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
    let n = draws.len() as f64;
    let mean = draws.iter().sum::<f64>() / n;
    let square = draws.iter().map(|u| u * u).sum::<f64>() / n;
    let se = [(1.0 / 12.0 / n).sqrt(), (4.0 / 45.0 / n).sqrt()];
    assert_z("uniform", &[mean, square], &[0.5, 1.0 / 3.0], &se);
    assert_eq!(rng.uniform_per_row(7).len(), 7);
}
