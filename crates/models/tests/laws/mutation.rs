//! Damaged checkpoints: valid ones with a few bytes changed, cut, copied or moved, the same for the same number.

use std::{
    io::{Cursor, Read, Write},
    path::Path,
};

use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Where the mutations start from.
const SEEDS: [&str; 7] = [
    "zip.pth",
    "legacy.pth",
    "legacy4.pth",
    "training.pth",
    "f32.safetensors",
    "bf16.safetensors",
    "average.pth",
];

/// Numbers that are out of the ordinary as lengths, counts and offsets.
const NUMBERS: [u64; 12] = [
    0,
    1,
    7,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 33,
    i64::MAX as u64,
    u64::MAX,
];

/// Opcodes of pickles.
const OPCODES: &[u8] =
    b".(012FIJKMLNPQRSTUVXabcdeghijlopqrstu}])G\x80\x81\x85\x86\x87\x88\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96";

/// Valid checkpoints, and what is made of them.
pub(crate) struct Mutations {
    seeds: Vec<Vec<u8>>,
}

impl Mutations {
    /// Of the checkpoints in a folder, and of others.
    pub(crate) fn new(folder: &Path, others: Vec<Vec<u8>>) -> Self {
        let mut seeds: Vec<_> = SEEDS
            .iter()
            .map(|name| std::fs::read(folder.join(name)).expect("a golden file"))
            .collect();
        seeds.extend(others);
        Self { seeds }
    }

    /// The mutation of this number.
    pub(crate) fn make(&self, number: u64) -> Vec<u8> {
        let mut dice = Dice(number);
        let seed = &self.seeds[dice.below(self.seeds.len())];
        let other = &self.seeds[dice.below(self.seeds.len())];
        // Inside of an archive a checksum would find every change: it is made anew.
        if seed.starts_with(b"PK") && dice.below(2) == 0 {
            return repacked(seed, |pickle| mutate(pickle, other, &mut dice));
        }
        let mut bytes = seed.clone();
        mutate(&mut bytes, other, &mut dice);
        bytes
    }
}

fn repacked(archive: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut source = ZipArchive::new(Cursor::new(archive)).expect("a golden file");
    let mut target = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut change = Some(change);
    for index in 0..source.len() {
        let mut entry = source.by_index(index).expect("a golden file");
        let name = entry.name().expect("a golden file").into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a golden file");
        if name.ends_with("data.pkl")
            && let Some(change) = change.take()
        {
            change(&mut bytes);
        }
        target.start_file(name, stored).expect("in memory");
        target.write_all(&bytes).expect("in memory");
    }
    target.finish().expect("in memory").into_inner()
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        let length = 1 + dice.below(64).min(bytes.len() - at - 1);
        match dice.below(9) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = OPCODES[dice.below(OPCODES.len())],
            2 => bytes.truncate(at),
            3 => _ = bytes.drain(at..at + length),
            4 => {
                let part = bytes[at..at + length].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, part.repeat(1 + dice.below(8)));
            }
            5 => {
                let from = dice.below(other.len());
                let part = &other[from..other.len().min(from + 4 * length)];
                bytes.splice(at..at + length, part.iter().copied());
            }
            6 => {
                let number = NUMBERS[dice.below(NUMBERS.len())].to_le_bytes();
                let width = [1, 2, 4, 8][dice.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[..width]);
            }
            // Lengths in headers of text.
            7 => {
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    bytes[at + digit] = b'0' + dice.below(10) as u8;
                }
            }
            _ => {
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    let digits = vec![b'0' + dice.below(10) as u8; 1 + dice.below(18)];
                    bytes.splice(at + digit..at + digit, digits);
                }
            }
        }
    }
}

/// SplitMix64 (Steele, Lea & Flood 2014, <https://doi.org/10.1145/2660193.2660195>).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}
