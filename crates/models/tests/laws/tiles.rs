//! Tiles of a network: the seam fades with the overlap, and a network that halves its images meets them on its own grid.

use burn::tensor::Tensor;
use tweedie_core::{Denoiser, Padded, Rng, Tiled};
use tweedie_models::{Drunet, DrunetConfig};
use tweedie_testkit::{device, values};

use crate::support::disturbed;

/// Three resolutions, so that sizes are multiples of four.
fn network() -> Drunet {
    let config = DrunetConfig {
        widths: vec![4, 6, 8],
        blocks_per_level: 1,
        ..DrunetConfig::published(1)
    };
    disturbed(config.init(5, &device()).unwrap())
}

/// What the tiles change, relative to the whole, in the Euclidean norm.
fn seam_error(x: Tensor<4>, tile: usize, overlap: usize) -> f64 {
    let network = network();
    let whole = values(&network.denoise(x.clone(), 0.2));
    let tiled = Padded {
        inner: Tiled::new(&network, [tile; 2], overlap).unwrap(),
        multiple: network.config().multiple(),
    };
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let found = values(&tiled.denoise(x, 0.2));
    let error = norm(&mut found.iter().zip(&whole).map(|(a, b)| a - b));
    error / norm(&mut whole.iter().copied())
}

/// A size that is no multiple of four along either axis.
fn image() -> Tensor<4> {
    Rng::seeded(1, &device()).normal([1, 1, 85, 118])
}

#[test]
fn the_seam_fades_with_the_overlap() {
    let errors = [0, 8, 16, 32].map(|overlap| seam_error(image(), 64, overlap));
    let falls = errors.windows(2).all(|pair| pair[1] < pair[0]);
    assert!(falls && errors[0] > 1e-3, "{errors:?}");
}

/// The reach is `1 + 2 + 2 2 + 4 2 + 2 2 + 2 + 1 = 22` pixels, and 3 more to the end of a cell of the grid. With a quarter of the
/// overlap beyond that, what is left is the rounding of single precision, in convolutions of other sizes.
#[test]
fn beyond_the_reach_of_the_network_there_is_none() {
    let x = Rng::seeded(1, &device()).normal([1, 1, 125, 134]);
    let aligned = seam_error(x.clone(), 112, 104);
    assert!(aligned < 1e-5, "{aligned:e}");
    // As far, but off the grid of the network.
    let odd = seam_error(x, 112, 103);
    assert!(odd > 1e-3, "{odd:e}");
}
