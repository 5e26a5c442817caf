//! What a configuration stands for, and which are refused.

use burn::{module::Module, tensor::Tensor};
use tweedie_core::{Backbone, Conditioning};
use tweedie_models::{ModelError, TimeInjection, UNetConfig};
use tweedie_testkit::device;

use crate::support::{assert_refusals, kinds, small};

fn parameters(config: &UNetConfig) -> usize {
    config.init(0, &device()).unwrap().num_params()
}

/// Ho et al. 2020, appendix B: "35.7 million parameters"; the published weights hold this many numbers.
#[test]
fn the_cifar10_network_has_the_published_size() {
    let config = UNetConfig::preset("ddpm-cifar10").unwrap();
    assert_eq!(parameters(&config), 35_746_307);
}

#[test]
fn the_other_presets_have_the_sizes_they_announce() {
    for (name, count) in [("tiny", 937_281), ("small", 9_248_881)] {
        assert_eq!(parameters(&UNetConfig::preset(name).unwrap()), count);
    }
}

#[test]
fn every_preset_is_valid() {
    for name in UNetConfig::PRESETS {
        UNetConfig::preset(name).unwrap().validate().unwrap();
    }
    let error = UNetConfig::preset("huge").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no preset is called \"huge\"; there are tiny, small, ddpm-cifar10"
    );
}

/// The fields of the first version.
#[test]
fn a_description_without_the_later_fields_is_of_the_same_network() {
    let text = r#"{
        "channels": 3, "base_channels": 128, "channel_multipliers": [1, 2, 2, 2], "blocks_per_level": 2,
        "attention_levels": [1], "heads": 1, "groups": 32, "dropout": 0.1, "time_injection": "add"
    }"#;
    let found: UNetConfig = serde_json::from_str(text).unwrap();
    assert_eq!(found, UNetConfig::preset("ddpm-cifar10").unwrap());
    for kind in kinds() {
        let text = serde_json::to_string(&kind).unwrap();
        assert_eq!(serde_json::from_str::<UNetConfig>(&text).unwrap(), kind);
    }
}

#[test]
fn the_output_has_the_shape_of_the_input() {
    for kind in kinds() {
        let deep = UNetConfig {
            channel_multipliers: vec![1, 2, 1],
            blocks_per_level: 2,
            attention_levels: vec![1],
            ..kind
        };
        let network = deep.init(0, &device()).unwrap();
        for shape in [[1, 2, 4, 4], [3, 2, 8, 20], [2, 2, 12, 4]] {
            let x = Tensor::zeros(shape, &device());
            let label = Conditioning::uniform(3.0, &x);
            assert_eq!(network.forward(x, label).dims(), shape);
        }
    }
}

#[test]
fn a_size_between_two_multiples_is_refused() {
    let config = UNetConfig::preset("tiny").unwrap();
    assert_eq!(config.multiple(), 4);
    config.check_size(28, 32).unwrap();
    for (height, width) in [(30, 32), (32, 33), (0, 32), (32, 0), (2, 4)] {
        assert!(matches!(
            config.check_size(height, width),
            Err(ModelError::Size { multiple: 4, height: h, width: w }) if (h, w) == (height, width)
        ));
    }
}

#[test]
fn configurations_that_no_network_can_have_are_refused() {
    type Change = fn(&mut UNetConfig);
    let cases: [(Change, &str); 18] = [
        (|c| c.channels = 0, "channels must be at least 1, found 0"),
        (
            |c| c.blocks_per_level = 0,
            "blocks_per_level must be at least 1, found 0",
        ),
        (|c| c.heads = 0, "heads must be at least 1, found 0"),
        (
            |c| c.head_channels = Some(0),
            "head_channels must be at least 1, found 0",
        ),
        (|c| c.groups = 0, "groups must be at least 1, found 0"),
        (
            |c| c.base_channels = 0,
            "base_channels must be even and at least 4, found 0",
        ),
        (
            |c| c.base_channels = 5,
            "base_channels must be even and at least 4, found 5",
        ),
        (
            |c| c.channel_multipliers = vec![],
            "channel_multipliers must name at least one level, found none",
        ),
        (
            |c| c.channel_multipliers = vec![1, 0],
            "channel_multipliers must be at least 1, found 0",
        ),
        (
            |c| c.attention_levels = vec![2],
            "attention_levels names level 2, but the levels are 0 to 1",
        ),
        (
            |c| c.groups = 3,
            "groups (3) must divide the 4 channels of level 0",
        ),
        (
            |c| {
                c.channel_multipliers = vec![2, 2];
                c.groups = 8;
            },
            "groups (8) must divide the 4 channels of level 0",
        ),
        (
            |c| {
                c.attention_levels = vec![];
                c.heads = 3;
            },
            "heads (3) must divide the 8 channels of level 1",
        ),
        (
            |c| {
                c.heads = 3;
                c.head_channels = Some(5);
            },
            "head_channels (5) must divide the 4 channels of level 0",
        ),
        (
            |c| c.norm_epsilon = 0.0,
            "norm_epsilon must be finite and above 0, found 0",
        ),
        (
            |c| c.norm_epsilon = f64::INFINITY,
            "norm_epsilon must be finite and above 0, found inf",
        ),
        (|c| c.dropout = 1.0, "dropout must be in [0, 1), found 1"),
        (
            |c| c.dropout = f64::NAN,
            "dropout must be in [0, 1), found NaN",
        ),
    ];
    assert_refusals(&small(TimeInjection::Add), &cases, |config| {
        config.init(0, &device())
    });
}
