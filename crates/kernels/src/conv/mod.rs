//! Convolutions of images, `[batch, channels, height, width]`, and their gradients.
//!
//! `y[n, o, i, j] = b[o] + sum_{c, p, q} w[o, c, p, q] x[n, c, s i + p - top, s j + q - left]`, with zeros around the image. As
//! in all of deep learning this is a correlation: the kernel is not flipped.
//!
//! The transposed convolution is [`input_gradient`] with the same weights.

mod bias;
mod direct;
mod shape;
mod winograd;

pub use bias::bias_gradient;
pub use shape::Convolution;

use crate::Level;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// A matrix product with the patches of the image, gathered block by block.
    Direct,
    /// F(4 x 4, 3 x 3) of Lavin & Gray 2016, <https://arxiv.org/abs/1509.09308>: for 3 x 3 kernels of stride 1 and padding of
    /// at most 2. A quarter of the multiplications, and a rounding error some ten times that of [`Self::Direct`].
    Winograd,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// `y` of `x` and `w`.
    Forward,
    /// The gradient with respect to `x`, of that with respect to `y` and `w`.
    InputGradient,
    /// The gradient with respect to `w`, of `x` and the gradient with respect to `y`.
    WeightGradient,
}

impl Algorithm {
    /// The faster one.
    pub fn fastest(convolution: &Convolution, pass: Pass) -> Self {
        if winograd::applies(convolution) && winograd::pays(convolution, pass) {
            Self::Winograd
        } else {
            Self::Direct
        }
    }

    /// That the algorithm is one for this convolution: the kernels rely on it.
    fn check(self, convolution: &Convolution) {
        assert!(
            self == Self::Direct || winograd::applies(convolution),
            "{self:?} for {convolution:?}"
        );
    }
}

/// Weights laid out for one pass of a convolution: made once, used at every call.
#[derive(Debug)]
pub struct Packed {
    level: Level,
    algorithm: Algorithm,
    pass: Pass,
    /// See [`Convolution::layer`].
    layer: Convolution,
    numbers: Vec<f32>,
}

impl Packed {
    /// From `weights`, `[outputs, inputs, rows, columns]`, for [`forward`] or [`input_gradient`].
    ///
    /// # Panics
    /// If the number of weights is not that of the convolution, the algorithm does not apply to it, or `pass` is
    /// [`Pass::WeightGradient`].
    pub fn new(
        level: Level,
        algorithm: Algorithm,
        pass: Pass,
        convolution: &Convolution,
        weights: &[f32],
    ) -> Self {
        algorithm.check(convolution);
        assert_eq!(weights.len(), convolution.weights(), "number of weights");
        let numbers = match (algorithm, pass) {
            (_, Pass::WeightGradient) => panic!("a weight gradient reads no weights"),
            (Algorithm::Direct, _) => direct::pack(level, pass, convolution, weights),
            (Algorithm::Winograd, _) => winograd::pack(level, pass, convolution, weights),
        };
        Self {
            level,
            algorithm,
            pass,
            layer: convolution.layer(),
            numbers,
        }
    }

    /// Their memory in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.numbers[..])
    }

    fn expect(&self, pass: Pass, convolution: &Convolution) -> (&[f32], Level) {
        assert_eq!(self.pass, pass, "pass that the weights were packed for");
        assert_eq!(
            self.layer,
            convolution.layer(),
            "convolution that the weights were packed for"
        );
        (&self.numbers, self.level)
    }
}

/// The convolution of `x`, plus one number a channel: `bias` holds as many as there are output channels, or as many for each
/// image.
///
/// # Panics
/// If a length is not that of the convolution, or the weights were packed for another pass, or for a convolution that differs by
/// more than batch and size.
pub fn forward(c: &Convolution, x: &[f32], weights: &Packed, bias: Option<&[f32]>) -> Vec<f32> {
    assert_eq!(x.len(), c.image_len(), "numbers of x");
    check_bias(c.batch, c.outputs, bias);
    let (numbers, level) = weights.expect(Pass::Forward, c);
    match weights.algorithm {
        Algorithm::Direct => direct::forward(level, c, x, numbers, bias),
        Algorithm::Winograd => winograd::forward(level, c, x, numbers, bias),
    }
}

/// The gradient with respect to `x` of a function with gradient `dy` with respect to `y`; also the transposed convolution of
/// `dy`, with a bias as in [`forward`] but for the input channels.
///
/// # Panics
/// As [`forward`].
pub fn input_gradient(
    c: &Convolution,
    dy: &[f32],
    weights: &Packed,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    assert_eq!(dy.len(), c.output_len(), "numbers of dy");
    check_bias(c.batch, c.inputs, bias);
    let (numbers, level) = weights.expect(Pass::InputGradient, c);
    match weights.algorithm {
        Algorithm::Direct => direct::input_gradient(level, c, dy, numbers, bias),
        Algorithm::Winograd => winograd::forward(level, &c.flipped(), dy, numbers, bias),
    }
}

/// The gradient with respect to the weights, `[outputs, inputs, rows, columns]`.
///
/// # Panics
/// If a length is not that of the convolution, or the algorithm does not apply to it.
pub fn weight_gradient(
    level: Level,
    algorithm: Algorithm,
    c: &Convolution,
    x: &[f32],
    dy: &[f32],
) -> Vec<f32> {
    algorithm.check(c);
    assert_eq!(x.len(), c.image_len(), "numbers of x");
    assert_eq!(dy.len(), c.output_len(), "numbers of dy");
    match algorithm {
        Algorithm::Direct => direct::weight_gradient(level, c, x, dy),
        Algorithm::Winograd => winograd::weight_gradient(level, c, x, dy),
    }
}

fn check_bias(batch: usize, channels: usize, bias: Option<&[f32]>) {
    if let Some(bias) = bias {
        let fits = bias.len() == channels || bias.len() == batch * channels;
        assert!(
            fits,
            "a bias of {} for {batch} images of {channels} channels",
            bias.len()
        );
    }
}
