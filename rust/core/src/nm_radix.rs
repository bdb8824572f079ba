//! N:M whose codes stand in words of mixed radix: several groups in as few bits as all their choices need.
//!
//! A word holds `per` groups as the number `sum(code[i] * C^i)`, C the number of codes of a group. Between words and plain
//! codes, several groups at a time go through tables, a *chunk* of them; a larger radix than that goes group by group. The
//! words of a row have no gaps, LSB first; the last holds what is left.

use crate::bits::{Bits, SHORT_BITS, bits_in, field};
use crate::nm::Pattern;
use crate::{Error, Matrix, MatrixMut, Result, par};
use once_cell::race::OnceBox;

/// The most bits of plain codes in a chunk: its table for each direction stays in the first-level cache.
const CHUNK_BITS: u32 = 12;

/// What words of a pattern look like, and how to come from and to them.
struct Radix {
    /// Bits of a plain code.
    width: u32,
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
    count: u64,
}

/// How many groups a row has, and where their words stand.
#[derive(Clone, Copy)]
struct Layout {
    groups: usize,
    per: usize,
    bits: u32,
    tail: u32,
}

impl Radix {
    /// Kept without a lock, see `nm::codes`.
    fn of(pattern: Pattern) -> &'static Self {
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
    fn low(&self, per: usize) -> (usize, u128) {
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
    fn join<W: Word>(&self, codes: &[u8], at: usize, groups: usize) -> W {
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
    fn join_short(&self, codes: &[u8], at: usize, groups: usize) -> u64 {
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
    fn part(&self, mut word: u64, groups: usize, out: &mut Bits<'_>) {
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
trait Word: Copy {
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

impl Layout {
    /// Checks (rows, columns) of plain codes, where there are any, and of words.
    fn new(pattern: Pattern, groups: usize, per: usize) -> Result<Self> {
        let bits = |groups: usize| {
            let values = u128::from(pattern.count()).checked_pow(u32::try_from(groups).ok()?)?;
            Some(u128::BITS - (values - 1).leading_zeros())
        };
        let wrong = Error::Parameter { name: "per", got: per };
        if per == 0 {
            return Err(wrong);
        }
        let (bits, tail) = (bits(per).ok_or(wrong)?, bits(groups % per).unwrap_or(0));
        Ok(Self { groups, per, bits, tail })
    }

    fn row_bits(&self) -> Option<usize> {
        (self.groups / self.per).checked_mul(self.bits as usize)?.checked_add(self.tail as usize)
    }

    fn check(&self, pattern: Pattern, words: (usize, usize), codes: Option<(usize, usize)>) -> Result<()> {
        let wants = [
            ("words", self.row_bits(), Some(words)),
            ("codes", self.groups.checked_mul(pattern.bits() as usize), codes),
        ];
        for (name, bits, got) in wants {
            let want = bits.ok_or(Error::Parameter { name: "groups", got: self.groups })?.div_ceil(8);
            match got {
                Some((rows, _)) if rows != words.0 => return Err(Error::Length { name, got: rows, want: words.0 }),
                Some((_, got)) if got < want => return Err(Error::Length { name, got, want }),
                _ => {}
            }
        }
        Ok(())
    }

    /// The first group, the number of groups, the first bit and the number of bits of every word; none of a pattern whose
    /// codes have no bits, of which there may be as many groups as anybody says.
    fn words(self) -> impl Iterator<Item = (usize, usize, usize, u32)> {
        let Self { groups, per, bits, tail } = self;
        let count = if bits == 0 { 0 } else { groups.div_ceil(per) };
        (0..count).map(move |word| {
            let held = per.min(groups - word * per);
            (word * per, held, word * bits as usize, if held == per { bits } else { tail })
        })
    }
}

/// Writes the words of `groups` groups per row, `per` in each, from the codes of plain N:M; of codes that name no mask,
/// words are unspecified.
///
/// # Errors
/// `per` groups do not fit into 128 bits; arrays of the wrong shape.
pub fn pack(
    codes: Matrix<'_, u8>,
    pattern: Pattern,
    groups: usize,
    per: usize,
    words: MatrixMut<'_, u8>,
) -> Result<()> {
    let layout = Layout::new(pattern, groups, per)?;
    layout.check(pattern, (words.rows(), words.cols()), Some((codes.rows(), codes.cols())))?;
    let radix = Radix::of(pattern);
    let ranges = par::cut(codes.rows(), 1, codes.items().len().saturating_mul(4));
    let tasks = ranges.iter().cloned().zip(words.split(&ranges)).collect();
    par::run(tasks, |(rows, mut words)| {
        for (at, row) in rows.enumerate() {
            let (codes, mut out) = (codes.row(row), bits_in(words.row_mut(at)));
            for (first, held, _, bits) in layout.words() {
                let from = first * radix.width as usize;
                if bits <= 64 {
                    let short = held * radix.width as usize <= SHORT_BITS;
                    let word = if short { radix.join_short(codes, from, held) } else { radix.join(codes, from, held) };
                    out.put(word & 0xFFFF_FFFF, bits.min(32));
                    out.put(word >> 32, bits.saturating_sub(32));
                } else {
                    let word: u128 = radix.join(codes, from, held);
                    for at in (0..bits).step_by(32) {
                        out.put((word >> at) as u64 & 0xFFFF_FFFF, (bits - at).min(32));
                    }
                }
            }
            out.end();
        }
        Ok(())
    })
}

/// The inverse of [`pack`]; of a word that is too large, what is left of its last group is taken modulo C.
///
/// # Errors
/// As `pack`.
pub fn unpack(
    words: Matrix<'_, u8>,
    pattern: Pattern,
    groups: usize,
    per: usize,
    codes: MatrixMut<'_, u8>,
) -> Result<()> {
    let layout = Layout::new(pattern, groups, per)?;
    layout.check(pattern, (words.rows(), words.cols()), Some((codes.rows(), codes.cols())))?;
    let radix = Radix::of(pattern);
    let (low, border) = radix.low(per);
    let ranges = par::cut(words.rows(), 1, words.items().len().saturating_mul(4));
    let tasks = ranges.iter().cloned().zip(codes.split(&ranges)).collect();
    par::run(tasks, |(rows, mut codes)| {
        for (at, row) in rows.enumerate() {
            let (words, mut out) = (words.row(row), bits_in(codes.row_mut(at)));
            for (_, held, at, bits) in layout.words() {
                let (mut word, mut left) = (field(words, at, bits), held);
                while left > low && bits > 64 {
                    let rest = word / border;
                    radix.part((word - rest * border) as u64, low, &mut out);
                    (word, left) = (rest, left - low);
                }
                if word > u128::from(u64::MAX) {
                    word %= u128::from(radix.count).pow(left as u32); // no word of ours
                }
                radix.part(word as u64, left, &mut out);
            }
            out.end();
        }
        Ok(())
    })
}

/// What is wrong first: words are looked for in all rows first, then padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A word that is not below C^held.
    Word {
        /// The row.
        row: usize,
        /// The word in the row.
        word: usize,
    },
    /// A row with a bit behind its last word.
    Padding {
        /// The row.
        row: usize,
    },
}

/// Looks for what words must not hold.
///
/// # Errors
/// As `pack`.
pub fn check(words: Matrix<'_, u8>, pattern: Pattern, groups: usize, per: usize) -> Result<Option<Finding>> {
    let layout = Layout::new(pattern, groups, per)?;
    layout.check(pattern, (words.rows(), words.cols()), None)?;
    let (count, end) = (u128::from(pattern.count()), layout.row_bits().unwrap_or(0));
    let bound = |held: usize| count.checked_pow(held as u32).unwrap_or(u128::MAX);
    let (whole, tail) = (bound(per), bound(groups % per));
    let ranges = par::cut(words.rows(), 1, words.items().len().saturating_mul(4));
    let found = par::map(ranges, |rows| {
        let mut padding = None;
        for row in rows {
            let bytes = words.row(row);
            for (first, held, at, bits) in layout.words() {
                if field(bytes, at, bits) >= if held == per { whole } else { tail } {
                    return [Some(Finding::Word { row, word: first / per }), padding];
                }
            }
            let behind = bytes.get(end / 8).is_some_and(|&byte| byte >> (end % 8) != 0);
            let further = bytes.get(end / 8 + 1..).is_some_and(|rest| rest.iter().any(|&byte| byte != 0));
            if behind || further {
                padding = padding.or(Some(Finding::Padding { row }));
            }
        }
        [None, padding]
    });
    Ok((0..2).find_map(|kind| found.iter().find_map(|piece| piece[kind])))
}
