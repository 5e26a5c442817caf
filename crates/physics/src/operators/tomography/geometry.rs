//! Where the image lies on the detector, and how it falls into tiles.

/// Side of a tile in pixels. Larger tiles need more memory for their weights, smaller ones more memory traffic for their windows.
const TILE: usize = 8;

/// The square that the symmetries move onto itself, cut into tiles.
///
/// The rotated grid has `detectors` points along each axis and turns about its centre. The image may lie half a pixel off
/// that centre; the square is the smallest one around the image that does not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// Side of the image.
    pub(super) image: usize,
    /// `ceil(sqrt(2) image)`: the whole image at any angle.
    pub(super) detectors: usize,
    /// First row and column of the image in the square.
    pub(super) offset: usize,
    /// Side of the square.
    pub(super) side: usize,
    /// First row and column of the square on the grid.
    start: usize,
    /// Tiles along a side; the last may reach over the square.
    pub(super) tiles: usize,
    /// Side of a tile.
    pub(super) tile: usize,
}

impl Geometry {
    pub(super) fn new(image: usize) -> Self {
        let detectors = (2 * image * image).isqrt();
        let detectors = detectors + usize::from(detectors * detectors < 2 * image * image);
        let before = detectors / 2 - image / 2;
        let after = detectors - image - before;
        let start = before.min(after);
        let side = detectors - 2 * start;
        let tile = TILE.min(side);
        Self {
            image,
            detectors,
            offset: before - start,
            side,
            start,
            tiles: side.div_ceil(tile),
            tile,
        }
    }

    fn centre(&self) -> f64 {
        (self.detectors - 1) as f64 / 2.0
    }
}

/// One folded angle over one geometry.
pub(super) struct Projection {
    geometry: Geometry,
    cos: f64,
    sin: f64,
}

impl Projection {
    pub(super) fn new(geometry: Geometry, degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self { geometry, cos, sin }
    }

    /// The most detectors that see one tile.
    pub(super) fn reach(&self) -> usize {
        let width = (self.geometry.tile + 1) as f64 * (self.cos + self.sin);
        (width.ceil() as usize).min(self.geometry.detectors)
    }

    /// The first of the [`reach`](Self::reach) detectors that may see the tile in this row and column of tiles.
    pub(super) fn first_detector(&self, [row, column]: [usize; 2]) -> usize {
        let g = self.geometry;
        let position = |index: usize| (g.start + index * g.tile) as f64 - g.centre();
        let (top, left) = (position(row), position(column));
        let bottom = top + (g.tile - 1) as f64;
        // A pixel reaches one pixel to all sides, the corners of that square `cos + sin` along the detector.
        let lowest = self.cos * left - self.sin * bottom - (self.cos + self.sin) + g.centre();
        let first = (lowest.floor() + 1.0).max(0.0) as usize;
        first.min(g.detectors - self.reach())
    }

    /// Weights `[tiles, reach, pixels of a tile]`, with a `reach` not below its own, 0 beyond.
    pub(super) fn weights(&self, reach: usize) -> Vec<f64> {
        let g = self.geometry;
        let pixels = g.tile * g.tile;
        let firsts: Vec<usize> = (0..g.tiles * g.tiles)
            .map(|tile| self.first_detector([tile / g.tiles, tile % g.tiles]))
            .collect();
        let mut weights = vec![0.0; firsts.len() * reach * pixels];
        for detector in 0..g.detectors {
            for point in 0..g.detectors {
                for (row, column, weight) in self.pixels_around(detector, point) {
                    let tile = row / g.tile * g.tiles + column / g.tile;
                    let pixel = row % g.tile * g.tile + column % g.tile;
                    // Rounding can put a weight of 1e-16 beside the window.
                    let entry = detector.wrapping_sub(firsts[tile]);
                    if entry < reach {
                        weights[(tile * reach + entry) * pixels + pixel] += weight;
                    }
                }
            }
        }
        weights
    }

    /// Row, column and weight of those pixels in the square that the point `v = point` of a detector's line lies between.
    fn pixels_around(
        &self,
        detector: usize,
        point: usize,
    ) -> impl Iterator<Item = (usize, usize, f64)> {
        let g = self.geometry;
        let (t, v) = (detector as f64 - g.centre(), point as f64 - g.centre());
        let origin = g.centre() - g.start as f64;
        let x = self.cos * t + self.sin * v + origin;
        let y = self.cos * v - self.sin * t + origin;
        let (left, top) = (x.floor(), y.floor());
        let (to_right, to_bottom) = (x - left, y - top);
        let within = move |index: f64| index >= 0.0 && index < g.side as f64;
        [
            (top, left, (1.0 - to_bottom) * (1.0 - to_right)),
            (top, left + 1.0, (1.0 - to_bottom) * to_right),
            (top + 1.0, left, to_bottom * (1.0 - to_right)),
            (top + 1.0, left + 1.0, to_bottom * to_right),
        ]
        .into_iter()
        .filter(move |&(row, column, _)| within(row) && within(column))
        .map(|(row, column, weight)| (row as usize, column as usize, weight))
    }
}
