//! Bad parameters, functions and levels, and configuration files.

use tweedie_core::{
    Cosine, Custom, DdpmTable, FlowMatching, FromCoefficients, Karras, ScaledLinear, Schedule,
    ScheduleConfig, ScheduleError, Sigmoid, SubVariancePreserving, VarianceExploding,
    VariancePreserving,
};

use super::{assert_relative, registry};

#[test]
fn parameters_out_of_range_are_refused() {
    assert!(VarianceExploding::new(0.0, 1.0).is_err());
    assert!(VarianceExploding::new(2.0, 1.0).is_err());
    assert!(VarianceExploding::new(f64::NAN, 1.0).is_err());
    assert!(VariancePreserving::new(-0.1, 20.0).is_err());
    assert!(VariancePreserving::new(20.0, 0.1).is_err());
    assert!(VariancePreserving::new(0.1, 2000.0).is_err());
    assert!(ScaledLinear::new(0.0, 20.0).is_err());
    assert!(ScaledLinear::new(20.0, 20.0).is_err());
    assert!(SubVariancePreserving::new(0.1, f64::INFINITY).is_err());
    assert!(Cosine::new(-0.1, 100.0).is_err());
    assert!(Cosine::new(0.008, f64::INFINITY).is_err());
    assert!(Cosine::new(0.008, 1e20).is_err());
    assert!(Sigmoid::new(3.0, -3.0, 1.0, 100.0).is_err());
    assert!(Sigmoid::new(-3.0, 3.0, 0.0, 100.0).is_err());
    assert!(Sigmoid::new(-3.0, 3.0, 0.01, 100.0).is_err());
    assert!(Sigmoid::new(f64::NEG_INFINITY, 3.0, 1.0, 100.0).is_err());
    assert!(Sigmoid::new(-3.0, 3.0, 1.0, 1e20).is_err());
    assert!(Karras::new(0.0).is_err());
    assert!(FlowMatching::new(1e17).is_err());
    assert!(FlowMatching::until(1.0).is_err());
    assert!(FlowMatching::until(f64::NAN).is_err());
    assert_eq!(DdpmTable::new(&[]), Err(ScheduleError::EmptyTable));
    assert_eq!(
        DdpmTable::linear(0, 1e-4, 0.02),
        Err(ScheduleError::EmptyTable)
    );
    assert_eq!(
        DdpmTable::new(&[0.1, 1.0]),
        Err(ScheduleError::Beta {
            step: 2,
            found: 1.0
        })
    );
    assert!(DdpmTable::new(&[0.9; 400]).is_err());
    assert!(DdpmTable::scaled_linear(10, -1e-3, 0.02).is_err());
    assert!(DdpmTable::cosine(10, 0.008, 1.0).is_err());
    assert!(DdpmTable::cosine(10, f64::NAN, 0.999).is_err());
    let says = |error: ScheduleError, words: &[&str]| {
        let message = error.to_string();
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    };
    says(
        VarianceExploding::new(-1.0, 1.0).unwrap_err(),
        &["sigma_min", "-1"],
    );
    says(
        VarianceExploding::new(2.0, 1.0).unwrap_err(),
        &["sigma_min < sigma_max", "2 and 1"],
    );
    says(
        DdpmTable::new(&[0.1, -0.5]).unwrap_err(),
        &["step 2", "-0.5"],
    );
    says(
        FlowMatching::until(1.5).unwrap_err(),
        &["horizon", "between 0 and 1", "1.5"],
    );
}

#[test]
#[should_panic(expected = "steps count from 1 to 2, got 0")]
fn step_0_of_a_table_is_refused() {
    DdpmTable::new(&[0.5, 0.2]).unwrap().beta(0);
}

#[test]
fn wrong_functions_are_refused() {
    let unscaled = |_: f64| (1.0, 0.0);
    let line = |t: f64| (t, 1.0);
    let found = |error: ScheduleError| match error {
        ScheduleError::Function {
            name, time, found, ..
        } => (name, time, found),
        other => panic!("{other}"),
    };
    assert!(Custom::new(1.0, unscaled, line).is_ok());
    assert!(Custom::new(0.0, unscaled, line).is_err());
    let negative = Custom::new(1.0, |t| (1.0 - 2.0 * t, -2.0), line).unwrap_err();
    assert_eq!(found(negative), ("scale", 0.5, 0.0));
    let scaled = Custom::new(1.0, |_| (2.0, 0.0), line).unwrap_err();
    assert_eq!(found(scaled), ("scale", 0.0, 2.0));
    let below = Custom::new(1.0, unscaled, |t| (t - 1.0, 1.0)).unwrap_err();
    assert_eq!(found(below), ("sigma", 0.0, -1.0));
    let infinite = Custom::new(1.0, unscaled, |t| (t / (1.0 - t), (1.0 - t).powi(-2)));
    assert_eq!(found(infinite.unwrap_err()), ("sigma", 1.0, f64::INFINITY));
    let flat = Custom::new(1.0, unscaled, |t: f64| (t.min(0.5), 1.0)).unwrap_err();
    assert!(
        matches!(flat, ScheduleError::NotIncreasing { earlier_time, .. } if earlier_time == 0.5),
        "{flat}"
    );
    // Derivatives with a wrong factor, in either function; a part in 1e4 is enough.
    let factor = Custom::new(1.0, unscaled, |t| (t * t, 2.0 * t * 1.0001)).unwrap_err();
    let ScheduleError::Derivative {
        name,
        time,
        expected,
        found: given,
    } = factor
    else {
        panic!("{factor}");
    };
    assert_eq!(name, "sigma");
    assert_relative("expected", expected, 2.0 * time, 1e-8);
    assert_relative("found", given, 2.0002 * time, 1e-12);
    let sign = Custom::new(1.0, |t| ((-t).exp(), (-t).exp()), line).unwrap_err();
    assert!(
        matches!(sign, ScheduleError::Derivative { name: "scale", .. }),
        "{sign}"
    );
    let message = sign.to_string();
    assert!(message.contains("derivative of scale at t ="), "{message}");

    let no_noise = FromCoefficients::new(1.0, |_| 0.0, |t| 0.5 - t).unwrap_err();
    let (name, time, value) = found(no_noise);
    assert!(name == "g^2" && time > 0.5 && time < 0.51 && value < 0.0);
    let singular = FromCoefficients::new(1.0, |_| f64::NAN, |_| 1.0).unwrap_err();
    assert_eq!(found(singular).0, "f");
    let overflowing = FromCoefficients::new(1.0, |_| -1000.0, |_| 1.0).unwrap_err();
    assert_eq!(found(overflowing).0, "sigma^2");
}

#[test]
fn levels_that_a_numeric_inverse_lacks_are_not_numbers() {
    let custom = Custom::new(1.0, |_| (1.0, 0.0), |t| (1.0 + t, 1.0)).unwrap();
    let integrated = FromCoefficients::new(1.0, |_| 0.0, |_| 1.0).unwrap();
    for sigma in [0.9, 2.1, f64::NAN, f64::INFINITY] {
        assert!(custom.time_at(sigma).is_nan(), "{sigma}");
    }
    for sigma in [1.1, f64::NAN, f64::INFINITY] {
        assert!(integrated.time_at(sigma).is_nan(), "{sigma}");
    }
    // Rounding of a level at the end is none.
    assert_eq!(custom.time_at(2.0 * (1.0 + f64::EPSILON)), 1.0);
    assert_eq!(custom.time_at(1.0 - f64::EPSILON), 0.0);
}

#[test]
fn configs_build_round_trip_and_refuse_unknown_fields() {
    let texts = [
        r#"{"type":"variance_exploding","sigma_min":0.01,"sigma_max":50.0}"#,
        r#"{"type":"variance_preserving","beta_min":0.1,"beta_max":20.0}"#,
        r#"{"type":"sub_variance_preserving","beta_min":0.1,"beta_max":20.0}"#,
        r#"{"type":"scaled_linear","beta_min":0.1,"beta_max":20.0}"#,
        r#"{"type":"cosine","offset":0.008,"sigma_max":1000.0}"#,
        r#"{"type":"sigmoid","start":-3.0,"end":3.0,"tau":0.9,"sigma_max":1000.0}"#,
        r#"{"type":"karras","sigma_max":80.0}"#,
        r#"{"type":"flow_matching","sigma_max":1000.0}"#,
        r#"{"type":"ddpm","steps":1000,"beta_min":0.0001,"beta_max":0.02}"#,
        r#"{"type":"ddpm_scaled_linear","steps":1000,"beta_min":0.00085,"beta_max":0.012}"#,
        r#"{"type":"ddpm_cosine","steps":1000,"offset":0.008,"beta_cap":0.999}"#,
        r#"{"type":"ddpm_table","betas":[0.3,0.01,0.5,0.2]}"#,
    ];
    let rows = registry();
    let expected = [
        "exploding",
        "preserving",
        "sub-vp",
        "scaled linear",
        "cosine",
        "sigmoid",
        "karras",
        "flow",
        "ddpm",
        "ddpm, scaled linear",
        "ddpm, cosine",
        "ddpm, uneven",
    ];
    for (text, name) in texts.into_iter().zip(expected) {
        let config: ScheduleConfig = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        let built = config.build().unwrap();
        let row = rows.iter().find(|row| row.name == name).unwrap();
        let t = 0.7 * row.schedule.horizon();
        assert_eq!(built.horizon(), row.schedule.horizon(), "{name}");
        assert_eq!(built.sigma(t), row.schedule.sigma(t), "{name}");
        let unknown = text.replacen('}', r#","colour":1.0}"#, 1);
        let error = serde_json::from_str::<ScheduleConfig>(&unknown).unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
    }
    let config: ScheduleConfig = serde_json::from_str(texts[8]).unwrap();
    assert_eq!(config, ScheduleConfig::DDPM);
}
