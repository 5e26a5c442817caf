//! The network as a function.

use burn::{
    module::Module,
    tensor::{DType, Tensor},
};
use tweedie_core::{Backbone, Conditioning, Rng, value_and_vjp};
use tweedie_models::{NoiseEmbedding, TimeInjection, UNet, UNetConfig};
use tweedie_testkit::{assert_close, assert_vjp, assert_z, device, values};

use crate::support::{awake, in_double, kinds, small, untrained, weights};

#[test]
fn weights_depend_on_the_seed_alone() {
    let config = small(TimeInjection::ScaleShift);
    let first = weights(&config.init(7, &device()).unwrap());
    let again = weights(&config.init(7, &device()).unwrap());
    let trainable = weights(&config.init(7, &device().autodiff()).unwrap());
    let other = weights(&config.init(8, &device()).unwrap());
    assert_eq!(first, again);
    assert_eq!(first, trainable);
    assert_ne!(first, other);
}

#[test]
fn no_two_layers_start_alike() {
    let all = weights(&small(TimeInjection::Add).init(7, &device()).unwrap());
    let drawn: Vec<_> = all
        .iter()
        .filter(|layer| layer.iter().any(|&w| w != 0.0 && w != 1.0))
        .collect();
    assert!(drawn.len() > 10);
    for (i, a) in drawn.iter().enumerate() {
        for b in &drawn[..i] {
            assert_ne!(a[..4], b[..4]);
        }
    }
}

#[test]
fn weights_are_uniform_with_the_variance_of_glorot() {
    let config = UNetConfig {
        channel_multipliers: vec![1],
        base_channels: 64,
        attention_levels: vec![],
        ..small(TimeInjection::Add)
    };
    // The second layer of the time embedding: 256 x 256, the first such tensor.
    let all = weights(&config.init(1, &device()).unwrap());
    let layer = all.iter().find(|layer| layer.len() == 256 * 256).unwrap();
    let bound = (6.0 / 512.0_f64).sqrt();
    assert!(layer.iter().all(|w| w.abs() <= bound));
    let count = layer.len() as f64;
    let mean = layer.iter().sum::<f64>() / count;
    let square = layer.iter().map(|w| w * w).sum::<f64>() / count;
    let variance = bound * bound / 3.0;
    // Var(w) = b^2/3 and Var(w^2) = b^4 (1/5 - 1/9).
    let errors = [variance / count, bound.powi(4) * 4.0 / 45.0 / count].map(f64::sqrt);
    assert_z("moments", &[mean, square], &[0.0, variance], &errors);
}

#[test]
fn it_starts_as_zero() {
    for config in kinds() {
        let network = config.init(3, &device()).unwrap();
        let x = Rng::seeded(1, &device()).normal([2, 2, 6, 4]);
        let output = network.forward(x.clone(), Conditioning::uniform(12.0, &x));
        assert!(values(&output).iter().all(|&y| y == 0.0));
    }
}

#[test]
fn the_label_of_each_row_matters() {
    for config in kinds() {
        let network = awake(&config, &device());
        let x = Rng::seeded(1, &device())
            .normal([1, 2, 4, 4])
            .repeat_dim(0, 2);
        let noise = Tensor::from_floats([10.0, 400.0], &device());
        let output = values(&network.forward(x, Conditioning::new(noise)));
        let change: f64 = (0..32).map(|i| (output[i] - output[32 + i]).abs()).sum();
        assert!(change > 0.1, "{config:?}: changed by {change}");
    }
}

/// Networks of equal weights that differ in one choice.
#[test]
fn what_has_no_weights_counts_too() {
    type Change = fn(&mut UNetConfig);
    let changes: [Change; 3] = [
        |config| config.head_channels = Some(4),
        |config| config.noise_embedding = NoiseEmbedding::CosinesFirst,
        |config| config.norm_epsilon = 0.1,
    ];
    let x = Rng::seeded(1, &device()).normal([1, 2, 4, 4]);
    let run = |config: &UNetConfig| {
        let label = Conditioning::uniform(40.0, &x);
        values(&awake(config, &device()).forward(x.clone(), label))
    };
    let config = small(TimeInjection::ScaleShift);
    let before = run(&config);
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = config.clone();
        change(&mut other);
        let after = run(&other);
        let difference: f64 = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).sum();
        assert!(
            difference > 1e-3,
            "choice {index} changed it by {difference}"
        );
    }
}

#[test]
fn rows_do_not_see_each_other() {
    for config in kinds() {
        let network = awake(&config, &device());
        let x = Rng::seeded(2, &device()).normal([3, 2, 4, 8]);
        let noise = Tensor::from_floats([1.0, 50.0, 900.0], &device());
        let together = network.forward(x.clone(), Conditioning::new(noise.clone()));
        for row in 0..3 {
            let noise = noise.clone().narrow(0, row, 1);
            let alone = network.forward(x.clone().narrow(0, row, 1), Conditioning::new(noise));
            let expected = values(&together.clone().narrow(0, row, 1));
            assert_eq!(values(&alone), expected, "row {row}");
        }
    }
}

#[test]
fn the_size_of_the_batch_changes_no_bit() {
    let config = UNetConfig::preset("tiny").unwrap();
    let network = awake(&config, &device());
    let all = Rng::seeded(2, &device()).normal([8, 1, 28, 28]);
    let run = |x: Tensor<4>| {
        let label = Conditioning::uniform(300.0, &x);
        values(&network.forward(x, label))
    };
    let expected = run(all.clone());
    for rows in [1, 3] {
        let part = run(all.clone().narrow(0, 5, rows));
        assert_eq!(part, expected[5 * 784..(5 + rows) * 784]);
    }
}

#[test]
fn its_input_gradient_is_that_of_the_difference_quotient() {
    for config in kinds() {
        let network = in_double(awake(&config, &device()));
        let mut rng = Rng::seeded(4, &device()).with_dtype(DType::F64);
        let [x, direction, v] = [(); 3].map(|()| rng.normal([2, 2, 4, 6]));
        let run = |x: Tensor<4>| {
            let label = Conditioning::uniform(40.0, &x);
            network.forward(x, label)
        };
        let (_, product) = value_and_vjp(x.clone(), run, |_| v.clone());
        assert_vjp(&format!("{config:?}"), run, &x, &direction, &v, &product);
    }
}

#[test]
fn every_weight_can_be_trained() {
    for config in kinds() {
        let network = awake(&config, &device()).train();
        assert_eq!(untrained(&network), 0, "{config:?}");
        // The silent layers shield what lies before them, but are trained themselves.
        let fresh = config.init(1, &device().autodiff()).unwrap();
        assert!(untrained(&fresh) < weights(&fresh).len());
    }
}

#[test]
fn dropout_acts_where_weights_are_trained_and_nowhere_else() {
    let config = UNetConfig {
        dropout: 0.5,
        ..small(TimeInjection::ScaleShift)
    };
    let network = awake(&config, &device());
    let x = Rng::seeded(4, &device()).normal([1, 2, 4, 4]);
    let through = |network: &UNet, x: Tensor<4>| {
        let label = Conditioning::uniform(40.0, &x);
        network.forward(x, label)
    };
    let run = |x: Tensor<4>| through(&network, x);
    let (tracked, _) = value_and_vjp(x.clone(), run, |y| y.ones_like());
    let trained = network.clone().train();
    let dropped = values(&through(
        &trained,
        x.clone().to_device(&device().autodiff()),
    ));
    let plain = values(&run(x));
    assert!(
        plain
            .iter()
            .zip(&dropped)
            .any(|(a, b)| (a - b).abs() > 0.01)
    );
    let size = plain.iter().fold(0.0_f64, |m, y| m.max(y.abs()));
    // Attention runs through other kernels when tracked.
    assert_close("output", &values(&tracked), &plain, 1e-5 * size);
}
