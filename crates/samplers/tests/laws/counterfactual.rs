//! Counterfactuals of Gaussian classes have a closed form, and a round trip ends where it began.

use burn::tensor::Tensor;
use tweedie_core::{
    Counted, Denoiser, GaussianMixture, GaussianPrior, Karras, PointMass, Schedule, TimeGrid,
    VariancePreserving,
};
use tweedie_samplers::{Ascent, Counterfactual, SampleError, anomaly_map};
use tweedie_testkit::{affine_law, assert_close, exact, values};

use crate::support::rng;

/// A class of images of one pixel.
#[derive(Clone, Copy)]
struct Class {
    mean: f64,
    variance: f64,
}

const ILL: Class = Class {
    mean: 0.7,
    variance: 0.02,
};
const HEALTHY: Class = Class {
    mean: 0.25,
    variance: 0.05,
};

impl Class {
    fn denoiser<const D: usize>(self) -> GaussianPrior<D> {
        GaussianPrior::new(exact(&[self.mean], [1; D]), self.variance)
    }

    /// What one step multiplies the distance to the mean by.
    fn factor(self, from: f64, to: f64) -> f64 {
        1.0 + (to / from - 1.0) * from * from / (self.variance + from * from)
    }
}

fn schedule() -> VariancePreserving {
    VariancePreserving::new(0.1, 20.0).unwrap()
}

/// `steps` steps from level 3 to level 0.01, equal in `ln sigma`, of which the path takes all.
fn path(steps: usize, ascent: Ascent) -> Counterfactual<VariancePreserving> {
    let grid = TimeGrid::log_snr(&schedule(), 3.0, 0.01, steps).unwrap();
    Counterfactual::new(schedule(), &grid, steps, ascent).unwrap()
}

fn levels(steps: usize) -> Vec<f64> {
    let share = |k: usize| k as f64 / steps as f64;
    (0..=steps)
        .map(|k| 3.0 * (0.01f64 / 3.0).powf(share(k)))
        .collect()
}

fn counterfactual(
    path: &Counterfactual<VariancePreserving>,
    images: &[f64],
    own: &dyn Denoiser<2>,
    other: &dyn Denoiser<2>,
) -> Vec<f64> {
    let images: Tensor<2> = exact(images, [images.len(), 1]);
    values(
        &path
            .run(images, own, other, &mut rng(0), &mut |_| ())
            .unwrap(),
    )
}

#[test]
fn gaussian_classes_have_the_closed_form_of_each_step() {
    let steps = 7;
    let levels = levels(steps);
    let images = [-0.3, 0.7, 1.4];
    let up: f64 = levels
        .windows(2)
        .map(|pair| ILL.factor(pair[1], pair[0]))
        .product();
    let down: f64 = levels
        .windows(2)
        .map(|pair| HEALTHY.factor(pair[0], pair[1]))
        .product();
    let expected = images.map(|image| {
        let top = ILL.mean + up * (image - ILL.mean);
        HEALTHY.mean + down * (top - HEALTHY.mean)
    });
    let path = path(steps, Ascent::Encoded);
    let found = counterfactual(&path, &images, &ILL.denoiser(), &HEALTHY.denoiser());
    // `time_at` and `sigma` of the schedule are inverse to some 1e-13.
    assert_close("counterfactual", &found, &expected, 1e-11);
}

#[test]
fn a_counterfactual_is_the_image_in_the_units_of_the_other_class() {
    // In the limit of small steps a way up or down multiplies the distance to the mean by the ratio of the noisy standard deviations.
    let limit = |image: f64| {
        let spread = |class: Class, sigma: f64| (class.variance + sigma * sigma).sqrt();
        let up = spread(ILL, 3.0) / spread(ILL, 0.01);
        let down = spread(HEALTHY, 0.01) / spread(HEALTHY, 3.0);
        let top = ILL.mean + up * (image - ILL.mean);
        HEALTHY.mean + down * (top - HEALTHY.mean)
    };
    let error = |steps: usize| {
        let path = path(steps, Ascent::Encoded);
        let found = counterfactual(&path, &[1.1], &ILL.denoiser(), &HEALTHY.denoiser());
        found[0] - limit(1.1)
    };
    let (coarse, fine) = (error(500), error(1000));
    assert!(fine.abs() < 0.01, "{fine}");
    let order = (coarse / fine).log2();
    assert!((order - 1.0).abs() < 0.05, "order {order}");
    // The control: without the other class nothing changes.
    let path = path(1000, Ascent::Encoded);
    let same = counterfactual(&path, &[1.1], &ILL.denoiser(), &ILL.denoiser());
    assert!((same[0] - limit(1.1)).abs() > 0.1);
}

#[test]
fn equal_spreads_move_an_image_by_the_difference_of_the_means() {
    let other = Class {
        mean: HEALTHY.mean,
        ..ILL
    };
    // All of it, but for what the top, where the other mean is not yet scaled, keeps of it.
    let kept = ((ILL.variance + 0.01 * 0.01) / (ILL.variance + 9.0)).sqrt();
    let shift = (1.0 - kept) * (other.mean - ILL.mean);
    let errors = |steps: usize| -> Vec<f64> {
        let path = path(steps, Ascent::Encoded);
        let images = [0.4, 0.7, 1.1];
        let found = counterfactual(&path, &images, &ILL.denoiser(), &other.denoiser());
        found
            .iter()
            .zip(images)
            .map(|(found, image)| found - image - shift)
            .collect()
    };
    for (coarse, fine) in errors(1000).iter().zip(errors(2000)) {
        let order = (coarse / fine).log2();
        assert!(fine.abs() < 0.01, "{fine}");
        assert!(
            (order - 1.0).abs() < 0.05,
            "order {order} of {coarse} and {fine}"
        );
    }
}

#[test]
fn a_round_trip_returns_to_first_order() {
    let means: Tensor<2> = exact(&[0.2, 0.8], [2, 1]);
    let prior = GaussianMixture::new(&[0.4, 0.6], means, &[0.01, 0.03]).unwrap();
    let images = [0.1, 0.45, 0.8];
    let errors = |steps: usize| -> Vec<f64> {
        let found = counterfactual(&path(steps, Ascent::Encoded), &images, &prior, &prior);
        found
            .iter()
            .zip(images)
            .map(|(found, image)| found - image)
            .collect()
    };
    let (coarse, fine) = (errors(800), errors(1600));
    for (coarse, fine) in coarse.iter().zip(fine) {
        let order = (coarse / fine).log2();
        assert!(
            (order - 1.0).abs() < 0.1,
            "order {order} of {coarse} and {fine}"
        );
    }
}

#[test]
fn noise_forgets_the_image_and_a_point_mass_is_found_exactly() {
    let steps = 5;
    let path = path(steps, Ascent::Noised);
    let point = PointMass::new(exact::<2>(&[0.4], [1, 1]));
    let own = Counted::new(ILL.denoiser());
    let law = affine_law(steps + 1, |start, noise| {
        path.run(start, &own, &point, noise, &mut |_| ()).unwrap()
    });
    assert_eq!((path.ascending(), path.descending()), (0, steps));
    assert_eq!(own.evaluations(), 0);
    // DDPM is exact for a point: its law at the end is that of the point plus noise of the least level, but for what is left of the start,
    // whose noise counts to it.
    let left = (0.01f64 / 3.0).powi(2);
    assert_close("start", &[law.start], &[left], 1e-12);
    assert_close("offset", &[law.offset], &[0.4 * (1.0 - left)], 1e-12);
    let variance: f64 = law.noises.iter().map(|c| c * c).sum();
    assert_close("variance", &[variance], &[1e-4], 1e-14);
    assert_eq!(law.noises.len(), steps + 1);
}

#[test]
fn a_level_takes_the_least_noisy_steps() {
    let grid = TimeGrid::new(vec![4.0, 2.0, 1.0, 0.5, 0.1]).unwrap();
    let schedule = Karras::new(5.0).unwrap();
    let path = Counterfactual::new(schedule, &grid, 2, Ascent::Encoded).unwrap();
    assert_eq!(path.top(), schedule.sigma(1.0));
    assert_eq!((path.ascending(), path.descending()), (2, 2));
    let (own, other) = (
        Counted::new(ILL.denoiser::<2>()),
        Counted::new(HEALTHY.denoiser()),
    );
    let mut times = Vec::new();
    let image: Tensor<2> = exact(&[0.5], [1, 1]);
    path.run(image, &own, &other, &mut rng(0), &mut |step| {
        times.push((step.span.from, step.span.to));
    })
    .unwrap();
    assert_eq!(times, [(0.1, 0.5), (0.5, 1.0), (1.0, 0.5), (0.5, 0.1)]);
    assert_eq!((own.evaluations(), other.evaluations()), (2, 2));
}

#[test]
fn paths_that_there_are_not_are_refused() {
    let grid = TimeGrid::new(vec![4.0, 2.0, 0.1]).unwrap();
    let schedule = Karras::new(5.0).unwrap();
    for level in [0, 3] {
        let refused = Counterfactual::new(schedule, &grid, level, Ascent::Encoded).unwrap_err();
        let expected = "at least 1 and at most the number of steps";
        assert!(
            matches!(refused, SampleError::Parameter { name: "level", expected: e, found } if e == expected && found == level as f64),
            "{refused}"
        );
    }
    let to_zero = grid.clone().then_zero();
    let refused = Counterfactual::new(schedule, &to_zero, 1, Ascent::Encoded).unwrap_err();
    assert!(
        matches!(refused, SampleError::Parameter { found: 0.0, .. }),
        "{refused}"
    );
    let beyond = TimeGrid::new(vec![6.0, 0.1]).unwrap();
    let refused = Counterfactual::new(schedule, &beyond, 1, Ascent::Encoded).unwrap_err();
    assert!(matches!(refused, SampleError::Grid(_)), "{refused}");
}

#[test]
fn a_map_sums_over_channels() {
    let image = exact(&[0.1, 0.5, 0.9, 0.2], [1, 2, 1, 2]);
    let other = exact(&[0.4, 0.5, 0.8, 0.4], [1, 2, 1, 2]);
    let map = anomaly_map(image, other);
    assert_eq!(map.dims(), [1, 1, 1, 2]);
    assert_close("map", &values(&map), &[0.4, 0.2], 1e-15);
}
