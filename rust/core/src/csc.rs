//! Compressed sparse columns, and the step between rows and columns.

use crate::coo_sort::{Plan, Unsorted};
use crate::count::{Count, add, tiles};
use crate::stop::Stop;
use crate::triplets::Transposed;
use crate::views::Csr;
use crate::views::offsets::{fits, slots_at, span};
use crate::{Error, Index, Item, Matrix, MatrixMut, Result, TILE, par};
use sparsefmt_kernels::prefetch;
use std::ops::Range;
use std::sync::Mutex;

/// Columns of a dense matrix that are written at once: their cursors, and the cache lines at which they stand, stay in
/// the second-level cache.
const OPEN: usize = 4096;

/// Columns that a transposition writes at once: their cursors take up to 1 MiB.
const CURSORS: usize = 1 << 17;

/// Columns beyond which many slots are sorted by column: the lines of memory at which all columns would be written do
/// not stay in the caches of a core.
const OUTSIDE: usize = 1 << 13;

/// Slots that are many.
const MANY: usize = 1 << 18;

/// Slots that a transposition writes, about, between two looks for a stop.
const PART: usize = 1 << 16;

/// Slots that a transposition looks ahead.
const AHEAD: usize = 16;

/// Counts the nonzero items of every column of `w`.
///
/// # Errors
/// There is not a count per column.
pub fn dense_col_counts<T: Item, I: Index>(w: Matrix<'_, T>, zero: u64, counts: &mut [I]) -> Result<()> {
    let (rows, cols, w) = (w.rows(), w.cols(), w.items());
    fits("counts", counts.len(), cols)?;
    counts.fill(I::default());
    if w.is_empty() {
        return Ok(());
    }
    if cols > TILE {
        let ranges = par::cut(cols, 64, size_of_val(w));
        let outs = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
        par::map(ranges.into_iter().zip(outs).collect(), |(range, counts)| {
            for (tile, counts) in counts.chunks_mut(TILE).enumerate() {
                add_counts(&w[range.start + tile * TILE..], cols, T::mask(zero), counts);
            }
        });
    } else {
        let counts = Mutex::new(counts);
        par::map(par::cut(rows, 1, size_of_val(w)), |range| {
            let mut own = [I::default(); TILE];
            let own = &mut own[..cols];
            add_counts(&w[range.start * cols..range.end * cols], cols, T::mask(zero), own);
            add(&counts, own);
        });
    }
    Ok(())
}

/// Adds to `counts` the nonzero items of as many columns of `w`, whose rows lie `cols` apart.
fn add_counts<T: Item, C: Count>(w: &[T], cols: usize, zero: T, counts: &mut [C]) {
    let width = counts.len();
    for rows in w.chunks(cols.saturating_mul(usize::from(u16::MAX))) {
        let mut few = [0u16; TILE];
        for row in rows.chunks(cols) {
            for (count, item) in few[..width].iter_mut().zip(row) {
                *count += u16::from(item.is_nonzero(zero));
            }
        }
        for (count, few) in counts.iter_mut().zip(few) {
            count.add(usize::from(few));
        }
    }
}

/// Where columns are written: positions as in `indptr`; `base` is that of the first item of the slices of the task.
struct Cursors<I> {
    next: Vec<I>,
    base: usize,
}

impl<I: Index> Cursors<I> {
    /// At the starts of the columns `tile`.
    fn new(indptr: &[I], tile: Range<usize>, base: usize) -> Self {
        Self { next: indptr[tile].to_vec(), base }
    }

    /// The place in the slices for the next slot of column `c` of the tile, if the tile has it.
    #[inline]
    fn take(&mut self, c: usize) -> Option<usize> {
        let next = self.next.get_mut(c)?;
        let at = next.to_i64() as usize;
        *next = I::cut(at.wrapping_add(1));
        Some(at.wrapping_sub(self.base))
    }

    /// Whether each column of `tile` was filled up to the start of the one behind it.
    fn are_full(&self, indptr: &[I], tile: Range<usize>) -> bool {
        self.next == indptr[tile.start + 1..=tile.end]
    }
}

/// Consecutive columns, with their slices of indices and slots.
type Columns<'a, T, I> = (Range<usize>, (&'a mut [I], &'a mut [T]));

/// Hands each of the `ranges` of columns its part of `indices` and `slots`.
fn columns<'a, T: Item, I: Index>(
    indptr: &[I],
    ranges: Vec<Range<usize>>,
    indices: &'a mut [I],
    slots: &'a mut [T],
) -> Result<Vec<Columns<'a, T, I>>> {
    let place = span(indptr, indices.len().min(slots.len()))?;
    let lengths = crate::views::offsets::lengths(indptr, &ranges, place.len())?;
    let indices = par::split_mut(&mut indices[place.clone()], lengths.iter().copied());
    let slots = par::split_mut(&mut slots[place], lengths);
    Ok(ranges.into_iter().zip(indices.into_iter().zip(slots)).collect())
}

/// Checks offsets where no loop over slots will.
fn rises<I: Index>(csr: &Csr<'_, I>) -> Result<()> {
    (0..csr.rows()).try_for_each(|row| csr.slots(row).map(drop))
}

/// Checks that there is a slot per index, and that all are in a row.
fn is_whole<T, I: Index>(csr: &Csr<'_, I>, slots: &[T]) -> Result<()> {
    fits("slots", slots.len(), csr.indices().len())?;
    if csr.place() == (0..slots.len()) { Ok(()) } else { Err(Error::Offsets { name: "indptr", at: 0 }) }
}

/// Writes the rows and items of the nonzero items of `w`, a block of columns, column by column, where `indptr` says: a
/// slice of `cols + 1` absolute positions in `indices` and `slots`.
///
/// # Errors
/// `indptr` falls or points outside, or does not agree with the number of nonzeros.
pub fn dense_to_csc<T: Item, I: Index>(
    w: Matrix<'_, T>,
    zero: u64,
    indptr: &[I],
    indices: &mut [I],
    slots: &mut [T],
) -> Result<()> {
    fits("indptr", indptr.len(), w.cols().saturating_add(1))?;
    let rows = if w.cols() == 0 { 0 } else { w.rows() };
    let ranges = par::cut_by(indptr, 64, size_of_val(w.items()));
    par::run(columns(indptr, ranges, indices, slots)?, |(range, (indices, slots))| {
        let base = indptr[range.start].to_i64() as usize;
        for tile in tiles(range, OPEN) {
            let mut cursors = Cursors::new(indptr, tile.clone(), base);
            for row in 0..rows {
                let items = &w.row(row)[tile.clone()];
                for (part, items) in items.chunks(TILE).enumerate() {
                    let mut bits = [0u8; TILE / 8];
                    let _ = T::nonzero_bits(items, T::mask(zero), &mut bits[..items.len().div_ceil(8)]);
                    for (word, bytes) in bits.as_chunks::<8>().0.iter().enumerate() {
                        let mut left = u64::from_le_bytes(*bytes);
                        while left != 0 {
                            let at = word * 64 + left.trailing_zeros() as usize;
                            left &= left - 1;
                            let to = cursors.take(part * TILE + at).unwrap_or(usize::MAX);
                            let (Some(index), Some(slot)) = (indices.get_mut(to), slots.get_mut(to)) else {
                                return Err(Error::Changed);
                            };
                            *index = I::cut(row);
                            *slot = items[at];
                        }
                    }
                }
            }
            if !cursors.are_full(indptr, tile) {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}

/// Zeroes `out`, a block of rows from `first_row`, and puts every slot that falls into it in its place. `columns` are
/// those of csc, viewed as rows.
///
/// # Errors
/// The arrays do not fit together.
pub fn csc_to_dense<T: Item, I: Index>(
    columns: Csr<'_, I>,
    slots: &[T],
    first_row: i64,
    mut out: MatrixMut<'_, T>,
) -> Result<()> {
    /// Columns whose cursors are kept.
    const WIDTH: usize = 512;
    let (rows, cols, indices) = (out.rows(), columns.rows(), columns.indices());
    out.check_shape("out", (rows, cols))?;
    is_whole(&columns, slots)?;
    let out = out.items_mut();
    if out.is_empty() {
        return rises(&columns);
    }
    let height = ((1 << 18) / (size_of::<T>() * cols.min(WIDTH))).max(1);
    let ranges = par::cut(rows, 1, size_of_val(out) + size_of_val(slots));
    let outs = par::split_mut(out, ranges.iter().map(|rows| rows.len() * cols));
    par::run(ranges.into_iter().zip(outs).collect(), |(range, out)| {
        for tile in tiles(0..cols, WIDTH) {
            let top = first_row.saturating_add(range.start as i64);
            let mut next = [0; WIDTH];
            for (next, col) in next.iter_mut().zip(tile.clone()) {
                let at = columns.slots(col)?;
                *next = at.start + indices[at].partition_point(|row| row.to_i64() < top);
            }
            for (block, out) in out.chunks_mut(height * cols).enumerate() {
                let top = top.saturating_add((block * height) as i64);
                let bottom = top.saturating_add((out.len() / cols) as i64);
                for row in out.chunks_mut(cols) {
                    row[tile.clone()].fill(T::default());
                }
                for (next, col) in next.iter_mut().zip(tile.clone()) {
                    let end = columns.slots(col)?.end;
                    let left = (*next).min(end)..end;
                    let inside = indices[left.clone()].iter().zip(&slots[left]);
                    for (row, &slot) in inside.map(|(row, slot)| (row.to_i64(), slot)).take_while(|at| at.0 < bottom) {
                        *next += 1;
                        // Above the block only where indices do not ascend.
                        if row >= top {
                            out[row.wrapping_sub(top) as usize * cols + col] = slot;
                        }
                    }
                }
            }
        }
        Ok(())
    })
}

/// How to transpose by sorting, where columns are so many that they could not all be written at once.
fn sorting(rows: usize, cols: usize, slots: usize, bits: u32) -> Option<Plan> {
    let many = cols >= OUTSIDE && slots > MANY;
    let plan = many.then(|| Plan::new((cols, rows), slots, bits)).flatten();
    plan.map(Plan::with_ascending_columns)
}

/// Writes the slots of csr column by column; `out_indptr` comes filled. The indices of each row ascend.
///
/// # Errors
/// `out_indptr` does not agree with the indices, these do not ascend, or `stop` says so; the outputs then hold anything.
pub fn csr_transpose<T: Item, I: Index>(
    csr: Csr<'_, I>,
    slots: &[T],
    out_indptr: &[I],
    out_indices: &mut [I],
    out_slots: &mut [T],
    stop: &Stop<'_>,
) -> Result<()> {
    is_whole(&csr, slots)?;
    let (indices, all) = (csr.indices(), csr.place());
    fits("out_slots", out_slots.len(), all.len())?;
    fits("out_indices", out_indices.len(), all.len())?;
    if span(out_indptr, all.len())? != all {
        return Err(Error::Offsets { name: "out_indptr", at: 0 });
    }
    let cols = out_indptr.len() - 1;
    if cols == 0 {
        return rises(&csr);
    }
    stop.check()?; // by the caller, who alone can ask, and to whom other threads may leave no part of the work
    if let Some(plan) = sorting(csr.rows(), cols, all.len(), if size_of::<I>() == 4 { 32 } else { 63 }) {
        (0..cols).try_for_each(|col| slots_at(out_indptr, col, &all).map(drop))?;
        let unsorted = Unsorted { pairs: Transposed(csr), len: all.len(), slot: |at: usize| slots[at], stop };
        return unsorted.sort(&plan, unsorted.shares(&plan)?, out_indices, out_slots, |col, at: Range<usize>| {
            match out_indptr.get(col..col + 2) {
                Some(&[low, high]) => low.to_i64() <= at.start as i64 && at.end as i64 <= high.to_i64(),
                _ => false,
            }
        });
    }
    // Each task goes over all rows, so there are no more tasks than threads.
    let ranges = par::joined(par::cut_by(out_indptr, 1, 2 * (size_of_val(slots) + size_of_val(indices))));
    par::run(columns(out_indptr, ranges, out_indices, out_slots)?, |(range, (out_indices, out_slots))| {
        let base = out_indptr[range.start].to_i64() as usize;
        let len = out_indices.len().min(out_slots.len());
        let (out_indices, out_slots) = (&mut out_indices[..len], &mut out_slots[..len]);
        for tile in tiles(range, CURSORS) {
            let mut cursors = Cursors::new(out_indptr, tile.clone(), base);
            let mut work = PART;
            for row in 0..csr.rows() {
                let at = csr.slots(row)?;
                work += 1 + at.len();
                if work >= PART {
                    stop.check()?;
                    work = 0;
                }
                let before = indices[at.clone()].partition_point(|col| col.to_i64() < tile.start as i64);
                let at = at.start + before..at.end;
                for (i, (&col, &slot)) in indices[at.clone()].iter().zip(&slots[at.clone()]).enumerate() {
                    if let Some(&ahead) = indices.get(at.start + i + AHEAD)
                        && let Some(next) = cursors.next.get((ahead.to_i64() as usize).wrapping_sub(tile.start))
                    {
                        let next = (next.to_i64() as usize).wrapping_sub(base);
                        prefetch(out_indices, next);
                        prefetch(out_slots, next);
                    }
                    // Behind the tile, or before it where indices do not ascend.
                    let Some(to) = cursors.take((col.to_i64() as usize).wrapping_sub(tile.start)) else { break };
                    if to >= len {
                        return Err(Error::Changed);
                    }
                    out_indices[to] = I::cut(row);
                    out_slots[to] = slot;
                }
            }
            if !cursors.are_full(out_indptr, tile) {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}
