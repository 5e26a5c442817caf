//! Winograd's convolution and its gradients equal their definition, in double precision, within the rounding of the
//! algorithm: to first order the sum over all paths of the absolute values, times the roundings on a path.

use rand::RngExt;
use tweedie_kernels::Level;
use tweedie_kernels::conv::{
    Algorithm, Convolution, Packed, Pass, forward, input_gradient, weight_gradient,
};

/// Absolute values of the matrices of F(4, 3): Lavin & Gray 2016, section 4.3.
const INPUT: [[f64; 6]; 6] = [
    [4.0, 0.0, 5.0, 0.0, 1.0, 0.0],
    [0.0, 4.0, 4.0, 1.0, 1.0, 0.0],
    [0.0, 4.0, 4.0, 1.0, 1.0, 0.0],
    [0.0, 2.0, 1.0, 2.0, 1.0, 0.0],
    [0.0, 2.0, 1.0, 2.0, 1.0, 0.0],
    [0.0, 4.0, 0.0, 5.0, 0.0, 1.0],
];
const KERNEL: [[f64; 3]; 6] = [
    [1.0 / 4.0, 0.0, 0.0],
    [1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0],
    [1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];
const OUTPUT: [[f64; 6]; 4] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 1.0, 1.0, 2.0, 2.0, 0.0],
    [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
    [0.0, 1.0, 1.0, 8.0, 8.0, 1.0],
];

/// Roundings on a path through all transforms: 4 in each of 2 axes for inputs and for outputs, 5 for kernels, whose constants
/// are rounded too, and 4 for the product, the bias and sums of parts.
const TRANSFORMS: usize = 30;

fn transposed<const R: usize, const C: usize>(m: &[[f64; C]; R]) -> [[f64; R]; C] {
    std::array::from_fn(|c| std::array::from_fn(|r| m[r][c]))
}

/// `m x m'`.
fn both_axes<const R: usize, const C: usize>(m: &[[f64; C]; R], x: [[f64; C]; C]) -> [[f64; R]; R] {
    let entry = |i: usize, j: usize| -> f64 {
        let row = |p: usize| (0..C).map(|q| x[p][q] * m[j][q]).sum::<f64>();
        (0..C).map(|p| m[i][p] * row(p)).sum()
    };
    std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)))
}

/// Images, `[batch, channels, height, width]`.
struct Images<'a> {
    channels: usize,
    size: [usize; 2],
    numbers: &'a [f32],
}

impl Images<'_> {
    /// A pixel, 0 beyond the image.
    fn at(&self, image: usize, channel: usize, [y, x]: [isize; 2]) -> f64 {
        let [height, width] = self.size.map(|len| len as isize);
        if y < 0 || y >= height || x < 0 || x >= width {
            return 0.0;
        }
        let plane = ((image * self.channels + channel) as isize) * height * width;
        f64::from(self.numbers[(plane + y * width + x) as usize])
    }

    /// The absolute values of a square of pixels.
    fn square<const N: usize>(
        &self,
        image: usize,
        channel: usize,
        [y, x]: [isize; 2],
    ) -> [[f64; N]; N] {
        let pixel = |i: usize, j: usize| [y + i as isize, x + j as isize];
        std::array::from_fn(|i| std::array::from_fn(|j| self.at(image, channel, pixel(i, j)).abs()))
    }
}

#[derive(Clone)]
struct Case {
    c: Convolution,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
}

fn sizes(batch: usize, [inputs, outputs]: [usize; 2], size: [usize; 2]) -> Convolution {
    Convolution {
        batch,
        inputs,
        outputs,
        size,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [[1, 1], [1, 1]],
    }
}

impl Case {
    fn new(c: Convolution, seed: u64) -> Self {
        let mut stream = tweedie_testkit::stream(seed, 0);
        let mut numbers = |len| {
            (0..len)
                .map(|_| stream.random_range(-1.0f32..1.0))
                .collect::<Vec<f32>>()
        };
        let (x, w, dy) = (
            numbers(c.image_len()),
            numbers(c.weights()),
            numbers(c.output_len()),
        );
        Self { c, x, w, dy }
    }

    fn images(&self) -> Images<'_> {
        Images {
            channels: self.c.inputs,
            size: self.c.size,
            numbers: &self.x,
        }
    }

    fn gradients(&self) -> Images<'_> {
        Images {
            channels: self.c.outputs,
            size: self.c.output_size(),
            numbers: &self.dy,
        }
    }

    /// Every term of the definition: numbers of `y`, `x` and `w`.
    fn terms(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let c = &self.c;
        let ([height, width], [rows, columns]) = (c.size, c.output_size());
        for n in 0..c.batch {
            for (o, i) in (0..c.outputs * c.inputs).map(|k| (k / c.inputs, k % c.inputs)) {
                for (row, column) in (0..rows * columns).map(|k| (k / columns, k % columns)) {
                    for (p, q) in (0..9).map(|k| (k / 3, k % 3)) {
                        let y = (row + p).wrapping_sub(c.padding[0][0]);
                        let x = (column + q).wrapping_sub(c.padding[1][0]);
                        if y < height && x < width {
                            visit(
                                ((n * c.outputs + o) * rows + row) * columns + column,
                                ((n * c.inputs + i) * height + y) * width + x,
                                (o * c.inputs + i) * 9 + p * 3 + q,
                            );
                        }
                    }
                }
            }
        }
    }

    fn exact(&self) -> [Vec<f64>; 3] {
        let zeros = |len: usize| vec![0.0f64; len];
        let (mut y, mut dx, mut dw) = (
            zeros(self.dy.len()),
            zeros(self.x.len()),
            zeros(self.w.len()),
        );
        let wide = |numbers: &[f32]| numbers.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let (x, w, dy) = (wide(&self.x), wide(&self.w), wide(&self.dy));
        self.terms(|at_y, at_x, at_w| {
            y[at_y] += x[at_x] * w[at_w];
            dx[at_x] += dy[at_y] * w[at_w];
            dw[at_w] += dy[at_y] * x[at_x];
        });
        [y, dx, dw]
    }

    /// The convolution that maps `dy` to `dx`.
    fn flipped(&self) -> Self {
        let c = &self.c;
        let mut w = self.w.clone();
        for (at, v) in w.iter_mut().enumerate() {
            let (i, o, tap) = (at / 9 / c.outputs, at / 9 % c.outputs, at % 9);
            *v = self.w[(o * c.inputs + i) * 9 + 8 - tap];
        }
        let c = Convolution {
            inputs: c.outputs,
            outputs: c.inputs,
            size: c.output_size(),
            padding: c.padding.map(|axis| axis.map(|p| 2 - p)),
            ..*c
        };
        Self {
            c,
            x: self.dy.clone(),
            w,
            dy: self.x.clone(),
        }
    }

    /// First pixels of the tiles.
    fn tiles(&self) -> Vec<[usize; 2]> {
        let [rows, columns] = self.c.output_size();
        let all = |row| (0..columns).step_by(4).map(move |column| [row, column]);
        (0..rows).step_by(4).flat_map(all).collect()
    }

    /// What a tile reads of `x`.
    fn source(&self, [row, column]: [usize; 2]) -> [isize; 2] {
        let [[top, _], [left, _]] = self.c.padding;
        [row as isize - top as isize, column as isize - left as isize]
    }

    /// The sum of the absolute values of all paths to each number of `y`.
    fn paths(&self) -> Vec<f64> {
        let c = &self.c;
        let [rows, columns] = c.output_size();
        let mut kernel = |at: usize| {
            let tap = |p: usize, q: usize| f64::from(self.w[at * 9 + p * 3 + q]).abs();
            both_axes(
                &KERNEL,
                std::array::from_fn(|p| std::array::from_fn(|q| tap(p, q))),
            )
        };
        let kernels = (0..c.outputs * c.inputs)
            .map(&mut kernel)
            .collect::<Vec<_>>();
        let mut paths = vec![0.0; self.dy.len()];
        for n in 0..c.batch {
            for tile in self.tiles() {
                let input =
                    |i| both_axes(&INPUT, self.images().square::<6>(n, i, self.source(tile)));
                let inputs = (0..c.inputs).map(input).collect::<Vec<_>>();
                for o in 0..c.outputs {
                    let product = |k: usize, l: usize| -> f64 {
                        let kernels = &kernels[o * c.inputs..];
                        inputs
                            .iter()
                            .zip(kernels)
                            .map(|(d, g)| d[k][l] * g[k][l])
                            .sum()
                    };
                    let products = std::array::from_fn(|k| std::array::from_fn(|l| product(k, l)));
                    let tile_paths = both_axes(&OUTPUT, products);
                    for row in tile[0]..rows.min(tile[0] + 4) {
                        for column in tile[1]..columns.min(tile[1] + 4) {
                            paths[((n * c.outputs + o) * rows + row) * columns + column] =
                                tile_paths[row - tile[0]][column - tile[1]];
                        }
                    }
                }
            }
        }
        paths
    }

    /// The sum of the absolute values of all paths to each number of `dw`.
    fn weight_paths(&self) -> Vec<f64> {
        let c = &self.c;
        let (to_products, from_products) = (transposed(&OUTPUT), transposed(&KERNEL));
        let mut sums = vec![[[0.0; 6]; 6]; c.outputs * c.inputs];
        for n in 0..c.batch {
            for tile in self.tiles() {
                let input =
                    |i| both_axes(&INPUT, self.images().square::<6>(n, i, self.source(tile)));
                let inputs = (0..c.inputs).map(input).collect::<Vec<_>>();
                for o in 0..c.outputs {
                    let dy = self
                        .gradients()
                        .square::<4>(n, o, tile.map(|at| at as isize));
                    let output = both_axes(&to_products, dy);
                    for (sum, input) in sums[o * c.inputs..].iter_mut().zip(&inputs) {
                        for (k, l) in (0..36).map(|k| (k / 6, k % 6)) {
                            sum[k][l] += input[k][l] * output[k][l];
                        }
                    }
                }
            }
        }
        let finish = |sum| both_axes(&from_products, sum).into_iter().flatten();
        sums.into_iter().flat_map(finish).collect()
    }

    fn run(&self, level: Level, bias: Option<&[f32]>) -> [Vec<f32>; 3] {
        let pack = |pass| Packed::new(level, Algorithm::Winograd, pass, &self.c, &self.w);
        [
            forward(&self.c, &self.x, &pack(Pass::Forward), bias),
            input_gradient(&self.c, &self.dy, &pack(Pass::InputGradient), None),
            weight_gradient(level, Algorithm::Winograd, &self.c, &self.x, &self.dy),
        ]
    }

    /// Compares everything at every level.
    fn check(&self) {
        let c = &self.c;
        let tiles = c.batch * self.tiles().len();
        let [mut y, dx, dw] = self.exact();
        let (mut paths, dx_paths, dw_paths) =
            (self.paths(), self.flipped().paths(), self.weight_paths());
        // One number a channel, or one for each image as well.
        let of_images = if c.batch.is_multiple_of(2) {
            c.batch
        } else {
            1
        };
        let bias = (0..of_images * c.outputs)
            .map(|at| at as f32 - 1.5)
            .collect::<Vec<f32>>();
        let plane = y.len() / (c.batch * c.outputs);
        for (at, (y, paths)) in y.iter_mut().zip(&mut paths).enumerate() {
            let b = f64::from(bias[at / plane % bias.len()]);
            *y += b;
            *paths += b.abs();
        }
        for &level in Level::available() {
            let found = self.run(level, Some(&bias));
            let within = |found: &[f32], exact: &[f64], paths: &[f64], terms: usize, what| {
                assert_eq!(found.len(), exact.len(), "{what} {c:?}");
                let unit = f64::from(f32::EPSILON) / 2.0;
                for (at, found) in found.iter().enumerate() {
                    let bound = (terms + TRANSFORMS) as f64 * unit * 1.001 * paths[at];
                    let error = (f64::from(*found) - exact[at]).abs();
                    let exact = exact[at];
                    assert!(
                        error <= bound,
                        "{level:?} {what}[{at}] is {found} for {exact} +- {bound:e}, {c:?}"
                    );
                }
            };
            within(&found[0], &y, &paths, c.inputs, "y");
            within(&found[1], &dx, &dx_paths, c.outputs, "dx");
            // The sum of a block is added to that of those before, and at most 16 parts are added.
            within(&found[2], &dw, &dw_paths, 2 * tiles + 16, "dw");
        }
    }
}

#[test]
fn all_passes_equal_their_definition_on_random_sizes() {
    let mut stream = tweedie_testkit::stream(1, 1);
    for seed in 0..60 {
        let mut up_to = |most: usize| stream.random_range(1..=most);
        let mut c = sizes(up_to(5), [up_to(40), up_to(40)], [up_to(18), up_to(18)]);
        c.padding = [0, 1].map(|axis| {
            let fits = |p: &[usize; 2]| c.size[axis] + p[0] + p[1] >= 3;
            let mut padding = || [up_to(3) - 1, up_to(3) - 1];
            std::iter::repeat_with(&mut padding)
                .find(fits)
                .expect("there are some that fit")
        });
        Case::new(c, seed).check();
    }
}

#[test]
fn all_passes_equal_their_definition_where_work_is_cut() {
    // Tiles in several columns and rows of blocks; several images in a block; several panels and groups of channels; fewer
    // tiles than threads.
    let all = [
        (1, [2, 3], [70, 150]),
        (2, [1, 1], [150, 9]),
        (21, [17, 5], [7, 7]),
        (9, [5, 33], [14, 13]),
        (1, [70, 131], [9, 9]),
        (2, [130, 67], [4, 6]),
        (1, [16, 200], [8, 8]),
    ];
    for (seed, (batch, channels, size)) in all.into_iter().enumerate() {
        Case::new(sizes(batch, channels, size), seed as u64).check();
    }
}

#[test]
fn an_image_has_the_same_bits_in_any_batch_and_any_number_of_threads() {
    for (batch, channels, size) in [(19, [20, 35], [7, 9]), (3, [40, 70], [30, 90])] {
        let whole = Case::new(sizes(batch, channels, size), 5);
        for &level in Level::available() {
            let [y, dx, dw] = whole.run(level, None);
            for threads in [1, 3, 16] {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let found = pool.install(|| whole.run(level, None));
                assert!(
                    found == [y.clone(), dx.clone(), dw.clone()],
                    "{threads} {level:?}"
                );
            }
            for image in [0, batch / 2, batch - 1] {
                let mut one = whole.clone();
                one.c.batch = 1;
                one.x = one
                    .x
                    .chunks(one.x.len() / batch)
                    .nth(image)
                    .unwrap()
                    .to_vec();
                one.dy = one
                    .dy
                    .chunks(one.dy.len() / batch)
                    .nth(image)
                    .unwrap()
                    .to_vec();
                let [one_y, one_dx, _] = one.run(level, None);
                assert!(
                    one_y == y[image * one_y.len()..][..one_y.len()],
                    "{image} {level:?}"
                );
                assert!(
                    one_dx == dx[image * one_dx.len()..][..one_dx.len()],
                    "{image} {level:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let whole = Case::new(sizes(2, [9, 18], [6, 11]), 6);
    for wrong in [f32::NAN, f32::INFINITY] {
        for seed in 0..8 {
            let mut stream = tweedie_testkit::stream(seed, 7);
            let mut case = whole.clone();
            // In one of the three.
            let numbers = [&mut case.x, &mut case.w, &mut case.dy]
                .into_iter()
                .nth(seed as usize % 3);
            let numbers = numbers.expect("three");
            let at = stream.random_range(0..numbers.len());
            numbers[at] = wrong;
            for &level in Level::available() {
                let [y, dx, dw] = case.run(level, None);
                case.terms(|at_y, at_x, at_w| {
                    let wrong = [case.x[at_x], case.w[at_w], case.dy[at_y]].map(|v| !v.is_finite());
                    let lost = [y[at_y], dx[at_x], dw[at_w]].map(|v| !v.is_finite());
                    assert!(lost[0] || !(wrong[0] || wrong[1]), "{level:?}");
                    assert!(lost[1] || !(wrong[1] || wrong[2]), "{level:?}");
                    assert!(lost[2] || !(wrong[0] || wrong[2]), "{level:?}");
                });
            }
        }
    }
}

/// The typical error is far below the bound: relative to the largest number below 1e-5, as the network's users are promised.
#[test]
fn typical_errors_are_small() {
    for (seed, channels) in [(1, 16), (2, 64), (3, 128)] {
        let case = Case::new(sizes(1, [channels, channels], [16, 16]), seed);
        let exact = case.exact();
        for &level in Level::available() {
            for (found, exact) in case.run(level, None).iter().zip(&exact) {
                let largest = exact.iter().fold(0.0f64, |most, v| most.max(v.abs()));
                let errors = found
                    .iter()
                    .zip(exact)
                    .map(|(f, e)| (f64::from(*f) - e).abs());
                let error = errors.fold(0.0, f64::max) / largest;
                assert!(error < 1e-5, "{error:e} for {channels} channels, {level:?}");
            }
        }
    }
}
