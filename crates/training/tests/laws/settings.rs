//! Settings: the warm-up of the learning rate, and what is refused.

use tweedie_training::{TrainingConfig, TrainingError};

#[test]
fn learning_rate_rises_linearly_and_stays() {
    let config = TrainingConfig {
        learning_rate: 0.5,
        warmup_steps: 4,
        ..TrainingConfig::default()
    };
    let rates = [1, 2, 3, 4, 5, 1_000_000].map(|step| config.learning_rate_at(step));
    assert_eq!(rates, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
}

#[test]
fn without_warmup_the_first_step_has_the_full_rate() {
    for warmup_steps in [0, 1] {
        let config = TrainingConfig {
            learning_rate: 0.5,
            warmup_steps,
            ..TrainingConfig::default()
        };
        assert_eq!(config.learning_rate_at(1), 0.5, "{warmup_steps}");
    }
}

#[test]
fn defaults_are_valid() {
    TrainingConfig::default().validate().unwrap();
}

#[test]
fn ends_of_the_ranges_are_valid() {
    let config = TrainingConfig {
        steps: 1,
        batch_size: 1,
        weight_decay: 0.0,
        clip_norm: 0.0,
        ema_decays: vec![0.0],
        ..TrainingConfig::default()
    };
    config.validate().unwrap();
}

/// Sets one field to a number out of its range.
type Spoil = fn(&mut TrainingConfig, f64);

#[test]
fn every_setting_out_of_range_is_refused_by_name() {
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    let cases: [(&str, Spoil, &[f64]); 6] = [
        ("steps", |c, v| c.steps = v as u64, &[0.0]),
        ("batch_size", |c, v| c.batch_size = v as usize, &[0.0]),
        (
            "learning_rate",
            |c, v| c.learning_rate = v,
            &[0.0, -1e-3, nan, infinity],
        ),
        (
            "weight_decay",
            |c, v| c.weight_decay = v,
            &[-0.1, nan, infinity],
        ),
        ("clip_norm", |c, v| c.clip_norm = v, &[-1.0, nan, infinity]),
        (
            "ema_decays",
            |c, v| c.ema_decays = vec![0.5, v],
            &[-0.1, 1.0, nan, infinity],
        ),
    ];
    for (name, spoil, numbers) in cases {
        for &number in numbers {
            let mut config = TrainingConfig::default();
            spoil(&mut config, number);
            let error = config.validate().unwrap_err();
            assert!(
                matches!(error, TrainingError::Setting { field, found, .. }
                    if field == name && found.to_bits() == number.to_bits()),
                "{name} = {number}: {error}"
            );
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}

#[test]
fn unknown_fields_are_refused_by_name() {
    let error = serde_json::from_str::<TrainingConfig>(r#"{ "steps": 5, "lerning_rate": 0.1 }"#)
        .unwrap_err();
    assert!(error.to_string().contains("lerning_rate"), "{error}");
}

#[test]
fn settings_left_out_are_the_defaults() {
    let config: TrainingConfig =
        serde_json::from_str(r#"{ "steps": 5, "clip_norm": 2.0 }"#).unwrap();
    let expected = TrainingConfig {
        steps: 5,
        clip_norm: 2.0,
        ..TrainingConfig::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn settings_survive_json_exactly() {
    let config = TrainingConfig {
        learning_rate: 0.1 + 0.2,
        seed: u64::MAX,
        ..TrainingConfig::default()
    };
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(
        serde_json::from_str::<TrainingConfig>(&text).unwrap(),
        config
    );
}
