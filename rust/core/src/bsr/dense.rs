//! Dense to blocks and back.

use super::block::Block;
use super::blocks::Blocks;
use crate::csr::{ROW_BUFFER, RowBuffer};
use crate::single_pass::{self, Room, Turns};
use crate::views::offsets::{lengths, slots_of, span};
use crate::{Error, Index, Item, Kernels, Matrix, MatrixMut, Result, TILE, par};
use std::ops::Range;

/// Finds the blocks that hold a nonzero item.
struct Finder {
    any: Vec<u64>,
    bits: [u8; TILE / 8],
}

impl Finder {
    fn new(cols: usize) -> Self {
        Self { any: vec![0; cols.div_ceil(64)], bits: [0; TILE / 8] }
    }

    /// Calls `found` with every block column of one block row that holds a nonzero item, ascending.
    fn each_stored<T: Item>(
        &mut self,
        w: Matrix<'_, T>,
        rows: &Range<usize>,
        c: usize,
        zero: T,
        mut found: impl FnMut(usize) -> Result<()>,
    ) -> Result<()> {
        self.any.fill(0);
        // Rows without columns may be more than anybody can count.
        for row in rows.clone().take_while(|_| w.cols() > 0) {
            for (tile, any) in w.row(row).chunks(TILE).zip(self.any.chunks_mut(TILE / 64)) {
                T::nonzero_bits(tile, zero, &mut self.bits[..tile.len().div_ceil(8)]);
                for (any, bits) in any.iter_mut().zip(self.bits.as_chunks().0) {
                    *any |= u64::from_le_bytes(*bits);
                }
            }
        }
        let mut at = 0;
        while let Some(column) = next_bit(&self.any, at).filter(|&column| column < w.cols()) {
            found(column / c)?;
            at = (column / c + 1).saturating_mul(c);
        }
        Ok(())
    }
}

/// The first bit that is set, from bit `from` on.
fn next_bit(words: &[u64], from: usize) -> Option<usize> {
    let mut mask = u64::MAX << (from % 64);
    for (at, word) in words.iter().enumerate().skip(from / 64) {
        let word = word & mask;
        if word != 0 {
            return Some(at * 64 + word.trailing_zeros() as usize);
        }
        mask = u64::MAX;
    }
    None
}

/// Counts the blocks of every block row of `w` that hold a nonzero item.
///
/// # Errors
/// `counts` does not have one entry per block row.
pub fn block_counts<T: Item, I: Index>(w: Matrix<'_, T>, zero: u64, block: Block, counts: &mut [I]) -> Result<()> {
    block.check_rows("counts", counts.len(), w.rows())?;
    let ranges = par::cut(counts.len(), 1, size_of_val(w.items()));
    let outs = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(block_rows, counts)| {
        let mut finder = Finder::new(w.cols());
        for (block_row, out) in block_rows.zip(counts) {
            let mut count = 0;
            finder.each_stored(w, &block.rows(block_row, w.rows()), block.c, T::mask(zero), |_| {
                count += 1;
                Ok(())
            })?;
            *out = I::cut(count);
        }
        Ok(())
    })
}

/// Writes the block columns and the blocks of `w` that hold a nonzero item, where `indptr` says: a slice of absolute
/// positions in `indices` and `blocks`, one more than block rows.
///
/// # Errors
/// `indptr` falls or points outside, or does not agree with the number of blocks.
pub fn from_dense<T: Item, I: Index>(
    w: Matrix<'_, T>,
    zero: u64,
    block: Block,
    indptr: &[I],
    indices: &mut [I],
    blocks: &mut [T],
) -> Result<()> {
    let block_rows = indptr.len().saturating_sub(1);
    let area = block.area();
    block.check_rows("indptr", block_rows, w.rows())?;
    let place = span(indptr, indices.len().min(blocks.len() / area))?;
    let ranges = par::cut(block_rows, 1, size_of_val(w.items()));
    let lengths = lengths(indptr, &ranges, place.len())?;
    let indices = par::split_mut(&mut indices[place.clone()], lengths.iter().copied());
    let blocks = &mut blocks[place.start * area..place.end * area];
    let blocks = par::split_mut(blocks, lengths.iter().map(|count| count * area));
    let tasks = ranges.into_iter().zip(indices.into_iter().zip(blocks)).collect();
    par::run(tasks, |(block_rows, (indices, blocks)): (Range<usize>, (&mut [I], &mut [T]))| {
        let (mut outs, mut done) = (indices.iter_mut().zip(blocks.chunks_exact_mut(area)), 0);
        let (mut due, mut finder) = (0, Finder::new(w.cols()));
        for block_row in block_rows {
            let rows = block.rows(block_row, w.rows());
            due += slots_of(indptr, block_row)?;
            finder.each_stored(w, &rows, block.c, T::mask(zero), |column| {
                let (index, out) = outs.next().ok_or(Error::Changed)?;
                *index = I::cut(column);
                copy_block(w, &rows, column * block.c, block.c, out);
                done += 1;
                Ok(())
            })?;
            if done != due {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}

/// Writes the offsets of all block rows into `indptr`, and the block columns and the blocks of `w` that hold a nonzero
/// item, if there is room for all; else the two hold anything. Returns the number of blocks.
///
/// # Errors
/// `indptr` does not have one entry more than there are block rows.
pub fn from_dense_within<T: Item, I: Index>(
    w: Matrix<'_, T>,
    zero: u64,
    block: Block,
    indptr: &mut [I],
    indices: &mut [I],
    blocks: &mut [T],
) -> Result<usize> {
    let Some((first, ends)) = indptr.split_first_mut() else {
        return Err(Error::Length { name: "indptr", got: 0, want: 1 });
    };
    *first = I::default();
    block.check_rows("indptr", ends.len(), w.rows())?;
    let area = block.area();
    let ranges = single_pass::pieces(ends.len(), block.r.saturating_mul(w.cols() * size_of::<T>()));
    let ends = par::split_mut(ends, ranges.iter().map(ExactSizeIterator::len));
    let turns = Turns::new(Room::new(indices, blocks, area));
    let tasks = ranges.into_iter().zip(ends).enumerate().collect();
    par::run(tasks, |(at, (block_rows, ends)): (usize, (Range<usize>, &mut [I]))| {
        let turn = turns.of(at);
        let (mut found, mut finder) = (Vec::new(), Finder::new(w.cols()));
        for (block_row, end) in block_rows.clone().zip(&mut *ends) {
            finder.each_stored(w, &block.rows(block_row, w.rows()), block.c, T::mask(zero), |column| {
                found.push((block_row, column));
                Ok(())
            })?;
            *end = I::cut(found.len());
        }
        let (start, part) = turn.take(|room| room.take(found.len()));
        for end in ends {
            *end = I::cut((end.to_i64() as usize).wrapping_add(start));
        }
        let (indices, blocks) = part.unwrap_or_default();
        for ((index, out), (block_row, column)) in indices.iter_mut().zip(blocks.chunks_exact_mut(area)).zip(found) {
            *index = I::cut(column);
            copy_block(w, &block.rows(block_row, w.rows()), column * block.c, block.c, out);
        }
        Ok(())
    })?;
    Ok(turns.done().asked)
}

/// Copies to the front of `to`, without a call: most blocks are narrow.
#[inline]
pub(super) fn copy<T: Item>(from: &[T], to: &mut [T]) {
    let mut at = 0;
    while let (Some(from), Some(to)) = (from[at..].first_chunk::<16>(), to[at..].first_chunk_mut::<16>()) {
        *to = *from;
        at += 16;
    }
    for (from, to) in from[at..].iter().zip(&mut to[at..]) {
        *to = *from;
    }
}

fn copy_block<T: Item>(w: Matrix<'_, T>, rows: &Range<usize>, start: usize, c: usize, out: &mut [T]) {
    let width = c.min(w.cols() - start);
    let (inside, below) = out.split_at_mut(rows.len() * c);
    for (row, out) in rows.clone().zip(inside.chunks_exact_mut(c)) {
        let (items, beyond) = out.split_at_mut(width);
        copy(&w.row(row)[start..][..width], items);
        beyond.fill(T::default());
    }
    below.fill(T::default());
}

/// Zeroes `out` and puts every block in its place; what sticks out at the ragged edge is ignored.
///
/// # Errors
/// `indptr` falls or points outside; a block column is out of range.
pub fn to_dense<T: Item, I: Index>(bsr: Blocks<'_, I>, items: &[T], out: MatrixMut<'_, T>) -> Result<()> {
    let (rows, cols, block) = (out.rows(), out.cols(), bsr.block());
    out.check_shape("out", bsr.shape())?;
    bsr.check_slots(items.len())?;
    let buffered = out.is_streamed() && cols * size_of::<T>() <= ROW_BUFFER;
    let ranges = par::cut(bsr.block_rows(), 1, rows.saturating_mul(cols).saturating_mul(size_of::<T>()));
    let outs = out.split(&row_ranges(block, &ranges, rows));
    par::run(ranges.into_iter().zip(outs).collect(), |(block_rows, mut out)| {
        let first = block_rows.start * block.r;
        if !buffered {
            for block_row in block_rows {
                let rows = bsr.rows(block_row);
                out.rows_mut(rows.start - first..rows.end - first).fill(T::default());
                for found in bsr.stored(block_row, items)? {
                    let (column, items) = found?;
                    for (row, items) in rows.clone().zip(items.chunks_exact(block.c)) {
                        put(items, column * block.c, out.row_mut(row - first));
                    }
                }
            }
            return Ok(());
        }
        let mut buffer = RowBuffer::new(cols, out.items_mut());
        let buffer = buffer.items();
        Kernels::nontemporal(true, |streamed| {
            for block_row in block_rows {
                for (i, row) in bsr.rows(block_row).enumerate() {
                    for found in bsr.stored(block_row, items)? {
                        let (column, items) = found?;
                        put(&items[i * block.c..][..block.c], column * block.c, buffer);
                    }
                    T::drain(streamed, buffer, out.row_mut(row - first));
                }
            }
            Ok(())
        })
    })
}

/// Copies the part of `items` that is inside of `row` to place `start`.
fn put<T: Item>(items: &[T], start: usize, row: &mut [T]) {
    let room = row.get_mut(start..).unwrap_or_default();
    let width = items.len().min(room.len());
    copy(&items[..width], &mut room[..width]);
}

/// The rows of ranges of block rows.
pub(crate) fn row_ranges(block: Block, ranges: &[Range<usize>], rows: usize) -> Vec<Range<usize>> {
    let row = |block_row: usize| block_row.saturating_mul(block.r).min(rows);
    ranges.iter().map(|range| row(range.start)..row(range.end)).collect()
}
