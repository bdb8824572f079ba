//! Words by way of tables: several groups at a time, a *chunk* of them; a larger radix than that goes group by group.

use crate::bits::{Bits, field};
use crate::nm::Pattern;
use once_cell::race::OnceBox;

/// The most bits of plain codes in a chunk: its table for each direction stays in the first-level cache.
const CHUNK_BITS: u32 = 12;

/// What words of a pattern look like, and how to come from and to them.
pub(super) struct Radix {
    /// Bits of a plain code.
    pub(super) width: u32,
    /// Groups per chunk.
    chunk: usize,
    /// How many values a chunk has: C^chunk.
    base: u64,
    /// `floor((2^64 - 1) / base)`.
    inverse: u64,
    /// The value of every string of codes, and the string of every value; empty where a chunk is one group.
    values: Vec<u16>,
    strings: Vec<u16>,
    /// C.
    pub(super) count: u64,
}

impl Radix {
    /// Kept without a lock, see `nm::codes`.
    pub(super) fn of(pattern: Pattern) -> &'static Self {
        static ALL: [[OnceBox<Radix>; 32]; 32] = [const { [const { OnceBox::new() }; 32] }; 32];
        ALL[pattern.m() - 1][pattern.n() - 1].get_or_init(|| Box::new(Self::new(pattern)))
    }

    fn new(pattern: Pattern) -> Self {
        let (width, count) = (pattern.bits(), u64::from(pattern.count()));
        let chunk = (CHUNK_BITS / width.max(1)).max(1);
        let base = count.pow(if width == 0 { 1 } else { chunk });
        let (mut values, mut strings) = (Vec::new(), Vec::new());
        if width > 0 && chunk > 1 {
            values = vec![0; 1 << (width * chunk)];
            strings = vec![0; base as usize];
            for (value, string) in strings.iter_mut().enumerate() {
                let mut rest = value as u64;
                for i in 0..chunk {
                    *string |= ((rest % count) as u16) << (i * width);
                    rest /= count;
                }
                values[usize::from(*string)] = value as u16;
            }
        }
        Self { width, chunk: chunk as usize, base, inverse: u64::MAX / base, values, strings, count }
    }

    /// How many groups of a word of `per` are taken off at once, since they fit into 64 bits, and C to that power.
    pub(super) fn low(&self, per: usize) -> (usize, u128) {
        if self.count == 1 {
            return (per, 1); // groups without bits, of which a word may have any number
        }
        let fits = |groups: &usize| u32::try_from(*groups).is_ok_and(|groups| self.count.checked_pow(groups).is_some());
        let low = (1..=per.div_ceil(self.chunk)).map(|chunks| chunks * self.chunk).take_while(fits).last();
        let low = low.unwrap_or(per);
        (low, u128::from(self.count).saturating_pow(low as u32))
    }

    /// The value of a chunk's string of codes.
    #[inline(always)]
    fn value(&self, string: u64) -> u64 {
        if self.values.is_empty() { string } else { u64::from(self.values[string as usize & (self.values.len() - 1)]) }
    }

    /// The string of codes of a chunk's value, below `base`.
    #[inline(always)]
    fn string(&self, value: u64) -> u64 {
        if self.strings.is_empty() { value } else { u64::from(self.strings[value as usize]) }
    }

    /// `value` divided by `base`, and the remainder.
    #[inline(always)]
    fn divide(&self, value: u64) -> (u64, u64) {
        // At most one below the quotient: inverse * base > 2^64 - 1 - base.
        let low = ((u128::from(value) * u128::from(self.inverse)) >> 64) as u64;
        let rest = value - low * self.base;
        if rest >= self.base { (low + 1, rest - self.base) } else { (low, rest) }
    }

    /// The word of `groups` groups whose codes begin at bit `at`.
    #[inline(always)]
    pub(super) fn join<W: Word>(&self, codes: &[u8], at: usize, groups: usize) -> W {
        let (mut word, mut left, chunk) = (W::ZERO, groups, self.chunk);
        let mut first = groups.saturating_sub(1) / chunk * chunk;
        while left > 0 {
            let string = field(codes, at + first * self.width as usize, (left - first) as u32 * self.width);
            word = word.times_plus(self.base, self.value(string as u64));
            (left, first) = (first, first.saturating_sub(chunk));
        }
        word
    }

    /// As `join`, where all codes lie in the 8 bytes from that of bit `at` on: they are loaded at once.
    #[inline(always)]
    pub(super) fn join_short(&self, codes: &[u8], at: usize, groups: usize) -> u64 {
        let rest = codes.get(at / 8..).unwrap_or_default();
        let bits = match rest.first_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => rest.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
        } >> (at % 8);
        let step = self.chunk as u32 * self.width;
        let mut first = (groups.saturating_sub(1) / self.chunk) as u32 * step;
        let mut word = self.value((bits >> first) & ((1 << (groups as u32 * self.width - first)) - 1));
        while first > 0 {
            first -= step;
            word = word.times_plus(self.base, self.value((bits >> first) & ((1 << step) - 1)));
        }
        word
    }

    /// Puts the codes of the groups of `word` behind one another; what is too large is taken modulo C.
    #[inline(always)]
    pub(super) fn part(&self, mut word: u64, groups: usize, out: &mut Bits<'_>) {
        let mut left = groups;
        while left > self.chunk {
            let (rest, value) = self.divide(word);
            out.put(self.string(value), self.chunk as u32 * self.width);
            (word, left) = (rest, left - self.chunk);
        }
        let last = if word < self.base { word } else { word % self.base };
        let last = if left < self.chunk { last % self.count.pow(left as u32) } else { last };
        out.put(self.string(last), left as u32 * self.width);
    }
}

/// What a word of several groups is computed in.
pub(super) trait Word: Copy {
    const ZERO: Self;
    fn times_plus(self, base: u64, value: u64) -> Self;
}

impl Word for u64 {
    const ZERO: Self = 0;
    #[inline(always)]
    fn times_plus(self, base: u64, value: u64) -> Self {
        self.wrapping_mul(base).wrapping_add(value)
    }
}

impl Word for u128 {
    const ZERO: Self = 0;
    #[inline(always)]
    fn times_plus(self, base: u64, value: u64) -> Self {
        self.wrapping_mul(Self::from(base)).wrapping_add(Self::from(value))
    }
}
