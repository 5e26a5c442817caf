//! LPIPS and FID: laws that hold for any weights of the networks, and closed forms.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn_train::metric::vision::FidConfig;
use tweedie_core::Rng;
use tweedie_metrics::frechet_distance;
use tweedie_metrics::perceptual::{
    INCEPTION_FEATURES, InceptionV3FeatureExtractor, Lpips, LpipsConfig, LpipsNet, PerceptualError,
    fid, inception_features, load_inception, load_lpips, lpips,
};

use crate::host::{assert_close, host, images, upload};

/// Each network and the smallest side of an image that it takes.
const NETWORKS: [(LpipsNet, usize); 3] = [
    (LpipsNet::Alex, 31),
    (LpipsNet::Squeeze, 25),
    (LpipsNet::Vgg, 16),
];

/// Normal weights that keep the size of the features, no biases, and heads that are at least 0, as trained ones are.
struct Seeded {
    names: Vec<String>,
    rng: Rng,
}

impl ModuleMapper for Seeded {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_head = self.names.iter().any(|name| name.starts_with("lin"));
        let name = self.names.last().cloned().unwrap_or_default();
        param.map(|tensor| match name.as_str() {
            "bias" => tensor.zeros_like(),
            "weight" => {
                let inputs: usize = tensor.dims()[1..].iter().product();
                let weights = self.rng.normal(tensor.dims()) * (2.0 / inputs as f64).sqrt();
                if is_head { weights.abs() } else { weights }
            }
            _ => tensor,
        })
    }
}

fn seeded<M: Module>(network: M) -> M {
    let rng = Rng::seeded(7, &tweedie_testkit::device());
    let names = Vec::new();
    network.map(&mut Seeded { names, rng })
}

fn network(config: LpipsConfig) -> Lpips {
    seeded(config.init(&tweedie_testkit::device()))
}

fn inception() -> InceptionV3FeatureExtractor {
    seeded(InceptionV3FeatureExtractor::new(&tweedie_testkit::device()))
}

#[test]
fn lpips_is_0_for_equal_images_and_symmetric_and_positive_for_others() {
    for (net, side) in NETWORKS {
        let network = network(LpipsConfig::new().with_net(net));
        for [height, width] in [[side, side], [side, side + 9], [40, 33]] {
            let shape = [2, 3, height, width];
            let ((x, _), (y, _)) = (images(shape, 1), images(shape, 2));
            assert_eq!(host(lpips(&network, x.clone(), x.clone())), [0.0; 2]);
            let there = host(lpips(&network, x.clone(), y.clone()));
            assert!(there.iter().all(|distance| *distance > 1e-3), "{there:?}");
            assert_eq!(there, host(lpips(&network, y, x)));
        }
    }
}

#[test]
fn lpips_takes_pixels_in_the_unit_range() {
    for (net, _) in NETWORKS {
        let (x, y) = (images([1, 3, 33, 35], 3).0, images([1, 3, 33, 35], 4).0);
        let config = LpipsConfig::new().with_net(net);
        let symmetric = network(config.clone().with_normalize(false));
        let expected = symmetric.forward_no_reduction(x.clone() * 2.0 - 1.0, y.clone() * 2.0 - 1.0);
        let found = lpips(&network(config), x, y);
        assert_close(&host(found), &host(expected), 1e-5);
    }
}

#[test]
fn lpips_of_grey_images_is_that_of_three_equal_channels() {
    let network = network(LpipsConfig::new().with_net(LpipsNet::Squeeze));
    let (x, y) = (images([2, 1, 32, 32], 5).0, images([2, 1, 32, 32], 6).0);
    let colour = |grey: &Tensor<4>| grey.clone().repeat_dim(1, 3);
    let expected = host(lpips(&network, colour(&x), colour(&y)));
    assert_eq!(host(lpips(&network, x, y)), expected);
}

#[test]
fn lpips_of_a_pair_does_not_depend_on_its_batch() {
    let network = network(LpipsConfig::new().with_net(LpipsNet::Alex));
    let (x, y) = (images([3, 3, 32, 40], 8).0, images([3, 3, 32, 40], 9).0);
    let together = host(lpips(&network, x.clone(), y.clone()));
    for (i, expected) in together.iter().enumerate() {
        let alone = lpips(
            &network,
            x.clone().narrow(0, i, 1),
            y.clone().narrow(0, i, 1),
        );
        assert_close(&host(alone), &[*expected], 1e-4 * expected);
    }
}

#[test]
#[should_panic(expected = "images of 30 x 64 are smaller than the 31 x 31 that the network takes")]
fn lpips_refuses_images_that_the_network_would_pool_away() {
    let network = network(LpipsConfig::new().with_net(LpipsNet::Alex));
    let (x, _) = images([1, 3, 30, 64], 1);
    let _ = lpips(&network, x.clone(), x);
}

#[test]
#[should_panic(expected = "images must have 1 or 3 channels, found 2")]
fn lpips_refuses_two_channels() {
    let network = network(LpipsConfig::new().with_net(LpipsNet::Alex));
    let (x, _) = images([1, 2, 32, 32], 1);
    let _ = lpips(&network, x.clone(), x);
}

#[test]
fn fid_is_0_for_equal_sets_and_positive_for_others() {
    let network = inception();
    let x = images([3, 3, 24, 20], 1).0;
    let y = images([4, 3, 16, 16], 2).0 * 0.1;
    let features = inception_features(&network, x.clone());
    let scale: f64 = host(features.clone())
        .iter()
        .map(|value| value * value)
        .sum();
    let itself = fid(&network, x.clone(), x.clone());
    assert!(itself < 1e-12 * scale, "{itself}, features {scale}");
    let other = fid(&network, x, y.clone());
    assert!(other > 1e-3 * scale, "{other}, features {scale}");
    let apart = frechet_distance(inception_features(&network, y), features);
    assert_close(&[apart], &[other], 1e-6 * scale);
}

#[test]
fn features_of_an_image_depend_on_it_alone() {
    let network = inception();
    // One more than go through the network at once; the tape of the second makes no difference.
    let x = images([17, 1, 12, 18], 3).0;
    let together = inception_features(&network, x.clone());
    assert_eq!(together.dims(), [17, INCEPTION_FEATURES]);
    let last = x.narrow(0, 16, 1).repeat_dim(1, 3).autodiff();
    let alone = host(inception_features(&network, last));
    let largest = alone
        .iter()
        .fold(0.0, |largest, value| value.abs().max(largest));
    assert!(largest > 0.0);
    assert_close(&host(together.narrow(0, 16, 1)), &alone, 1e-4 * largest);
}

#[test]
fn images_of_twice_the_size_are_averaged_over_pairs_of_pixels() {
    let network = inception();
    let x = images([1, 3, 299, 299], 10).0;
    let expected = host(network.forward(x.clone() * 2.0 - 1.0));
    let doubled = x
        .reshape([3, 299, 1, 299, 1])
        .expand([3, 299, 2, 299, 2])
        .reshape([1, 3, 598, 598]);
    let largest = expected.iter().copied().fold(0.0, f64::max);
    let found = host(inception_features(&network, doubled));
    assert_close(&found, &expected, 1e-4 * largest);
}

#[test]
fn the_distance_is_that_of_burn_where_covariances_are_regular() {
    let mix = images([1, 1, 8, 8], 5).0.reshape([8, 8]);
    let x = images([1, 1, 300, 8], 6).0.reshape([300, 8]);
    let y = images([1, 1, 200, 8], 7).0.reshape([200, 8]).matmul(mix);
    let device = tweedie_testkit::device();
    let expected = FidConfig::new()
        .init(&device)
        .compute_fid(x.clone(), y.clone());
    let found = frechet_distance(x, y);
    // burn adds 1e-6 of the mean variance to each, and takes roots in `f32`.
    assert_close(&[found], &host(expected), 1e-3 * found);
}

#[test]
#[should_panic(expected = "features must be finite")]
fn features_that_are_no_numbers_are_refused() {
    let x = upload(vec![1.0, 2.0, f32::NAN, 0.0], [2, 2]);
    let _ = frechet_distance(x.clone(), x);
}

#[test]
fn weights_that_cannot_be_read_are_named() {
    let device = tweedie_testkit::device();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    for path in [file.as_path(), "nowhere.pth".as_ref()] {
        let errors = [
            load_inception(path, &device).err(),
            load_lpips(LpipsNet::Vgg, path, path, &device).err(),
        ];
        for error in errors {
            let error = error.expect("there are no weights");
            assert!(matches!(&error, PerceptualError::Load { path: found, .. } if found == path));
            assert!(error.to_string().contains(&path.display().to_string()));
        }
    }
}
