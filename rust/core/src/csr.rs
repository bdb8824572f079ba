//! Compressed sparse rows.

use crate::views::Csr;
use crate::views::offsets::{fits, lengths, out_of_range, slots_of, span};
use crate::{Error, Index, Item, Kernels, Matrix, MatrixMut, Result, TILE, par};
use sparsefmt_kernels::{Isa, prefetch_ahead};
use std::ops::Range;

/// One slot in as many columns is taken by its index; more are faster compressed.
const SPARSE: usize = 8;

/// One slot in as many columns, or more, are put in their places many at once, where that is fast.
const MANY: usize = 6;

/// Slots that are prefetched before they are scattered: prefetchers stop at the end of a page, rows of slots go on.
const AHEAD: usize = 512;

/// Bytes of the longest row that is put together in the first-level cache before it is written.
pub(crate) const ROW_BUFFER: usize = 1 << 15;

/// Counts the items that are nonzero under `zero`.
#[must_use]
pub fn count_nonzero<T: Item>(slots: &[T], zero: u64) -> usize {
    let ranges = par::cut(slots.len(), 64, size_of_val(slots));
    par::map(ranges, |range| count(&slots[range], T::mask(zero))).into_iter().sum()
}

fn count<T: Item>(items: &[T], zero: T) -> usize {
    let mut bits = [0u8; TILE / 8];
    items.chunks(TILE).map(|tile| T::nonzero_bits(tile, zero, &mut bits[..tile.len().div_ceil(8)])).sum()
}

/// Counts the nonzero items of every row of `w`.
///
/// # Errors
/// There is not a count per row.
pub fn dense_row_counts<T: Item, I: Index>(w: Matrix<'_, T>, zero: u64, counts: &mut [I]) -> Result<()> {
    fits("counts", counts.len(), w.rows())?;
    let ranges = par::cut(counts.len(), 1, size_of_val(w.items()));
    let outs = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    let tasks = ranges.into_iter().zip(outs).collect();
    par::run(tasks, |(rows, counts)| {
        for (row, out) in rows.zip(counts) {
            *out = I::cut(count(w.row(row), T::mask(zero)));
        }
        Ok(())
    })
}

/// The number of columns of `len` items in `rows` rows.
pub(crate) fn columns(len: usize, rows: usize) -> Result<usize> {
    let cols = len.checked_div(rows).unwrap_or(0);
    if cols * rows == len { Ok(cols) } else { Err(Error::Length { name: "w", got: len, want: cols * rows }) }
}

/// Writes the columns and items of the nonzero items of `w`, row by row, where `indptr` says: a slice of `rows + 1`
/// absolute positions in `indices` and `slots`.
///
/// # Errors
/// `indptr` falls or points outside, or does not agree with the number of nonzeros.
pub fn dense_to_csr<T: Item, I: Index>(
    w: Matrix<'_, T>,
    zero: u64,
    indptr: &[I],
    indices: &mut [I],
    slots: &mut [T],
) -> Result<()> {
    fits("indptr", indptr.len(), w.rows().saturating_add(1))?;
    let place = span(indptr, indices.len().min(slots.len()))?;
    let ranges = par::cut(w.rows(), 1, size_of_val(w.items()));
    let lengths = lengths(indptr, &ranges, place.len())?;
    let indices = par::split_mut(&mut indices[place.clone()], lengths.iter().copied());
    let slots = par::split_mut(&mut slots[place], lengths);
    let tasks = ranges.into_iter().zip(indices.into_iter().zip(slots)).collect();
    par::run(tasks, |(rows, (indices, slots))| {
        let mut written = 0;
        for row in rows {
            let end = written + slots_of(indptr, row)?;
            for (tile, items) in w.row(row).chunks(TILE).enumerate() {
                let mut bits = [0u8; TILE / 8];
                let bits = &mut bits[..items.len().div_ceil(8)];
                let count = T::nonzero_bits(items, T::mask(zero), bits);
                if written + count > end || end > indices.len() {
                    return Err(Error::Changed);
                }
                take_items(items, bits, tile * TILE, &mut indices[written..], &mut slots[written..]);
                written += count;
            }
            if written != end {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}

/// Writes `first` plus the place, and the item, of each of `items` whose bit is set; returns their number. What there
/// is no room for is dropped.
#[inline]
pub(crate) fn take_items<T: Item, I: Index>(
    items: &[T],
    bits: &[u8],
    first: usize,
    indices: &mut [I],
    slots: &mut [T],
) -> usize {
    let count = I::positions(bits, first, indices);
    if count >= items.len() / SPARSE {
        T::compress(items, bits, slots);
        return count;
    }
    for (index, slot) in indices.iter().take(count).zip(slots) {
        let at = (index.to_i64() as usize).wrapping_sub(first);
        *slot = items.get(at).copied().unwrap_or_default();
    }
    count
}

/// Zeroes `out` and puts every slot in its place.
///
/// # Errors
/// An index is out of range, or the arrays do not fit together; `out` then holds anything.
pub fn csr_to_dense<T: Item, I: Index>(csr: Csr<'_, I>, slots: &[T], mut out: MatrixMut<'_, T>) -> Result<()> {
    out.check_shape("out", (csr.rows(), csr.cols()))?;
    csr.check_slots(slots.len())?;
    let (cols, place, stream) = (csr.cols(), csr.place(), out.is_streamed());
    let ranges = csr.cut(1, size_of_val(out.items_mut()) + size_of_val(&slots[place.clone()]));
    let buffered = stream && cols * size_of::<T>() <= ROW_BUFFER;
    let outs = out.split(&ranges);
    let at_once = Kernels::active().isa() >= Isa::Avx512 && size_of::<T>() <= 8;
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out): (Range<usize>, MatrixMut<'_, T>)| {
        let mut buffer = RowBuffer::new(if buffered { cols } else { 0 }, out.items_mut());
        Kernels::nontemporal(stream, |streamed| {
            for (i, row) in rows.enumerate() {
                let out = out.row_mut(i);
                let at = csr.slots(row)?;
                let (indices, slots) = (&csr.indices()[at.clone()], &slots[at.clone()]);
                if at_once
                    && indices.len() > cols / MANY
                    && I::narrow(indices).is_some_and(|indices| T::place(streamed, indices, slots, out))
                {
                    continue;
                }
                let to = if buffered {
                    buffer.items()
                } else {
                    out.fill(T::default());
                    &mut *out
                };
                if let Err((i, index)) = scatter(indices, slots, to) {
                    return Err(out_of_range(at.start + i - place.start, index, cols));
                }
                if buffered {
                    T::drain(streamed, buffer.items(), out);
                }
            }
            Ok(())
        })
    })
}

/// A row that is put together in the first-level cache.
pub(crate) struct RowBuffer<T> {
    memory: Vec<T>,
    start: usize,
    cols: usize,
}

impl<T: Item> RowBuffer<T> {
    /// Zeros, aligned as `out` is, because an access that crosses cache lines takes twice as long.
    pub(crate) fn new(cols: usize, out: &[T]) -> Self {
        let memory = vec![T::default(); cols + 64 / size_of::<T>()];
        let start = out.as_ptr().addr().wrapping_sub(memory.as_ptr().addr()) % 64 / size_of::<T>();
        Self { memory, start, cols }
    }

    /// The row.
    pub(crate) fn items(&mut self) -> &mut [T] {
        &mut self.memory[self.start..][..self.cols]
    }
}

/// Puts every slot in its place in `row`; the first index that is out of range, and its position.
#[inline]
pub(crate) fn scatter<T: Item, I: Index>(
    indices: &[I],
    slots: &[T],
    row: &mut [T],
) -> std::result::Result<(), (usize, I)> {
    let (chunks, tail) = indices.as_chunks::<8>();
    let (slot_chunks, slot_tail) = slots.as_chunks::<8>();
    for (i, chunk) in chunks.iter().enumerate() {
        let Some(slots) = slot_chunks.get(i) else { break };
        prefetch_ahead(chunk, AHEAD);
        prefetch_ahead(slots, AHEAD);
        for k in 0..8 {
            match chunk[k].below(row.len()) {
                Some(col) => row[col] = slots[k],
                None => return Err((8 * i + k, chunk[k])),
            }
        }
    }
    for (i, (&index, &slot)) in tail.iter().zip(slot_tail).enumerate() {
        match index.below(row.len()) {
            Some(col) => row[col] = slot,
            None => return Err((8 * chunks.len() + i, index)),
        }
    }
    Ok(())
}
