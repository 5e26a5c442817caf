//! What is refused, and with which words; and configurations by name.

use burn::tensor::{DType, Tensor};
use tweedie_physics::{
    AverageDownsampling, Blur, ForwardOperator, FourierBlur, GaussianNoise, Inpainting,
    NoiseConfig, OperatorConfig, PhysicsError, Region,
};
use tweedie_testkit::{assert_close, device, exact, golden, values};

const IMAGE: [usize; 4] = [2, 3, 8, 6];

fn message<T>(result: Result<T, PhysicsError>) -> String {
    result.err().expect("this must be refused").to_string()
}

fn build(config: OperatorConfig) -> Result<(), PhysicsError> {
    config.build(IMAGE, &device(), 0).map(|_| ())
}

#[test]
fn noise_levels_out_of_range() {
    for std in [-0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            GaussianNoise::new(std),
            Err(PhysicsError::NoiseStd { .. })
        ));
        assert!(NoiseConfig::Gaussian { std }.build().is_err());
    }
    let text = message(GaussianNoise::new(-0.1));
    assert_eq!(text, "noise_std must be finite and at least 0, found -0.1");
}

#[test]
fn masks_that_make_no_sense() {
    for missing in [-0.1, 1.0, f64::NAN] {
        let refused = Inpainting::random([4, 4], missing, 0, &device());
        assert!(matches!(refused, Err(PhysicsError::MissingFraction { .. })));
    }
    let rounds_to_all = Inpainting::random([2, 2], 0.99, 0, &device());
    assert!(matches!(
        rounds_to_all,
        Err(PhysicsError::NothingObserved { .. })
    ));
    let grey = exact(&[1.0, 1.0, 1.0, 1.0, 0.5, 1.0], [1, 1, 2, 3]);
    let text = message(Inpainting::new(grey));
    assert!(text.contains("0.5 at [0, 0, 1, 1]"), "{text}");
}

#[test]
fn rectangles_that_leave_the_image() {
    let region = |top, left, height, width| Region {
        top,
        left,
        height,
        width,
    };
    for bad in [
        region(3, 0, 2, 1),
        region(0, 3, 1, 2),
        region(0, 0, 0, 1),
        region(usize::MAX, 0, 2, 1),
    ] {
        let refused = Inpainting::without([4, 4], bad, &device());
        assert!(
            matches!(refused, Err(PhysicsError::Region { .. })),
            "{bad:?}"
        );
    }
    let everything = Inpainting::without([4, 4], region(0, 0, 4, 4), &device());
    assert!(matches!(
        everything,
        Err(PhysicsError::NothingObserved { .. })
    ));
}

#[test]
fn a_mask_that_does_not_fit_the_image() {
    let ones = |shape| Tensor::<4>::ones(shape, (&device(), DType::F32));
    for shape in [[1, 1, 8, 5], [1, 2, 8, 6], [3, 1, 8, 6], [1, 1, 1, 1]] {
        let refused = Inpainting::new(ones(shape))
            .unwrap()
            .measurement_shape(IMAGE);
        let text = message(refused);
        assert!(text.contains(&format!("{shape:?}")), "{text}");
        assert!(text.contains("[2, 3, 8, 6]"), "{text}");
    }
}

#[test]
fn kernels_without_centre_or_too_large() {
    let even = Blur::new(exact(&[0.5, 0.5], [1, 2]));
    assert!(matches!(
        even,
        Err(PhysicsError::KernelSize { found: [1, 2] })
    ));
    let infinite = Blur::new(exact(&[1.0, f64::INFINITY, 0.0], [3, 1]));
    assert!(matches!(
        infinite,
        Err(PhysicsError::KernelValue { at: [1, 0], .. })
    ));
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            build(OperatorConfig::Blur { sigma }),
            Err(PhysicsError::BlurSigma { .. })
        ));
    }
    for sigma in [1.0, 1e300] {
        assert!(matches!(
            build(OperatorConfig::Blur { sigma }),
            Err(PhysicsError::KernelTooLarge { size: [8, 6], .. })
        ));
    }
}

#[test]
fn factors_that_do_not_divide() {
    assert!(matches!(
        AverageDownsampling::new(0),
        Err(PhysicsError::ZeroFactor)
    ));
    let text = message(build(OperatorConfig::SuperResolution { factor: 4 }));
    assert_eq!(
        text,
        "a [8, 6] image does not split into blocks of 4 x 4 pixels"
    );
}

#[test]
fn configurations_are_read_by_name_and_give_back_the_image_shape() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/laws/operators.json");
    let configs: Vec<OperatorConfig> = golden(path);
    let expected = [
        OperatorConfig::Denoising,
        OperatorConfig::Inpainting { missing: 0.5 },
        OperatorConfig::Blur { sigma: 0.6 },
        OperatorConfig::SuperResolution { factor: 2 },
    ];
    assert_eq!(configs, expected);
    for config in configs {
        let operator = config.build(IMAGE, &device(), 1).unwrap();
        let measurement = operator.forward().measurement_shape(IMAGE).unwrap();
        assert_eq!(config.image_shape(measurement), IMAGE, "{config:?}");
    }
}

#[test]
fn an_operator_by_name_is_what_it_can_do() {
    let image = [2, 1, 7, 7];
    let kinds = |config: OperatorConfig| {
        let operator = config.build(image, &device(), 0).unwrap();
        let measurement = operator.forward().measurement_shape(image).unwrap();
        assert_eq!(config.image_shape(measurement), image, "{config:?}");
        (operator.linear().is_some(), operator.svd().is_some())
    };
    assert_eq!(
        kinds(OperatorConfig::Inpainting { missing: 0.5 }),
        (true, true)
    );
    assert_eq!(kinds(OperatorConfig::Blur { sigma: 0.6 }), (true, true));
    assert_eq!(
        kinds(OperatorConfig::Tomography { angles: 5 }),
        (true, false)
    );
    assert_eq!(
        kinds(OperatorConfig::Saturation { gain: 2.0 }),
        (false, false)
    );
    assert!(
        build(OperatorConfig::Tomography { angles: 5 }).is_err(),
        "not square"
    );
}

#[test]
fn a_sinogram_by_name_stays_within_the_pixels_range() {
    let image = [1, 1, 9, 9];
    let config = OperatorConfig::Tomography { angles: 8 };
    let operator = config.build(image, &device(), 0).unwrap();
    let white = Tensor::<4>::ones(image, &device());
    let brightest = operator.forward().forward(white).max().into_scalar::<f64>();
    assert!(brightest > 0.5 && brightest <= 1.0, "{brightest}");
}

#[test]
fn a_gaussian_blur_by_its_fourier_basis_is_the_same_operator() {
    let x = exact(
        &(0..42).map(|i| f64::from(i * i % 17)).collect::<Vec<_>>(),
        [1, 1, 7, 6],
    );
    let direct = Blur::gaussian([7, 6], 0.6, (&device(), DType::F64)).unwrap();
    let fourier = FourierBlur::gaussian([7, 6], 0.6, (&device(), DType::F64)).unwrap();
    let (found, expected) = (fourier.forward(x.clone()), direct.forward(x));
    assert_close("blur", &values(&found), &values(&expected), 1e-12);
}

#[test]
#[should_panic(expected = "unknown field `ratio`")]
fn an_unknown_field_of_a_configuration() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/laws/unknown_field.json");
    let _: Vec<OperatorConfig> = golden(path);
}
