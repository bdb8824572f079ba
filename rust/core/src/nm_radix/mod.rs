//! N:M whose codes stand in words of mixed radix: several groups in as few bits as all their choices need.
//!
//! A word holds `per` groups as the number `sum(code[i] * C^i)`, C the number of codes of a group. The words of a row have
//! no gaps, LSB first; the last holds what is left. A row at a time comes from plain codes, or goes to them: eight
//! words at once by kernels, see [`blocks`], long words one by one by tables, see [`chunks`]; where C is a power of two, the
//! words are the plain codes.

mod blocks;
mod check;
mod chunks;
mod layout;

pub use check::{Finding, check};

use crate::bits::{SHORT_BITS, bits_in, copy_bits, field};
use crate::nm::{self, Coding, Order, Overfull, Pattern, Ranked, Slot};
use crate::{Error, Matrix, MatrixMut, Result, par};
use blocks::Blocks;
use chunks::Radix;
use layout::Layout;

/// How rows of words come from plain codes and become such.
struct Words {
    radix: &'static Radix,
    layout: Layout,
    /// Bytes of the plain codes of a row.
    code_bytes: usize,
    way: Way,
    /// See [`Radix::low`].
    low: usize,
    border: u128,
}

enum Way {
    Blocks(Blocks),
    /// Words are codes: so many bits a row.
    Same(usize),
    Each,
}

impl Words {
    /// Checks (rows, columns) of words.
    fn new(pattern: Pattern, groups: usize, per: usize, words: (usize, usize)) -> Result<Self> {
        let layout = Layout::new(pattern, groups, per)?;
        layout.check(pattern, words, None)?;
        let code_bytes = (groups * pattern.bits() as usize).div_ceil(8); // which `check` has found to be countable
        let radix = Radix::of(pattern);
        let (low, border) = radix.low(per);
        let way = match Blocks::of(pattern, &layout) {
            Some(blocks) => Way::Blocks(blocks),
            None if pattern.count().is_power_of_two() => Way::Same(groups * pattern.bits() as usize),
            None => Way::Each,
        };
        Ok(Self { radix, layout, code_bytes, way, low, border })
    }

    fn pack(&self, codes: &[u8], words: &mut [u8]) {
        match &self.way {
            Way::Blocks(blocks) => blocks.pack(codes, words),
            Way::Same(bits) => copy_bits(codes, *bits, words),
            Way::Each => self.pack_each(codes, words),
        }
    }

    /// Word by word.
    fn pack_each(&self, codes: &[u8], words: &mut [u8]) {
        let (radix, mut out) = (self.radix, bits_in(words));
        for (first, held, _, bits) in self.layout.words() {
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

    fn unpack(&self, words: &[u8], codes: &mut [u8]) {
        match &self.way {
            Way::Blocks(blocks) => blocks.unpack(words, codes),
            Way::Same(bits) => copy_bits(words, *bits, codes),
            Way::Each => self.unpack_each(words, codes),
        }
    }

    /// Word by word.
    fn unpack_each(&self, words: &[u8], codes: &mut [u8]) {
        let (radix, low, border, mut out) = (self.radix, self.low, self.border, bits_in(codes));
        for (_, held, at, bits) in self.layout.words() {
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
}

impl Coding for Words {
    fn room(&self) -> usize {
        if matches!(self.way, Way::Same(_)) { 0 } else { self.code_bytes }
    }

    fn store<R>(&self, row: &mut [u8], room: &mut [u8], make: impl FnOnce(&mut [u8]) -> R) -> R {
        if matches!(self.way, Way::Same(_)) {
            return make(row);
        }
        let made = make(room);
        self.pack(room, row);
        made
    }

    fn load<'a>(&self, row: &'a [u8], room: &'a mut [u8]) -> &'a [u8] {
        if matches!(self.way, Way::Same(_)) {
            return row;
        }
        self.unpack(row, room);
        room
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
    let by = Words::new(pattern, groups, per, (words.rows(), words.cols()))?;
    by.layout.check(pattern, (words.rows(), words.cols()), Some((codes.rows(), codes.cols())))?;
    if words.cols() == 0 {
        return Ok(()); // of rows without bytes there may be as many as anybody says
    }
    let ranges = par::cut(codes.rows(), 1, codes.items().len().saturating_mul(4));
    let tasks = ranges.iter().cloned().zip(words.split(&ranges)).collect();
    par::run(tasks, |(rows, mut words)| {
        rows.enumerate().for_each(|(at, row)| by.pack(codes.row(row), words.row_mut(at)));
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
    let by = Words::new(pattern, groups, per, (words.rows(), words.cols()))?;
    by.layout.check(pattern, (words.rows(), words.cols()), Some((codes.rows(), codes.cols())))?;
    if codes.cols() == 0 {
        return Ok(()); // as in `pack`
    }
    let ranges = par::cut(words.rows(), 1, words.items().len().saturating_mul(4));
    let tasks = ranges.iter().cloned().zip(codes.split(&ranges)).collect();
    par::run(tasks, |(rows, mut codes)| {
        rows.enumerate().for_each(|(at, row)| by.unpack(words.row(row), codes.row_mut(at)));
        Ok(())
    })
}

/// [`nm::encode`] and [`pack`], a row after the other: plain codes do not pass through memory.
///
/// # Errors
/// As these.
pub fn encode<T: Slot>(
    w: Matrix<'_, T>,
    zero: u64,
    pattern: Pattern,
    per: usize,
    words: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
) -> Result<Option<Overfull>> {
    check_rows(words.rows(), w.rows())?;
    let by = Words::new(pattern, w.cols().div_ceil(pattern.m()), per, (words.rows(), words.cols()))?;
    nm::encode_stored(w, zero, pattern, &by, words, slots)
}

/// [`nm::prune_encode`] and [`pack`], a row after the other.
///
/// # Errors
/// As these.
pub fn prune_encode<T: Ranked>(
    w: Matrix<'_, T>,
    zero: u64,
    order: Order<T>,
    pattern: Pattern,
    per: usize,
    words: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
) -> Result<()> {
    check_rows(words.rows(), w.rows())?;
    let by = Words::new(pattern, w.cols().div_ceil(pattern.m()), per, (words.rows(), words.cols()))?;
    nm::prune_encode_stored(w, zero, order, pattern, &by, words, slots)
}

/// [`unpack`] and [`nm::decode`], a row after the other.
///
/// # Errors
/// As these.
pub fn decode<T: Slot>(
    words: Matrix<'_, u8>,
    pattern: Pattern,
    per: usize,
    slots: Matrix<'_, T>,
    out: MatrixMut<'_, T>,
) -> Result<()> {
    check_rows(words.rows(), out.rows())?;
    let by = Words::new(pattern, out.cols().div_ceil(pattern.m()), per, (words.rows(), words.cols()))?;
    nm::decode_stored(words, pattern, &by, slots, out)
}

fn check_rows(got: usize, want: usize) -> Result<()> {
    if got == want { Ok(()) } else { Err(Error::Length { name: "words", got, want }) }
}
