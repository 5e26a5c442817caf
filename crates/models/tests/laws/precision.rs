//! Networks in half precision: near single precision by what rounding allows, and norms, labels and images as they were.

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{DType, Tensor},
};
use tweedie_core::{
    Backbone, Conditioning, Denoiser, NoiseLabel, Parametrisation, Rng, ScheduleConfig,
    value_and_vjp,
};
use tweedie_models::{
    Architecture, DncnnConfig, DrunetConfig, InPrecision, MnistDdpmConfig, ModelConfig,
    NcsnppConfig, NcsnppKind, Network, PlainUNetConfig, Precision, Pretrained, SimpleUnetConfig,
    TimeInjection, save_weights,
};
use tweedie_testkit::{device, values};

use crate::support::{disturbed, kinds, small};

/// The precisions, with the largest relative error of a rounding.
const HALF: [(Precision, f64); 2] = [
    (Precision::F16, 1.0 / 2048.0),
    (Precision::Bf16, 1.0 / 256.0),
];

fn drunet() -> Architecture {
    Architecture::Drunet(DrunetConfig {
        channels: 2,
        widths: vec![4, 6, 8],
        blocks_per_level: 2,
    })
}

/// A small network of each kind.
pub(crate) fn architectures() -> Vec<Architecture> {
    let ncsnpp = |kind| {
        Architecture::Ncsnpp(NcsnppConfig {
            channels: 2,
            base_channels: 32,
            channel_multipliers: vec![1, 1],
            blocks_per_level: 1,
            attention_levels: vec![0],
            ..NcsnppConfig::published(kind, 32)
        })
    };
    let mut all: Vec<_> = kinds().into_iter().map(Architecture::UNet).collect();
    all.extend([
        drunet(),
        Architecture::Dncnn(DncnnConfig {
            width: 6,
            ..DncnnConfig::published(2, 5)
        }),
        Architecture::SimpleUnet(SimpleUnetConfig {
            channels: 2,
            widths: vec![4, 6],
            time_width: 8,
        }),
        ncsnpp(NcsnppKind::Ncsn),
        ncsnpp(NcsnppKind::Ddpm),
        Architecture::PlainUNet(PlainUNetConfig {
            widths: vec![4, 6, 8],
            ..PlainUNetConfig::published(2)
        }),
        Architecture::MnistDdpm(MnistDdpmConfig {
            channels: 2,
            widths: vec![4, 6],
            size: 8,
            frequencies: 4,
            time_width: 8,
        }),
    ]);
    all
}

fn network(architecture: &Architecture) -> Network {
    disturbed(architecture.init(5, &device()).unwrap().valid())
}

/// Tensors by their type: of layers and of all else.
#[derive(Default)]
struct Types {
    kinds: Vec<String>,
    layers: Vec<DType>,
    others: Vec<DType>,
}

impl ModuleVisitor for Types {
    fn enter_module(&mut self, _: &str, kind: &str) {
        self.kinds.push(kind.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.kinds.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let kind = self.kinds.last().unwrap();
        let of_layer = kind.contains("Conv") || kind.contains("Linear");
        let list = if of_layer {
            &mut self.layers
        } else {
            &mut self.others
        };
        list.push(param.val().dtype());
    }
}

fn types(network: &Network) -> Types {
    let mut types = Types::default();
    network.visit(&mut types);
    types
}

#[test]
fn weights_of_layers_are_rounded_and_norms_are_not() {
    let mut others = 0;
    for architecture in architectures() {
        let plain = network(&architecture);
        for (precision, _) in HALF {
            let rounded = InPrecision::new(plain.clone(), precision).unwrap();
            let found = types(rounded.network());
            assert!(!found.layers.is_empty());
            assert!(found.layers.iter().all(|&dtype| dtype == precision.dtype()));
            assert!(found.others.iter().all(|&dtype| dtype == DType::F32));
            others += found.others.len();
        }
        let same = InPrecision::new(plain, Precision::F32).unwrap();
        let found = types(same.network());
        let all = found.layers.iter().chain(&found.others);
        assert!(all.into_iter().all(|&dtype| dtype == DType::F32));
    }
    assert!(others > 100, "{others} parameters of norms and frequencies");
}

fn norm(x: impl IntoIterator<Item = f64>) -> f64 {
    x.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// In the Euclidean norm.
fn relative_error(found: &Tensor<4>, expected: &Tensor<4>) -> f64 {
    let (found, expected) = (values(found), values(expected));
    norm(found.iter().zip(&expected).map(|(a, b)| a - b)) / norm(expected)
}

fn image(seed: u64) -> Tensor<4> {
    Rng::seeded(seed, &device()).normal([2, 2, 8, 8])
}

fn run(network: &impl Backbone, x: Tensor<4>) -> Tensor<4> {
    let label = Conditioning::uniform(0.7, &x);
    network.forward(x, label)
}

/// Each layer rounds its weights, its result, and a sum with it or a function of it: independent errors of at most `unit` each, whose
/// squares add up. What follows keeps a relative error about as large as it is.
fn bound(network: &Network, unit: f64) -> f64 {
    (3.0 * types(network).layers.len() as f64).sqrt() * unit
}

#[test]
fn outputs_are_those_of_single_precision_but_for_rounding() {
    for architecture in architectures() {
        let plain = network(&architecture);
        let expected = run(&plain, image(1));
        let errors = HALF.map(|(precision, unit)| {
            let found = run(
                &InPrecision::new(plain.clone(), precision).unwrap(),
                image(1),
            );
            assert_eq!(found.dtype(), DType::F32);
            let (error, bound) = (relative_error(&found, &expected), bound(&plain, unit));
            assert!(
                error > unit / 16.0 && error <= bound,
                "{architecture:?} in {precision}: {error:e}, at most {bound:e}"
            );
            error
        });
        // Three bits less are eight times the error.
        let ratio = errors[1] / errors[0];
        assert!((3.0..20.0).contains(&ratio), "{architecture:?}: {ratio}");
        let same = InPrecision::new(plain, Precision::F32).unwrap();
        assert_eq!(values(&run(&same, image(1))), values(&expected));
    }
}

#[test]
fn gradients_in_the_image_are_those_of_single_precision_but_for_rounding() {
    for architecture in architectures() {
        let plain = network(&architecture);
        let gradient = |network: &dyn Backbone| {
            let (_, gradient) = value_and_vjp(image(1), |x| run(&network, x), |_| image(2));
            gradient
        };
        let expected = gradient(&plain);
        for (precision, unit) in HALF {
            let found = gradient(&InPrecision::new(plain.clone(), precision).unwrap());
            assert_eq!(found.dtype(), DType::F32);
            // The way back rounds as often as the way there, whose errors it meets too. Where a ReLU sees a rounded number on the other
            // side of zero a path is missing: a share of all paths as large as the error, whose square root the norm shows.
            let there = bound(&plain, unit);
            let is_smooth = matches!(
                architecture,
                Architecture::UNet(_) | Architecture::Ncsnpp(_) | Architecture::MnistDdpm(_)
            );
            let bound = 2.0 * there + if is_smooth { 0.0 } else { there.sqrt() };
            let error = relative_error(&found, &expected);
            assert!(
                error <= bound,
                "{architecture:?} in {precision}: {error:e}, at most {bound:e}"
            );
        }
    }
}

/// In bf16 both labels are 1000.
#[test]
fn labels_are_not_rounded() {
    for architecture in architectures() {
        // These are told nothing.
        if matches!(
            architecture,
            Architecture::Dncnn(_) | Architecture::PlainUNet(_) | Architecture::Drunet(_)
        ) {
            continue;
        }
        let network = InPrecision::new(network(&architecture), Precision::Bf16).unwrap();
        let [one, other] = [998.5, 999.4].map(|label| {
            let label = Conditioning::uniform(label, &image(3));
            values(&network.forward(image(3), label))
        });
        assert_ne!(one, other, "{architecture:?}");
    }
}

#[test]
fn precisions_have_the_names_of_configurations() {
    for (precision, name) in [
        (Precision::F32, "f32"),
        (Precision::F16, "f16"),
        (Precision::Bf16, "bf16"),
    ] {
        assert_eq!(precision.to_string(), name);
        let json = serde_json::to_string(&precision).unwrap();
        assert_eq!(json, format!("{name:?}"));
        assert_eq!(serde_json::from_str::<Precision>(&json).unwrap(), precision);
    }
    serde_json::from_str::<Precision>("\"f64\"").unwrap_err();
    assert_eq!(Precision::default(), Precision::F32);
}

#[test]
fn a_model_is_rounded_by_one_call() {
    let architecture = Architecture::UNet(small(TimeInjection::ScaleShift));
    let network = network(&architecture);
    let config = ModelConfig::new(
        architecture,
        Parametrisation::Epsilon,
        ScheduleConfig::DDPM,
        NoiseLabel::Step { steps: 1000 },
        [8, 8],
    );
    let folder = tempfile::tempdir().unwrap();
    config.save(folder.path()).unwrap();
    save_weights(&network, &folder.path().join("weights.safetensors")).unwrap();
    let open = || Pretrained::open(folder.path(), &device()).unwrap();
    let noisy = image(4).slice([0..2, 0..2, 0..7, 0..5]);
    let single = open().denoiser().denoise(noisy.clone(), 0.5);
    assert_eq!(open().precision(), Precision::F32);
    let same = open().with_precision(Precision::F32).unwrap();
    let same = same.denoiser().denoise(noisy.clone(), 0.5);
    assert_eq!(values(&same), values(&single));
    for (precision, unit) in HALF {
        let model = open().with_precision(precision).unwrap();
        assert_eq!(model.precision(), precision);
        let found = model.denoiser().denoise(noisy.clone(), 0.5);
        assert_eq!((found.dtype(), found.dims()), (DType::F32, [2, 2, 7, 5]));
        let error = relative_error(&found, &single);
        assert!(
            error > unit / 64.0 && error <= bound(&network, unit),
            "{error:e}"
        );
    }
}

mod on_device {
    use super::*;

    /// A device that lacks a type says so; one that has it is as near to single precision.
    #[test]
    fn half_precision_is_refused_or_right() {
        for architecture in [
            Architecture::UNet(small(TimeInjection::ScaleShift)),
            drunet(),
        ] {
            let plain = network(&architecture);
            let expected = run(&plain, image(1));
            for (precision, unit) in HALF {
                let rounded = InPrecision::new(plain.clone(), precision);
                if !device().supports_dtype(precision.dtype()) {
                    let message = rounded.unwrap_err().to_string();
                    let expected = format!("{:?} does not compute in {precision}", device());
                    assert_eq!(message, expected);
                    continue;
                }
                let error = relative_error(&run(&rounded.unwrap(), image(1)), &expected);
                let bound = bound(&plain, unit);
                assert!(error <= bound, "{precision}: {error:e}, at most {bound:e}");
            }
        }
    }
}
