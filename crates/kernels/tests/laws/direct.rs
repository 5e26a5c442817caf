//! The direct convolution and its gradients equal their definition, in double precision, within the rounding of a sum.

use rand::RngExt;
use tweedie_kernels::Level;
use tweedie_kernels::conv::{
    Algorithm, Convolution, Packed, Pass, forward, input_gradient, weight_gradient,
};

/// Numbers and, for each, the sum of the absolute values of its terms.
struct Sums {
    exact: Vec<f64>,
    absolute: Vec<f64>,
}

impl Sums {
    fn zeros(len: usize) -> Self {
        Self {
            exact: vec![0.0; len],
            absolute: vec![0.0; len],
        }
    }

    fn add(&mut self, at: usize, term: f64) {
        self.exact[at] += term;
        self.absolute[at] += term.abs();
    }

    /// A sum of `terms` in any order, of which each is rounded once, errs by `terms` units of rounding to first order.
    fn check(&self, found: &[f32], terms: usize, what: &str) {
        assert_eq!(found.len(), self.exact.len(), "{what}");
        for (at, found) in found.iter().enumerate() {
            let bound = (terms + 10) as f64 * f64::from(f32::EPSILON) / 2.0 * self.absolute[at];
            let error = (f64::from(*found) - self.exact[at]).abs();
            assert!(
                error <= bound,
                "{what}: number {at} is {found} for {} +- {bound:e}",
                self.exact[at]
            );
        }
    }
}

struct Case {
    c: Convolution,
    x: Vec<f32>,
    w: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new(c: Convolution, seed: u64) -> Self {
        let mut stream = tweedie_testkit::stream(seed, 0);
        let mut numbers = |len| {
            (0..len)
                .map(|_| stream.random_range(-0.5f32..1.0))
                .collect::<Vec<f32>>()
        };
        let (x, w, dy) = (
            numbers(c.image_len()),
            numbers(c.weights()),
            numbers(c.output_len()),
        );
        Self { c, x, w, dy }
    }

    /// `y`, `dx` and `dw`, by the definition.
    fn definition(&self) -> [Sums; 3] {
        let c = &self.c;
        let [height, width] = c.output_size();
        let mut y = Sums::zeros(c.output_len());
        let mut dx = Sums::zeros(c.image_len());
        let mut dw = Sums::zeros(c.weights());
        for at in 0..c.output_len() {
            let (column, row) = (at % width, at / width % height);
            let (output, image) = (
                at / (width * height) % c.outputs,
                at / (width * height) / c.outputs,
            );
            for tap in 0..c.weights() / c.outputs {
                let (q, p) = (tap % c.kernel[1], tap / c.kernel[1] % c.kernel[0]);
                let input = tap / (c.kernel[0] * c.kernel[1]);
                let pixel = [row * c.stride[0] + p, column * c.stride[1] + q];
                let [Some(i), Some(j)] = [0, 1].map(|a| {
                    pixel[a]
                        .checked_sub(c.padding[a][0])
                        .filter(|pixel| *pixel < c.size[a])
                }) else {
                    continue;
                };
                let pixel = ((image * c.inputs + input) * c.size[0] + i) * c.size[1] + j;
                let weight = output * c.weights() / c.outputs + tap;
                let [x, w, g] = [self.x[pixel], self.w[weight], self.dy[at]].map(f64::from);
                y.add(at, w * x);
                dx.add(pixel, w * g);
                dw.add(weight, g * x);
            }
        }
        [y, dx, dw]
    }

    fn forward(&self, level: Level, bias: Option<&[f32]>) -> Vec<f32> {
        let packed = Packed::new(level, Algorithm::Direct, Pass::Forward, &self.c, &self.w);
        forward(&self.c, &self.x, &packed, bias)
    }

    fn input_gradient(&self, level: Level, bias: Option<&[f32]>) -> Vec<f32> {
        let packed = Packed::new(
            level,
            Algorithm::Direct,
            Pass::InputGradient,
            &self.c,
            &self.w,
        );
        input_gradient(&self.c, &self.dy, &packed, bias)
    }

    fn weight_gradient(&self, level: Level) -> Vec<f32> {
        weight_gradient(level, Algorithm::Direct, &self.c, &self.x, &self.dy)
    }

    fn check(&self) {
        let c = &self.c;
        let taps = c.kernel[0] * c.kernel[1];
        let [y, dx, dw] = self.definition();
        for &level in Level::available() {
            let what = |pass: &str| format!("{pass} of {c:?} at {level:?}");
            y.check(&self.forward(level, None), c.inputs * taps, &what("y"));
            dx.check(
                &self.input_gradient(level, None),
                c.outputs * taps,
                &what("dx"),
            );
            let terms = c.output_len() / c.outputs;
            dw.check(&self.weight_gradient(level), terms, &what("dw"));
        }
    }

    /// Some images of the same.
    fn images(&self, first: usize, batch: usize) -> Self {
        let c = Convolution { batch, ..self.c };
        let [x, dy] = [(&self.x, c.image_len()), (&self.dy, c.output_len())]
            .map(|(all, len)| all[first * len / batch..][..len].to_vec());
        Self {
            c,
            x,
            w: self.w.clone(),
            dy,
        }
    }
}

fn convolution(
    batch: usize,
    channels: [usize; 2],
    size: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
) -> Convolution {
    Convolution {
        batch,
        inputs: channels[0],
        outputs: channels[1],
        size: [size; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

/// The sizes of networks, those that span several blocks of each loop among them.
fn of_networks() -> Vec<Convolution> {
    vec![
        convolution(1, [128, 96], 8, 3, 1, [1, 1]),
        convolution(5, [32, 48], 4, 3, 1, [1, 1]),
        convolution(2, [1, 64], 28, 3, 1, [1, 1]),
        convolution(1, [64, 3], 33, 3, 1, [1, 1]),
        convolution(3, [32, 64], 28, 3, 2, [1, 1]),
        convolution(2, [33, 35], 16, 3, 2, [0, 1]),
        convolution(1, [600, 130], 9, 1, 1, [0, 0]),
        convolution(2, [65, 31], 14, 2, 2, [0, 0]),
        convolution(2, [17, 40], 15, 4, 2, [1, 1]),
        convolution(1, [4, 12], 130, 3, 1, [1, 1]),
        convolution(1, [3, 20], 32, 8, 8, [0, 0]),
        convolution(1, [150, 5], 16, 8, 8, [0, 0]),
        convolution(1, [16, 4], 130, 3, 1, [1, 1]),
        convolution(1, [4, 16], 60, 5, 1, [0, 3]),
    ]
}

/// What no network has.
fn odd() -> Vec<Convolution> {
    vec![
        convolution(1, [1, 1], 1, 1, 1, [0, 0]),
        convolution(1, [1, 1], 1, 3, 1, [1, 1]),
        convolution(2, [3, 2], 2, 5, 1, [3, 2]),
        convolution(1, [2, 3], 9, 2, 5, [0, 0]),
        convolution(2, [2, 3], 7, 1, 3, [2, 4]),
        convolution(1, [2, 2], 24, 19, 1, [9, 9]),
        convolution(1, [2, 1], 3, 2, 2, [5, 5]),
        convolution(700, [1, 2], 2, 2, 1, [0, 1]),
        convolution(1, [2, 300], 3, 1, 9, [0, 0]),
    ]
}

fn random(seed: u64) -> Convolution {
    let mut stream = tweedie_testkit::stream(seed, 1);
    let mut among = |from: usize, to: usize| stream.random_range(from..=to);
    let most = [4, 40][among(0, 1)];
    let kernel = [among(1, 5), among(1, 5)];
    let padding = [0, 1].map(|axis| [among(0, kernel[axis]), among(0, kernel[axis])]);
    let size = [0, 1].map(|axis| {
        let padding = padding[axis][0] + padding[axis][1];
        among(kernel[axis].saturating_sub(padding).max(1), 22)
    });
    Convolution {
        batch: among(1, 5),
        inputs: among(1, most),
        outputs: among(1, most),
        size,
        kernel,
        stride: [among(1, 4), among(1, 4)],
        padding,
    }
}

#[test]
fn equals_its_definition_for_networks() {
    for (seed, c) in (0..).zip(of_networks()) {
        Case::new(c, seed).check();
    }
}

#[test]
fn equals_its_definition_for_odd_sizes() {
    for (seed, c) in (0..).zip(odd()) {
        Case::new(c, seed).check();
    }
}

#[test]
fn equals_its_definition_for_random_sizes() {
    for seed in 0..60 {
        Case::new(random(seed), seed).check();
    }
}

#[test]
fn adds_a_bias_a_channel_or_an_image() {
    for (seed, c) in (0..).zip(of_networks().into_iter().chain(odd())) {
        let case = Case::new(c, seed);
        for &level in Level::available() {
            let check = |pass: &str,
                         plain: Vec<f32>,
                         channels: usize,
                         with: &dyn Fn(&[f32]) -> Vec<f32>| {
                for images in [1, c.batch] {
                    let bias: Vec<_> = (0..images * channels)
                        .map(|i| 3.0 - i as f32 / 7.0)
                        .collect();
                    let pixels = plain.len() / (c.batch * channels);
                    for (at, (plain, found)) in plain.iter().zip(with(&bias)).enumerate() {
                        let expected = plain + bias[at / pixels % bias.len()];
                        assert_eq!(found, expected, "{pass} {at} of {c:?} at {level:?}");
                    }
                }
            };
            check("y", case.forward(level, None), c.outputs, &|bias| {
                case.forward(level, Some(bias))
            });
            check("dx", case.input_gradient(level, None), c.inputs, &|bias| {
                case.input_gradient(level, Some(bias))
            });
        }
    }
}

#[test]
fn of_an_image_does_not_depend_on_the_others() {
    for (seed, c) in (0..).zip(of_networks().into_iter().chain((100..120).map(random))) {
        let case = Case::new(Convolution { batch: 5, ..c }, seed);
        for &level in Level::available() {
            let (y, dx) = (case.forward(level, None), case.input_gradient(level, None));
            for (first, batch) in [(0, 1), (3, 1), (2, 3)] {
                let some = case.images(first, batch);
                let of =
                    |all: &[f32]| all[first * all.len() / 5..][..batch * all.len() / 5].to_vec();
                assert_eq!(some.forward(level, None), of(&y), "y of {c:?} at {level:?}");
                assert_eq!(
                    some.input_gradient(level, None),
                    of(&dx),
                    "dx of {c:?} at {level:?}"
                );
            }
        }
    }
}

#[test]
fn does_not_depend_on_the_number_of_threads() {
    let shapes = [
        convolution(1, [64, 200], 24, 3, 1, [1, 1]),
        convolution(16, [20, 64], 28, 3, 2, [1, 1]),
        convolution(1, [128, 32], 32, 2, 2, [0, 0]),
        convolution(1, [64, 3], 96, 3, 1, [1, 1]),
    ];
    for c in shapes {
        let case = Case::new(c, 3);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let level = Level::best();
            let all = || {
                [
                    case.forward(level, None),
                    case.input_gradient(level, None),
                    case.weight_gradient(level),
                ]
            };
            pool.install(all)
        };
        let one = with(1);
        for threads in [2, 3, 8] {
            assert_eq!(with(threads), one, "{c:?} on {threads} threads");
        }
    }
}

#[test]
fn what_is_no_number_reaches_what_it_touches_alone() {
    for (seed, c) in (0..).zip(of_networks().into_iter().chain((200..220).map(random))) {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut case = Case::new(c, seed);
            let (x, dy) = (case.x.len() / 2, case.dy.len() / 2);
            case.x[x] = bad;
            case.dy[dy] = bad;
            let expected = case.definition().map(|sums| {
                sums.exact
                    .iter()
                    .map(|number| number.is_finite())
                    .collect::<Vec<_>>()
            });
            for &level in Level::available() {
                let found = [
                    case.forward(level, None),
                    case.input_gradient(level, None),
                    case.weight_gradient(level),
                ];
                // The padding is multiplied too where the gradient holds what is no number: zero times that is none either.
                for (pass, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
                        let fits =
                            found.is_finite() == *expected || (pass == 2 && !found.is_finite());
                        assert!(
                            fits,
                            "pass {pass}, number {at} of {c:?} at {level:?}: {found}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn does_not_see_what_was_computed_before() {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    for (seed, c) in (0..).zip(of_networks().into_iter().chain(odd())) {
        let case = Case::new(c, seed);
        // More images, so that what is left lies also where the other has no pixels.
        let mut bad = Case::new(
            Convolution {
                batch: c.batch + 3,
                ..c
            },
            seed,
        );
        for numbers in [&mut bad.x, &mut bad.w, &mut bad.dy] {
            numbers.fill(f32::NAN);
        }
        pool.install(|| {
            for &level in Level::available() {
                for case in [&bad, &case] {
                    let all = [
                        case.forward(level, None),
                        case.input_gradient(level, None),
                        case.weight_gradient(level),
                    ];
                    let finite = all.iter().flatten().all(|number| number.is_finite());
                    assert!(finite || std::ptr::eq(case, &bad), "{c:?} at {level:?}");
                }
            }
        });
    }
}
