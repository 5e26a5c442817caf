//! Tiles, symmetries, batches and pixel ranges: what they leave as it was, and what they are for.

use burn::tensor::{DType, Tensor, TensorData, module, ops::ConvOptions};
use tweedie_core::{
    Batched, Counted, Denoiser, DenoiserFn, GaussianPrior, Rng, SelfEnsemble, TileError, Tiled,
    UnitRange, value_and_vjp,
};
use tweedie_testkit::{assert_close, assert_vjp, device, exact, values};

fn image(shape: [usize; 4], seed: u64) -> Tensor<4> {
    let mut rng = Rng::seeded(seed, &device()).with_dtype(DType::F64);
    rng.normal(shape)
}

/// A denoiser whose pixels see what is at most `radius` pixels away, each offset with another weight.
struct Local {
    radius: usize,
}

impl Local {
    fn filtered(&self, noisy: Tensor<4>) -> Tensor<4> {
        let side = 2 * self.radius + 1;
        // Multiples of 1/64, and no symmetry.
        let kernel: Vec<f64> = (0..side * side)
            .map(|i| ((i * 29 + 7) % 31) as f64 / 64.0)
            .collect();
        let kernel = Tensor::from_data(
            TensorData::new(kernel, [1, 1, side, side]),
            (&noisy.device(), noisy.dtype()),
        );
        let [batch, channels, height, width] = noisy.dims();
        let planes = noisy.reshape([batch * channels, 1, height, width]);
        let options = ConvOptions::new([1, 1], [self.radius; 2], [1, 1], 1);
        module::conv2d(planes, kernel, None, options).reshape([batch, channels, height, width])
    }
}

impl Denoiser for Local {
    fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
        noisy.clone() - self.filtered(noisy).mul_scalar(sigma).tanh()
    }
}

/// What is no number is larger than all.
fn largest_difference(a: &Tensor<4>, b: &Tensor<4>) -> f64 {
    let pairs = values(a).into_iter().zip(values(b));
    let differences = pairs.map(|(a, b)| (a - b).abs());
    differences.max_by(f64::total_cmp).unwrap()
}

/// What the tiles change, at most.
fn seam_error(radius: usize, tile: [usize; 2], overlap: usize, size: [usize; 2]) -> f64 {
    let x = image([2, 3, size[0], size[1]], 1);
    let whole = Local { radius }.denoise(x.clone(), 0.4);
    let tiled = Tiled::new(Local { radius }, tile, overlap).unwrap();
    let found = tiled.denoise(x, 0.4);
    assert_eq!(found.dims(), whole.dims());
    largest_difference(&found, &whole)
}

/// Weights that sum to one but for a few roundings, of values of order one.
const ROUNDING: f64 = 1e-14;

#[test]
fn tiles_that_overlap_enough_leave_no_seam() {
    // Multiples of the stride and others, one tile along an axis, a pixel more than a tile, and less than one.
    let sizes = [[40, 56], [37, 61], [16, 50], [17, 17], [61, 9], [33, 32]];
    for size in sizes {
        for (tile, overlap) in [([16, 16], 8), ([16, 24], 12), ([24, 16], 15), ([20, 20], 9)] {
            let error = seam_error(2, tile, overlap, size);
            assert!(
                error < ROUNDING,
                "tiles {tile:?} with {overlap} in {size:?}: {error:e}"
            );
        }
        let exact = [([16, 16], 4, 1), ([9, 9], 0, 0), ([5, 7], 1, 0)];
        for (tile, overlap, radius) in exact {
            let error = seam_error(radius, tile, overlap, size);
            assert!(error < ROUNDING, "radius {radius} in {size:?}: {error:e}");
        }
    }
}

#[test]
fn tiles_that_overlap_too_little_show() {
    // A quarter that is a pixel less than the radius, down to none: a worse seam each time.
    let errors = [5, 2, 0].map(|overlap| seam_error(2, [16, 16], overlap, [40, 56]));
    assert!(errors.is_sorted() && errors[0] > 1e-4, "{errors:?}");
}

/// Tiles as long as the image but for one pixel, and steps so short that a pixel lies in many tiles.
#[test]
fn the_weights_sum_to_one_whatever_the_tiles() {
    let x = image([1, 1, 23, 31], 2);
    let identity = |x: Tensor<4>, _: f64| x;
    for tile in [[1, 1], [2, 3], [5, 4], [22, 30], [23, 4], [40, 6]] {
        for overlap in 0..tile[0].min(tile[1]) {
            let tiled = Tiled::new(DenoiserFn::new(identity), tile, overlap).unwrap();
            let error = largest_difference(&tiled.denoise(x.clone(), 1.0), &x);
            assert!(error < ROUNDING, "{tile:?} with {overlap}: {error:e}");
        }
    }
}

#[test]
fn tiles_lie_where_they_should_and_small_images_are_whole() {
    // The size of each tile, and where it starts: the pixels are numbered.
    let seen = std::sync::Mutex::new(Vec::new());
    let noting = DenoiserFn::new(|x: Tensor<4>, _| {
        seen.lock().unwrap().push((x.dims(), values(&x)[0]));
        x
    });
    let tiled = Tiled::new(noting, [8, 10], 4).unwrap();
    let tiles = |shape: [usize; 4]| {
        let pixels: Vec<f64> = (0..shape.iter().product())
            .map(|i: usize| i as f64)
            .collect();
        tiled.denoise(exact::<4>(&pixels, shape), 1.0);
        seen.lock().unwrap().split_off(0)
    };
    assert_eq!(tiles([2, 3, 7, 10]), [([2, 3, 7, 10], 0.0)]);
    let expected = |size: [usize; 2], rows: &[usize], columns: &[usize], width: usize| {
        let starts = rows
            .iter()
            .flat_map(|row| columns.iter().map(move |column| row * width + column));
        let tile = [1, 1, size[0], size[1]];
        starts.map(|start| (tile, start as f64)).collect::<Vec<_>>()
    };
    // The last one moved inside, and where it needs no moving.
    let moved = expected([8, 10], &[0, 4, 6], &[0, 6, 11], 21);
    assert_eq!(tiles([1, 1, 14, 21]), moved);
    let even = expected([8, 10], &[0, 4, 8], &[0, 6, 12], 22);
    assert_eq!(tiles([1, 1, 16, 22]), even);
    // Less than a tile along one axis.
    let row = expected([5, 10], &[0], &[0, 4], 14);
    assert_eq!(tiles([1, 1, 5, 14]), row);
}

/// The tiles of a turned image come in another order.
#[test]
fn the_order_of_the_tiles_does_not_matter() {
    let turning = |x: Tensor<4>, sigma: f64| {
        let denoised = Local { radius: 3 }.denoise(x.swap_dims(2, 3), sigma);
        denoised.swap_dims(2, 3)
    };
    let x = image([1, 2, 30, 45], 4);
    let straight = Tiled::new(Local { radius: 3 }, [16, 12], 6).unwrap();
    let turned = Tiled::new(DenoiserFn::new(turning), [12, 16], 6).unwrap();
    let found = turned.denoise(x.clone().swap_dims(2, 3), 0.3);
    let error = largest_difference(&found.swap_dims(2, 3), &straight.denoise(x, 0.3));
    assert!(error < ROUNDING, "{error:e}");
}

#[test]
fn tiles_that_do_not_get_on_are_refused() {
    let new = |tile, overlap| Tiled::new(Local { radius: 1 }, tile, overlap).map(|_| ());
    let (height, width) = (0, 4);
    assert_eq!(new([0, 4], 0), Err(TileError::Empty { height, width }));
    for overlap in [8, 9] {
        let message = new([12, 8], overlap).unwrap_err().to_string();
        let expected =
            format!("the overlap of tiles of 12 x 8 must be less than both, found {overlap}");
        assert_eq!(message, expected);
    }
    new([12, 8], 7).unwrap();
}

type Turn = fn(Tensor<4>) -> Tensor<4>;

/// Two that generate all eight, and one more.
const TURNS: [(&str, Turn); 3] = [
    ("flipped", |x| x.flip([3])),
    ("turned by a quarter", |x| x.swap_dims(2, 3).flip([2])),
    ("turned by half", |x| x.flip([2, 3])),
];

#[test]
fn the_self_ensemble_turns_with_the_image() {
    // Pixels and weights are such that all sums are exact: equal means equal bit for bit.
    let pixels: Vec<f64> = (0..2 * 5 * 8)
        .map(|i| f64::from(i * 37 % 64) / 8.0)
        .collect();
    let x = exact::<4>(&pixels, [2, 1, 5, 8]);
    let linear = |x: Tensor<4>, _: f64| Local { radius: 1 }.filtered(x);
    let ensemble = SelfEnsemble {
        inner: DenoiserFn::new(linear),
    };
    for (name, turn) in TURNS {
        let [one, other] = [
            turn(ensemble.denoise(x.clone(), 1.0)),
            ensemble.denoise(turn(x.clone()), 1.0),
        ];
        assert_eq!(one.dims(), other.dims());
        assert_eq!(values(&one), values(&other), "{name}");
        // The denoiser alone does not.
        let one = turn(linear(x.clone(), 1.0));
        assert_ne!(
            values(&one),
            values(&linear(turn(x.clone()), 1.0)),
            "{name}"
        );
    }
}

#[test]
fn the_self_ensemble_is_the_mean_over_eight() {
    // Of the eight places where a corner pixel's weight goes, each gets an eighth.
    let corner = |x: Tensor<4>, _: f64| {
        let mask = exact::<4>(&[0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1, 1, 3, 3]);
        x * mask
    };
    let counted = Counted::new(DenoiserFn::new(corner));
    let ensemble = SelfEnsemble { inner: &counted };
    let found = ensemble.denoise(exact(&[1.0; 9], [1, 1, 3, 3]), 1.0);
    // An edge pixel has two symmetries that keep it.
    let expected = [0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0, 2.0, 0.0];
    assert_eq!(values(&found), expected);
    assert_eq!(counted.evaluations(), 8);
}

#[test]
fn a_denoiser_with_the_symmetries_is_left_as_it_is() {
    let prior = GaussianPrior::new(exact::<4>(&[0.3], [1, 1, 1, 1]), 0.25);
    let x = image([2, 1, 6, 4], 5);
    let expected = prior.denoise(x.clone(), 0.7);
    let found = SelfEnsemble { inner: prior }.denoise(x, 0.7);
    assert_close("ensemble", &values(&found), &values(&expected), 1e-15);
}

#[test]
fn a_batch_in_parts_is_the_batch() {
    let x = image([7, 2, 6, 5], 6);
    let expected = values(&Local { radius: 1 }.denoise(x.clone(), 0.5));
    for (size, parts) in [(1, 7), (2, 4), (3, 3), (6, 2), (7, 1), (100, 1)] {
        let counted = Counted::new(Local { radius: 1 });
        let batched = Batched {
            inner: &counted,
            size,
        };
        assert_eq!(values(&batched.denoise(x.clone(), 0.5)), expected);
        assert_eq!(counted.evaluations(), parts, "parts of {size}");
    }
}

#[test]
#[should_panic(expected = "at least 1 row")]
fn parts_without_rows_are_refused() {
    let batched = Batched {
        inner: Local { radius: 1 },
        size: 0,
    };
    batched.denoise(image([1, 1, 2, 2], 7), 1.0);
}

#[test]
fn gradients_pass_through_all_of_them() {
    let local = || Local { radius: 2 };
    let all: [(&str, Box<dyn Denoiser>); 4] = [
        ("tiles", Box::new(Tiled::new(local(), [8, 6], 4).unwrap())),
        ("symmetries", Box::new(SelfEnsemble { inner: local() })),
        (
            "parts",
            Box::new(Batched {
                inner: local(),
                size: 2,
            }),
        ),
        (
            "range",
            Box::new(UnitRange {
                inner: local(),
                low: -0.5,
                high: 1.5,
            }),
        ),
    ];
    let shape = [3, 1, 11, 13];
    let [x, direction, v] = [8, 9, 10].map(|seed| image(shape, seed));
    for (name, denoiser) in all {
        let run = |x: Tensor<4>| denoiser.denoise(x, 0.6);
        let (value, product) = value_and_vjp(x.clone(), run, |_| v.clone());
        assert_close(name, &values(&value), &values(&run(x.clone())), 0.0);
        assert_vjp(name, run, &x, &direction, &v, &product);
    }
}

#[test]
fn pixel_ranges_map_pixels_and_noise() {
    // N(0.2, 0.09) on [0, 1], as seen in each range.
    let unit = GaussianPrior::new(exact::<2>(&[0.2], [1, 1]), 0.09);
    let x = exact(&[0.9, -0.4, 0.1], [3, 1]);
    for (low, high) in [(0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 255.0)] {
        let range: f64 = high - low;
        let seen = GaussianPrior::new(
            exact::<2>(&[low + 0.2 * range], [1, 1]),
            0.09 * range.powi(2),
        );
        let wrapped = UnitRange {
            inner: seen,
            low,
            high,
        };
        for sigma in [0.05, 0.7] {
            let found = wrapped.denoise(x.clone(), sigma);
            let expected = unit.denoise(x.clone(), sigma);
            assert_close("range", &values(&found), &values(&expected), 2e-15);
        }
    }
}

mod on_device {
    use super::*;

    #[test]
    fn tiles_symmetries_and_parts() {
        let x = Rng::seeded(11, &device()).normal([2, 1, 12, 12]);
        let whole = Local { radius: 1 }.denoise(x.clone(), 0.4);
        let tiled = Tiled::new(Local { radius: 1 }, [8, 8], 4).unwrap();
        let parts = Batched {
            inner: Local { radius: 1 },
            size: 1,
        };
        // Sums of nine products of single precision, in another order on another size.
        for found in [tiled.denoise(x.clone(), 0.4), parts.denoise(x.clone(), 0.4)] {
            assert!(largest_difference(&found, &whole) < 4e-6);
        }
        let ensemble = SelfEnsemble {
            inner: Local { radius: 1 },
        };
        let turn = |x: Tensor<4>| x.swap_dims(2, 3).flip([2]);
        let [one, other] = [
            turn(ensemble.denoise(x.clone(), 0.4)),
            ensemble.denoise(turn(x), 0.4),
        ];
        assert!(largest_difference(&one, &other) < 4e-6);
    }
}
