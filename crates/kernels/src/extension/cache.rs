//! Packed weights, kept as long as the weights that they were made of.
//!
//! A key names the memory of the weights. The entry holds a weak reference to it: while that lives, the address is not used
//! again, and whoever writes to the memory must first move it elsewhere (`Arc::make_mut`, `Arc::get_mut`), which ends the
//! entry. So an entry is never stale. Those whose weights are gone are freed when the next ones are packed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use burn::tensor::Bytes;

use crate::conv::{Algorithm, Convolution, Packed, Pass};

/// Bytes that are kept at most, 1 GiB; what was used longest ago leaves first.
const LIMIT: usize = 1 << 30;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    address: usize,
    /// First number of the weights in that memory.
    offset: usize,
    algorithm: Algorithm,
    pass: Pass,
    /// See [`Convolution::layer`].
    layer: Convolution,
}

struct Entry {
    weights: Weak<Bytes>,
    packed: Arc<Packed>,
    used: u64,
}

#[derive(Default)]
struct Cache {
    entries: HashMap<Key, Entry>,
    clock: u64,
}

static CACHE: Mutex<Option<Cache>> = Mutex::new(None);

/// The packed weights of `memory`, made by `pack` if they are not there.
pub(super) fn packed(
    memory: &Arc<Bytes>,
    offset: usize,
    algorithm: Algorithm,
    pass: Pass,
    convolution: &Convolution,
    pack: impl FnOnce() -> Packed,
) -> Arc<Packed> {
    let key = Key {
        address: Arc::as_ptr(memory).addr(),
        offset,
        algorithm,
        pass,
        layer: convolution.layer(),
    };
    if let Some(found) = with(|cache| cache.find(&key)) {
        return found;
    }
    // Outside of the lock: another thread may do the same work, but none waits.
    let packed = Arc::new(pack());
    with(|cache| cache.insert(key, Arc::downgrade(memory), packed.clone()));
    packed
}

fn with<R>(work: impl FnOnce(&mut Cache) -> R) -> R {
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    work(cache.get_or_insert_default())
}

impl Cache {
    fn find(&mut self, key: &Key) -> Option<Arc<Packed>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        if entry.weights.strong_count() == 0 {
            self.entries.remove(key);
            return None;
        }
        entry.used = self.clock;
        Some(entry.packed.clone())
    }

    fn insert(&mut self, key: Key, weights: Weak<Bytes>, packed: Arc<Packed>) {
        self.entries
            .retain(|_, entry| entry.weights.strong_count() > 0);
        let mut bytes: usize = self
            .entries
            .values()
            .map(|entry| entry.packed.bytes())
            .sum();
        while bytes + packed.bytes() > LIMIT {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some((&oldest, entry)) = oldest else {
                return;
            };
            bytes -= entry.packed.bytes();
            self.entries.remove(&oldest);
        }
        let used = self.clock;
        self.entries.insert(
            key,
            Entry {
                weights,
                packed,
                used,
            },
        );
    }
}
