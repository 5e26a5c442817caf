//! Head phantoms of two classes: healthy ones, and ones with a planted lesion whose place is known.
//!
//! They serve the search for anomalies, as of Wolleb et al. 2022, <https://arxiv.org/abs/2203.04306>, who train on brain scans of
//! which only the class is told. The law is stated at [`LesionPhantoms`].

use std::f64::consts::PI;

use burn::data::dataset::{Dataset, DatasetError};
use rand::RngExt;
use tweedie_core::Stream;

use crate::{
    DataError, Example, Image,
    ellipse::{Ellipse, drawn, uniform},
};

/// Keeps these random numbers apart from other uses of the same seed.
const PURPOSE: u64 = u64::from_be_bytes(*b"lesions\0");

/// Width of a lesion's edge, as a share of its size.
const EDGE: f64 = 0.5;

/// An endless set of head phantoms, 1 channel, of which a dataset shows the first `len`: even ones are healthy (class 0), odd ones
/// have a lesion (class 1).
///
/// Phantom `i` depends on `(seed, i)` alone; its size only says how finely it is drawn.
///
/// # The law
///
/// With `x` to the right and `y` downwards, both in [-1, 1] over the image, `U(a, b)` uniform and all draws independent, a healthy head
/// is the function
///
/// - 0 outside an ellipse with centre in U(-0.08, 0.08)^2, semi-axes U(0.60, 0.72) and U(0.74, 0.86), the first one turned from the
///   `x` axis by U(-pi/9, pi/9);
/// - U(0.8, 1.0) in its rim, whose inner edge has semi-axes shorter by U(0.08, 0.14);
/// - `tissue ~ U(0.45, 0.55)` plus the values of the structures that cover the point, inside the rim.
///
/// Structures come in pairs, mirrored at the long axis of the head: ventricles, darker by U(0.12, 0.22), and nuclei, brighter by
/// U(0.12, 0.22). In units of the inner ellipse their centres are `(±U(0.26, 0.38), U(-0.35, -0.05))` and
/// `(±U(0.30, 0.45), U(0.20, 0.45))`; the semi-axes, in units of the image, are U(0.07, 0.12) and U(0.16, 0.26) for ventricles and
/// both U(0.08, 0.14) for nuclei, turned outwards by U(0, pi/6).
///
/// A lesion is one further ellipse with its centre uniform in the inner ellipse scaled by 0.65, semi-axes of U(0.12, 0.24), turned by
/// U(0, pi), whose value has the size U(0.12, 0.22) and either sign, so that the brightness of no pixel gives it away. Its edge is
/// soft: from 0.75 to 1.25 times its size the value falls by half a period of a cosine; at the rim it ends. The sum is clamped to
/// [0, 1]. The mask is the ellipse itself, where at least half of the value is reached: a pixel belongs to it if the ellipse inside
/// the rim covers at least half of its points.
///
/// A pixel is the mean of the function over 4 x 4 points spread evenly over the pixel.
///
/// ```
/// use burn::data::dataset::Dataset;
/// use tweedie_data::LesionPhantoms;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let phantoms = LesionPhantoms::new(7, 1000, 32, 32)?;
/// let ill = phantoms.planted(5);
/// assert_eq!(phantoms.get(5)?.image, ill.image);
/// assert_eq!(phantoms.get(5)?.class, Some(1));
/// assert!(ill.mask.pixels().contains(&1.0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LesionPhantoms {
    seed: u64,
    len: usize,
    height: usize,
    width: usize,
}

/// A phantom with a lesion, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planted {
    /// With the lesion.
    pub image: Image,
    /// The same head without it.
    pub healthy: Image,
    /// 1 in the pixels of the lesion and 0 elsewhere.
    pub mask: Image,
}

impl LesionPhantoms {
    /// How many classes there are.
    pub const CLASSES: usize = 2;

    /// The first `len` phantoms of a seed, `height x width` pixels each.
    ///
    /// # Errors
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

    /// Phantom number `index` as the data set shows it; `index` may be beyond its length.
    pub fn example(&self, index: u64) -> Example {
        let ill = index % 2 == 1;
        let phantom = Phantom::draw(self.seed, index);
        let image = if ill {
            self.drawn(|x, y| phantom.ill_at(x, y))
        } else {
            self.drawn(|x, y| phantom.healthy_at(x, y))
        };
        Example {
            image,
            class: Some(usize::from(ill)),
        }
    }

    /// Head number `index` with a lesion, also where the data set shows it without: an even one.
    pub fn planted(&self, index: u64) -> Planted {
        let phantom = Phantom::draw(self.seed, index);
        let covered = self.drawn(|x, y| f64::from(phantom.is_ill_at(x, y)));
        let mask = covered
            .pixels()
            .iter()
            .map(|&share| if share >= 0.5 { 1.0 } else { 0.0 });
        Planted {
            image: self.drawn(|x, y| phantom.ill_at(x, y)),
            healthy: self.drawn(|x, y| phantom.healthy_at(x, y)),
            mask: Image::trusted(covered.shape(), mask.collect()),
        }
    }

    fn drawn(&self, value_at: impl Fn(f64, f64) -> f64) -> Image {
        drawn(self.height, self.width, value_at)
    }
}

impl Dataset<Example> for LesionPhantoms {
    fn get(&self, index: usize) -> Result<Example, DatasetError> {
        assert!(index < self.len, "image {index} of {}", self.len);
        Ok(self.example(index as u64))
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// A head as a function of the plane, and the lesion that it has or not.
struct Phantom {
    outer: Ellipse,
    inner: Ellipse,
    skull: f64,
    tissue: f64,
    structures: Vec<Structure>,
    lesion: Structure,
}

struct Structure {
    region: Ellipse,
    value: f64,
}

/// The ranges of a pair of structures, of which the head's right one is drawn.
struct Pair {
    across: [f64; 2],
    along: [f64; 2],
    axes: [[f64; 2]; 2],
    sign: f64,
}

const PAIRS: [Pair; 2] = [
    Pair {
        across: [0.26, 0.38],
        along: [-0.35, -0.05],
        axes: [[0.07, 0.12], [0.16, 0.26]],
        sign: -1.0,
    },
    Pair {
        across: [0.30, 0.45],
        along: [0.20, 0.45],
        axes: [[0.08, 0.14], [0.08, 0.14]],
        sign: 1.0,
    },
];

/// Size of a structure's or a lesion's value.
const CONTRAST: [f64; 2] = [0.12, 0.22];

impl Phantom {
    fn draw(seed: u64, index: u64) -> Self {
        let rng = &mut tweedie_core::stream(seed ^ PURPOSE, index);
        let centre = [uniform(rng, -0.08, 0.08), uniform(rng, -0.08, 0.08)];
        let axes = [uniform(rng, 0.60, 0.72), uniform(rng, 0.74, 0.86)];
        let angle = uniform(rng, -PI / 9.0, PI / 9.0);
        let rim = uniform(rng, 0.08, 0.14);
        let outer = Ellipse::new(centre, axes, angle);
        let inner = Ellipse::new(centre, axes.map(|axis| axis - rim), angle);
        let skull = uniform(rng, 0.8, 1.0);
        let tissue = uniform(rng, 0.45, 0.55);
        let structures = PAIRS
            .iter()
            .flat_map(|pair| pair.draw(rng, &inner, angle))
            .collect();
        let lesion = lesion(rng, &inner);
        Self {
            outer,
            inner,
            skull,
            tissue,
            structures,
            lesion,
        }
    }

    fn healthy_at(&self, x: f64, y: f64) -> f64 {
        if !self.outer.contains(x, y) {
            return 0.0;
        }
        if !self.inner.contains(x, y) {
            return self.skull;
        }
        let covering = self
            .structures
            .iter()
            .filter(|structure| structure.region.contains(x, y));
        self.tissue + covering.map(|structure| structure.value).sum::<f64>()
    }

    fn is_ill_at(&self, x: f64, y: f64) -> bool {
        self.inner.contains(x, y) && self.lesion.region.contains(x, y)
    }

    fn ill_at(&self, x: f64, y: f64) -> f64 {
        let [u, v] = self.lesion.region.inward(x, y);
        let change = if self.inner.contains(x, y) {
            self.lesion.value * soft(u.hypot(v))
        } else {
            0.0
        };
        (self.healthy_at(x, y) + change).clamp(0.0, 1.0)
    }
}

/// 1 inside, 0 outside and a half at radius 1.
fn soft(radius: f64) -> f64 {
    let along = ((radius - 1.0) / EDGE + 0.5).clamp(0.0, 1.0);
    0.5 + 0.5 * (PI * along).cos()
}

impl Pair {
    fn draw(&self, rng: &mut Stream, inner: &Ellipse, head: f64) -> [Structure; 2] {
        let mut within = |[low, high]: [f64; 2]| uniform(rng, low, high);
        let (across, along) = (within(self.across), within(self.along));
        let axes = self.axes.map(&mut within);
        let turn = within([0.0, PI / 6.0]);
        let value = self.sign * within(CONTRAST);
        [1.0, -1.0].map(|side: f64| {
            let (x, y) = (side * across, along);
            let centre = inner.at(x.hypot(y), y.atan2(x));
            let region = Ellipse::new(centre, axes, head + side * turn);
            Structure { region, value }
        })
    }
}

fn lesion(rng: &mut Stream, inner: &Ellipse) -> Structure {
    let radius = 0.65 * uniform(rng, 0.0, 1.0).sqrt();
    let centre = inner.at(radius, uniform(rng, 0.0, 2.0 * PI));
    let axes = [uniform(rng, 0.12, 0.24), uniform(rng, 0.12, 0.24)];
    let region = Ellipse::new(centre, axes, uniform(rng, 0.0, PI));
    let size = uniform(rng, CONTRAST[0], CONTRAST[1]);
    let value = if rng.random_bool(0.5) { size } else { -size };
    Structure { region, value }
}
