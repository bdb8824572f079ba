//! Gaps: rows as csr, columns as differences minus one, in bytes; 255 means "255 more".

use crate::check::{Fault, Finding, choose};
use crate::csr::{columns, take_items};
use crate::gap_columns::{ESCAPE, each_column};
use crate::views::offsets::{fits, lengths, out_of_range, slots_at, slots_of, span};
use crate::{Error, Index, Item, Result, TILE, par};
use std::ops::Range;

/// Writes `gap` to the front of `out`; gives its bytes, if there is room for them.
#[inline]
fn put(gap: usize, out: &mut [u8]) -> Option<usize> {
    if gap < ESCAPE as usize {
        *out.first_mut()? = gap as u8;
        return Some(1);
    }
    let escapes = gap / ESCAPE as usize;
    let (last, all) = out.get_mut(..=escapes)?.split_last_mut()?;
    all.fill(ESCAPE);
    *last = (gap % ESCAPE as usize) as u8;
    Some(escapes + 1)
}

/// Tells `take` the gap of every index of a row.
#[inline]
fn gaps<I: Index>(indices: &[I], mut take: impl FnMut(usize) -> Result<()>) -> Result<()> {
    let mut next = 0;
    for index in indices {
        let gap = index.to_i64().wrapping_sub(next);
        if gap < 0 {
            return Err(Error::Changed);
        }
        take(gap as usize)?;
        next += gap + 1;
    }
    Ok(())
}

/// Writes the gaps of ascending `indices` to the front of `out`; gives their bytes.
pub(crate) fn put_gaps<I: Index>(indices: &[I], out: &mut [u8]) -> Result<usize> {
    let mut at = 0;
    gaps(indices, |gap| {
        at += put(gap, &mut out[at..]).ok_or(Error::Changed)?;
        Ok(())
    })?;
    Ok(at)
}

/// Puts a gap at the end of `out`.
#[inline(always)]
pub(crate) fn push_gap(mut gap: usize, out: &mut Vec<u8>) {
    while gap >= ESCAPE as usize {
        out.push(ESCAPE);
        gap -= ESCAPE as usize;
    }
    out.push(gap as u8);
}

/// Counts the bytes that the gaps of every row need.
///
/// # Errors
/// The columns of a row do not ascend, or the arrays do not fit together.
pub fn csr_gap_counts<I: Index>(indptr: &[I], indices: &[I], counts: &mut [i64]) -> Result<()> {
    let place = span(indptr, indices.len())?;
    fits("counts", counts.len(), indptr.len() - 1)?;
    let ranges = par::cut_by(indptr, 1, size_of_val(&indices[place.clone()]) + size_of_val(indptr));
    let outs = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, counts)| {
        for (row, count) in rows.zip(counts) {
            *count = bytes_of(&indices[slots_at(indptr, row, &place)?])?;
        }
        Ok(())
    })
}

/// The bytes that the gaps of a row need.
fn bytes_of<I: Index>(indices: &[I]) -> Result<i64> {
    let mut count = 0;
    gaps(indices, |gap| {
        count += (gap / ESCAPE as usize + 1) as i64;
        Ok(())
    })?;
    Ok(count)
}

/// Writes the gaps of all slots, row by row, where `byte_offsets` says.
///
/// # Errors
/// The offsets do not agree with the columns, or these do not ascend.
pub fn csr_to_gaps<I: Index>(indptr: &[I], indices: &[I], byte_offsets: &[I], gaps: &mut [u8]) -> Result<()> {
    let place = span(indptr, indices.len())?;
    let bytes = span(byte_offsets, gaps.len())?;
    fits("byte_offsets", byte_offsets.len(), indptr.len())?;
    let ranges = par::cut_by(byte_offsets, 1, size_of_val(&indices[place.clone()]) + bytes.len());
    let outs = par::split_mut(&mut gaps[bytes.clone()], lengths(byte_offsets, &ranges, bytes.len())?);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out)| {
        for row in rows {
            let mine = out.split_off_mut(..slots_of(byte_offsets, row)?).ok_or(Error::Changed)?;
            if put_gaps(&indices[slots_at(indptr, row, &place)?], mine)? != mine.len() {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}

/// The offsets of gaps, checked against the arrays that they cut.
pub(crate) struct Rows<'a, I> {
    gaps: &'a [u8],
    byte_offsets: &'a [I],
    row_offsets: &'a [I],
    bytes: Range<usize>,
    slots: Range<usize>,
}

impl<'a, I: Index> Rows<'a, I> {
    /// # Errors
    /// The arrays do not fit together.
    pub(crate) fn new(gaps: &'a [u8], byte_offsets: &'a [I], row_offsets: &'a [I], slots: usize) -> Result<Self> {
        fits("byte_offsets", byte_offsets.len(), row_offsets.len())?;
        let (bytes, slots) = (span(byte_offsets, gaps.len())?, span(row_offsets, slots)?);
        Ok(Self { gaps, byte_offsets, row_offsets, bytes, slots })
    }

    /// How many slots all rows have.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Ranges of rows of about equal work, of which `work` comes to the bytes of gaps.
    pub(crate) fn cut(&self, work: usize) -> Vec<Range<usize>> {
        par::cut_by(self.row_offsets, 1, self.bytes.len() + work)
    }

    /// The bytes of a row, and the range of its slots.
    pub(crate) fn row(&self, row: usize) -> Result<(&'a [u8], Range<usize>)> {
        let wrong = |_| Error::Offsets { name: "byte_offsets", at: row };
        let bytes = slots_at(self.byte_offsets, row, &self.bytes).map_err(wrong)?;
        Ok((&self.gaps[bytes], slots_at(self.row_offsets, row, &self.slots)?))
    }

    /// Tells `take` each slot of a row, counted in the row, and its column, which is below `cols`.
    #[inline]
    fn each(&self, row: usize, cols: usize, mut take: impl FnMut(usize, usize) -> Result<()>) -> Result<()> {
        let (bytes, slots) = self.row(row)?;
        let mut at = 0;
        each_column(bytes, |col| {
            if at >= slots.len() {
                return Err(Error::Offsets { name: "row_offsets", at: row });
            }
            if col >= cols {
                return Err(out_of_range(slots.start + at - self.slots.start, col as i64, cols));
            }
            take(at, col)?;
            at += 1;
            Ok(())
        })?;
        if at == slots.len() { Ok(()) } else { Err(Error::Offsets { name: "row_offsets", at: row }) }
    }
}

/// Writes the column of every slot, row by row, where `row_offsets` says.
///
/// # Errors
/// A column is out of range, or the arrays do not fit together.
pub fn gaps_to_indices<I: Index>(
    gaps: &[u8],
    byte_offsets: &[I],
    row_offsets: &[I],
    cols: usize,
    indices: &mut [I],
) -> Result<()> {
    let all = Rows::new(gaps, byte_offsets, row_offsets, indices.len())?;
    let ranges = all.cut(size_of_val(indices));
    let outs = lengths(row_offsets, &ranges, all.slots.len())?;
    let outs = par::split_mut(&mut indices[all.slots.clone()], outs);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out)| {
        for row in rows {
            let mine = out.split_off_mut(..slots_of(row_offsets, row)?).ok_or(Error::Changed)?;
            all.each(row, cols, |at, col| {
                mine[at] = I::cut(col);
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// Zeroes `out` (`shape`, a block of rows) and puts every slot in its place.
///
/// # Errors
/// A column is out of range, or the arrays do not fit together; `out` then holds anything.
pub fn gaps_to_dense<T: Item, I: Index>(
    gaps: &[u8],
    byte_offsets: &[I],
    row_offsets: &[I],
    slots: &[T],
    shape: (usize, usize),
    out: &mut [T],
) -> Result<()> {
    let (rows, cols) = shape;
    fits("out", out.len(), rows.saturating_mul(cols))?;
    fits("row_offsets", row_offsets.len(), rows.saturating_add(1))?;
    let all = Rows::new(gaps, byte_offsets, row_offsets, slots.len())?;
    let ranges = all.cut(size_of_val(out));
    let outs = par::split_mut(out, ranges.iter().map(|rows| rows.len() * cols));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, out)| {
        let first = rows.start;
        for row in rows {
            let out = &mut out[(row - first) * cols..][..cols];
            let slots = &slots[all.row(row)?.1];
            out.fill(T::default());
            all.each(row, cols, |at, col| {
                out[col] = slots[at];
                Ok(())
            })?;
        }
        Ok(())
    })
}

/// Counts the nonzero items of every row of `w`, and the bytes that their gaps need.
///
/// # Errors
/// The arrays do not fit together.
pub fn dense_gap_counts<T: Item>(w: &[T], zero: u64, slot_counts: &mut [i64], byte_counts: &mut [i64]) -> Result<()> {
    fits("byte_counts", byte_counts.len(), slot_counts.len())?;
    let cols = columns(w.len(), slot_counts.len())?;
    let ranges = par::cut(slot_counts.len(), 1, size_of_val(w));
    let slots = par::split_mut(slot_counts, ranges.iter().map(ExactSizeIterator::len));
    let bytes = par::split_mut(byte_counts, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(slots.into_iter().zip(bytes)).collect(), |(rows, (slots, bytes))| {
        for (row, (slots, bytes)) in rows.zip(slots.iter_mut().zip(bytes)) {
            let (mut next, mut count, mut escapes) = (0, 0, 0);
            each_tile(&w[row * cols..][..cols], zero, |first, items, bits| {
                let mut places = [0i32; TILE];
                let found = i32::positions(bits, 0, &mut places[..items.len()]);
                count += found;
                for &place in &places[..found] {
                    let col = first + place as usize;
                    escapes += (col - next) / ESCAPE as usize;
                    next = col + 1;
                }
                Ok(())
            })?;
            (*slots, *bytes) = (count as i64, (count + escapes) as i64);
        }
        Ok(())
    })
}

/// Tells `take` where each tile of a row begins, its items, and the bits of those that are nonzero.
pub(crate) fn each_tile<T: Item>(
    row: &[T],
    zero: u64,
    mut take: impl FnMut(usize, &[T], &[u8]) -> Result<()>,
) -> Result<()> {
    let mut bits = [0u8; TILE / 8];
    for (tile, items) in row.chunks(TILE).enumerate() {
        let bits = &mut bits[..items.len().div_ceil(8)];
        if T::nonzero_bits(items, T::mask(zero), bits) > 0 {
            take(tile * TILE, items, bits)?;
        }
    }
    Ok(())
}

/// Writes the gaps and items of the nonzero items of `w`, row by row, where the offsets say.
///
/// # Errors
/// The offsets do not agree with the number of nonzeros, or the arrays do not fit together.
pub fn dense_to_gaps<T: Item, I: Index>(
    w: &[T],
    zero: u64,
    byte_offsets: &[I],
    row_offsets: &[I],
    gaps: &mut [u8],
    slots: &mut [T],
) -> Result<()> {
    fits("byte_offsets", byte_offsets.len(), row_offsets.len())?;
    let (bytes, place) = (span(byte_offsets, gaps.len())?, span(row_offsets, slots.len())?);
    let rows = row_offsets.len() - 1;
    let cols = columns(w.len(), rows)?;
    let ranges = par::cut(rows, 1, size_of_val(w));
    let gap_parts = lengths(byte_offsets, &ranges, bytes.len())?;
    let slot_parts = lengths(row_offsets, &ranges, place.len())?;
    let gap_parts = par::split_mut(&mut gaps[bytes], gap_parts);
    let slot_parts = par::split_mut(&mut slots[place], slot_parts);
    par::run(
        ranges.into_iter().zip(gap_parts.into_iter().zip(slot_parts)).collect(),
        |(rows, (mut gaps, mut slots))| {
            for row in rows {
                let mine = gaps.split_off_mut(..slots_of(byte_offsets, row)?).ok_or(Error::Changed)?;
                let items = slots.split_off_mut(..slots_of(row_offsets, row)?).ok_or(Error::Changed)?;
                let (mut at, mut written, mut next) = (0, 0, 0);
                each_tile(&w[row * cols..][..cols], zero, |first, tile, bits| {
                    let mut places = [0i32; TILE];
                    let room = items.get_mut(written..).ok_or(Error::Changed)?;
                    let count = take_items(tile, bits, 0, &mut places[..tile.len()], room);
                    if count > room.len() {
                        return Err(Error::Changed);
                    }
                    written += count;
                    for &place in &places[..count] {
                        let col = first + place as usize;
                        at += put(col - next, &mut mine[at..]).ok_or(Error::Changed)?;
                        next = col + 1;
                    }
                    Ok(())
                })?;
                if at != mine.len() || written != items.len() {
                    return Err(Error::Changed);
                }
            }
            Ok(())
        },
    )
}

/// Looks for `Start`, `Falls` (at a row), `End`, `Count`, `Padding`, `Range` (each at a row), in this order.
///
/// # Errors
/// The offsets are empty, or change meanwhile.
pub fn gap_check<I: Index>(gaps: &[u8], byte_offsets: &[I], row_offsets: &[I], cols: usize) -> Result<Finding> {
    fits("byte_offsets", byte_offsets.len(), row_offsets.len())?;
    let ([first, ..], [.., last], Some(start)) = (byte_offsets, byte_offsets, row_offsets.first()) else {
        return Err(Error::Length { name: "row_offsets", got: 0, want: 1 });
    };
    if *first != I::default() || *start != I::default() {
        return Ok(Some((Fault::Start, 0)));
    }
    if let Some(at) = byte_offsets.windows(2).position(|pair| pair[1] < pair[0]) {
        return Ok(Some((Fault::Falls, at)));
    }
    if last.to_i64() != gaps.len() as i64 {
        return Ok(Some((Fault::End, 0)));
    }
    let bytes = 0..gaps.len();
    let ranges = par::cut_by(byte_offsets, 1, gaps.len() + size_of_val(byte_offsets));
    let found = par::map(ranges, |rows| {
        let mut firsts = [None; 3];
        for row in rows {
            let mine = &gaps[slots_at(byte_offsets, row, &bytes).map_err(|_| Error::Changed)?];
            let count = mine.iter().filter(|&&byte| byte != ESCAPE).count();
            let reach = mine.iter().map(|&byte| u64::from(byte)).sum::<u64>() + count as u64;
            let wrong =
                [slots_of(row_offsets, row).ok() != Some(count), mine.last() == Some(&ESCAPE), reach > cols as u64];
            for (first, wrong) in firsts.iter_mut().zip(wrong) {
                *first = first.or(wrong.then_some(row));
            }
        }
        Ok(firsts)
    });
    choose([Fault::Count, Fault::Padding, Fault::Range], found)
}
