//! Output that several threads write, each its own part.

/// A pointer that threads may share.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: the pointer is only followed in unsafe code, whose callers keep the parts of the threads apart.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(numbers: &mut [f32]) -> Self {
        Self(numbers.as_mut_ptr())
    }

    /// The address of number `at`.
    ///
    /// # Safety
    /// It lies within the slice, or one past it.
    #[inline(always)]
    pub(crate) unsafe fn at(self, at: usize) -> *mut f32 {
        // SAFETY: as this function.
        unsafe { self.0.add(at) }
    }
}

/// A vector of `len` numbers that `write` writes, without the cost of zeros.
///
/// # Safety
/// `write` writes all of them, and reads none before.
pub(crate) unsafe fn written(len: usize, write: impl FnOnce(Shared)) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(len);
    write(Shared(numbers.as_mut_ptr()));
    // SAFETY: the capacity is `len`, and all were written.
    unsafe { numbers.set_len(len) };
    numbers
}
