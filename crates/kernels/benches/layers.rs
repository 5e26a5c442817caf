//! Each kind of layer at the shapes of real networks. `items` are the floating-point operations of its definition, two for each
//! multiply-add, so that `Gitem/s` is a rate to compare with the processor's; Winograd's convolutions do fewer.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tweedie_kernels::conv::{self, Algorithm, Convolution, Packed, Pass};
use tweedie_kernels::{Level, attention};

fn main() {
    divan::main();
}

/// `inputs -> outputs, kernel, stride, size, batch`.
#[derive(Clone, Copy)]
struct Case([usize; 6]);

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [inputs, outputs, kernel, stride, size, batch] = self.0;
        write!(
            f,
            "{inputs:>3} -> {outputs:<3} {kernel}x{kernel}/{stride} at {size}, batch {batch}"
        )
    }
}

impl Case {
    fn convolution(self) -> Convolution {
        let [inputs, outputs, kernel, stride, size, batch] = self.0;
        let same = if kernel == 3 { 1 } else { 0 };
        Convolution {
            batch,
            inputs,
            outputs,
            size: [size; 2],
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [[same; 2]; 2],
        }
    }
}

const CASES: [Case; 16] = [
    Case([64, 64, 3, 1, 64, 1]),
    Case([128, 128, 3, 1, 32, 1]),
    Case([256, 256, 3, 1, 16, 1]),
    Case([512, 512, 3, 1, 8, 1]),
    Case([64, 64, 3, 1, 256, 1]),
    Case([512, 512, 3, 1, 32, 1]),
    Case([32, 32, 3, 1, 28, 64]),
    Case([128, 128, 3, 1, 7, 64]),
    Case([256, 256, 3, 1, 4, 8]),
    Case([4, 64, 3, 1, 256, 1]),
    Case([64, 3, 3, 1, 256, 1]),
    Case([256, 256, 1, 1, 32, 8]),
    Case([128, 128, 3, 2, 32, 8]),
    Case([64, 64, 3, 2, 28, 64]),
    Case([64, 128, 2, 2, 64, 1]),
    Case([64, 128, 4, 2, 28, 16]),
];

fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|at| (0.37 * at as f32).sin()).collect()
}

fn convolve(bencher: Bencher, case: Case, pass: Pass) {
    let c = case.convolution();
    let algorithm = Algorithm::fastest(&c, pass);
    let (x, dy, weights) = (
        numbers(c.image_len()),
        numbers(c.output_len()),
        numbers(c.weights()),
    );
    let packed = match pass {
        Pass::WeightGradient => None,
        _ => Some(Packed::new(Level::best(), algorithm, pass, &c, &weights)),
    };
    bencher
        .counter(ItemsCount::new(2 * c.multiplications()))
        .bench_local(|| match (&packed, pass) {
            (Some(packed), Pass::Forward) => black_box(conv::forward(&c, &x, packed, None)),
            (Some(packed), _) => black_box(conv::input_gradient(&c, &dy, packed, None)),
            (None, _) => black_box(conv::weight_gradient(Level::best(), algorithm, &c, &x, &dy)),
        });
}

#[divan::bench(args = CASES)]
fn convolution(bencher: Bencher, case: Case) {
    convolve(bencher, case, Pass::Forward);
}

#[divan::bench(args = CASES)]
fn input_gradient(bencher: Bencher, case: Case) {
    convolve(bencher, case, Pass::InputGradient);
}

#[divan::bench(args = CASES)]
fn weight_gradient(bencher: Bencher, case: Case) {
    convolve(bencher, case, Pass::WeightGradient);
}

/// Length and channels of a head, images: `Q K`, `V P`, and all that is recomputed and added backward.
const ATTENTIONS: [(usize, usize, usize); 3] = [(256, 256, 8), (49, 128, 64), (1024, 64, 1)];

fn self_attention((length, channels, batch): (usize, usize, usize)) -> attention::Attention {
    attention::Attention {
        batch,
        heads: 1,
        channels,
        length,
    }
}

#[divan::bench(args = ATTENTIONS)]
fn attention_forward(bencher: Bencher, case: (usize, usize, usize)) {
    let (length, channels, batch) = case;
    let qkv = numbers(3 * batch * channels * length);
    bencher
        .counter(ItemsCount::new(4 * batch * channels * length * length))
        .bench_local(|| attention::forward(Level::best(), &self_attention(case), black_box(&qkv)));
}

#[divan::bench(args = ATTENTIONS)]
fn attention_gradient(bencher: Bencher, case: (usize, usize, usize)) {
    let (length, channels, batch) = case;
    let (qkv, dy) = (
        numbers(3 * batch * channels * length),
        numbers(batch * channels * length),
    );
    bencher
        .counter(ItemsCount::new(10 * batch * channels * length * length))
        .bench_local(|| {
            attention::backward(Level::best(), &self_attention(case), black_box(&qkv), &dy)
        });
}
