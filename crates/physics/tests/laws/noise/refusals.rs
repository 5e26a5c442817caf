//! What is refused, and with which words; and noise by name.

use tweedie_physics::{
    GammaNoise, LaplaceNoise, LogPoissonNoise, NoiseConfig, NoiseModel, PerSampleGaussianNoise,
    PhysicsError, PoissonGaussianNoise, PoissonNoise, SaltPepperNoise, UniformNoise,
};
use tweedie_testkit::{exact, golden};

use super::{all, clean};

fn message<T>(result: Result<T, PhysicsError>) -> String {
    result.err().expect("this must be refused").to_string()
}

#[test]
fn settings_that_must_be_positive() {
    for bad in [0.0, -0.5, f64::NAN, f64::INFINITY] {
        let refused = [
            ("gain", message(PoissonNoise::new(bad))),
            ("gain", message(PoissonGaussianNoise::new(bad, 0.1))),
            ("std", message(PoissonGaussianNoise::new(0.1, bad))),
            ("half_width", message(UniformNoise::new(bad))),
            ("scale", message(LaplaceNoise::new(bad))),
            ("photons", message(LogPoissonNoise::new(bad, 1.0))),
            ("mu", message(LogPoissonNoise::new(1.0, bad))),
            ("looks", message(GammaNoise::new(bad))),
        ];
        for (name, text) in refused {
            let expected = format!("{name} must be finite and above 0, found {bad}");
            assert_eq!(text, expected);
        }
    }
}

#[test]
fn probabilities_above_one() {
    for (pepper, salt, text) in [
        (-0.1, 0.2, "pepper must be in [0, 1], found -0.1"),
        (0.1, f64::NAN, "salt must be in [0, 1], found NaN"),
        (0.75, 0.5, "pepper + salt must be at most 1, found 1.25"),
    ] {
        assert_eq!(message(SaltPepperNoise::new(pepper, salt)), text);
    }
}

#[test]
fn levels_that_do_not_fit() {
    for bad in [0.0, -1.0, f64::NAN] {
        let text = message(PerSampleGaussianNoise::new(exact(&[0.1, bad], [2])));
        let expected =
            format!("the noise level of sample 1 must be finite and above 0, found {bad}");
        assert_eq!(text, expected);
    }
    let three = PerSampleGaussianNoise::new(exact(&[0.1; 3], [3])).unwrap();
    let text = message(three.check(&clean()));
    assert_eq!(text, "3 noise levels do not fit a batch of 2");
}

#[test]
fn clean_measurements_without_a_law() {
    let counts = PoissonNoise::new(0.1).unwrap();
    let camera = PoissonGaussianNoise::new(0.1, 0.1).unwrap();
    let tomography = LogPoissonNoise::new(100.0, 1.0).unwrap();
    let speckle = GammaNoise::new(2.0).unwrap();
    let models: [(&dyn NoiseModel<2>, f64); 4] = [
        (&counts, -0.25),
        (&camera, -0.25),
        (&tomography, -1e3),
        (&speckle, -0.25),
    ];
    for (noise, bad) in models {
        for bad in [bad, f64::NAN] {
            let x = exact(&[0.1, 0.2, 0.3, 0.4, 0.5, bad], [2, 3]);
            let text = message(noise.check(&x));
            let place = format!("found {bad} at [1, 2]");
            assert!(text.ends_with(&place), "{text}");
        }
    }
    let text = message(counts.check(&exact(&[-0.25], [1, 1])));
    assert_eq!(
        text,
        "a clean measurement must be at least 0 and at most 1.8e19 times the gain for this noise, found -0.25 at [0, 0]"
    );
    for (name, noise) in all() {
        assert!(noise.check(&clean()).is_ok(), "{name}");
    }
}

#[test]
fn noises_are_read_by_name() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/laws/noise/noises.json");
    let configs: Vec<NoiseConfig> = golden(path);
    let expected = [
        NoiseConfig::Gaussian { std: 0.05 },
        NoiseConfig::Poisson { gain: 0.01 },
        NoiseConfig::PoissonGaussian {
            gain: 0.01,
            std: 0.02,
        },
        NoiseConfig::Uniform { half_width: 0.1 },
        NoiseConfig::SaltPepper {
            pepper: 0.025,
            salt: 0.05,
        },
        NoiseConfig::Laplace { scale: 0.1 },
        NoiseConfig::LogPoisson {
            photons: 1024.0,
            mu: 0.02,
        },
        NoiseConfig::Gamma { looks: 4.0 },
    ];
    assert_eq!(configs, expected);
    let image = exact(&[0.5; 4], [1, 1, 2, 2]);
    for config in configs {
        let noise = config.build().unwrap();
        let y = noise.corrupt(image.clone(), &mut super::rng(1));
        assert_eq!(y.dims(), [1, 1, 2, 2], "{config:?}");
    }
    assert!(
        NoiseConfig::SaltPepper {
            pepper: 0.6,
            salt: 0.6
        }
        .build()
        .is_err()
    );
}
