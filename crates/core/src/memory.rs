//! Keeps freed memory in the process.
//!
//! A step frees the tensors that it made, and glibc hands freed memory back to the system beyond a threshold of 128 KiB:
//! the next step then spends as long on page faults as on arithmetic. The threshold adapts: once a block has been freed
//! that was mapped on its own, up to its size is mapped no more, and twice that is kept (`mallopt(3)`,
//! `M_MMAP_THRESHOLD`). Programs with large tensors come to it by themselves.

use std::hint::black_box;
use std::sync::Once;

/// The largest block by which the threshold is raised is 32 MiB, the allocator's own words included.
const BLOCK: usize = (32 << 20) - (64 << 10);

/// Raises the threshold, the first time it is called. The block is never touched, so it takes no memory.
pub(crate) fn keep_freed() {
    static RAISED: Once = Once::new();
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        RAISED.call_once(|| drop(black_box(Vec::<u8>::with_capacity(BLOCK))));
    }
}
