//! CIFAR-10 in its binary version.
//!
//! Five training batches and one test batch of 10,000 records each: one byte for the class, then
//! 3 x 32 x 32 bytes for red, green and blue. Krizhevsky 2009,
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

use std::fs;
use std::path::Path;

use burn::data::dataset::{Dataset, DatasetError};

use crate::bytes::{Bytes, Split, check_labels};
use crate::{DataError, Image};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];
const RECORD: usize = 1 + PIXELS;
const RECORDS: usize = 10_000;
const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST: [&str; 1] = ["test_batch.bin"];

/// The 50,000 training or 10,000 test images of CIFAR-10, 3 x 32 x 32, with their labels.
///
/// All images are read when the set is opened and kept as 8-bit values: 154 MB for training.
///
/// ```no_run
/// use tweedie_data::{Cifar10, Split};
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let photographs = Cifar10::open("data/cifar-10-batches-bin", Split::Train)?;
/// assert_eq!(photographs.labels().len(), 50_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cifar10 {
    images: Bytes,
    labels: Vec<u8>,
}

impl Cifar10 {
    /// Reads `data_batch_1.bin` to `data_batch_5.bin`, or `test_batch.bin`, from `folder`.
    ///
    /// # Errors
    ///
    /// A missing or unreadable file, a file that is not 10,000 records long, or a label above 9.
    pub fn open(folder: impl AsRef<Path>, split: Split) -> Result<Self, DataError> {
        let names: &[&str] = match split {
            Split::Train => &TRAIN,
            Split::Test => &TEST,
        };
        let mut labels = Vec::with_capacity(names.len() * RECORDS);
        let mut pixels = Vec::with_capacity(names.len() * RECORDS * PIXELS);
        for name in names {
            read_batch(folder.as_ref(), name, &mut labels, &mut pixels)?;
        }
        Ok(Self {
            images: Bytes {
                shape: SHAPE,
                pixels,
            },
            labels,
        })
    }

    /// The class of each image, 0 to 9: airplane, automobile, bird, cat, deer, dog, frog, horse,
    /// ship, truck.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}

impl Dataset<Image> for Cifar10 {
    fn get(&self, index: usize) -> Result<Image, DatasetError> {
        Ok(self.images.image(index))
    }

    fn len(&self) -> usize {
        self.images.len()
    }
}

fn read_batch(
    folder: &Path,
    name: &str,
    labels: &mut Vec<u8>,
    pixels: &mut Vec<u8>,
) -> Result<(), DataError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Err(DataError::MissingFile {
            folder: folder.into(),
            file: name.into(),
        });
    }
    let file = match fs::read(&path) {
        Ok(file) => file,
        Err(source) => return Err(DataError::Read { path, source }),
    };
    if file.len() != RECORDS * RECORD {
        let (found, expected) = (file.len() as u64, (RECORDS * RECORD) as u64);
        return Err(DataError::ByteCount {
            path,
            found,
            expected,
        });
    }
    let first = labels.len();
    for record in file.chunks_exact(RECORD) {
        labels.push(record[0]);
        pixels.extend_from_slice(&record[1..]);
    }
    check_labels(&path, &labels[first..])
}
