//! Denoisers, scores and the networks behind them.
//!
//! `D(x; sigma)` estimates `E[x_0 | x_0 + sigma n = x]`. Tweedie's formula turns it into the score of the prior smoothed by
//! Gaussian noise of level `sigma`: `grad log p_sigma(x) = (D(x; sigma) - x) / sigma^2`
//! (Efron 2011, eq. 1.4, <https://doi.org/10.1198/jasa.2011.tm11181>).

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Int, Tensor};

/// `D(x; sigma)`, an estimate of `E[x_0 | x_0 + sigma n = x]`, `n ~ N(0, I)`.
///
/// `noisy` and the result are `[batch, channels, height, width]` for images (`D = 4`); `sigma > 0` is in the units of `x`
/// (for images, of pixels in [0, 1]). A row's result depends on that row alone.
///
/// ```
/// use burn::tensor::Tensor;
/// use tweedie_core::Denoiser;
///
/// /// Shrinks towards grey: exact for a standard normal prior.
/// struct Shrink;
/// impl Denoiser for Shrink {
///     fn denoise(&self, noisy: Tensor<4>, sigma: f64) -> Tensor<4> {
///         noisy / (1.0 + sigma * sigma)
///     }
/// }
/// ```
pub trait Denoiser<const D: usize = 4> {
    /// The denoised batch, of the shape of `noisy`.
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D>;

    /// The denoised batch, and where it is learnt the variance of the reverse step, of the same shape: the share `v` of
    /// Nichol & Dhariwal 2021, eq. (15), <https://arxiv.org/abs/2102.09672>, with which a step has the variance
    /// `exp(v ln beta + (1 - v) ln beta_tilde)`. One evaluation.
    ///
    /// A denoiser that a network is averaged or guided into (tiles, symmetries, a likelihood) has none.
    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        (self.denoise(noisy, sigma), None)
    }
}

impl<const D: usize, T: Denoiser<D> + ?Sized> Denoiser<D> for &T {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        (**self).denoise(noisy, sigma)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        (**self).denoise_with_variance(noisy, sigma)
    }
}

impl<const D: usize, T: Denoiser<D> + ?Sized> Denoiser<D> for Box<T> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        (**self).denoise(noisy, sigma)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        (**self).denoise_with_variance(noisy, sigma)
    }
}

/// A denoiser of a closure: a classical method, such as a filter, or a network of another library.
///
/// Tweedie's formula holds for the mean of `x_0` given the noisy image. A denoiser that is something else, such as the mode
/// that total variation gives, has a score that is none, so what a sampler draws with it is only near a posterior. Methods that
/// differentiate the denoiser need a closure made of tensor operations.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_core::{DenoiserFn, Score};
///
/// let shrink = DenoiserFn::new(|noisy: Tensor<4>, sigma| noisy / (1.0 + sigma * sigma));
/// let score = shrink.score(Tensor::ones([1, 1, 2, 2], &Device::flex()), 1.0);
/// assert_eq!(score.mean().into_scalar::<f32>(), -0.5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DenoiserFn<F>(F);

impl<F> DenoiserFn<F> {
    /// `denoise(noisy, sigma)` gives a batch of the shape of `noisy`.
    pub fn new<const D: usize>(denoise: F) -> Self
    where
        F: Fn(Tensor<D>, f64) -> Tensor<D>,
    {
        Self(denoise)
    }
}

impl<const D: usize, F: Fn(Tensor<D>, f64) -> Tensor<D>> Denoiser<D> for DenoiserFn<F> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        (self.0)(noisy, sigma)
    }
}

/// Score of the smoothed prior, by Tweedie's formula. Every denoiser has one.
pub trait Score<const D: usize = 4>: Denoiser<D> {
    /// `grad log p_sigma(noisy)`, of the shape of `noisy`; `sigma > 0`.
    fn score(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        (self.denoise(noisy.clone(), sigma) - noisy).mul_scalar(sigma.powi(-2))
    }
}

impl<const D: usize, T: Denoiser<D> + ?Sized> Score<D> for T {}

/// Counts evaluations of the denoiser it wraps, so that the number quoted for a method is measured and not declared.
///
/// One call on a batch counts once.
#[derive(Debug, Default)]
pub struct Counted<T> {
    inner: T,
    evaluations: AtomicUsize,
}

impl<T> Counted<T> {
    /// A denoiser with its count at zero.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            evaluations: AtomicUsize::new(0),
        }
    }

    /// How many times the denoiser ran (the NFE of the literature).
    pub fn evaluations(&self) -> usize {
        self.evaluations.load(Ordering::Relaxed)
    }
}

impl<const D: usize, T: Denoiser<D>> Denoiser<D> for Counted<T> {
    fn denoise(&self, noisy: Tensor<D>, sigma: f64) -> Tensor<D> {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        self.inner.denoise(noisy, sigma)
    }

    fn denoise_with_variance(
        &self,
        noisy: Tensor<D>,
        sigma: f64,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        self.inner.denoise_with_variance(noisy, sigma)
    }
}

/// What a network may be told of the image beside its noise level.
#[derive(Clone, Debug, Default)]
pub struct Given<const D: usize = 4> {
    /// The class of each sample, `[batch]`, counted from 0; the number of classes itself stands for a class that is not told.
    pub class: Option<Tensor<1, Int>>,
    /// An image that the network sees with each sample, such as a measurement, `[batch, channels, height, width]` in the network's
    /// own pixel units.
    pub image: Option<Tensor<D>>,
}

impl<const D: usize> Given<D> {
    /// Nothing.
    pub fn nothing() -> Self {
        Self {
            class: None,
            image: None,
        }
    }
}

/// What a network is told beside the image.
#[derive(Clone, Debug)]
pub struct Conditioning<const D: usize = 4> {
    /// One noise label per sample, `[batch]`, in the units that the network was trained with: see
    /// [`NoiseLabel`](crate::NoiseLabel).
    pub noise: Tensor<1>,
    /// What else it is told. Networks that cannot hear it leave it out.
    pub given: Given<D>,
}

impl<const D: usize> Conditioning<D> {
    /// Nothing but noise labels, `[batch]`.
    pub fn new(noise: Tensor<1>) -> Self {
        Self {
            noise,
            given: Given::nothing(),
        }
    }

    /// The same noise label for each row of `x`.
    pub fn uniform(label: f64, x: &Tensor<D>) -> Self {
        Self::new(Tensor::full([x.dims()[0]], label, (&x.device(), x.dtype())))
    }
}

/// A network conditioned on one noise label per sample: what training optimises and
/// [`Preconditioned`](crate::Preconditioned) turns into a [`Denoiser`].
pub trait Backbone<const D: usize = 4> {
    /// The network's raw output, of the shape of `x`.
    fn forward(&self, x: Tensor<D>, conditioning: Conditioning<D>) -> Tensor<D>;

    /// The raw output, and where the network has learnt it the variance of the reverse step, of the same shape: the number `v` of
    /// Nichol & Dhariwal 2021, eq. (15), <https://arxiv.org/abs/2102.09672>, as `2 v - 1`.
    fn forward_with_variance(
        &self,
        x: Tensor<D>,
        conditioning: Conditioning<D>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        (self.forward(x, conditioning), None)
    }
}

impl<const D: usize, T: Backbone<D> + ?Sized> Backbone<D> for &T {
    fn forward(&self, x: Tensor<D>, conditioning: Conditioning<D>) -> Tensor<D> {
        (**self).forward(x, conditioning)
    }

    fn forward_with_variance(
        &self,
        x: Tensor<D>,
        conditioning: Conditioning<D>,
    ) -> (Tensor<D>, Option<Tensor<D>>) {
        (**self).forward_with_variance(x, conditioning)
    }
}
