//! Bytes and integers made small: zstd frames, and an adaptive range coder.

use crate::{Error, Result};

/// Of a probability.
const ONE: u64 = 1 << 16;
/// Counts of a context are halved beyond.
const LIMIT: u32 = 1 << 13;
/// Bits below the leading one that have contexts.
const TREE: u32 = 3;
/// Bit lengths of `v + 1`, and one more.
const LENGTHS: usize = 66;
/// The range is at least this much when a bit is coded.
const LEAST: u64 = 1 << 32;

/// Writes a zstd frame of `data`, with its content size, to the front of `out`; returns its length.
///
/// # Errors
/// There is not enough room.
pub fn zstd_compress(data: &[u8], level: i32, out: &mut [u8]) -> Result<usize> {
    let want = data.len() + data.len() / 128 + 512;
    if out.len() < want {
        return Err(Error::Length { name: "out", got: out.len(), want });
    }
    zstd::bulk::compress_to_buffer(data, out, level).map_err(|_| Error::Memory { bytes: want })
}

/// Writes what a zstd frame holds to the front of `out`; returns its length.
///
/// # Errors
/// It is no frame, is cut or damaged, or holds more than `out`.
pub fn zstd_decompress(frame: &[u8], out: &mut [u8]) -> Result<usize> {
    let wrong = Error::Value { name: "frame", at: 0, want: "a whole zstd frame that holds no more than said" };
    if frame.is_empty() {
        return Err(wrong); // the library takes no frame for an empty one
    }
    zstd::bulk::decompress_to_buffer(frame, out).map_err(|_| wrong)
}

/// The counts of zeros and ones in each context, doubled.
struct Contexts([[u32; 2]; LENGTHS << TREE]);

impl Contexts {
    fn new() -> Self {
        Self([[1, 1]; LENGTHS << TREE])
    }

    /// The probability of a one, in 1/65536.
    #[inline]
    fn share(&self, context: usize) -> u64 {
        let [zeros, ones] = self.0[context];
        u64::from((ones << 16) / (zeros + ones)).clamp(32, ONE - 32)
    }

    #[inline]
    fn learn(&mut self, context: usize, bit: bool) {
        let counts = &mut self.0[context];
        counts[usize::from(bit)] += 2;
        if counts[0] + counts[1] > LIMIT {
            *counts = counts.map(|n| n.div_ceil(2));
        }
    }
}

/// A range coder; carries run back into what is written.
struct Encoder {
    low: u64,
    range: u64,
    out: Vec<u8>,
    contexts: Contexts,
}

impl Encoder {
    #[inline]
    fn shift(&mut self) {
        while self.range < LEAST {
            self.out.extend_from_slice(&((self.low >> 32) as u32).to_be_bytes());
            self.low <<= 32;
            self.range <<= 32;
        }
    }

    #[inline]
    fn add(&mut self, offset: u64) {
        let (low, carries) = self.low.overflowing_add(offset);
        self.low = low;
        if carries {
            for byte in self.out.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
    }

    #[inline]
    fn bit(&mut self, context: usize, bit: bool) {
        let bound = (self.range >> 16) * self.contexts.share(context);
        if bit {
            self.range = bound;
        } else {
            self.add(bound);
            self.range -= bound;
        }
        self.contexts.learn(context, bit);
        self.shift();
    }

    /// Codes the low `bits` bits of `value` as they are.
    #[inline]
    fn plain(&mut self, value: u64, mut bits: u32) {
        while bits > 0 {
            let some = bits.min(16);
            bits -= some;
            self.range >>= some;
            self.add((value >> bits & ((1 << some) - 1)) * self.range);
            self.shift();
        }
    }

    /// The shortest number in the range that is left, without zeros at the end.
    fn finish(mut self) -> Vec<u8> {
        let (low, end) = (u128::from(self.low), u128::from(self.low) + u128::from(self.range));
        for size in 0..5 {
            let step = 1u128 << (64 - 8 * size);
            let value = low.div_ceil(step) * step;
            if value < end {
                self.add((value - low) as u64);
                let bytes = self.low.to_be_bytes();
                self.out.extend_from_slice(&bytes[..size]);
                break;
            }
        }
        let kept = self.out.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        self.out.truncate(kept);
        self.out
    }
}

/// The inverse of [`Encoder`]; beyond the end it reads zeros.
struct Decoder<'a> {
    data: &'a [u8],
    code: u64,
    range: u64,
    contexts: Contexts,
}

impl Decoder<'_> {
    /// The next four bytes.
    #[inline]
    fn more(&mut self) -> u64 {
        let (head, tail) = self.data.split_at(self.data.len().min(4));
        self.data = tail;
        let mut word = [0; 4];
        word[..head.len()].copy_from_slice(head);
        u64::from(u32::from_be_bytes(word))
    }

    #[inline]
    fn shift(&mut self) {
        while self.range < LEAST {
            self.code = self.code << 32 | self.more();
            self.range <<= 32;
        }
    }

    #[inline]
    fn bit(&mut self, context: usize) -> bool {
        let bound = (self.range >> 16) * self.contexts.share(context);
        let bit = self.code < bound;
        if bit {
            self.range = bound;
        } else {
            self.code -= bound;
            self.range -= bound;
        }
        self.contexts.learn(context, bit);
        self.shift();
        bit
    }

    #[inline]
    fn plain(&mut self, mut bits: u32) -> u64 {
        let mut value = 0;
        while bits > 0 {
            let some = bits.min(16);
            bits -= some;
            self.range >>= some;
            let part = (self.code / self.range).min((1 << some) - 1);
            self.code -= part * self.range;
            value = value << some | part;
            self.shift();
        }
        value
    }
}

/// Codes `values` to the front of `out` if there is room; returns the bytes that they need. What is coded how:
/// see the definition in `sparsefmt.kernels.packing`.
pub fn adaptive_encode(values: &[u64], out: &mut [u8]) -> usize {
    let mut coder = Encoder { low: 0, range: u64::MAX, out: Vec::new(), contexts: Contexts::new() };
    for &v in values {
        let x = v.wrapping_add(1);
        let length = if v == u64::MAX { LENGTHS - 1 } else { (u64::BITS - x.leading_zeros()) as usize };
        for i in 1..length {
            coder.bit(i << TREE, true);
        }
        if length < LENGTHS - 1 {
            coder.bit(length << TREE, false);
        }
        let (mut node, mut left) = (1, length as u32 - 1);
        for _ in 0..left.min(TREE) {
            left -= 1;
            let bit = x >> left & 1;
            coder.bit(length << TREE | node, bit != 0);
            node = node << 1 | bit as usize;
        }
        coder.plain(x, left);
    }
    let written = coder.finish();
    if let Some(room) = out.get_mut(..written.len()) {
        room.copy_from_slice(&written);
    }
    written.len()
}

/// The inverse of [`adaptive_encode`] for as many `values` as there are. Damaged data gives other values.
pub fn adaptive_decode(data: &[u8], values: &mut [u64]) {
    let mut coder = Decoder { data, code: 0, range: u64::MAX, contexts: Contexts::new() };
    coder.code = coder.more() << 32 | coder.more();
    for value in values.iter_mut() {
        let mut length = 1;
        while length < LENGTHS - 1 && coder.bit(length << TREE) {
            length += 1;
        }
        let (mut node, mut left, mut x) = (1, length as u32 - 1, 1u64);
        for _ in 0..left.min(TREE) {
            left -= 1;
            let bit = u64::from(coder.bit(length << TREE | node));
            x = x << 1 | bit;
            node = node << 1 | bit as usize;
        }
        let rest = coder.plain(left);
        *value = (x.checked_shl(left).unwrap_or(0) | rest).wrapping_sub(1);
    }
}
