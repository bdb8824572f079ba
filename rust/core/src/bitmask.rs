//! One bit per element, LSB first; rows start on a byte, and may be longer than they need.

use crate::csr::{fits, is_streamed, lengths, out_of_range, slots_at, slots_of, span};
use crate::item::bound;
use crate::single_pass::{Turns, pieces};
use crate::{Error, Index, Item, Result, par};
use std::ops::Range;

/// Checks that `bits` are rows of `stride` bytes that hold `cols` columns.
fn check_bits(bits: &[u8], stride: usize, shape: (usize, usize)) -> Result<()> {
    fits("bits", bits.len(), shape.0.saturating_mul(stride))?;
    let want = shape.1.div_ceil(8);
    if stride >= want { Ok(()) } else { Err(Error::Length { name: "a row of bits", got: stride, want }) }
}

/// Writes one bit per item of `w` (`shape`) into `bits` (rows of `stride` bytes, completed by zeros) and counts the set
/// ones of each row.
///
/// # Errors
/// The arrays do not fit together.
pub fn dense_to_bits<T: Item, I: Index>(
    w: &[T],
    zero: u64,
    shape: (usize, usize),
    stride: usize,
    bits: &mut [u8],
    counts: &mut [I],
) -> Result<()> {
    let (rows, cols) = shape;
    fits("counts", counts.len(), rows)?;
    fits("w", w.len(), rows.saturating_mul(cols))?;
    check_bits(bits, stride, shape)?;
    let ranges = par::cut(rows, 1, size_of_val(w) + bits.len());
    let bits = par::split_mut(bits, ranges.iter().map(|rows| rows.len() * stride));
    let counts = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(bits.into_iter().zip(counts)).collect(), |(rows, (bits, counts))| {
        for (at, (row, count)) in rows.zip(counts).enumerate() {
            let (bits, padding) = bits[at * stride..][..stride].split_at_mut(cols.div_ceil(8));
            *count = I::cut(T::nonzero_bits(&w[row * cols..][..cols], T::mask(zero), bits));
            padding.fill(0);
        }
        Ok(())
    })
}

/// Where the rows of a task end, and their bits.
type Rows<'a, I> = (&'a mut [I], &'a mut [u8]);

/// As [`dense_to_bits`], and writes the offsets of all rows into `row_offsets`, and the nonzero items into `slots`, row by
/// row, if there is room for all; else that holds anything. Gives the number of nonzero items. Reads `w` once.
///
/// # Errors
/// The arrays do not fit together.
pub fn dense_to_bits_within<T: Item, I: Index>(
    w: &[T],
    zero: u64,
    shape: (usize, usize),
    stride: usize,
    bits: &mut [u8],
    row_offsets: &mut [I],
    slots: &mut [T],
) -> Result<usize> {
    let (rows, cols) = shape;
    fits("w", w.len(), rows.saturating_mul(cols))?;
    fits("row_offsets", row_offsets.len(), rows.saturating_add(1))?;
    check_bits(bits, stride, shape)?;
    row_offsets[0] = I::default();
    let ranges = pieces(rows, cols * size_of::<T>());
    let ends = par::split_mut(&mut row_offsets[1..], ranges.iter().map(ExactSizeIterator::len));
    let bits = par::split_mut(bits, ranges.iter().map(|rows| rows.len() * stride));
    // The room that is left, and how many slots were asked for.
    let turns = Turns::new((slots, 0));
    let tasks = ranges.into_iter().zip(ends.into_iter().zip(bits)).enumerate().collect();
    par::map(tasks, |(at, (rows, (ends, bits))): (usize, (Range<usize>, Rows<'_, I>))| {
        let turn = turns.of(at);
        let row = |i: usize| &w[(rows.start + i) * cols..][..cols];
        let mut count = 0;
        for (i, end) in ends.iter_mut().enumerate() {
            let (bits, padding) = bits[i * stride..][..stride].split_at_mut(cols.div_ceil(8));
            count += T::nonzero_bits(row(i), T::mask(zero), bits);
            padding.fill(0);
            *end = I::cut(count);
        }
        let (start, room) = turn.take(|(room, asked)| {
            let start = *asked;
            *asked += count;
            let mine = room.split_off_mut(..count);
            if mine.is_none() {
                *room = &mut [];
            }
            (start, mine)
        });
        let (mut room, filled) = room.map_or((&mut [][..], false), |room| (room, true));
        for (i, end) in ends.iter_mut().enumerate() {
            if filled {
                let written = T::compress(row(i), &bits[i * stride..][..cols.div_ceil(8)], room);
                room = room.get_mut(written..).unwrap_or_default();
            }
            *end = I::cut((end.to_i64() as usize).wrapping_add(start));
        }
    });
    Ok(turns.done().1)
}

/// Copies the items of `w` (`shape`) whose bit is set to `slots`, row by row, where `row_offsets` says: a slice of
/// `rows + 1` absolute positions in `slots`.
///
/// # Errors
/// `row_offsets` does not agree with the bits.
pub fn bits_gather<T: Item, I: Index>(
    w: &[T],
    shape: (usize, usize),
    bits: &[u8],
    stride: usize,
    row_offsets: &[I],
    slots: &mut [T],
) -> Result<()> {
    let (rows, cols) = shape;
    fits("w", w.len(), rows.saturating_mul(cols))?;
    fits("row_offsets", row_offsets.len(), rows.saturating_add(1))?;
    check_bits(bits, stride, shape)?;
    let place = span(row_offsets, slots.len())?;
    let ranges = par::cut_by(row_offsets, 1, size_of_val(w) + bits.len());
    let lengths = lengths(row_offsets, &ranges, place.len())?;
    let slots = par::split_mut(&mut slots[place], lengths);
    par::run(ranges.into_iter().zip(slots).collect(), |(rows, slots)| {
        let mut written = 0;
        for row in rows {
            let want = written + slots_of(row_offsets, row)?;
            let bits = &bits[row * stride..][..cols.div_ceil(8)];
            written += T::compress(&w[row * cols..][..cols], bits, slots.get_mut(written..).unwrap_or_default());
            if written != want {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}

/// Zeroes `out` (`shape`) and spreads the slots of each row over its set bits.
///
/// # Errors
/// `row_offsets` does not agree with the bits; `out` then holds anything.
pub fn bits_to_dense<T: Item, I: Index>(
    bits: &[u8],
    stride: usize,
    row_offsets: &[I],
    slots: &[T],
    shape: (usize, usize),
    out: &mut [T],
) -> Result<()> {
    let (rows, cols) = shape;
    fits("out", out.len(), rows.saturating_mul(cols))?;
    fits("row_offsets", row_offsets.len(), rows.saturating_add(1))?;
    check_bits(bits, stride, shape)?;
    let place = span(row_offsets, slots.len())?;
    let ranges = par::cut(rows, 1, size_of_val(out) + size_of_val(&slots[place.clone()]));
    let stream = is_streamed(out);
    let outs = par::split_mut(out, ranges.iter().map(|rows| rows.len() * cols));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, out)| {
        let first = rows.start;
        for row in rows {
            let wrong = Error::Offsets { name: "row_offsets", at: row };
            let slots = &slots[slots_at(row_offsets, row, &place).map_err(|_| wrong.clone())?];
            let bits = &bits[row * stride..][..cols.div_ceil(8)];
            if T::expand(slots, bits, &mut out[(row - first) * cols..][..cols], stream) != slots.len() {
                return Err(wrong);
            }
        }
        Ok(())
    })
}

/// Sets the bit of every slot in `bits` (rows of `stride` bytes) and clears all others. `indptr` is the slice for
/// these rows.
///
/// # Errors
/// An index is out of range, or the arrays do not fit together; `bits` then holds anything.
pub fn csr_to_bits<I: Index>(indptr: &[I], indices: &[I], cols: usize, stride: usize, bits: &mut [u8]) -> Result<()> {
    let rows = indptr.len().saturating_sub(1);
    let cols = bound(cols);
    let place = span(indptr, indices.len())?;
    check_bits(bits, stride, (rows, cols))?;
    let ranges = par::cut_by(indptr, 1, size_of_val(indices) + bits.len());
    let bits = par::split_mut(bits, ranges.iter().map(|rows| rows.len() * stride));
    par::run(ranges.into_iter().zip(bits).collect(), |(rows, bits)| {
        let first = rows.start;
        for row in rows {
            let bits = &mut bits[(row - first) * stride..][..stride];
            let at = slots_at(indptr, row, &place)?;
            bits.fill(0);
            let set = if at.len() > cols / 8 { set_bits::<true, I> } else { set_bits::<false, I> };
            if let Err((i, index)) = set(&indices[at.clone()], cols, bits) {
                return Err(out_of_range(at.start + i - place.start, index, cols));
            }
        }
        Ok(())
    })
}

/// Sets the bits at `indices`; the first that is out of range, and its position. `DENSE`: neighbours are likely to fall
/// into one word, which is then put together before it is written: else each has to wait for the one before.
fn set_bits<const DENSE: bool, I: Index>(
    indices: &[I],
    cols: usize,
    bits: &mut [u8],
) -> std::result::Result<(), (usize, I)> {
    let (mut at, mut word) = (0, 0);
    for (i, &index) in indices.iter().enumerate() {
        let Some(col) = index.below(cols) else { return Err((i, index)) };
        if DENSE {
            if col / 64 != at {
                set_word(bits, at, word);
                (at, word) = (col / 64, 0);
            }
            word |= 1 << (col % 64);
        } else {
            bits[col / 8] |= 1 << (col % 8);
        }
    }
    if DENSE {
        set_word(bits, at, word);
    }
    Ok(())
}

/// Sets the bits of `word`, 64 columns from `64 * at` on.
#[inline]
fn set_word(bits: &mut [u8], at: usize, word: u64) {
    let (words, tail) = bits.as_chunks_mut::<8>();
    match words.get_mut(at) {
        Some(bytes) => *bytes = (u64::from_le_bytes(*bytes) | word).to_le_bytes(),
        None => {
            for (byte, more) in tail.iter_mut().zip(word.to_le_bytes()) {
                *byte |= more;
            }
        }
    }
}

/// Writes the column of every set bit, row by row; `row_offsets` holds positions in `indices`, counted from its first.
///
/// # Errors
/// `row_offsets` does not agree with the bits.
pub fn bits_to_indices<I: Index>(bits: &[u8], stride: usize, row_offsets: &[I], indices: &mut [I]) -> Result<()> {
    let rows = row_offsets.len().saturating_sub(1);
    check_bits(bits, stride, (rows, 0))?;
    let place = span(row_offsets, i64::MAX as usize - 1)?;
    fits("indices", indices.len(), place.len())?;
    let ranges = par::cut_by(row_offsets, 1, bits.len() + size_of_val(indices));
    let indices = par::split_mut(indices, lengths(row_offsets, &ranges, place.len())?);
    par::run(ranges.into_iter().zip(indices).collect(), |(rows, indices)| {
        let mut written = 0;
        for row in rows {
            let want = written + slots_of(row_offsets, row)?;
            let bits = &bits[row * stride..][..stride];
            written += I::positions(bits, 0, indices.get_mut(written..).unwrap_or_default());
            if written != want {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}
