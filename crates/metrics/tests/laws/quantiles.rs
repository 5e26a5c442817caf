//! Quantiles against the definition.

use burn::tensor::{DType, Tensor};
use tweedie_metrics::quantiles;
use tweedie_testkit::exact;

use crate::host::{assert_close, host, upload};

#[test]
fn they_lie_between_neighbours_in_order() {
    // Two pixels of four draws: 1 2 4 8 and -3 0 0 5, neither in order.
    let draws = exact(&[4.0, 0.0, 1.0, 5.0, 8.0, -3.0, 2.0, 0.0], [4, 1, 1, 2]);
    let found = quantiles(draws, &[0.0, 0.1, 0.5, 0.75, 1.0]);
    assert_eq!(found.dims(), [5, 1, 1, 2]);
    assert_eq!(found.dtype(), DType::F64);
    let expected = [1.0, -3.0, 1.3, -2.1, 3.0, 0.0, 5.0, 1.25, 8.0, 5.0];
    assert_close(&host(found), &expected, 1e-14);
}

#[test]
fn one_draw_is_all_its_quantiles() {
    let draws = exact(&[0.25, 0.75], [1, 2]);
    assert_eq!(
        host(quantiles(draws, &[0.0, 0.3, 1.0])),
        [0.25, 0.75].repeat(3)
    );
}

#[test]
fn the_order_of_draws_does_not_matter_and_no_pixel_sees_another() {
    let draws: Tensor<4> =
        tweedie_core::Rng::seeded(1, &tweedie_testkit::device()).normal([9, 2, 3, 4]);
    let levels = [0.05, 0.5, 0.95];
    let all = host(quantiles(draws.clone(), &levels));
    assert_eq!(host(quantiles(draws.clone().flip([0]), &levels)), all);
    let channel = host(quantiles(draws.narrow(1, 1, 1), &levels));
    let second: Vec<f64> = all
        .chunks(12)
        .skip(1)
        .step_by(2)
        .flatten()
        .copied()
        .collect();
    assert_eq!(channel, second);
}

#[test]
fn a_draw_that_is_no_number_spoils_its_own_pixel_only() {
    for nan in [f64::NAN, -f64::NAN] {
        let draws = exact(&[1.0, nan, 3.0, 2.0, 2.0, 7.0], [3, 2]);
        let found = host(quantiles(draws, &[0.0, 0.5, 1.0]));
        assert_eq!([found[0], found[2], found[4]], [1.0, 2.0, 3.0]);
        assert!([found[1], found[3], found[5]].iter().all(|q| q.is_nan()));
    }
}

#[test]
fn infinite_draws_have_their_place() {
    let draws = exact(&[f64::INFINITY, 0.0, f64::NEG_INFINITY], [3, 1]);
    let found = host(quantiles(draws, &[0.0, 0.5, 1.0]));
    assert_eq!(found, [f64::NEG_INFINITY, 0.0, f64::INFINITY]);
}

mod on_device {
    use super::*;

    #[test]
    fn they_return_to_the_device() {
        let draws = upload(vec![3.0, 1.0, 2.0, 6.0, 4.0, 5.0], [6, 1, 1, 1]);
        let found = quantiles(draws.clone(), &[0.5, 0.9]);
        assert_eq!(found.dtype(), draws.dtype());
        assert_close(&host(found), &[3.5, 5.5], 1e-6);
    }
}

#[test]
#[should_panic(expected = "levels must lie in [0, 1], found 1.5")]
fn levels_above_1_are_refused() {
    let _ = quantiles(upload(vec![1.0], [1, 1]), &[0.5, 1.5]);
}

#[test]
#[should_panic(expected = "found the shape [0, 3]")]
fn no_draws_have_no_quantiles() {
    let draws = Tensor::<2>::zeros([0, 3], &tweedie_testkit::device());
    let _ = quantiles(draws, &[0.5]);
}
