//! Learning rates.

use tweedie_training::{LearningRateDecay, TrainingConfig, TrainingError};

fn cosine(floor: f64) -> TrainingConfig {
    TrainingConfig {
        steps: 104,
        learning_rate: 0.5,
        warmup_steps: 4,
        learning_rate_decay: LearningRateDecay::Cosine { floor },
        ..TrainingConfig::default()
    }
}

#[test]
fn a_cosine_falls_from_the_rate_to_its_floor() {
    let config = cosine(0.1);
    // Halfway in rate at half the steps, and at a third 3/4 of the way up: cos(pi/3) = 1/2.
    let cases = [
        (1, 0.125),
        (2, 0.25),
        (4, 0.5),
        (54, 0.3),
        (104, 0.1),
        (1000, 0.1),
    ];
    for (step, expected) in cases {
        let found = config.learning_rate_at(step);
        assert!((found - expected).abs() < 1e-15, "step {step}: {found}");
    }
    let longer = TrainingConfig {
        steps: 4 + 3,
        ..config
    };
    assert!((longer.learning_rate_at(5) - (0.1 + 0.4 * 0.75)).abs() < 1e-15);
}

#[test]
fn a_cosine_never_rises_after_the_warm_up() {
    let config = cosine(0.0);
    for step in 4..104 {
        assert!(
            config.learning_rate_at(step + 1) < config.learning_rate_at(step),
            "{step}"
        );
    }
}

#[test]
fn a_run_of_warm_up_alone_has_no_decay() {
    let config = TrainingConfig {
        steps: 3,
        ..cosine(0.0)
    };
    assert_eq!(config.learning_rate_at(3), 0.375);
}

#[test]
fn a_floor_above_the_rate_is_refused() {
    for floor in [0.6, -0.1, f64::NAN] {
        let error = cosine(floor).validate().unwrap_err();
        assert!(
            matches!(
                error,
                TrainingError::Setting {
                    field: "learning_rate_decay.floor",
                    ..
                }
            ),
            "{error}"
        );
    }
    cosine(0.5).validate().unwrap();
}

#[test]
fn decays_are_written_as_they_are_named() {
    let text = r#"{ "learning_rate_decay": { "type": "cosine", "floor": 1e-5 } }"#;
    let config: TrainingConfig = serde_json::from_str(text).unwrap();
    assert_eq!(
        config.learning_rate_decay,
        LearningRateDecay::Cosine { floor: 1e-5 }
    );
    for text in [
        r#"{ "learning_rate_decay": { "type": "constant", "floor": 1e-5 } }"#,
        r#"{ "learning_rate_decay": { "type": "cosine", "flor": 1e-5 } }"#,
    ] {
        assert!(
            serde_json::from_str::<TrainingConfig>(text).is_err(),
            "{text}"
        );
    }
}
