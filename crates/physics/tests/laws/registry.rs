//! Every operator, on the device under test. A new operator is one more row of [`all_in`].

use burn::tensor::{DType, Tensor};
use tweedie_core::Rng;
use tweedie_physics::{
    AverageDownsampling, Blur, Boundary, ConjugateGradient, Crop, DenseSvd, Downsampling,
    DownsamplingFilter, FourierBlur, Hadamard, Identity, Inpainting, LinearClosure, LinearOperator,
    Margins, MatrixOperator, Mri, MultiCoilMri, Product, Region, Scaled, SpectralMixing, Stack,
    Sum, Tomography, ZeroPad, birdcage_sensitivities, kernels,
};
use tweedie_testkit::{device, exact};

/// Enough iterations for conjugate gradients to reach rounding error on the registry's sizes.
pub(crate) const EXACT: ConjugateGradient = ConjugateGradient { iterations: 300 };

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) operator: Box<dyn LinearOperator>,
    pub(crate) image: [usize; 4],
}

impl Case {
    fn new(name: &'static str, operator: impl LinearOperator + 'static, image: [usize; 4]) -> Self {
        let operator = Box::new(operator);
        Self {
            name,
            operator,
            image,
        }
    }

    /// In double precision.
    pub(crate) fn random_image(&self, seed: u64) -> Tensor<4> {
        normal(self.image, seed)
    }

    /// In double precision.
    pub(crate) fn random_measurement(&self, seed: u64) -> Tensor<4> {
        normal(self.operator.measurement_shape(self.image).unwrap(), seed)
    }
}

pub(crate) fn normal<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    Rng::seeded(seed, &device())
        .with_dtype(DType::F64)
        .normal(shape)
}

/// 3 x 5, with no symmetry and a sum other than 1.
pub(crate) fn lopsided_kernel() -> Tensor<2> {
    let values: Vec<f64> = (0..15)
        .map(|i| f64::from((7 * i) % 11) / 40.0 - 0.05)
        .collect();
    exact(&values, [3, 5])
}

/// Every operator in double precision.
/// One lopsided 4 x 3 kernel for each of two rows and two channels, far from singular: twice the centre and something smaller.
pub(crate) fn decaying_kernels(dtype: DType) -> Tensor<4> {
    let mut values = [0.0; 48];
    for (index, value) in values.iter_mut().enumerate() {
        let centre = if index % 12 == 7 { 2.0 } else { 0.0 };
        *value = centre + f64::from((5 * index as u32) % 13) / 100.0 - 0.04;
    }
    exact(&values, [2, 2, 4, 3]).cast(dtype)
}

pub(crate) fn all() -> Vec<Case> {
    all_in(DType::F64)
}

/// Every operator with tensors of type `dtype`.
pub(crate) fn all_in(dtype: DType) -> Vec<Case> {
    let device = device();
    let options = (&device, dtype);
    let kernel = lopsided_kernel().cast(dtype);
    let per_channel = normal([2, 3, 3, 4], 5).greater_elem(0.0).float();
    let per_row = normal([2, 1, 3, 5], 6)
        .greater_elem(0.0)
        .float()
        .cast(dtype);
    let hole = Region {
        top: 1,
        left: 2,
        height: 3,
        width: 2,
    };
    let mut cases = vec![
        Case::new("identity", Identity, [2, 3, 5, 4]),
        Case::new(
            "inpainting, random mask",
            Inpainting::random([8, 6], 0.4, 3, options).unwrap(),
            [2, 3, 8, 6],
        ),
        Case::new(
            "inpainting, one mask for each row and channel",
            Inpainting::new(per_channel.cast(dtype)).unwrap(),
            [2, 3, 3, 4],
        ),
        Case::new(
            "inpainting, rectangle",
            Inpainting::without([5, 5], hole, options).unwrap(),
            [2, 1, 5, 5],
        ),
        Case::new(
            "blur, Gaussian",
            Blur::gaussian([9, 8], 0.8, options).unwrap(),
            [2, 3, 9, 8],
        ),
        Case::new(
            "blur, lopsided kernel",
            Blur::new(kernel.clone()).unwrap(),
            [2, 2, 5, 6],
        ),
        Case::new(
            "blur, kernel as large as the image",
            Blur::new(kernel.clone()).unwrap(),
            [1, 1, 3, 5],
        ),
        Case::new(
            "blur, valid",
            Blur::with_boundary(normal([1, 2, 2, 3], 6).cast(dtype), Boundary::Valid).unwrap(),
            [2, 2, 5, 4],
        ),
        Case::new(
            "blur, zero boundary",
            Blur::with_boundary(decaying_kernels(dtype), Boundary::Zero).unwrap(),
            [2, 2, 5, 4],
        ),
        Case::new(
            "blur, reflecting boundary",
            Blur::with_boundary(decaying_kernels(dtype), Boundary::Reflect).unwrap(),
            [2, 2, 5, 4],
        ),
        Case::new(
            "blur, replicating boundary",
            Blur::with_boundary(decaying_kernels(dtype), Boundary::Replicate).unwrap(),
            [2, 2, 5, 4],
        ),
        Case::new(
            "blur, Fourier",
            FourierBlur::new(decaying_kernels(dtype), [5, 4]).unwrap(),
            [2, 2, 5, 4],
        ),
        Case::new(
            "blur, Fourier, blind to some frequencies",
            FourierBlur::new(
                kernels::uniform([3, 2], options).unwrap().unsqueeze(),
                [6, 5],
            )
            .unwrap(),
            [2, 2, 6, 5],
        ),
        Case::new(
            "downsampling by 2 behind a bicubic filter",
            Downsampling::new(
                [6, 8],
                2,
                DownsamplingFilter::Bicubic,
                Boundary::Circular,
                options,
            )
            .unwrap(),
            [2, 2, 6, 8],
        ),
        Case::new(
            "downsampling by 3 behind a filter for each channel",
            Downsampling::with_kernel([6, 6], 3, decaying_kernels(dtype), Boundary::Reflect)
                .unwrap(),
            [2, 2, 6, 6],
        ),
        Case::new(
            "downsampling by 2",
            AverageDownsampling::new(2).unwrap(),
            [2, 3, 4, 6],
        ),
        Case::new(
            "downsampling by 3",
            AverageDownsampling::new(3).unwrap(),
            [2, 1, 6, 3],
        ),
        Case::new(
            "tomography",
            Tomography::new(5, &[0.0, 20.0, 45.0, 70.0, 90.0, 135.5, 250.0], options).unwrap(),
            [2, 2, 5, 5],
        ),
        Case::new(
            "magnetic resonance",
            Mri::new(per_row.clone()).unwrap(),
            [2, 2, 3, 5],
        ),
        Case::new(
            "magnetic resonance, 3 coils",
            MultiCoilMri::new(per_row, birdcage_sensitivities([3, 5], 3, options).unwrap())
                .unwrap(),
            [2, 2, 3, 5],
        ),
    ];
    cases.extend(on_vectors(dtype));
    cases.extend(compositions(dtype));
    cases
}

/// Operators of matrices and transforms.
fn on_vectors(dtype: DType) -> Vec<Case> {
    let device = device();
    let options = (&device, dtype);
    let wide = normal([5, 12], 6).cast(dtype);
    vec![
        Case::new(
            "matrix, wide",
            MatrixOperator::new(wide.clone(), [2, 3, 2]).unwrap(),
            [2, 2, 3, 2],
        ),
        Case::new(
            "matrix, tall, decomposed",
            DenseSvd::new(MatrixOperator::new(wide.clone().transpose(), [1, 1, 5]).unwrap())
                .unwrap(),
            [2, 1, 1, 5],
        ),
        Case::new(
            "compressed sensing",
            MatrixOperator::compressed_sensing([2, 3, 2], 5, 1, options).unwrap(),
            [2, 2, 3, 2],
        ),
        Case::new(
            "Hadamard, random",
            Hadamard::randomised([4, 2], 5, 1, options).unwrap(),
            [2, 3, 4, 2],
        ),
        Case::new(
            "Hadamard, single pixel",
            Hadamard::single_pixel([2, 4], 3, options).unwrap(),
            [2, 2, 2, 4],
        ),
        Case::new(
            "colour to grey",
            SpectralMixing::grey(options),
            [2, 3, 3, 5],
        ),
        Case::new(
            "spectral mixing",
            SpectralMixing::new(wide.narrow(1, 0, 3)).unwrap(),
            [2, 3, 3, 5],
        ),
    ]
}

fn compositions(dtype: DType) -> Vec<Case> {
    let device = device();
    let options = (&device, dtype);
    let blur = || Blur::new(lopsided_kernel().cast(dtype)).unwrap();
    let mask = || Inpainting::random([4, 6], 0.3, 9, options).unwrap();
    let means = || AverageDownsampling::new(2).unwrap();
    let margins = Margins {
        top: 1,
        bottom: 0,
        left: 2,
        right: 1,
    };
    let image = [2, 2, 4, 6];
    let parts: Vec<Box<dyn LinearOperator>> = vec![
        Box::new(mask()),
        Box::new(means()),
        Box::new(Product::new(means(), blur())),
    ];
    let transposed = LinearClosure::new(
        [2, 4, 6],
        [2, 6, 4],
        |x| x.swap_dims(2, 3),
        |y| y.swap_dims(2, 3),
    );
    vec![
        Case::new("closures", transposed, image),
        Case::new("sum", Sum::new(blur(), mask()), image),
        Case::new("scaled", Scaled::new(-2.5, mask()).unwrap(), image),
        Case::new("product", Product::new(means(), blur()), image),
        Case::new("stack", Stack::new(parts, image).unwrap(), image),
        Case::new("zero padding", ZeroPad::new(margins), image),
        Case::new("cropping", Crop::new(margins), image),
    ]
}
