//! How much memory a pickle's objects would take, found without making them.
//!
//! An opcode of one byte makes an object of a hundred, and objects can be copied by number. So before a pickle is
//! interpreted its opcodes are walked with a stack of sizes in place of objects. What is malformed ends the walk: the reader
//! ends there too, and says why. Opcodes: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

use std::{
    collections::HashMap,
    io::{self, BufRead, Read},
};

/// Bytes of one object, with what the containers that hold it reserve in advance.
const NODE: u64 = 256;

/// Walks one pickle, up to its end. Returns the bytes that its objects would take, or more than `limit` as soon as they
/// do.
///
/// # Errors
/// Of the reader; that it ends before the pickle does is one.
pub(super) fn weigh(reader: &mut impl BufRead, limit: u64) -> io::Result<u64> {
    let mut scale = Scale::default();
    while scale.step(reader)?.is_some() && scale.total <= limit {}
    Ok(scale.total)
}

#[derive(Default)]
struct Scale {
    /// Sizes of the objects on the stack.
    stack: Vec<u64>,
    marks: Vec<usize>,
    memo: HashMap<u32, u64>,
    /// Size of all objects ever made.
    total: u64,
}

impl Scale {
    /// One opcode; `None` after the last.
    fn step(&mut self, reader: &mut impl BufRead) -> io::Result<Option<()>> {
        let [opcode] = bytes(reader)?;
        match opcode {
            b'.' => return Ok(None),
            0x80 => skip(reader, 1)?,
            0x95 => skip(reader, 8)?,
            b'(' => {
                self.marks.push(self.stack.len());
                self.total += 8;
            }
            b'N' | 0x88 | 0x89 | b')' | b']' | b'}' | 0x8f => self.push(0),
            b'K' => self.number(reader, 1)?,
            b'M' => self.number(reader, 2)?,
            b'J' => self.number(reader, 4)?,
            b'G' => self.number(reader, 8)?,
            b'I' | b'L' | b'F' | b'V' | b'P' => {
                let length = skip_line(reader)?;
                self.push(2 * length);
            }
            b'c' => {
                let length = skip_line(reader)? + skip_line(reader)?;
                self.push(length);
            }
            0x8a | b'U' | 0x8c | b'C' => self.text(reader, 1)?,
            0x8b | b'T' | b'X' | b'B' => self.text(reader, 4)?,
            0x8d | 0x8e | 0x96 => self.text(reader, 8)?,
            b't' | b'l' | b'd' | 0x91 => {
                let Some(inner) = self.pop_to_mark() else {
                    return Ok(None);
                };
                self.join(inner);
            }
            0x85..=0x87 => {
                let Some(inner) = self.pop(usize::from(opcode - 0x84)) else {
                    return Ok(None);
                };
                self.join(inner);
            }
            b'a' | b's' => {
                let Some(inner) = self.pop(if opcode == b'a' { 1 } else { 2 }) else {
                    return Ok(None);
                };
                self.grow(inner);
            }
            b'e' | 0x90 | b'u' => {
                let Some(inner) = self.pop_to_mark() else {
                    return Ok(None);
                };
                self.grow(inner);
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => _ = self.marks.pop(),
            b'0' => _ = self.pop(1),
            b'1' => _ = self.pop_to_mark(),
            b'2' => return Ok(self.copy(self.stack.last().copied())),
            b'h' => {
                let [index] = bytes(reader)?;
                return Ok(self.copy(self.memo.get(&index.into()).copied()));
            }
            b'j' => {
                let index = u32::from_le_bytes(bytes(reader)?);
                return Ok(self.copy(self.memo.get(&index).copied()));
            }
            b'g' => {
                let index = line_number(reader)?;
                return Ok(self.copy(index.and_then(|index| self.memo.get(&index).copied())));
            }
            b'q' => {
                let [index] = bytes(reader)?;
                return Ok(self.put(index.into()));
            }
            b'r' => {
                let index = u32::from_le_bytes(bytes(reader)?);
                return Ok(self.put(index));
            }
            b'p' => {
                let index = line_number(reader)?;
                return Ok(index.and_then(|index| self.put(index)));
            }
            0x94 => return Ok(self.put(self.memo.len() as u32)),
            b'Q' => {}
            b'R' | b'b' | 0x81 | 0x93 | 0x92 => {
                let Some(inner) = self.pop(if opcode == 0x92 { 3 } else { 2 }) else {
                    return Ok(None);
                };
                // What is built may be copied where it was remembered.
                self.total = self
                    .total
                    .saturating_add(if opcode == b'b' { inner } else { 0 });
                self.join(inner);
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }

    fn push(&mut self, payload: u64) {
        let size = NODE.saturating_add(payload);
        self.total = self.total.saturating_add(size);
        self.stack.push(size);
    }

    /// Pushes an object that holds others.
    fn join(&mut self, inner: u64) {
        self.total = self.total.saturating_add(NODE);
        self.stack.push(inner.saturating_add(NODE));
    }

    /// Puts others into the topmost object.
    fn grow(&mut self, inner: u64) {
        if let Some(top) = self.stack.last_mut() {
            *top = top.saturating_add(inner);
        }
    }

    fn copy(&mut self, size: Option<u64>) -> Option<()> {
        let size = size?;
        self.total = self.total.saturating_add(size);
        self.stack.push(size);
        Some(())
    }

    fn put(&mut self, index: u32) -> Option<()> {
        let size = *self.stack.last()?;
        self.total = self.total.saturating_add(size);
        self.memo.insert(index, size);
        Some(())
    }

    fn pop(&mut self, count: usize) -> Option<u64> {
        let rest = self.stack.len().checked_sub(count)?;
        Some(sum(self.stack.drain(rest..)))
    }

    fn pop_to_mark(&mut self) -> Option<u64> {
        let mark = self.marks.pop()?;
        Some(sum(self.stack.drain(mark.min(self.stack.len())..)))
    }

    fn number(&mut self, reader: &mut impl BufRead, length: u64) -> io::Result<()> {
        skip(reader, length)?;
        self.push(0);
        Ok(())
    }

    /// A length of so many bytes, and as many bytes as it says.
    fn text(&mut self, reader: &mut impl BufRead, prefix: usize) -> io::Result<()> {
        let mut length = [0; 8];
        reader.read_exact(&mut length[..prefix])?;
        let length = u64::from_le_bytes(length);
        skip(reader, length)?;
        self.push(length.saturating_mul(2));
        Ok(())
    }
}

fn sum(sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, u64::saturating_add)
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn skip(reader: &mut impl Read, length: u64) -> io::Result<()> {
    if io::copy(&mut reader.take(length), &mut io::sink())? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Skips a line and returns its length.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    reader.skip_until(b'\n').map(|length| length as u64)
}

/// A line that holds a number.
fn line_number(reader: &mut impl BufRead) -> io::Result<Option<u32>> {
    let mut line = Vec::new();
    reader.take(16).read_until(b'\n', &mut line)?;
    let text = str::from_utf8(&line).ok();
    Ok(text.and_then(|text| text.trim_end_matches(['\r', '\n']).parse().ok()))
}
