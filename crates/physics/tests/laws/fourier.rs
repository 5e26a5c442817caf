//! The discrete Fourier transform against its definition.

use std::f64::consts::TAU;

use burn::tensor::{DType, Tensor};
use tweedie_testkit::{assert_adjoint, assert_close, device, values};

use crate::registry::normal;

#[allow(dead_code, reason = "the laws need no more than the transforms")]
#[path = "../../src/fourier.rs"]
mod transform;

use transform::{Dft, HalfDft};

const SIZES: [[usize; 2]; 6] = [[5, 4], [4, 5], [6, 7], [8, 6], [1, 2], [3, 1]];

/// The double sum for one plane of real and imaginary parts, origin and zero frequency at `centre`.
fn definition(
    re: &[f64],
    im: &[f64],
    [height, width]: [usize; 2],
    centre: [usize; 2],
) -> (Vec<f64>, Vec<f64>) {
    let offset = |index: usize, axis: usize| index as f64 - centre[axis] as f64;
    let mut found = (Vec::new(), Vec::new());
    for (k, l) in (0..height).flat_map(|k| (0..width).map(move |l| (k, l))) {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for index in 0..height * width {
            let (i, j) = (index / width, index % width);
            let rows = offset(k, 0) * offset(i, 0) / height as f64;
            let columns = offset(l, 1) * offset(j, 1) / width as f64;
            let (sin, cos) = (-TAU * (rows + columns)).sin_cos();
            real += re[index] * cos - im[index] * sin;
            imaginary += re[index] * sin + im[index] * cos;
        }
        let norm = ((height * width) as f64).sqrt();
        found.0.push(real / norm);
        found.1.push(imaginary / norm);
    }
    found
}

#[test]
fn it_is_the_definition_centred_or_not() {
    for size @ [height, width] in SIZES {
        let shape = [2, 3, height, width];
        let (re, im): (Tensor<4>, Tensor<4>) = (normal(shape, 1), normal(shape, 2));
        let device = device();
        for (dft, centre) in [
            (Dft::new(size, (&device, DType::F64)), [0, 0]),
            (
                Dft::centred(size, (&device, DType::F64)),
                size.map(|s| s / 2),
            ),
        ] {
            let found = dft.forward(re.clone(), Some(im.clone()));
            let real = dft.forward(re.clone(), None);
            let found = [found.0, found.1, real.0, real.1].map(|part| values(&part));
            let (re, im) = (values(&re), values(&im));
            for (plane, start) in (0..re.len()).step_by(height * width).enumerate() {
                let range = start..start + height * width;
                let (a, b) = (&re[range.clone()], &im[range.clone()]);
                let expected = definition(a, b, size, centre);
                let of_real = definition(a, &vec![0.0; a.len()], size, centre);
                let expected = [expected.0, expected.1, of_real.0, of_real.1];
                for (found, expected) in found.iter().zip(expected) {
                    let name = format!("{size:?}, centre {centre:?}, plane {plane}");
                    assert_close(&name, &found[range.clone()], &expected, 1e-13);
                }
            }
        }
    }
}

#[test]
fn it_keeps_the_norm_and_is_undone_by_the_inverse() {
    for size @ [height, width] in SIZES {
        let shape = [2, 1, height, width];
        let (re, im): (Tensor<4>, Tensor<4>) = (normal(shape, 1), normal(shape, 2));
        let dft = Dft::centred(size, (&device(), DType::F64));
        let energy = |re: &Tensor<4>, im: &Tensor<4>| {
            values(&(re.clone().square() + im.clone().square()).sum())
        };
        let (a, b) = dft.forward(re.clone(), Some(im.clone()));
        assert_close("energy", &energy(&a, &b), &energy(&re, &im), 1e-12);
        let real = dft.inverse_real(a.clone(), b.clone());
        let (c, d) = dft.inverse(a, b);
        assert_close("real part", &values(&c), &values(&re), 1e-13);
        assert_close("imaginary part", &values(&d), &values(&im), 1e-13);
        assert_close("real inverse", &values(&real), &values(&re), 1e-13);
    }
}

#[test]
fn half_a_spectrum_is_enough_for_real_images() {
    for size @ [height, width] in SIZES {
        let options = (&device(), DType::F64);
        let (dft, half) = (Dft::new(size, options), HalfDft::new(size, options));
        let x: Tensor<4> = normal([2, 2, height, width], 1);
        let whole = dft.forward(x.clone(), None);
        let (re, im) = half.forward(x.clone());
        let kept = |part: Tensor<4>| values(&part.narrow(3, 0, width / 2 + 1));
        assert_close("real part", &values(&re), &kept(whole.0), 1e-13);
        assert_close("imaginary part", &values(&im), &kept(whole.1), 1e-13);
        assert_close(
            "inverse",
            &values(&half.inverse(re, im)),
            &values(&x),
            1e-13,
        );
    }
}

#[test]
fn the_real_inverse_is_the_transpose() {
    let dft = Dft::new([5, 4], (&device(), DType::F64));
    let both = |x| {
        let (re, im) = dft.forward(x, None);
        Tensor::cat(vec![re, im], 1)
    };
    let back = |y: Tensor<4>| dft.inverse_real(y.clone().narrow(1, 0, 1), y.narrow(1, 1, 1));
    let (x, y) = (normal([2, 1, 5, 4], 1), normal([2, 2, 5, 4], 2));
    assert_adjoint("transpose", both, back, x, y);
}
