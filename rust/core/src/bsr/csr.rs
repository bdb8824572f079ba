//! Blocks to csr and back.

use super::block::Block;
use super::blocks::Blocks;
use super::dense::{copy, row_ranges};
use super::set::Set;
use crate::views::Csr;
use crate::views::offsets::{fits, lengths, slots_of, span};
use crate::{Error, Index, Item, Result, TILE, par};
use std::ops::Range;

/// Counts the nonzero (by bits) items inside the shape of every row, not block row.
///
/// # Errors
/// `indptr` falls or points outside; a block column is out of range.
pub fn row_counts<T: Item, I: Index, J: Index>(bsr: Blocks<'_, I>, items: &[T], counts: &mut [J]) -> Result<()> {
    let (block, (rows, cols)) = (bsr.block(), bsr.shape());
    fits("counts", counts.len(), rows)?;
    bsr.check_slots(items.len())?;
    let ranges = par::cut_by(bsr.indptr(), 1, size_of_val(items));
    let outs = par::split_mut(counts, row_ranges(block, &ranges, rows).iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(block_rows, counts): (Range<usize>, &mut [J])| {
        counts.fill(J::default());
        let first = block_rows.start * block.r;
        for block_row in block_rows {
            let rows = bsr.rows(block_row);
            for found in bsr.stored(block_row, items)? {
                let (column, items) = found?;
                let width = block.c.min(cols - column * block.c);
                for (row, items) in rows.clone().zip(items.chunks_exact(block.c)) {
                    let found = items[..width].iter().filter(|item| item.is_nonzero(T::mask(u64::MAX))).count();
                    let count = &mut counts[row - first];
                    *count = J::cut(count.to_i64() as usize + found);
                }
            }
        }
        Ok(())
    })
}

/// Writes the column and item of all that [`row_counts`] counts, row by row, where `out_indptr` says: absolute
/// positions in `out_indices` and `out_slots`.
///
/// # Errors
/// `indptr` or `out_indptr` falls, points outside, or does not agree with the number of nonzeros; a block column is
/// out of range.
pub fn to_csr<T: Item, I: Index, J: Index>(
    bsr: Blocks<'_, I>,
    items: &[T],
    out_indptr: &[J],
    out_indices: &mut [J],
    out_slots: &mut [T],
) -> Result<()> {
    let (block, (rows, cols)) = (bsr.block(), bsr.shape());
    bsr.check_slots(items.len())?;
    fits("out_indptr", out_indptr.len(), rows.saturating_add(1))?;
    let place = span(out_indptr, out_indices.len().min(out_slots.len()))?;
    let ranges = par::cut_by(bsr.indptr(), 1, size_of_val(items));
    let lengths = lengths(out_indptr, &row_ranges(block, &ranges, rows), place.len())?;
    let out_indices = par::split_mut(&mut out_indices[place.clone()], lengths.iter().copied());
    let out_slots = par::split_mut(&mut out_slots[place], lengths);
    let tasks = ranges.into_iter().zip(out_indices.into_iter().zip(out_slots)).collect();
    par::run(tasks, |(block_rows, (indices, slots)): (Range<usize>, (&mut [J], &mut [T]))| {
        let (mut written, mut bits) = (0, [0; TILE / 8]);
        for block_row in block_rows {
            for (i, row) in bsr.rows(block_row).enumerate() {
                let end = written + slots_of(out_indptr, row)?;
                for found in bsr.stored(block_row, items)? {
                    let (column, items) = found?;
                    let start = column * block.c;
                    let items = &items[i * block.c..][..block.c.min(cols - start)];
                    for (tile, items) in items.chunks(TILE).enumerate() {
                        let bits = &mut bits[..items.len().div_ceil(8)];
                        let count = T::nonzero_bits(items, T::mask(u64::MAX), bits);
                        if written + count > end || end > indices.len() {
                            return Err(Error::Changed);
                        }
                        J::positions(bits, start + tile * TILE, &mut indices[written..]);
                        T::compress(items, bits, &mut slots[written..]);
                        written += count;
                    }
                }
                if written != end {
                    return Err(Error::Changed);
                }
            }
        }
        Ok(())
    })
}

/// The rows of csr with their slots.
#[derive(Clone, Copy)]
struct Rows<'a, T, I> {
    csr: Csr<'a, I>,
    slots: &'a [T],
}

impl<'a, T: Item, I: Index> Rows<'a, T, I> {
    fn new(csr: Csr<'a, I>, slots: &'a [T]) -> Result<Self> {
        csr.check_slots(slots.len())?;
        Ok(Self { csr, slots })
    }

    fn column(&self, at: usize) -> Result<usize> {
        self.csr.indices()[at].below(self.csr.cols()).ok_or_else(|| self.csr.wrong(at))
    }

    /// Calls `take` with every block column in which one row has slots, their positions, and the column of the first.
    fn each_run(
        &self,
        positions: Range<usize>,
        c: usize,
        mut take: impl FnMut(usize, Range<usize>, usize) -> Result<()>,
    ) -> Result<()> {
        let mut at = positions.start;
        while at < positions.end {
            let column = self.column(at)?;
            let block = column / c;
            let last = (block * c).saturating_add(c).min(self.csr.cols()) - 1;
            let whole = at.saturating_add(last - column).saturating_add(1);
            let mut end = at + 1;
            if whole <= positions.end && in_a_row(&self.csr.indices()[at..whole], column) {
                end = whole;
            } else {
                while end < positions.end && self.column(end).is_ok_and(|next| block * c <= next && next <= last) {
                    end += 1;
                }
            }
            take(block, at..end, column)?;
            at = end;
        }
        Ok(())
    }

    /// Calls `take` with the column of every block of one block row that holds a nonzero slot, ascending. `set` is
    /// empty before and behind, but for an error.
    fn each_stored(&self, rows: &Range<usize>, c: usize, set: &mut Set, mut take: impl FnMut(usize)) -> Result<()> {
        let one_window = self.csr.cols().div_ceil(c) <= Set::MOST;
        let mut start = 0;
        loop {
            let end = start + Set::MOST;
            let mut next = usize::MAX;
            // A row whose blocks are all in the set.
            let mut whole = 0..0;
            for row in rows.clone() {
                let mut positions = self.csr.slots(row)?;
                // Rows of blocks mostly have the columns of the row above.
                if one_window && self.csr.indices()[positions.clone()] == self.csr.indices()[whole.clone()] {
                    continue;
                }
                if !one_window {
                    // The columns ascend; if they do not, the counts are wrong and the work is still bounded, because
                    // every window starts at a slot behind the last window.
                    let before = |bound: usize| {
                        let below = |i: &I| (i.to_i64() as usize) / c < bound;
                        positions.start + self.csr.indices()[positions.clone()].partition_point(below)
                    };
                    let (low, high) = (before(start), before(end));
                    if high < positions.end {
                        next = next.min(self.column(high)? / c);
                    }
                    positions = low.min(high)..high;
                }
                let mut all = true;
                self.each_run(positions.clone(), c, |block, run, _| {
                    if self.slots[run].iter().any(|slot| slot.is_nonzero(T::mask(u64::MAX))) {
                        set.insert(block.checked_sub(start).filter(|&b| b < Set::MOST).ok_or(Error::Changed)?);
                    } else {
                        all = false;
                    }
                    Ok(())
                })?;
                if all {
                    whole = positions;
                }
            }
            set.drain(|block| take(start + block));
            if next == usize::MAX {
                return Ok(());
            }
            if next < end {
                return Err(Error::Changed);
            }
            start = next;
        }
    }
}

/// Whether the indices are `first` and those behind it.
fn in_a_row<I: Index>(indices: &[I], first: usize) -> bool {
    let mut same = true;
    for (i, &index) in indices.iter().enumerate() {
        same &= index == I::cut(first + i);
    }
    same
}

/// Counts the blocks of every block row that hold a nonzero (by bits) slot of csr.
///
/// # Errors
/// `indptr` falls or points outside; a column is out of range; `counts` does not have one entry per block row.
pub fn csr_block_counts<T: Item, I: Index, J: Index>(
    csr: Csr<'_, I>,
    slots: &[T],
    block: Block,
    counts: &mut [J],
) -> Result<()> {
    block.check_rows("counts", counts.len(), csr.rows())?;
    let stored = Rows::new(csr, slots)?;
    let ranges = csr.cut(block.r, size_of_val(slots));
    let block_ranges: Vec<_> = ranges.iter().map(|rows| rows.start / block.r..rows.end.div_ceil(block.r)).collect();
    let outs = par::split_mut(counts, block_ranges.iter().map(ExactSizeIterator::len));
    par::run(block_ranges.into_iter().zip(outs).collect(), |(block_rows, counts): (Range<usize>, &mut [J])| {
        let mut set = Set::new(csr.cols().div_ceil(block.c));
        for (block_row, out) in block_rows.zip(counts) {
            let mut count = 0;
            stored.each_stored(&block.rows(block_row, csr.rows()), block.c, &mut set, |_| count += 1)?;
            *out = J::cut(count);
        }
        Ok(())
    })
}

/// Writes the blocks that [`csr_block_counts`] counts, where `out_indptr` says: absolute positions in `out_indices` and
/// `blocks`.
///
/// # Errors
/// `indptr` or `out_indptr` falls, points outside, or does not agree with the number of blocks; a column is out of
/// range.
pub fn from_csr<T: Item, I: Index, J: Index>(
    csr: Csr<'_, I>,
    slots: &[T],
    block: Block,
    out_indptr: &[J],
    out_indices: &mut [J],
    blocks: &mut [T],
) -> Result<()> {
    let area = block.area();
    let block_rows = out_indptr.len().saturating_sub(1);
    block.check_rows("out_indptr", block_rows, csr.rows())?;
    let stored = Rows::new(csr, slots)?;
    let place = span(out_indptr, out_indices.len().min(blocks.len() / area))?;
    let ranges = par::cut_by(out_indptr, 1, size_of_val(blocks) + size_of_val(slots));
    let lengths = lengths(out_indptr, &ranges, place.len())?;
    let indices = par::split_mut(&mut out_indices[place.clone()], lengths.iter().copied());
    let blocks = &mut blocks[place.start * area..place.end * area];
    let blocks = par::split_mut(blocks, lengths.iter().map(|count| count * area));
    let tasks = ranges.into_iter().zip(indices.into_iter().zip(blocks)).collect();
    par::run(tasks, |(block_rows, (mut indices, mut blocks)): (Range<usize>, (&mut [J], &mut [T]))| {
        let (mut set, mut runs) = (Set::new(csr.cols().div_ceil(block.c)), Vec::new());
        for block_row in block_rows {
            let count = slots_of(out_indptr, block_row)?;
            let (Some((columns, more)), Some((out, rest))) =
                (indices.split_at_mut_checked(count), blocks.split_at_mut_checked(count * area))
            else {
                return Err(Error::Changed);
            };
            (indices, blocks) = (more, rest);
            let rows = block.rows(block_row, csr.rows());
            let mut found = 0;
            stored.each_stored(&rows, block.c, &mut set, |column| {
                if let Some(to) = columns.get_mut(found) {
                    *to = J::cut(column);
                }
                found += 1;
            })?;
            if found != count {
                return Err(Error::Changed);
            }
            out.fill(T::default());
            runs.clear();
            let mut above = 0..0;
            for (i, row) in rows.enumerate() {
                let (positions, at) = (csr.slots(row)?, i * block.c);
                if csr.indices()[positions.clone()] == csr.indices()[above.clone()] {
                    copy_runs(&runs, &slots[positions], at, out)?;
                } else {
                    runs.clear();
                    let plain = fill_row(&stored, positions.clone(), at, block, columns, out, &mut runs)?;
                    if !plain {
                        runs.clear();
                    }
                    above = if plain { positions } else { 0..0 };
                }
            }
        }
        Ok(())
    })
}

/// Slots of a row that stand side by side in a block.
struct Run {
    /// Where they begin: in the row, and in the blocks behind the first item of the row.
    from: usize,
    to: usize,
    len: usize,
}

/// Puts the `slots` of a row at offset `at` of blocks that are zero there.
fn copy_runs<T: Item>(runs: &[Run], slots: &[T], at: usize, out: &mut [T]) -> Result<()> {
    let out = out.get_mut(at..).unwrap_or_default();
    for &Run { from, to, len } in runs {
        let places = slots.get(from..from + len).zip(out.get_mut(to..to + len));
        let (slots, out) = places.ok_or(Error::Changed)?;
        copy(slots, out);
    }
    Ok(())
}

/// Puts the nonzero slots of one row at offset `at` of the blocks that stand at `columns`, which ascend. Returns
/// whether
/// `runs`, which comes empty, tells all that is to be done for another row with the same indices.
fn fill_row<T: Item, I: Index, J: Index>(
    stored: &Rows<'_, T, I>,
    positions: Range<usize>,
    at: usize,
    block: Block,
    columns: &[J],
    out: &mut [T],
    runs: &mut Vec<Run>,
) -> Result<bool> {
    let (mut here, mut beyond, mut plain) = (0, 0, true);
    stored.each_run(positions.clone(), block.c, |column, run, first| {
        let want = J::cut(column);
        let ahead = columns.get(here..).unwrap_or_default().iter().take(8).position(|&c| c == want);
        let slots = &stored.slots[run.clone()];
        here = match ahead.map_or_else(|| columns.binary_search(&want).ok(), |ahead| Some(here + ahead)) {
            Some(here) => here,
            None if slots.iter().any(|slot| slot.is_nonzero(T::mask(u64::MAX))) => return Err(Error::Changed),
            None => {
                plain = false;
                return Ok(());
            }
        };
        let start = column * block.c;
        let from = run.start - positions.start;
        let indices = &stored.csr.indices()[run];
        // What no run of this row came to before is zero: there zeros of the run may fall on zeros.
        let untouched = column >= beyond;
        beyond = beyond.max(column + 1);
        if untouched && in_a_row(indices, first) {
            let run = Run { from, to: here * block.area() + (first - start), len: slots.len() };
            copy_runs(std::slice::from_ref(&run), &stored.slots[positions.clone()], at, out)?;
            runs.push(run);
            return Ok(());
        }
        plain = false;
        let out = &mut out[here * block.area() + at..][..block.c];
        for (index, &slot) in indices.iter().zip(slots) {
            let place = (index.to_i64() as usize).wrapping_sub(start);
            let to = out.get_mut(place).ok_or(Error::Changed)?;
            *to = if slot.is_nonzero(T::mask(u64::MAX)) { slot } else { *to };
        }
        Ok(())
    })?;
    Ok(plain)
}
