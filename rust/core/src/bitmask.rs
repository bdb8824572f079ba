//! One bit per element, LSB first; rows start on a byte, and may be longer than they need.

use crate::single_pass::{Turns, pieces};
use crate::views::bits::check_row;
use crate::views::offsets::{fits, lengths, out_of_range, slots_of};
use crate::views::{BitRows, Csr};
use crate::{Error, Index, Item, Matrix, MatrixMut, Result, par};
use std::ops::Range;

/// Writes one bit per item of `w` into the rows of `bits`, completed by zeros, and counts the set ones of each row.
///
/// # Errors
/// The arrays do not fit together.
pub fn dense_to_bits<T: Item, I: Index>(
    w: Matrix<'_, T>,
    zero: u64,
    mut bits: MatrixMut<'_, u8>,
    counts: &mut [I],
) -> Result<()> {
    let (rows, cols) = (w.rows(), w.cols());
    fits("counts", counts.len(), rows)?;
    bits.check_shape("bits", (rows, bits.cols()))?;
    check_row(bits.cols(), cols)?;
    let ranges = par::cut(rows, 1, size_of_val(w.items()) + bits.items_mut().len());
    let bits = bits.split(&ranges);
    let counts = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    let tasks = ranges.into_iter().zip(bits.into_iter().zip(counts)).collect();
    par::run(tasks, |(rows, (mut bits, counts)): (Range<usize>, (MatrixMut<'_, u8>, &mut [I]))| {
        for (at, (row, count)) in rows.zip(counts).enumerate() {
            let (bits, padding) = bits.row_mut(at).split_at_mut(cols.div_ceil(8));
            *count = I::cut(T::nonzero_bits(w.row(row), T::mask(zero), bits));
            padding.fill(0);
        }
        Ok(())
    })
}

/// Where the rows of a task end, and their bits.
type Rows<'a, I> = (&'a mut [I], MatrixMut<'a, u8>);

/// As [`dense_to_bits`], and writes the offsets of all rows into `row_offsets`, and the nonzero items into `slots`,
/// row by row, if there is room for all; else that holds anything. Returns the number of nonzero items. Reads `w` once.
///
/// # Errors
/// The arrays do not fit together.
pub fn dense_to_bits_within<T: Item, I: Index>(
    w: Matrix<'_, T>,
    zero: u64,
    bits: MatrixMut<'_, u8>,
    row_offsets: &mut [I],
    slots: &mut [T],
) -> Result<usize> {
    let (rows, cols) = (w.rows(), w.cols());
    fits("row_offsets", row_offsets.len(), rows.saturating_add(1))?;
    bits.check_shape("bits", (rows, bits.cols()))?;
    check_row(bits.cols(), cols)?;
    row_offsets[0] = I::default();
    let ranges = pieces(rows, cols * size_of::<T>());
    let ends = par::split_mut(&mut row_offsets[1..], ranges.iter().map(ExactSizeIterator::len));
    let bits = bits.split(&ranges);
    // The room that is left, and how many slots were asked for.
    let turns = Turns::new((slots, 0));
    let tasks = ranges.into_iter().zip(ends.into_iter().zip(bits)).enumerate().collect();
    par::map(tasks, |(at, (rows, (ends, mut bits))): (usize, (Range<usize>, Rows<'_, I>))| {
        let turn = turns.of(at);
        let row = |i: usize| w.row(rows.start + i);
        let mut count = 0;
        for (i, end) in ends.iter_mut().enumerate() {
            let (bits, padding) = bits.row_mut(i).split_at_mut(cols.div_ceil(8));
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
                let written = T::compress(row(i), &bits.row_mut(i)[..cols.div_ceil(8)], room);
                room = room.get_mut(written..).unwrap_or_default();
            }
            *end = I::cut((end.to_i64() as usize).wrapping_add(start));
        }
    });
    Ok(turns.done().1)
}

/// Copies the items of `w` whose bit is set to `slots`, row by row, where the offsets of `bits` say: absolute positions
/// in `slots`.
///
/// # Errors
/// The offsets do not agree with the bits.
pub fn bits_gather<T: Item, I: Index>(w: Matrix<'_, T>, bits: BitRows<'_, I>, slots: &mut [T]) -> Result<()> {
    w.check_shape("w", (bits.rows(), bits.cols()))?;
    bits.check_slots(slots.len())?;
    let (offsets, place) = (bits.row_offsets(), bits.place());
    let ranges = par::cut_by(offsets, 1, size_of_val(w.items()) + bits.bytes().len());
    let lengths = lengths(offsets, &ranges, place.len())?;
    let slots = par::split_mut(&mut slots[place], lengths);
    par::run(ranges.into_iter().zip(slots).collect(), |(rows, slots)| {
        let mut written = 0;
        for row in rows {
            let want = written + slots_of(offsets, row)?;
            written += T::compress(w.row(row), bits.row(row), slots.get_mut(written..).unwrap_or_default());
            if written != want {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}

/// Zeroes `out` and spreads the slots of each row over its set bits.
///
/// # Errors
/// The offsets do not agree with the bits; `out` then holds anything.
pub fn bits_to_dense<T: Item, I: Index>(bits: BitRows<'_, I>, slots: &[T], mut out: MatrixMut<'_, T>) -> Result<()> {
    out.check_shape("out", (bits.rows(), bits.cols()))?;
    bits.check_slots(slots.len())?;
    let stream = out.is_streamed();
    let ranges = par::cut(bits.rows(), 1, size_of_val(out.items_mut()) + size_of_val(&slots[bits.place()]));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out): (Range<usize>, MatrixMut<'_, T>)| {
        for (at, row) in rows.enumerate() {
            let slots = &slots[bits.slots(row)?];
            if T::expand(slots, bits.row(row), out.row_mut(at), stream) != slots.len() {
                return Err(bits.wrong(row));
            }
        }
        Ok(())
    })
}

/// Sets the bit of every slot in the rows of `bits` and clears all others.
///
/// # Errors
/// An index is out of range, or the arrays do not fit together; `bits` then holds anything.
pub fn csr_to_bits<I: Index>(csr: Csr<'_, I>, mut bits: MatrixMut<'_, u8>) -> Result<()> {
    let (cols, place, indices) = (csr.cols(), csr.place(), csr.indices());
    bits.check_shape("bits", (csr.rows(), bits.cols()))?;
    check_row(bits.cols(), cols)?;
    let ranges = csr.cut(1, size_of_val(indices) + bits.items_mut().len());
    let bits = bits.split(&ranges);
    par::run(ranges.into_iter().zip(bits).collect(), |(rows, mut bits): (Range<usize>, MatrixMut<'_, u8>)| {
        for (i, row) in rows.enumerate() {
            let bits = bits.row_mut(i);
            let at = csr.slots(row)?;
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

/// Writes the column of every set bit, row by row; the offsets of `bits` hold positions in `indices`, counted from the
/// first.
///
/// # Errors
/// The offsets do not agree with the bits.
pub fn bits_to_indices<I: Index>(bits: BitRows<'_, I>, indices: &mut [I]) -> Result<()> {
    let (offsets, place) = (bits.row_offsets(), bits.place());
    fits("indices", indices.len(), place.len())?;
    let ranges = par::cut_by(offsets, 1, bits.bytes().len() + size_of_val(indices));
    let indices = par::split_mut(indices, lengths(offsets, &ranges, place.len())?);
    par::run(ranges.into_iter().zip(indices).collect(), |(rows, indices)| {
        let mut written = 0;
        for row in rows {
            let want = written + slots_of(offsets, row)?;
            written += I::positions(bits.row(row), 0, indices.get_mut(written..).unwrap_or_default());
            if written != want {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}
