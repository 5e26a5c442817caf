//! NumPy's format of one array, version 1.0: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
//!
//! A magic string, the length of the header, the header (a Python dictionary, filled up with spaces), and the numbers in
//! little-endian order, row by row.

use burn::tensor::{DType, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// The data begins at a multiple of it.
const ALIGNMENT: usize = 64;

/// Types of numbers that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F64,
}

impl Kind {
    /// The one that holds each number of `dtype`.
    pub(super) fn of(dtype: DType) -> Self {
        match dtype {
            DType::F64 => Self::F64,
            _ => Self::F32,
        }
    }

    /// Bytes of a number.
    pub(super) fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn descr(self) -> &'static str {
        match self {
            Self::F32 => "<f4",
            Self::F64 => "<f8",
        }
    }

    /// The numbers of a tensor as they are written.
    ///
    /// # Panics
    /// If they cannot be read from their device.
    pub(super) fn bytes<const D: usize>(self, tensor: &Tensor<D>) -> Vec<u8> {
        let readable = "the numbers can be read from their device";
        match self {
            Self::F32 => {
                let values = tensor.try_to_vec_as::<f32>().expect(readable);
                values.into_iter().flat_map(f32::to_le_bytes).collect()
            }
            Self::F64 => {
                let values = tensor.try_to_vec_as::<f64>().expect(readable);
                values.into_iter().flat_map(f64::to_le_bytes).collect()
            }
        }
    }
}

/// All before the numbers of an array; of the same length whatever the length of axis 0.
pub(super) fn header(kind: Kind, shape: &[usize]) -> Vec<u8> {
    let mut longest = shape.to_vec();
    longest[0] = usize::MAX;
    let size = (MAGIC.len() + 2 + dictionary(kind, &longest).len() + 1).next_multiple_of(ALIGNMENT);
    let mut header = MAGIC.to_vec();
    let rest = size - MAGIC.len() - 2;
    header.extend((rest as u16).to_le_bytes());
    header.extend(dictionary(kind, shape).into_bytes());
    header.resize(size - 1, b' ');
    header.push(b'\n');
    header
}

fn dictionary(kind: Kind, shape: &[usize]) -> String {
    let axes: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let descr = kind.descr();
    format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}",
        axes.trim_end()
    )
}
