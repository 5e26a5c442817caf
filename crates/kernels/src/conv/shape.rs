//! The sizes of a convolution.

/// Sizes, stride and padding.
///
/// ```
/// use tweedie_kernels::conv::Convolution;
///
/// let halving = Convolution {
///     batch: 8,
///     inputs: 32,
///     outputs: 64,
///     size: [28, 28],
///     kernel: [3, 3],
///     stride: [2, 2],
///     padding: [[1, 1], [1, 1]],
/// };
/// assert_eq!(halving.output_size(), [14, 14]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// Images.
    pub batch: usize,
    /// Channels of `x`.
    pub inputs: usize,
    /// Channels of `y`.
    pub outputs: usize,
    /// Height and width of `x`.
    pub size: [usize; 2],
    /// Rows and columns of the kernel, from 1 on.
    pub kernel: [usize; 2],
    /// Down and to the right, from 1 on.
    pub stride: [usize; 2],
    /// Zeros above and below, to the left and to the right.
    pub padding: [[usize; 2]; 2],
}

impl Convolution {
    /// Height and width of `y`: `(size + padding - kernel)/stride + 1`, rounded down.
    ///
    /// # Panics
    /// If the kernel is larger than the padded image, or a stride is 0.
    pub fn output_size(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = self.size[axis] + self.padding[axis][0] + self.padding[axis][1];
            assert!(
                padded >= self.kernel[axis],
                "a kernel of {} on {padded} pixels",
                self.kernel[axis]
            );
            (padded - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    /// Numbers of `x`.
    pub fn image_len(&self) -> usize {
        self.batch * self.inputs * self.size[0] * self.size[1]
    }

    /// Numbers of `y`.
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output_size();
        self.batch * self.outputs * height * width
    }

    /// Numbers of `w`.
    pub fn weights(&self) -> usize {
        self.outputs * self.inputs * self.kernel[0] * self.kernel[1]
    }

    /// Multiply-adds of [`forward`](super::forward) by the definition, those with the zeros of the padding included.
    pub fn multiplications(&self) -> usize {
        let [height, width] = self.output_size();
        self.batch * height * width * self.weights()
    }

    /// All that packed weights depend on: batch and size are 0.
    pub(crate) fn layer(&self) -> Self {
        Self {
            batch: 0,
            size: [0, 0],
            ..*self
        }
    }

    /// For a stride of 1: the convolution that maps `dy` to `dx`, with the kernel turned by half a turn and the channels
    /// exchanged.
    pub(crate) fn flipped(&self) -> Self {
        debug_assert_eq!(self.stride, [1, 1]);
        let padding = [0, 1].map(|axis| self.padding[axis].map(|p| self.kernel[axis] - 1 - p));
        Self {
            inputs: self.outputs,
            outputs: self.inputs,
            size: self.output_size(),
            padding,
            ..*self
        }
    }
}
