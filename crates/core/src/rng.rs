//! The only source of random numbers: counter-based streams, one per row of the batch.
//!
//! Row `i` of a run reads the stream `(seed, i)` of a ChaCha8 generator (Bernstein 2008,
//! <https://cr.yp.to/chacha.html>). Normal numbers are drawn on the host in `f64` and uploaded. A sample therefore
//! depends on its seed and its index alone: not on the batch size, the number of threads, the order of work, or the device.

use burn::tensor::{DType, Device, Element, Tensor, TensorCreationOptions, TensorData};
use rand::{Rng as _, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// The generator behind [`stream`]; implements the traits of the `rand` crate.
pub type Stream = ChaCha8Rng;

/// Keeps the keys of forked generators apart from the keys of rows.
#[derive(Clone, Copy)]
enum Domain {
    Rows = 0,
    Forks = 1,
}

fn keyed(key: u64, domain: Domain, index: u64) -> Stream {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key.to_le_bytes());
    bytes[8] = domain as u8;
    let mut generator = Stream::from_seed(bytes);
    generator.set_stream(index);
    generator
}

/// The host generator `(seed, index)`: what row `index` of [`Rng::seeded`] reads.
///
/// For work on the host, such as drawing a phantom or shuffling a data set.
///
/// ```
/// use rand::Rng;
///
/// let mut third = tweedie_core::stream(7, 3);
/// assert_eq!(third.next_u64(), tweedie_core::stream(7, 3).next_u64());
/// ```
pub fn stream(seed: u64, index: u64) -> Stream {
    keyed(seed, Domain::Rows, index)
}

/// Seeds the process-global generator that burn's own dropout layers read.
///
/// Dropout is the one layer whose randomness cannot be handed in. Reseeding it before each training step with a number
/// derived from the step makes an interrupted run repeat exactly.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where burn's own generator is set"
)]
pub fn seed_dropout(device: &Device, seed: u64) {
    device.seed(seed);
}

/// What a solver draws from: an [`Rng`], or numbers that a test replays.
pub trait Noise<const D: usize = 4> {
    /// Independent standard normal numbers of the given shape; axis 0 is the batch.
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D>;

    /// Brownian increment from one time to another: zero mean, variance `|to - from|`.
    fn increment(&mut self, shape: [usize; D], from: f64, to: f64) -> Tensor<D> {
        self.normal(shape).mul_scalar((to - from).abs().sqrt())
    }
}

/// Seeded randomness for a batch: row `i` owns the stream `(seed, first_row + i)`.
///
/// ```
/// use burn::tensor::Device;
/// use tweedie_core::Rng;
///
/// let device = Device::flex();
/// let all = Rng::seeded(1, &device).normal([4, 3]);
/// let last = Rng::seeded(1, &device).starting_at(3).normal([1, 3]);
/// all.slice([3..4]).into_data().assert_eq(&last.into_data(), true);
/// ```
#[derive(Clone, Debug)]
pub struct Rng {
    key: u64,
    first_row: u64,
    rows: Vec<Stream>,
    options: TensorCreationOptions,
}

impl Rng {
    /// A generator whose tensors live on `device`, in the device's own float type.
    pub fn seeded(seed: u64, device: &Device) -> Self {
        Self {
            key: seed,
            first_row: 0,
            rows: Vec::new(),
            options: device.into(),
        }
    }

    /// The same generator for a batch whose first row is sample number `row`; its streams start afresh.
    pub fn starting_at(mut self, row: u64) -> Self {
        self.first_row = row;
        self.rows.clear();
        self
    }

    /// The same generator, drawing tensors of type `dtype`.
    pub fn with_dtype(mut self, dtype: DType) -> Self {
        self.options = self.options.with_dtype(dtype);
        self
    }

    /// An independent generator for another purpose, named by `label`. Draws nothing from `self`, so it may be called at
    /// any time with the same result; its first row is that of `self`.
    pub fn fork(&self, label: u64) -> Self {
        Self {
            key: keyed(self.key, Domain::Forks, label).next_u64(),
            first_row: self.first_row,
            rows: Vec::new(),
            options: self.options.clone(),
        }
    }

    /// The device on which tensors are created.
    pub fn device(&self) -> &Device {
        &self.options.device
    }

    /// Number of the sample that row 0 draws.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Independent standard normal numbers, `shape[0]` rows.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let values = self.draw(shape[0], shape[1..].iter().product(), |row| {
            row.sample::<f64, _>(StandardNormal)
        });
        Tensor::from_data(TensorData::new(values, shape), self.options.clone())
    }

    /// Independent uniform numbers in [0, 1), `shape[0]` rows.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let values = self.draw(shape[0], shape[1..].iter().product(), |row| {
            row.random::<f64>()
        });
        Tensor::from_data(TensorData::new(values, shape), self.options.clone())
    }

    /// One uniform number in [0, 1) for each of `rows` rows, kept on the host.
    pub fn uniform_per_row(&mut self, rows: usize) -> Vec<f64> {
        self.draw(rows, 1, |row| row.random::<f64>())
    }

    fn draw<E: Element>(
        &mut self,
        rows: usize,
        row_len: usize,
        mut one: impl FnMut(&mut Stream) -> E,
    ) -> Vec<E> {
        for row in self.rows.len()..rows {
            self.rows
                .push(stream(self.key, self.first_row + row as u64));
        }
        let mut values = Vec::with_capacity(rows * row_len);
        for row in &mut self.rows[..rows] {
            values.extend((0..row_len).map(|_| one(row)));
        }
        values
    }
}

impl<const D: usize> Noise<D> for Rng {
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        Rng::normal(self, shape)
    }
}
