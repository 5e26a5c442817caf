//! What an algorithm and packed weights are for, and what they refuse: the kernels read and write by these sizes alone.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tweedie_kernels::Level;
use tweedie_kernels::conv::{
    Algorithm, Convolution, Packed, Pass, forward, input_gradient, weight_gradient,
};

const PASSES: [Pass; 3] = [Pass::Forward, Pass::InputGradient, Pass::WeightGradient];

const SIZES: Convolution = Convolution {
    batch: 1,
    inputs: 128,
    outputs: 128,
    size: [64, 64],
    kernel: [3, 3],
    stride: [1, 1],
    padding: [[1, 1], [1, 1]],
};

/// The message of the panic of `work`; empty if there is none.
fn refusal<R>(work: impl FnOnce() -> R) -> String {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(_) => String::new(),
        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
    }
}

fn packed(algorithm: Algorithm, pass: Pass, c: &Convolution) -> Packed {
    let weights = vec![1.0; c.weights()];
    Packed::new(Level::best(), algorithm, pass, c, &weights)
}

fn computed(pass: Pass, c: &Convolution, weights: &Packed) -> Vec<f32> {
    match pass {
        Pass::Forward => forward(c, &vec![1.0; c.image_len()], weights, None),
        _ => input_gradient(c, &vec![1.0; c.output_len()], weights, None),
    }
}

#[test]
fn only_kernels_of_three_and_strides_of_one_are_for_winograd() {
    let others = [
        Convolution {
            stride: [1, 2],
            ..SIZES
        },
        Convolution {
            stride: [2, 1],
            ..SIZES
        },
        Convolution {
            kernel: [3, 5],
            ..SIZES
        },
        Convolution {
            kernel: [1, 1],
            ..SIZES
        },
        Convolution {
            padding: [[1, 1], [1, 3]],
            ..SIZES
        },
    ];
    for pass in PASSES {
        assert_eq!(Algorithm::fastest(&SIZES, pass), Algorithm::Winograd);
        for other in &others {
            assert_eq!(
                Algorithm::fastest(other, pass),
                Algorithm::Direct,
                "{other:?}"
            );
            let refusal = match pass {
                Pass::WeightGradient => refusal(|| {
                    let (x, dy) = (vec![1.0; other.image_len()], vec![1.0; other.output_len()]);
                    weight_gradient(Level::best(), Algorithm::Winograd, other, &x, &dy)
                }),
                _ => refusal(|| packed(Algorithm::Winograd, pass, other)),
            };
            assert!(
                refusal.starts_with("Winograd for Convolution"),
                "{pass:?} {other:?}: {refusal}"
            );
        }
    }
}

#[test]
fn packed_weights_serve_any_images_of_their_layer_alone() {
    let small = Convolution {
        inputs: 8,
        outputs: 16,
        size: [6, 7],
        ..SIZES
    };
    let same = Convolution {
        batch: 3,
        size: [5, 9],
        ..small
    };
    let others = [
        Convolution {
            inputs: 40,
            ..small
        },
        Convolution {
            outputs: 80,
            ..small
        },
        Convolution {
            padding: [[1, 1], [0, 1]],
            ..small
        },
        Convolution {
            stride: [2, 1],
            ..small
        },
        Convolution {
            kernel: [3, 1],
            ..small
        },
    ];
    for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
        for pass in [Pass::Forward, Pass::InputGradient] {
            let weights = packed(algorithm, pass, &small);
            let own = packed(algorithm, pass, &same);
            assert_eq!(computed(pass, &same, &weights), computed(pass, &same, &own));
            for other in &others {
                let refusal = refusal(|| computed(pass, other, &weights));
                assert!(
                    refusal.contains("convolution that the weights were packed for"),
                    "{algorithm:?} {pass:?} {other:?}: {refusal}"
                );
            }
        }
    }
}
