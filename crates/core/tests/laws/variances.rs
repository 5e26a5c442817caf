//! A learnt variance goes through what is put around a network, beside the image that goes through as ever.

use burn::tensor::Tensor;
use tweedie_core::{
    Backbone, Batched, ClassifierFree, Clipped, Conditioning, Counted, Denoised, Denoiser,
    DenoiserFn, Padded, Preconditioned, SelfEnsemble, Tiled, UnitRange,
};
use tweedie_testkit::{assert_close, exact, values};

/// Says half of what it is shown, and a tenth of it for `2 v - 1`.
struct Network;

impl Backbone for Network {
    fn forward(&self, x: Tensor<4>, _: Conditioning) -> Tensor<4> {
        x.mul_scalar(0.5)
    }

    fn forward_with_variance(
        &self,
        x: Tensor<4>,
        conditioning: Conditioning,
    ) -> (Tensor<4>, Option<Tensor<4>>) {
        let variance = x.clone().mul_scalar(0.1);
        (self.forward(x, conditioning), Some(variance))
    }
}

fn denoiser() -> Preconditioned<Network, Denoised> {
    Preconditioned {
        backbone: Network,
        preconditioning: Denoised,
    }
}

const PIXELS: [f64; 6] = [-0.6, 0.2, 1.4, 0.9, -0.1, 2.6];

/// Two images of one row of three pixels.
fn noisy() -> Tensor<4> {
    exact(&PIXELS, [2, 1, 1, 3])
}

/// The share of pixels in `[low, low + range]` that the network says, `(1 + (low + range x)/10)/2`.
fn shares(low: f64, range: f64) -> Vec<f64> {
    let share = |x: &f64| 0.5 * (1.0 + 0.1 * (low + range * x));
    PIXELS.iter().map(share).collect()
}

/// One evaluation of both, of the image that is denoised without a variance too.
fn check(name: &str, denoiser: &dyn Denoiser, expected: &[f64]) {
    let (clean, share) = denoiser.denoise_with_variance(noisy(), 0.3);
    let share = share.unwrap_or_else(|| panic!("{name} has lost the variance"));
    assert_eq!(share.dims(), [2, 1, 1, 3], "{name}");
    assert_close(name, &values(&share), expected, 1e-14);
    let alone = denoiser.denoise(noisy(), 0.3);
    assert_eq!(values(&clean), values(&alone), "{name}");
}

#[test]
fn adapters_hand_the_variance_on() {
    let own = shares(0.0, 1.0);
    check("network", &denoiser(), &own);
    let boxed: Box<dyn Denoiser> = Box::new(denoiser());
    check("box", &&boxed, &own);
    check("clipped", &Clipped::unit(denoiser()), &own);
    check(
        "range",
        &UnitRange::symmetric(denoiser()),
        &shares(-1.0, 2.0),
    );
    let unit = UnitRange {
        inner: denoiser(),
        low: 0.0,
        high: 1.0,
    };
    check("unit range", &unit, &own);
    for multiple in [1, 4] {
        let inner = denoiser();
        check("padded", &Padded { inner, multiple }, &own);
    }
    for size in [1, 2] {
        let inner = denoiser();
        check("batched", &Batched { inner, size }, &own);
    }
}

#[test]
fn it_is_of_the_same_evaluation() {
    let counted = Counted::new(denoiser());
    check("counted", &counted, &shares(0.0, 1.0));
    // One with the variance, and one without.
    assert_eq!(counted.evaluations(), 2);
}

#[test]
fn guidance_keeps_that_of_the_conditional_denoiser() {
    let other = DenoiserFn::new(|x: Tensor<4>, _| x.mul_scalar(-3.0));
    for scale in [1.0, 2.5] {
        let guided = ClassifierFree::new(denoiser(), other, scale);
        check("guided", &guided, &shares(0.0, 1.0));
        let swapped = ClassifierFree::new(other, denoiser(), scale);
        assert!(swapped.denoise_with_variance(noisy(), 0.3).1.is_none());
    }
}

#[test]
fn averages_have_none() {
    let none = |denoiser: &dyn Denoiser| denoiser.denoise_with_variance(noisy(), 0.3).1.is_none();
    assert!(none(&DenoiserFn::new(|x: Tensor<4>, _| x)));
    assert!(none(&SelfEnsemble { inner: denoiser() }));
    assert!(none(&Tiled::new(denoiser(), [2, 2], 1).unwrap()));
}
