//! The operators that cost most, on the CPU in single precision: one image of 256 x 256 pixels.

use burn::tensor::{Device, Tensor};
use divan::Bencher;
use tweedie_core::Rng;
use tweedie_physics::{
    ConjugateGradient, ForwardOperator, FourierBlur, LinearOperator, Tomography, kernels,
};

const SIDE: usize = 256;

fn main() {
    divan::main();
}

fn image(device: &Device) -> Tensor<4> {
    Rng::seeded(0, device).normal([1, 1, SIDE, SIDE])
}

/// 180 angles.
#[divan::bench(sample_count = 15)]
fn tomography_forward(bencher: Bencher<'_, '_>) {
    let device = Device::flex();
    let operator = Tomography::uniform(SIDE, 180, &device).expect("a valid geometry");
    let x = image(&device);
    bencher.bench_local(|| operator.forward(x.clone()).into_data());
}

#[divan::bench(sample_count = 15)]
fn tomography_adjoint(bencher: Bencher<'_, '_>) {
    let device = Device::flex();
    let operator = Tomography::uniform(SIDE, 180, &device).expect("a valid geometry");
    let y = operator.forward(image(&device));
    bencher.bench_local(|| operator.adjoint(y.clone()).into_data());
}

fn blur(device: &Device) -> FourierBlur {
    let kernel = kernels::gaussian([13, 13], [2.0, 2.0], 0.0, device).expect("a valid kernel");
    FourierBlur::new(kernel.unsqueeze(), [SIDE, SIDE]).expect("it fits")
}

#[divan::bench(sample_count = 40)]
fn fourier_blur_forward(bencher: Bencher<'_, '_>) {
    let device = Device::flex();
    let (operator, x) = (blur(&device), image(&device));
    bencher.bench_local(|| operator.forward(x.clone()).into_data());
}

#[divan::bench(sample_count = 40)]
fn fourier_blur_solve_normal(bencher: Bencher<'_, '_>) {
    let device = Device::flex();
    let (operator, x) = (blur(&device), image(&device));
    let budget = ConjugateGradient::default();
    bencher.bench_local(|| operator.solve_normal(x.clone(), 0.1, budget).into_data());
}
