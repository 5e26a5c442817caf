//! Tomography: line integrals through an image in parallel beams, the Radon transform
//! (Kak & Slaney 1988, *Principles of Computerized Tomographic Imaging*, chapter 3, <https://doi.org/10.1137/1.9780898719277>).
//!
//! `y[d, a] = sum_v x(cos t_d + sin v, cos v - sin t_d)`, cosine and sine of angle `a`: the image is turned by bilinear
//! interpolation and its columns are added up. Detectors and points `v` lie one pixel apart; the image is 0 outside.
//!
//! The system is sparse and known beforehand. Symmetries of the square bring all angles into `[0, 45]` degrees, so that four
//! or eight of them share weights. The image falls into tiles; a tile and an angle give a short window of the detector, a
//! small dense matrix. `A` is one batched product of these matrices with the tiles, and a gather that adds the windows up; `A^T`
//! gathers the windows and multiplies by the transposed matrices.

mod geometry;
mod symmetry;

use std::f64::consts::PI;

use burn::tensor::{IndexingUpdateOp, Int, Tensor, TensorCreationOptions, TensorData};

use self::{
    geometry::{Geometry, Projection},
    symmetry::{Symmetry, fold},
};
use crate::{ForwardOperator, LinearOperator, PhysicsError};

/// Angles closer than this, in degrees, are one: less than the rounding of an angle matters to no pixel.
const SAME_ANGLE: f64 = 1e-10;

/// Parallel-beam Radon transform of square images: `[batch, channels, side, side]` to `[batch, channels, detectors, angles]`
/// with `ceil(sqrt(2) side)` detectors.
///
/// The weights take 160 MB in single precision for 180 equally spaced angles of a 256 x 256 image; angles without
/// symmetry, such as multiples of the golden ratio, take up to four times as much.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_physics::{ForwardOperator, Tomography};
///
/// # fn main() -> Result<(), tweedie_physics::PhysicsError> {
/// let scanner = Tomography::uniform(8, 6, &Device::flex())?;
/// let sinogram = scanner.forward(Tensor::ones([1, 1, 8, 8], &Device::flex()));
/// assert_eq!(sinogram.dims(), [1, 1, 12, 6]);
/// let image = scanner.filtered_back_projection(sinogram);
/// assert_eq!(image.dims(), [1, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Tomography {
    geometry: Geometry,
    angles: Vec<f64>,
    symmetries: Vec<Symmetry>,
    folded_angles: usize,
    /// `[tiles, folded angles * reach, pixels of a tile]`.
    weights: Tensor<3>,
    /// For each entry of a window, `[tiles * folded angles * reach]`: its folded angle and detector, as one number.
    detector_of_entry: Tensor<1, Int>,
    /// For each folded angle and detector, the entries of windows that lie there; the row after the last where there are fewer.
    entries_of_detector: Tensor<1, Int>,
    /// For each angle, its folded angle and symmetry, as one number.
    source_of_angle: Tensor<1, Int>,
}

impl Tomography {
    /// Projections of `side x side` images at any `angles` in degrees, in any order.
    ///
    /// At 0 degrees the columns are added up; at 90 degrees the rows, from the last to the first. `options` is the device,
    /// or `(&device, dtype)`.
    ///
    /// # Errors
    /// If `side` is 0, there is no angle, or an angle is not finite.
    pub fn new(
        side: usize,
        angles: &[f64],
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        if side == 0 {
            return Err(PhysicsError::EmptyImage { size: [0, 0] });
        }
        if angles.is_empty() {
            return Err(PhysicsError::NoAngles);
        }
        if let Some(at) = angles.iter().position(|angle| !angle.is_finite()) {
            let found = angles[at];
            return Err(PhysicsError::Angle { at, found });
        }
        Ok(Self::from_valid(side, angles, options.into()))
    }

    /// `count` angles `180 i / count` degrees.
    ///
    /// # Errors
    /// If `side` or `count` is 0.
    pub fn uniform(
        side: usize,
        count: usize,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self, PhysicsError> {
        let angles: Vec<f64> = (0..count)
            .map(|index| 180.0 * index as f64 / count as f64)
            .collect();
        Self::new(side, &angles, options)
    }

    fn from_valid(side: usize, angles: &[f64], options: TensorCreationOptions) -> Self {
        let geometry = Geometry::new(side);
        let Folding {
            folded,
            symmetries,
            sources,
        } = Folding::new(angles);
        let projections: Vec<Projection> = folded
            .iter()
            .map(|&degrees| Projection::new(geometry, degrees))
            .collect();
        let reach = projections.iter().map(Projection::reach).max().unwrap_or(0);
        let tiles = geometry.tiles * geometry.tiles;
        let shape = [tiles, reach, geometry.tile * geometry.tile];
        // One angle at a time: the table in double precision would take as much memory again, twice.
        let weights = projections
            .iter()
            .map(|projection| {
                let data = TensorData::new(projection.weights(reach), shape);
                Tensor::from_data(data, options.clone())
            })
            .collect();
        let (of_entry, of_detector) = window_tables(geometry, &projections, reach);
        let indices = |values: Vec<i64>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), &options.device)
        };
        Self {
            geometry,
            angles: angles.to_vec(),
            symmetries,
            folded_angles: folded.len(),
            weights: Tensor::cat(weights, 1),
            detector_of_entry: indices(of_entry),
            entries_of_detector: indices(of_detector),
            source_of_angle: indices(sources),
        }
    }

    /// The angles in degrees, in the order of the measurement.
    pub fn angles(&self) -> &[f64] {
        &self.angles
    }

    /// Number of detectors, `ceil(sqrt(2) side)`.
    pub fn detectors(&self) -> usize {
        self.geometry.detectors
    }

    /// Filtered back-projection: `pi / angles * A^T` of the projections under the ramp filter (Kak & Slaney 1988, section 3.3).
    ///
    /// An approximate inverse for angles that cover half a turn (or a whole one) evenly, at least about `pi / 2` of them for
    /// each pixel of the side. It is linear and fast, but not the pseudo-inverse: it reproduces neither the measurement nor
    /// the image exactly.
    ///
    /// # Panics
    /// If `y` has not the shape of a measurement.
    pub fn filtered_back_projection(&self, y: Tensor<4>) -> Tensor<4> {
        let [batch, channels, detectors, angles] = y.dims();
        let filter = Tensor::<2>::from_data(ramp(detectors), (&y.device(), y.dtype()));
        let filtered =
            filter
                .unsqueeze::<3>()
                .matmul(y.reshape([batch * channels, detectors, angles]));
        self.adjoint(filtered.reshape([batch, channels, detectors, angles]))
            .mul_scalar(PI / angles as f64)
    }

    /// The image in tiles under all symmetries: `[tiles, pixels of a tile, symmetries * planes]`.
    fn tiles(&self, x: Tensor<4>) -> Tensor<3> {
        let g = self.geometry;
        let [batch, channels, _, _] = x.dims();
        let planes = batch * channels;
        let around = g.side - g.image - g.offset;
        let square = x
            .reshape([planes, g.image, g.image])
            .pad((g.offset, around, g.offset, around), 0.0);
        let moved = self
            .symmetries
            .iter()
            .map(|symmetry| symmetry.apply(square.clone()))
            .collect();
        let all = self.symmetries.len() * planes;
        let over = g.tiles * g.tile - g.side;
        Tensor::cat(moved, 0)
            .pad((0, over, 0, over), 0.0)
            .reshape([all, g.tiles, g.tile, g.tiles, g.tile])
            .permute([1, 3, 2, 4, 0])
            .reshape([g.tiles * g.tiles, g.tile * g.tile, all])
    }

    /// The transpose of [`tiles`](Self::tiles).
    fn untile(&self, tiles: Tensor<3>, [batch, channels]: [usize; 2]) -> Tensor<4> {
        let g = self.geometry;
        let planes = batch * channels;
        let all = self.symmetries.len() * planes;
        let moved = tiles
            .reshape([g.tiles, g.tiles, g.tile, g.tile, all])
            .permute([4, 0, 2, 1, 3])
            .reshape([all, g.tiles * g.tile, g.tiles * g.tile])
            .narrow(1, 0, g.side)
            .narrow(2, 0, g.side);
        let square = self
            .symmetries
            .iter()
            .enumerate()
            .map(|(index, symmetry)| symmetry.undo(moved.clone().narrow(0, index * planes, planes)))
            .reduce(|sum, next| sum + next)
            .expect("there is an angle, so there is a symmetry");
        square
            .narrow(1, g.offset, g.image)
            .narrow(2, g.offset, g.image)
            .reshape([batch, channels, g.image, g.image])
    }
}

impl ForwardOperator for Tomography {
    fn measurement_shape(&self, image: [usize; 4]) -> Result<[usize; 4], PhysicsError> {
        let [batch, channels, height, width] = image;
        let side = self.geometry.image;
        if [height, width] == [side, side] {
            Ok([batch, channels, self.detectors(), self.angles.len()])
        } else {
            Err(PhysicsError::ImageSize {
                expected: [side, side],
                found: [height, width],
            })
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, _, _] = x.dims();
        let (planes, symmetries) = (batch * channels, self.symmetries.len());
        let (detectors, angles) = (self.detectors(), self.angles.len());
        let windows = self.weights.clone().matmul(self.tiles(x));
        let [tiles, entries, columns] = windows.dims();
        let windows = windows.reshape([tiles * entries, columns]);
        let blank = Tensor::zeros([1, columns], (&windows.device(), windows.dtype()));
        let lines = self.folded_angles * detectors;
        let depth = self.entries_of_detector.dims()[0] / lines;
        Tensor::cat(vec![windows, blank], 0)
            .select(0, self.entries_of_detector.clone())
            .reshape([lines, depth, columns])
            .sum_dim(1)
            .reshape([self.folded_angles, detectors, symmetries, planes])
            .swap_dims(1, 2)
            .reshape([self.folded_angles * symmetries, detectors * planes])
            .select(0, self.source_of_angle.clone())
            .reshape([angles, detectors, planes])
            .permute([2, 1, 0])
            .reshape([batch, channels, detectors, angles])
    }

    fn vjp(&self, _: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        self.adjoint(v)
    }
}

impl LinearOperator for Tomography {
    fn adjoint(&self, y: Tensor<4>) -> Tensor<4> {
        let [batch, channels, detectors, angles] = y.dims();
        let (planes, symmetries) = (batch * channels, self.symmetries.len());
        let columns = symmetries * planes;
        let [tiles, entries, _] = self.weights.dims();
        let lines = y
            .reshape([planes, detectors, angles])
            .permute([2, 1, 0])
            .reshape([angles, detectors * planes]);
        let sources = [self.folded_angles * symmetries, detectors * planes];
        let windows = Tensor::zeros(sources, (&lines.device(), lines.dtype()))
            .select_assign(
                0,
                self.source_of_angle.clone(),
                lines,
                IndexingUpdateOp::Add,
            )
            .reshape([self.folded_angles, symmetries, detectors, planes])
            .swap_dims(1, 2)
            .reshape([self.folded_angles * detectors, columns])
            .select(0, self.detector_of_entry.clone())
            .reshape([tiles, entries, columns]);
        let tiles = self.weights.clone().swap_dims(1, 2).matmul(windows);
        self.untile(tiles, [batch, channels])
    }
}

/// The angles brought into `[0, 45]` degrees.
struct Folding {
    /// Without repetition.
    folded: Vec<f64>,
    /// Those that occur.
    symmetries: Vec<Symmetry>,
    /// For each angle, `folded angle * symmetries + symmetry`.
    sources: Vec<i64>,
}

impl Folding {
    fn new(angles: &[f64]) -> Self {
        let pairs: Vec<(f64, Symmetry)> = angles.iter().map(|&angle| fold(angle)).collect();
        let mut folded: Vec<f64> = pairs.iter().map(|&(angle, _)| angle).collect();
        folded.sort_by(f64::total_cmp);
        folded.dedup_by(|next, kept| *next - *kept < SAME_ANGLE);
        let mut symmetries: Vec<Symmetry> = Vec::new();
        for &(_, symmetry) in &pairs {
            if !symmetries.contains(&symmetry) {
                symmetries.push(symmetry);
            }
        }
        let source = |&(angle, symmetry): &(f64, Symmetry)| {
            let row = folded.partition_point(|&kept| kept <= angle) - 1;
            let column = symmetries.iter().position(|&other| other == symmetry);
            row * symmetries.len() + column.expect("all symmetries were collected")
        };
        let sources = pairs.iter().map(|pair| source(pair) as i64).collect();
        Self {
            folded,
            symmetries,
            sources,
        }
    }
}

/// Which detector each entry of a window lies on, and which entries lie on each detector.
fn window_tables(
    geometry: Geometry,
    projections: &[Projection],
    reach: usize,
) -> (Vec<i64>, Vec<i64>) {
    let tiles = geometry.tiles * geometry.tiles;
    let mut of_entry = Vec::with_capacity(tiles * projections.len() * reach);
    let mut of_detector = vec![Vec::new(); projections.len() * geometry.detectors];
    for tile in 0..tiles {
        for (angle, projection) in projections.iter().enumerate() {
            let first = projection.first_detector([tile / geometry.tiles, tile % geometry.tiles]);
            for entry in 0..reach {
                // Entries beyond the reach of this angle have weight 0 and may lie anywhere.
                let detector = (first + entry).min(geometry.detectors - 1);
                let line = angle * geometry.detectors + detector;
                if entry < projection.reach() {
                    of_detector[line].push(of_entry.len() as i64);
                }
                of_entry.push(line as i64);
            }
        }
    }
    let depth = of_detector.iter().map(Vec::len).max().unwrap_or(0);
    let blank = of_entry.len() as i64;
    let padded = of_detector.into_iter().flat_map(|mut entries: Vec<i64>| {
        entries.resize(depth, blank);
        entries
    });
    (of_entry, padded.collect())
}

/// The ramp filter in space, `h(0) = 1/4`, `h(k) = -1/(pi k)^2` for odd `k` and 0 for other even `k`, as the matrix of a
/// convolution without wrap-around: sampled in frequency instead, it would lose the mean.
fn ramp(detectors: usize) -> TensorData {
    let tap = |distance: usize| match distance {
        0 => 0.25,
        odd if odd % 2 == 1 => -(PI * odd as f64).powi(-2),
        _ => 0.0,
    };
    let values: Vec<f64> = (0..detectors)
        .flat_map(|row| (0..detectors).map(move |column| tap(row.abs_diff(column))))
        .collect();
    TensorData::new(values, [detectors, detectors])
}
