//! States of streaming statistics as plain data, to be stored and taken up again.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Why a record gives no statistic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A field contradicts another one, or is out of its range.
    #[error("the record is damaged: {name} must be {expected}")]
    Field {
        /// Its name.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A tensor has another rank than the statistic's draws.
    #[error("the record is of other draws: {name} must be of rank {expected}, found {found}")]
    Rank {
        /// Its name.
        name: &'static str,
        /// The rank of the draws.
        expected: usize,
        /// Its rank.
        found: usize,
    },
    /// A tensor is of a type that is no float type, or that the device does not have.
    #[error("{name} must be of a float type of the device, found {found:?}")]
    Type {
        /// Its name.
        name: &'static str,
        /// Its type.
        found: DType,
    },
}

pub(crate) fn require(
    valid: bool,
    name: &'static str,
    expected: &'static str,
) -> Result<(), RecordError> {
    if valid {
        Ok(())
    } else {
        Err(RecordError::Field { name, expected })
    }
}

/// The numbers of a tensor, bit for bit.
pub(crate) fn data<const D: usize>(tensor: &Tensor<D>) -> TensorData {
    tensor
        .clone()
        .try_into_data()
        .expect("the values can be read from their device")
}

/// The tensor with these numbers, bit for bit, which is not empty.
pub(crate) fn tensor<const D: usize>(
    name: &'static str,
    data: TensorData,
    device: &Device,
) -> Result<Tensor<D>, RecordError> {
    let (rank, dtype) = (data.rank(), data.dtype());
    if rank != D {
        return Err(RecordError::Rank {
            name,
            expected: D,
            found: rank,
        });
    }
    if !is_float_of(dtype, device) {
        return Err(RecordError::Type { name, found: dtype });
    }
    require(data.num_elements() > 0, name, "not empty")?;
    Ok(Tensor::from_data(data, (device, dtype)))
}

/// The tensor with these numbers, of the shape and type of another one and beside it.
pub(crate) fn tensor_like<const D: usize>(
    name: &'static str,
    data: TensorData,
    like: &Tensor<D>,
) -> Result<Tensor<D>, RecordError> {
    let found: Tensor<D> = tensor(name, data, &like.device())?;
    let alike = found.dims() == like.dims() && found.dtype() == like.dtype();
    require(alike, name, "of the shape and type of the others")?;
    Ok(found)
}

pub(crate) fn is_float_of(dtype: DType, device: &Device) -> bool {
    let float = matches!(
        dtype,
        DType::F64 | DType::F32 | DType::Flex32 | DType::F16 | DType::BF16
    );
    float && device.supports_dtype(dtype)
}
