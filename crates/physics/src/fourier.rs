//! Discrete Fourier transform of images of any size, orthonormal, by products with its matrices.
//!
//! `X[k, l] = sum_{i, j} x[i, j] exp(-2 pi i (k i / H + l j / W)) / sqrt(H W)`. The matrices are made on the host in double
//! precision, with angles reduced modulo the side before they meet `cos` and `sin`. Complex numbers are pairs of tensors.

use std::f64::consts::TAU;

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

/// `[from, to]` matrices of the cosines and sines along one axis; multiplied from the right.
#[derive(Clone, Debug)]
struct Axis {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Axis {
    /// `weight(i, k) * (cos, sin)(2 pi (i - centre)(k - centre) / period) / sqrt(period)` for `[i, k]` within `shape`.
    fn new(
        [from, to]: [usize; 2],
        period: usize,
        centre: usize,
        weight: impl Fn(usize, usize) -> f64,
        options: &TensorCreationOptions,
    ) -> Self {
        // `period - centre` stands for `-centre`, so that the angle is reduced in whole numbers.
        let shifted = |index: usize| (index + period - centre) % period;
        let angle =
            |i: usize, k: usize| TAU * ((shifted(i) * shifted(k)) % period) as f64 / period as f64;
        let norm = (period as f64).sqrt().recip();
        let matrix = |f: fn(f64) -> f64| {
            let values: Vec<f64> = (0..from)
                .flat_map(|i| (0..to).map(move |k| (i, k)))
                .map(|(i, k)| weight(i, k) * norm * f(angle(i, k)))
                .collect();
            Tensor::from_data(TensorData::new(values, [from, to]), options.clone())
        };
        Self {
            cos: matrix(f64::cos),
            sin: matrix(f64::sin),
        }
    }

    /// The square, symmetric matrices of a whole axis, zero frequency at index `centre` of both sides.
    fn square(side: usize, centre: usize, options: &TensorCreationOptions) -> Self {
        Self::new([side, side], side, centre, |_, _| 1.0, options)
    }
}

/// `x M` along the last axis.
fn along_rows(x: Tensor<4>, matrix: &Tensor<2>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch * channels * height, width])
        .matmul(matrix.clone())
        .reshape([batch, channels, height, matrix.dims()[1]])
}

/// `M x` along the third axis, `M` symmetric.
fn along_columns(x: Tensor<4>, matrix: &Tensor<2>) -> Tensor<4> {
    matrix.clone().unsqueeze::<4>().matmul(x)
}

/// `M (re + i im)` along the third axis, `M = cos - i sin`.
fn analyse_columns(re: Tensor<4>, im: Tensor<4>, axis: &Axis) -> (Tensor<4>, Tensor<4>) {
    let real = along_columns(re.clone(), &axis.cos) + along_columns(im.clone(), &axis.sin);
    let imaginary = along_columns(im, &axis.cos) - along_columns(re, &axis.sin);
    (real, imaginary)
}

/// `M (re + i im)` along the third axis, `M = cos + i sin`.
fn synthesise_columns(re: Tensor<4>, im: Tensor<4>, axis: &Axis) -> (Tensor<4>, Tensor<4>) {
    let real = along_columns(re.clone(), &axis.cos) - along_columns(im.clone(), &axis.sin);
    let imaginary = along_columns(im, &axis.cos) + along_columns(re, &axis.sin);
    (real, imaginary)
}

/// The orthonormal two-dimensional transform of `[batch, channels, height, width]` with one `[height, width]`.
///
/// A transform is 8 products with the matrix of an axis, 6 where the input or the output is real.
#[derive(Clone, Debug)]
pub(crate) struct Dft {
    rows: Axis,
    columns: Axis,
}

impl Dft {
    /// Zero frequency and origin at index `[0, 0]`.
    pub(crate) fn new(size: [usize; 2], options: impl Into<TensorCreationOptions>) -> Self {
        Self::with_centre(size, [0, 0], options.into())
    }

    /// Zero frequency and origin at index `[height / 2, width / 2]`: `fftshift(fft(ifftshift(x)))`. The shifts are part of the
    /// matrices and cost nothing.
    pub(crate) fn centred(size: [usize; 2], options: impl Into<TensorCreationOptions>) -> Self {
        Self::with_centre(size, size.map(|side| side / 2), options.into())
    }

    fn with_centre(
        [height, width]: [usize; 2],
        centre: [usize; 2],
        options: TensorCreationOptions,
    ) -> Self {
        Self {
            rows: Axis::square(height, centre[0], &options),
            columns: Axis::square(width, centre[1], &options),
        }
    }

    /// `F (re + i im)`; without `im` of a real image.
    pub(crate) fn forward(&self, re: Tensor<4>, im: Option<Tensor<4>>) -> (Tensor<4>, Tensor<4>) {
        let Axis { cos, sin } = &self.columns;
        let (mut real, mut imaginary) = (along_rows(re.clone(), cos), -along_rows(re, sin));
        if let Some(im) = im {
            real = real + along_rows(im.clone(), sin);
            imaginary = imaginary + along_rows(im, cos);
        }
        analyse_columns(real, imaginary, &self.rows)
    }

    /// `F^-1 (re + i im) = F^H (re + i im)`.
    pub(crate) fn inverse(&self, re: Tensor<4>, im: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let (re, im) = synthesise_columns(re, im, &self.rows);
        let Axis { cos, sin } = &self.columns;
        let real = along_rows(re.clone(), cos) - along_rows(im.clone(), sin);
        let imaginary = along_rows(im, cos) + along_rows(re, sin);
        (real, imaginary)
    }

    /// The real part of [`inverse`](Self::inverse), the transpose of [`forward`](Self::forward) on real images.
    pub(crate) fn inverse_real(&self, re: Tensor<4>, im: Tensor<4>) -> Tensor<4> {
        let (re, im) = synthesise_columns(re, im, &self.rows);
        along_rows(re, &self.columns.cos) - along_rows(im, &self.columns.sin)
    }
}

/// The transform of real images, columns `0..=width / 2` alone: the others are conjugates of these.
///
/// A transform costs half of that by [`Dft`].
#[derive(Clone, Debug)]
pub(crate) struct HalfDft {
    rows: Axis,
    analysis: Axis,
    synthesis: Axis,
}

impl HalfDft {
    /// Zero frequency at index `[0, 0]`.
    pub(crate) fn new(
        [height, width]: [usize; 2],
        options: impl Into<TensorCreationOptions>,
    ) -> Self {
        let options = options.into();
        let kept = width / 2 + 1;
        // A column whose conjugate is dropped counts for both.
        let twice = |k: usize, _| if k == 0 || 2 * k == width { 1.0 } else { 2.0 };
        Self {
            rows: Axis::square(height, 0, &options),
            analysis: Axis::new([width, kept], width, 0, |_, _| 1.0, &options),
            synthesis: Axis::new([kept, width], width, 0, twice, &options),
        }
    }

    /// `[.., height, width]` to real and imaginary parts `[.., height, width / 2 + 1]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let Axis { cos, sin } = &self.analysis;
        let (re, im) = (along_rows(x.clone(), cos), -along_rows(x, sin));
        analyse_columns(re, im, &self.rows)
    }

    /// The real image of half a spectrum.
    pub(crate) fn inverse(&self, re: Tensor<4>, im: Tensor<4>) -> Tensor<4> {
        let (re, im) = synthesise_columns(re, im, &self.rows);
        along_rows(re, &self.synthesis.cos) - along_rows(im, &self.synthesis.sin)
    }
}

/// `h^[k, l] = sum_{a, b} h[a, b] exp(-2 pi i (k a / height + l b / width))` for the columns `l` below `columns`, real and
/// imaginary parts in row-major order; offsets of the kernel count from `[rows / 2, columns / 2]`.
///
/// Values below `rounding` times the sum of `|h|` are noise and become 0.
pub(crate) fn transfer_function(
    kernel: &[f64],
    [kernel_rows, kernel_columns]: [usize; 2],
    [height, width]: [usize; 2],
    columns: usize,
    rounding: f64,
) -> Vec<[f64; 2]> {
    let turn = |frequency: usize, index: usize, centre: usize, period: usize| {
        let offset = (index % period + period - centre % period) % period;
        let angle = TAU * ((frequency * offset) % period) as f64 / period as f64;
        [angle.cos(), -angle.sin()]
    };
    let add = |[re, im]: [f64; 2], [a, b]: [f64; 2], [c, d]: [f64; 2]| {
        [re + a * c - b * d, im + a * d + b * c]
    };
    let along_width: Vec<[f64; 2]> = kernel
        .chunks(kernel_columns)
        .flat_map(|row| (0..columns).map(move |l| (row, l)))
        .map(|(row, l)| {
            row.iter().enumerate().fold([0.0; 2], |sum, (b, &value)| {
                add(sum, [value, 0.0], turn(l, b, kernel_columns / 2, width))
            })
        })
        .collect();
    let least = rounding * kernel.iter().map(|value| value.abs()).sum::<f64>();
    (0..height)
        .flat_map(|k| {
            let turns: Vec<[f64; 2]> = (0..kernel_rows)
                .map(|a| turn(k, a, kernel_rows / 2, height))
                .collect();
            let along_width = &along_width;
            (0..columns).map(move |l| {
                turns.iter().enumerate().fold([0.0; 2], |sum, (a, &turn)| {
                    add(sum, along_width[a * columns + l], turn)
                })
            })
        })
        .map(|[re, im]| {
            if re.hypot(im) <= least {
                [0.0; 2]
            } else {
                [re, im]
            }
        })
        .collect()
}
