//! Self-attention of tensors.

use burn::tensor::{DType, Tensor, module, ops::AttentionModuleOptions};

use super::half;

#[cfg(feature = "flex")]
use crate::extension;

/// Self-attention: `V softmax(K^T Q / sqrt(d))`, over the keys, for each of `heads` heads of `d` channels (Vaswani et al.
/// 2017, eq. 1, transposed, <https://arxiv.org/abs/1706.03762>).
///
/// `qkv` is `[batch, 3 channels, length]`: `Q`, `K` and `V` in this order along the channels, each of them the heads one after
/// the other. The result is `[batch, channels, length]`. Half precision is
/// computed in single precision.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use tweedie_kernels::attention;
///
/// let qkv = Tensor::ones([2, 3 * 8, 49], &Device::flex());
/// assert_eq!(attention(qkv, 4).dims(), [2, 8, 49]);
/// ```
///
/// # Panics
/// If `qkv` has no channels or no pixels, or the number of channels is no multiple of `3 heads`.
pub fn attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, rows, length] = qkv.dims();
    assert!(
        heads > 0 && rows > 0 && rows % (3 * heads) == 0,
        "{rows} channels for the queries, keys and values of {heads} heads"
    );
    assert!(length > 0, "queries, keys and values of no pixels");
    let channels = rows / 3;
    #[cfg(feature = "flex")]
    if extension::applies(&qkv, []) {
        let options = crate::attention::Attention {
            batch,
            heads,
            channels,
            length,
        };
        return extension::attention(qkv, options);
    }
    if let Some(own) = half(qkv.dtype()) {
        return attention(qkv.cast(DType::F32), heads).cast(own);
    }
    let [q, k, v] = [0, 1, 2].map(|part| {
        qkv.clone()
            .narrow(1, part * channels, channels)
            .reshape([batch, heads, channels / heads, length])
            .swap_dims(2, 3)
    });
    module::attention(q, k, v, None, None, AttentionModuleOptions::default())
        .swap_dims(2, 3)
        .reshape([batch, channels, length])
}
