//! The only source of random numbers: counter-based streams, one per row of the batch.
//!
//! Row `i` of a run reads the stream `(seed, i)` of a ChaCha8 generator (Bernstein 2008,
//! <https://cr.yp.to/chacha.html>). Normal numbers are drawn on the host in `f64` and uploaded. A sample therefore
//! depends on its seed and its index alone: not on the batch size, the number of threads, the order of work, or the device.

use std::convert::Infallible;
use std::slice;

use burn::tensor::{DType, Device, Tensor, TensorCreationOptions, TensorData};
use rand::rand_core::utils::fill_bytes_via_next_word;
use rand::{Rng as _, RngExt, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    keystream::{self, Words},
    memory,
    normal::{self, Edges},
};

/// The generator behind [`stream`]; implements the traits of the `rand` crate.
pub type Stream = ChaCha8Rng;

/// Keeps the keys of rows, of forked generators, and of Brownian paths apart.
#[derive(Clone, Copy)]
enum Domain {
    Rows,
    Forks,
    /// Of the sample with this number.
    Path(u64),
}

fn keyed(key: u64, domain: Domain, index: u64) -> Stream {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key.to_le_bytes());
    match domain {
        Domain::Rows => {}
        Domain::Forks => bytes[8] = 1,
        Domain::Path(sample) => {
            bytes[8] = 2;
            bytes[16..24].copy_from_slice(&sample.to_le_bytes());
        }
    }
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

    /// Standard normal numbers that drive a step in time: the Brownian increment over it divided by its standard
    /// deviation, `(w(to) - w(from)) / sqrt(|to - from|)`.
    ///
    /// Fresh numbers unless the source follows a path of its own, which any sequence of steps then samples.
    fn normal_over(&mut self, shape: [usize; D], from: f64, to: f64) -> Tensor<D> {
        let _ = (from, to);
        self.normal(shape)
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
        memory::keep_freed();
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

    /// Where the generator stands, for [`resume`](Self::resume).
    pub fn position(&self) -> RngPosition {
        let words = self.rows.iter().map(|row| row.get_word_pos() as u64);
        RngPosition {
            key: self.key,
            first_row: self.first_row,
            words: words.collect(),
            dtype: self.options.dtype,
        }
    }

    /// The generator that goes on from `position`, on `device`: it draws the numbers that the one whose position it is
    /// would have drawn next.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use tweedie_core::Rng;
    ///
    /// let device = Device::flex();
    /// let mut rng = Rng::seeded(1, &device);
    /// rng.normal([4, 3]);
    /// let mut resumed = Rng::resume(&rng.position(), &device);
    /// let next = rng.normal([4, 3]).into_data();
    /// resumed.normal([4, 3]).into_data().assert_eq(&next, true);
    /// ```
    pub fn resume(position: &RngPosition, device: &Device) -> Self {
        let mut rng = Self::seeded(position.key, device).starting_at(position.first_row);
        rng.options.dtype = position.dtype;
        rng.start_streams(position.words.len());
        for (row, word) in rng.rows.iter_mut().zip(&position.words) {
            row.set_word_pos(u128::from(*word));
        }
        rng
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
        let edges = normal::edges();
        draw_tensor(self.streams(shape[0]), shape, |row| row.normal(edges))
    }

    /// Independent uniform numbers in [0, 1), `shape[0]` rows.
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        draw_tensor(self.streams(shape[0]), shape, |row| row.random())
    }

    /// One uniform number in [0, 1) for each of `rows` rows, kept on the host.
    pub fn uniform_per_row(&mut self, rows: usize) -> Vec<f64> {
        let (streams, _) = self.streams(rows);
        draw(streams, 1, |row| row.random())
    }

    /// One draw per entry of `x` from a law that depends on the entry, such as a Poisson count of its mean: row `i` reads row
    /// `i`'s stream, and `draw(value, stream)` is made on the host, for which `x` is read back.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use rand::RngExt;
    /// use tweedie_core::Rng;
    ///
    /// let device = Device::flex();
    /// let probability = Tensor::<2>::full([2, 3], 0.25, &device);
    /// let coins = Rng::seeded(1, &device)
    ///     .draw_from(probability, |p, stream| f64::from(stream.random::<f64>() < p));
    /// assert_eq!(coins.dims(), [2, 3]);
    /// ```
    ///
    /// # Panics
    /// If `x` cannot be read from its device.
    pub fn draw_from<const D: usize>(
        &mut self,
        x: Tensor<D>,
        draw: impl Fn(f64, &mut Stream) -> f64 + Sync,
    ) -> Tensor<D> {
        let shape = x.dims();
        let row_len = shape[1..].iter().product::<usize>();
        self.start_streams(shape[0]);
        let mut values = x
            .try_to_vec_as::<f64>()
            .expect("the entries can be read from their device");
        values
            .par_chunks_mut(row_len.max(1))
            .zip(&mut self.rows[..shape[0]])
            .for_each(|(values, row)| {
                values
                    .iter_mut()
                    .for_each(|value| *value = draw(*value, row));
            });
        self.upload(values, shape)
    }

    /// The stream of one row, for a run of that row alone: it draws the numbers that the row would have had in its batch,
    /// and leaves the stream where it stops.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use tweedie_core::{Noise, Rng};
    ///
    /// let device = Device::flex();
    /// let all = Rng::seeded(1, &device).normal([4, 3]);
    /// let alone: Tensor<2> = Rng::seeded(1, &device).row(2).normal([1, 3]);
    /// all.slice([2..3]).into_data().assert_eq(&alone.into_data(), true);
    /// ```
    pub fn row(&mut self, row: usize) -> RngRow<'_> {
        self.start_streams(row + 1);
        RngRow {
            stream: &mut self.rows[row],
            options: &self.options,
        }
    }

    /// The generator of one node in the tree of the Brownian path that belongs to a row.
    pub(crate) fn path_node(&self, row: usize, node: u64) -> Stream {
        keyed(self.key, Domain::Path(self.first_row + row as u64), node)
    }

    /// Numbers of the host as a tensor of this generator's device and type.
    pub(crate) fn upload<const D: usize>(&self, values: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values, shape), self.options.clone())
    }

    fn start_streams(&mut self, rows: usize) {
        for row in self.rows.len()..rows {
            self.rows
                .push(stream(self.key, self.first_row + row as u64));
        }
    }

    /// Those of so many rows, and what their tensors are created with.
    fn streams(&mut self, rows: usize) -> (&mut [Stream], &TensorCreationOptions) {
        self.start_streams(rows);
        (&mut self.rows[..rows], &self.options)
    }
}

/// Where an [`Rng`] stands in its streams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RngPosition {
    key: u64,
    first_row: u64,
    /// Of each row that has been drawn from, how many words of 32 bits.
    words: Vec<u64>,
    dtype: Option<DType>,
}

/// A stream of which the next words have been read already.
///
/// One word at a time, the bookkeeping of the stream would take longer than a normal number.
struct Ahead<'a, 's> {
    words: slice::Iter<'a, u64>,
    stream: &'s mut Stream,
}

impl Ahead<'_, '_> {
    /// A standard normal number.
    #[inline(always)]
    fn normal(&mut self, edges: &Edges) -> f64 {
        let mut rest = self.words.clone();
        if let Some(number) = rest.next().and_then(|word| normal::of_word(*word, edges)) {
            self.words = rest;
            return number;
        }
        // By value, so that nothing points to `self` and its words are counted in a register.
        let (number, words) = rare_normal(self.words.clone(), self.stream);
        self.words = words;
        number
    }
}

/// One number of the next of `words`, and those that are left.
#[cold]
fn rare_normal<'a>(
    words: slice::Iter<'a, u64>,
    stream: &mut Stream,
) -> (f64, slice::Iter<'a, u64>) {
    let mut ahead = Ahead { words, stream };
    (ahead.sample(StandardNormal), ahead.words)
}

impl TryRng for Ahead<'_, '_> {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(match self.words.next() {
            Some(word) => *word,
            None => beyond(self.stream),
        })
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        fill_bytes_via_next_word(bytes, || self.try_next_u64())
    }
}

#[cold]
fn beyond(stream: &mut Stream) -> u64 {
    stream.next_u64()
}

/// Draws `values` one after the other, each from one word or more: what is read ahead for so many numbers is used by
/// them, and the stream stops where it would have stopped.
fn fill<T>(values: &mut [T], stream: &mut Stream, one: impl Fn(&mut Ahead<'_, '_>) -> T) {
    let mut words = Words::new();
    for values in values.chunks_mut(keystream::MANY) {
        let words = words.read(stream, values.len());
        let words = words.iter();
        let mut ahead = Ahead { words, stream };
        values.fill_with(|| one(&mut ahead));
    }
}

/// Numbers of a stream for each row. Rows are drawn in parallel where there is more than one thread to do so.
fn draw<T: Clone + Default + Send>(
    streams: &mut [Stream],
    row_len: usize,
    one: impl Fn(&mut Ahead<'_, '_>) -> T + Sync,
) -> Vec<T> {
    let mut values = vec![T::default(); streams.len() * row_len];
    let row_len = row_len.max(1);
    if streams.len() == 1 || rayon::current_num_threads() == 1 {
        let rows = values.chunks_mut(row_len).zip(streams);
        rows.for_each(|(values, stream)| fill(values, stream, &one));
    } else {
        let rows = values.par_chunks_mut(row_len).zip(streams);
        rows.for_each(|(values, stream)| fill(values, stream, &one));
    }
    values
}

/// Numbers of a stream for each row, on their device and in their type.
fn draw_tensor<const D: usize>(
    (streams, options): (&mut [Stream], &TensorCreationOptions),
    shape: [usize; D],
    one: impl Fn(&mut Ahead<'_, '_>) -> f64 + Sync,
) -> Tensor<D> {
    let device = &options.device;
    let dtype = options.dtype_or(device.settings().float_dtype.into());
    let row_len = shape[1..].iter().product();
    let data = match dtype {
        // The same numbers as when the upload rounds them.
        DType::F32 => TensorData::new(draw(streams, row_len, |row| one(row) as f32), shape),
        _ => TensorData::new(draw(streams, row_len, one), shape),
    };
    Tensor::from_data(data, (device, dtype))
}

impl<const D: usize> Noise<D> for Rng {
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        Rng::normal(self, shape)
    }
}

/// The stream of one row of an [`Rng`], made by [`Rng::row`].
#[derive(Debug)]
pub struct RngRow<'a> {
    stream: &'a mut Stream,
    options: &'a TensorCreationOptions,
}

/// # Panics
/// [`normal`](Noise::normal) unless it is asked for one row.
impl<const D: usize> Noise<D> for RngRow<'_> {
    fn normal(&mut self, shape: [usize; D]) -> Tensor<D> {
        assert_eq!(shape[0], 1, "one row's stream was asked for {shape:?}");
        let streams = slice::from_mut(&mut *self.stream);
        let edges = normal::edges();
        draw_tensor((streams, self.options), shape, |row| row.normal(edges))
    }
}
