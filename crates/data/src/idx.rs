//! IDX files: MNIST, Fashion-MNIST and their relatives with 10 classes.
//!
//! An IDX file of unsigned bytes is the magic number `0x000008dd` (`dd` dimensions), one big-endian
//! 32-bit size per dimension, and the values. LeCun, Cortes & Burges,
//! <https://yann.lecun.com/exdb/mnist/>; Xiao, Rasul & Vollgraf 2017,
//! <https://arxiv.org/abs/1708.07747>.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use burn::data::dataset::{Dataset, DatasetError};
use flate2::read::MultiGzDecoder;

use crate::bytes::{Bytes, Split, check_labels};
use crate::{DataError, Image};

const IMAGES: &str = "images-idx3-ubyte";
const LABELS: &str = "labels-idx1-ubyte";
const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// A set of labelled grey images from a pair of IDX files.
///
/// All images are read when the set is opened and kept as 8-bit values: 47 MB for the 60,000 of
/// MNIST.
///
/// ```no_run
/// use tweedie_data::{Idx, Split};
///
/// # fn main() -> Result<(), tweedie_data::DataError> {
/// let digits = Idx::open("data/mnist", Split::Train)?.padded(2);
/// assert_eq!(digits.shape(), [1, 32, 32]);
/// println!("the first is a {}", digits.labels()[0]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Idx {
    images: Bytes,
    labels: Vec<u8>,
}

impl Idx {
    /// Reads `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or for the test split the files
    /// that start with `t10k-`, from `folder`. A name may end in `.gz` or have a dot in place of its
    /// last hyphen but one (`train-images.idx3-ubyte`); whether a file is compressed is decided by its
    /// content.
    ///
    /// # Errors
    ///
    /// A missing or unreadable file, a wrong magic number, more or fewer bytes than the header
    /// announces, a label above 9, or as many labels as there are not images.
    pub fn open(folder: impl AsRef<Path>, split: Split) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let images_path = find(folder, split, IMAGES).ok_or_else(|| DataError::MissingSplit {
            folder: folder.into(),
            split,
            file: file_name(split, IMAGES),
            other_present: find(folder, split.other(), IMAGES).is_some(),
        })?;
        let labels_path = find(folder, split, LABELS).ok_or_else(|| DataError::MissingFile {
            folder: folder.into(),
            file: file_name(split, LABELS),
        })?;

        let ([count, height, width], pixels) = read(&images_path)?;
        if count == 0 || height == 0 || width == 0 {
            return Err(DataError::EmptySet {
                path: images_path,
                count,
                height,
                width,
            });
        }
        let ([label_count], labels) = read(&labels_path)?;
        if label_count != count {
            return Err(DataError::CountMismatch {
                images: images_path,
                image_count: count,
                labels: labels_path,
                label_count,
            });
        }
        check_labels(&labels_path, &labels)?;
        Ok(Self {
            images: Bytes {
                shape: [1, height, width],
                pixels,
            },
            labels,
        })
    }

    /// The same set with `border` black pixels added on each side: `padded(2)` turns 28 x 28 into
    /// 32 x 32, which can be halved five times.
    pub fn padded(self, border: usize) -> Self {
        let [_, height, width] = self.images.shape;
        let shape = [1, height + 2 * border, width + 2 * border];
        let mut pixels = vec![0; self.images.len() * shape[1] * shape[2]];
        for (line, source) in self.images.pixels.chunks_exact(width).enumerate() {
            let (image, row) = (line / height, line % height);
            let start = (image * shape[1] + border + row) * shape[2] + border;
            pixels[start..start + width].copy_from_slice(source);
        }
        Self {
            images: Bytes { shape, pixels },
            labels: self.labels,
        }
    }

    /// Channels, height and width of every image.
    pub fn shape(&self) -> [usize; 3] {
        self.images.shape
    }

    /// The class of each image, 0 to 9.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}

impl Dataset<Image> for Idx {
    fn get(&self, index: usize) -> Result<Image, DatasetError> {
        Ok(self.images.image(index))
    }

    fn len(&self) -> usize {
        self.images.len()
    }
}

fn file_name(split: Split, kind: &str) -> String {
    let prefix = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    format!("{prefix}-{kind}")
}

fn find(folder: &Path, split: Split, kind: &str) -> Option<PathBuf> {
    let hyphen = file_name(split, kind);
    let dot = file_name(split, &kind.replacen('-', ".", 1));
    [hyphen, dot]
        .into_iter()
        .flat_map(|name| [folder.join(&name), folder.join(name + ".gz")])
        .find(|path| path.is_file())
}

/// The sizes and values of an IDX file with `D` dimensions.
fn read<const D: usize>(path: &Path) -> Result<([usize; D], Vec<u8>), DataError> {
    let mut values = uncompressed(path)?;
    let header = 4 + 4 * D;
    let byte_count = |expected: u64| DataError::ByteCount {
        path: path.into(),
        found: values.len() as u64,
        expected,
    };
    let word = |i: usize| values.get(4 * i..4 * i + 4).map(be_u32);
    let expected_magic = 0x0800 | D as u32;
    match word(0) {
        Some(found) if found != expected_magic => {
            return Err(DataError::Magic {
                path: path.into(),
                found,
                expected: expected_magic,
                meaning: match D {
                    1 => "IDX labels: unsigned bytes, 1 dimension",
                    _ => "IDX images: unsigned bytes, 3 dimensions",
                },
            });
        }
        _ if values.len() < header => return Err(byte_count(header as u64)),
        _ => {}
    }
    let sizes: [u32; D] =
        std::array::from_fn(|i| word(i + 1).expect("the header's length was checked"));
    let expected = sizes
        .iter()
        .try_fold(1_u64, |product, &size| product.checked_mul(u64::from(size)))
        .and_then(|product| product.checked_add(header as u64))
        .unwrap_or(u64::MAX);
    if values.len() as u64 != expected {
        return Err(byte_count(expected));
    }
    values.drain(..header);
    Ok((sizes.map(|size| size as usize), values))
}

fn be_u32(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |word, &byte| word << 8 | u32::from(byte))
}

/// The content of a file, inflated if it is gzipped.
fn uncompressed(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::Read {
        path: path.into(),
        source,
    };
    let file = fs::read(path).map_err(unreadable)?;
    if !file.starts_with(&GZIP_MAGIC) {
        return Ok(file);
    }
    let mut content = Vec::new();
    match MultiGzDecoder::new(file.as_slice()).read_to_end(&mut content) {
        // What a truncated file still holds is returned: its reader knows how much there should be.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(content),
        Err(source) => Err(unreadable(source)),
        Ok(_) => Ok(content),
    }
}
