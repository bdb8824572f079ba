//! Fields of bits in bytes, least significant first, side by side without gaps.

/// Fields of so many bits lie in 8 bytes, wherever they begin in a byte.
pub(crate) const SHORT_BITS: usize = 57;

/// A field of up to 128 bits in a stream of bytes, LSB first; bits behind the end read as zero.
#[inline(always)]
pub(crate) fn field(bytes: &[u8], at: usize, width: u32) -> u128 {
    let rest = bytes.get(at / 8..).unwrap_or_default();
    let shift = (at % 8) as u32;
    let mask = if width < 128 { (1 << width) - 1 } else { u128::MAX };
    let low = match rest.first_chunk::<16>() {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, &byte| (word << 8) | u128::from(byte)),
    };
    let high = match rest.get(16) {
        Some(&byte) if shift > 0 && width + shift > 128 => u128::from(byte) << (128 - shift),
        _ => 0,
    };
    ((low >> shift) | high) & mask
}

/// The codes of `width` bits, at most 32, from bit `at` of a stream on, as many as `out` holds.
pub(crate) fn codes_at(bytes: &[u8], mut at: usize, width: u32, out: &mut [u32]) {
    let mask = (1u64 << width) - 1;
    for out in out.chunks_mut(SHORT_BITS / width.max(1) as usize) {
        let rest = bytes.get(at / 8..).unwrap_or_default();
        let mut bits = match rest.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => rest.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
        } >> (at % 8);
        at += out.len() * width as usize;
        for code in out {
            *code = (bits & mask) as u32;
            bits >>= width;
        }
    }
}

/// Bits that are written one behind the other, LSB first.
pub(crate) struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    word: u64,
    fill: u32,
}

impl Bits<'_> {
    /// Appends the lowest `bits` bits of `value`, at most 32, whose other bits are zero.
    #[inline(always)]
    pub(crate) fn put(&mut self, value: u64, bits: u32) {
        self.word |= value << self.fill;
        self.fill += bits;
        if self.fill >= 32 {
            if let Some(to) = self.out.get_mut(self.at..self.at + 4) {
                to.copy_from_slice(&(self.word as u32).to_le_bytes());
            } else {
                self.spill();
            }
            (self.word, self.fill, self.at) = (self.word >> 32, self.fill - 32, self.at + 4);
        }
    }

    /// Writes what fits of the open word.
    #[cold]
    fn spill(&mut self) {
        let rest = self.out.get_mut(self.at..).unwrap_or_default();
        rest.iter_mut().zip(self.word.to_le_bytes()).for_each(|(to, byte)| *to = byte);
    }

    /// Completes the rest by zeros.
    pub(crate) fn end(mut self) {
        self.spill();
        let from = self.at + (self.fill as usize).div_ceil(8);
        self.out.get_mut(from..).unwrap_or_default().fill(0);
    }
}

pub(crate) fn bits_in(out: &mut [u8]) -> Bits<'_> {
    Bits { out, at: 0, word: 0, fill: 0 }
}

/// Copies the first `bits` bits, and writes zeros to the end.
pub(crate) fn copy_bits(from: &[u8], bits: usize, to: &mut [u8]) {
    let (to, behind) = to.split_at_mut(bits.div_ceil(8));
    to.copy_from_slice(&from[..to.len()]);
    if let (Some(last), false) = (to.last_mut(), bits.is_multiple_of(8)) {
        *last &= (1 << (bits % 8)) - 1;
    }
    behind.fill(0);
}
