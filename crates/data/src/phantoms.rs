//! Random-ellipse phantoms: the synthetic images of the tomography literature.
//!
//! Shepp & Logan 1974, <https://doi.org/10.1109/TNS.1974.6499235>; Adler & Öktem 2017,
//! <https://arxiv.org/abs/1704.04058>. The law is stated at [`Phantoms`].

use std::f64::consts::PI;

use burn::data::dataset::{Dataset, DatasetError};
use rand::RngExt;
use tweedie_core::Stream;

use crate::{
    DataError, Image,
    ellipse::{Ellipse, drawn, uniform},
};

/// Keeps these random numbers apart from other uses of the same seed.
const PURPOSE: u64 = u64::from_be_bytes(*b"phantoms");
const MEAN_FEATURES: f64 = 6.0;

/// An endless set of random head phantoms, 1 channel, of which a dataset shows the first `len`.
///
/// Phantom `i` depends on `(seed, i)` alone; its size only says how finely it is drawn.
///
/// # The law
///
/// Since Shepp & Logan 1974 (<https://doi.org/10.1109/TNS.1974.6499235>) a head in a scanner is
/// modelled by one large ellipse with smaller ones inside, whose values add up. Adler & Öktem 2017
/// (<https://arxiv.org/abs/1704.04058>; `code/util.py` of
/// <https://github.com/adler-j/learned_gradient_tomography>) train on random ellipses: a Poisson
/// number of them, with uniform centres and rotations, exponential semi-axes of mean 0.2 and a signed
/// value that is positive in 7 of 10 cases. The law here puts such ellipses inside a random head.
///
/// With `x` to the right and `y` downwards, both in [-1, 1] over the image, `U(a, b)` uniform and all
/// draws independent, a phantom is the function
///
/// - 0 outside the head: an ellipse with centre in U(-0.1, 0.1)^2, semi-axes U(0.55, 0.70) and
///   U(0.70, 0.85), the first one turned from the `x` axis by U(-pi/6, pi/6);
/// - `skull ~ U(0.8, 1.0)` in its rim, whose inner edge has semi-axes shorter by U(0.08, 0.14);
/// - `tissue ~ U(0.20, 0.45)` plus the values of the features that cover the point, clamped to
///   [0, 1], inside the rim.
///
/// There are Poisson(6) features, each an ellipse with its centre uniform in the inner ellipse scaled
/// by 0.85, semi-axes of Exponential(mean 0.2) clamped to [0.06, 0.40], turned by U(0, pi), and value
/// `± U(0.1, 0.5)`, positive with probability 0.7.
///
/// Differs from Adler & Öktem: the head, far fewer and bolder features (theirs are a
/// hundred on average), and limits on their size. So phantoms are recognisable from 32 x 32 pixels up.
///
/// A pixel is the mean of the function over 4 x 4 points spread evenly over the pixel. The same phantom
/// at two sizes is the same object, seen through two grids.
///
/// ```
/// use tweedie_data::Phantoms;
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let phantoms = Phantoms::new(7, 1000, 32, 32)?;
/// let image = phantoms.image(5);
/// assert_eq!(image.shape(), [1, 32, 32]);
/// assert_eq!(image, Phantoms::new(7, 6, 32, 32)?.image(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phantoms {
    seed: u64,
    len: usize,
    height: usize,
    width: usize,
}

impl Phantoms {
    /// The first `len` phantoms of a seed, `height x width` pixels each.
    ///
    /// # Errors
    ///
    /// A height or width of zero.
    pub fn new(seed: u64, len: usize, height: usize, width: usize) -> Result<Self, DataError> {
        if height == 0 || width == 0 {
            return Err(DataError::EmptyImage {
                channels: 1,
                height,
                width,
            });
        }
        Ok(Self {
            seed,
            len,
            height,
            width,
        })
    }

    /// Phantom number `index`; `index` may be beyond the length of the dataset.
    pub fn image(&self, index: u64) -> Image {
        let head = Head::draw(&mut tweedie_core::stream(self.seed ^ PURPOSE, index));
        drawn(self.height, self.width, |x, y| head.value_at(x, y))
    }
}

impl Dataset<Image> for Phantoms {
    fn get(&self, index: usize) -> Result<Image, DatasetError> {
        assert!(index < self.len, "image {index} of {}", self.len);
        Ok(self.image(index as u64))
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// A phantom as a function of the plane.
struct Head {
    outer: Ellipse,
    inner: Ellipse,
    skull: f64,
    tissue: f64,
    features: Vec<Feature>,
}

struct Feature {
    region: Ellipse,
    value: f64,
}

impl Head {
    fn draw(rng: &mut Stream) -> Self {
        let centre = [uniform(rng, -0.1, 0.1), uniform(rng, -0.1, 0.1)];
        let axes = [uniform(rng, 0.55, 0.70), uniform(rng, 0.70, 0.85)];
        let angle = uniform(rng, -PI / 6.0, PI / 6.0);
        let rim = uniform(rng, 0.08, 0.14);
        let outer = Ellipse::new(centre, axes, angle);
        let inner = Ellipse::new(centre, axes.map(|axis| axis - rim), angle);
        let skull = uniform(rng, 0.8, 1.0);
        let tissue = uniform(rng, 0.20, 0.45);
        let features = (0..poisson(rng, MEAN_FEATURES))
            .map(|_| Feature::draw(rng, &inner))
            .collect();
        Self {
            outer,
            inner,
            skull,
            tissue,
            features,
        }
    }

    fn value_at(&self, x: f64, y: f64) -> f64 {
        if !self.outer.contains(x, y) {
            return 0.0;
        }
        if !self.inner.contains(x, y) {
            return self.skull;
        }
        let covering = self
            .features
            .iter()
            .filter(|feature| feature.region.contains(x, y));
        (self.tissue + covering.map(|feature| feature.value).sum::<f64>()).clamp(0.0, 1.0)
    }
}

impl Feature {
    fn draw(rng: &mut Stream, inner: &Ellipse) -> Self {
        let (radius, direction) = (
            0.85 * uniform(rng, 0.0, 1.0).sqrt(),
            uniform(rng, 0.0, 2.0 * PI),
        );
        let centre = inner.at(radius, direction);
        let axes =
            [exponential(rng, 0.2), exponential(rng, 0.2)].map(|axis| axis.clamp(0.06, 0.40));
        let region = Ellipse::new(centre, axes, uniform(rng, 0.0, PI));
        let size = uniform(rng, 0.1, 0.5);
        let value = if rng.random_bool(0.7) { size } else { -size };
        Self { region, value }
    }
}

fn exponential(rng: &mut Stream, mean: f64) -> f64 {
    -mean * (1.0 - rng.random::<f64>()).ln()
}

/// Counts the events before time 1 of a process with `mean` events per unit of time.
fn poisson(rng: &mut Stream, mean: f64) -> usize {
    let mut time = exponential(rng, 1.0 / mean);
    let mut events = 0;
    while time < 1.0 {
        events += 1;
        time += exponential(rng, 1.0 / mean);
    }
    events
}
