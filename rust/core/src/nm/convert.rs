//! N:M to dense, and to and from csr.

use super::check::{beyond, check_codes};
use super::codes::Codes;
use super::coding::{Coding, Plain, room_for};
use super::encode::{Overfull, Source, pack_rows};
use super::layout::{Layout, NO_BITS, Tile};
use super::pattern::Pattern;
use super::rows::NmRows;
use super::slots::Slot;
use crate::views::Csr;
use crate::views::offsets::{fits, lengths, slots_of, span};
use crate::{Error, Index, Matrix, MatrixMut, Result, TILE, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Bytes of bits that are expanded at once: where the output is streamed, the end of each run has to wait for memory.
const AT_ONCE: usize = 4096;

/// Zeroes `out` and puts every slot in its place; slots beyond the last column are ignored.
///
/// # Errors
/// A code that names no mask; arrays of the wrong shape.
pub fn decode<T: Slot>(nm: NmRows<'_>, slots: Matrix<'_, T>, out: MatrixMut<'_, T>) -> Result<()> {
    out.check_shape("out", nm.shape())?;
    load_rows(nm.layout(), &Plain, nm.codes(), slots, out)
}

/// [`decode`], with a row of codes stored as `coding` says for every one of `out`.
///
/// # Errors
/// As there.
pub(crate) fn decode_stored<T: Slot>(
    stored: Matrix<'_, u8>,
    pattern: Pattern,
    coding: &impl Coding,
    slots: Matrix<'_, T>,
    out: MatrixMut<'_, T>,
) -> Result<()> {
    load_rows(&Layout::new(pattern, out.cols())?, coding, stored, slots, out)
}

fn load_rows<T: Slot>(
    layout: &Layout,
    coding: &impl Coding,
    stored: Matrix<'_, u8>,
    slots: Matrix<'_, T>,
    out: MatrixMut<'_, T>,
) -> Result<()> {
    let (rows, table, stream) = (out.rows(), Codes::of(layout.pattern), out.is_streamed());
    layout.check_slots(rows, (slots.rows(), slots.cols()))?;
    if layout.cols == 0 {
        return Ok(());
    }
    let ranges = par::cut(rows, 1, rows.saturating_mul(layout.cols).saturating_mul(size_of::<T>()));
    let tasks = ranges.iter().cloned().zip(out.split(&ranges)).collect();
    let fours = (layout.pattern.n, layout.pattern.m) == (2, 4) && layout.cols.is_multiple_of(Kernels::FOURS);
    par::run(tasks, |(rows, mut out): (Range<usize>, MatrixMut<'_, T>)| {
        let mut room = room_for(coding)?;
        Kernels::nontemporal(stream, |streamed| {
            let mut bits = [0; AT_ONCE + 8];
            for (at, row) in rows.enumerate() {
                let (codes, slots, out) = (coding.load(stored.row(row), &mut room), slots.row(row), out.row_mut(at));
                let (used, kept) = (&codes[..layout.code_bytes], &slots[..layout.slots]);
                if fours && T::nm24_unpack(streamed, used, kept, out) {
                    continue;
                }
                let mut from: Option<Tile> = None;
                for tile in layout.tiles() {
                    // Tiles hold whole bytes of bits, so those of several stand side by side.
                    let first = *from.get_or_insert(tile);
                    let before = (tile.start - first.start) / 8;
                    table
                        .unpack(&codes[tile.code..], tile.groups, &mut bits[before..])
                        .map_err(|(group, code)| layout.wrong(row, tile.first + group, code))?;
                    let end = tile.start + tile.cols;
                    if end == layout.cols || before > AT_ONCE - TILE / 4 {
                        let out = &mut out[first.start..end];
                        T::expand(&slots[first.slot..], &bits[..out.len().div_ceil(8)], out, stream);
                        from = None;
                    }
                }
            }
            Ok(())
        })
    })
}

/// Counts the slots of every row that are nonzero (by bits) and inside the shape.
///
/// # Errors
/// A code that names no mask; arrays of the wrong shape.
pub fn row_counts<T: Slot, I: Index>(nm: NmRows<'_>, slots: Matrix<'_, T>, counts: &mut [I]) -> Result<()> {
    fits("counts", counts.len(), nm.shape().0)?;
    nm.check_slots(&slots)?;
    let (layout, table) = (nm.layout(), nm.table());
    let ranges = par::cut(counts.len(), 1, size_of_val(slots.items()));
    let outs = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, counts)| {
        for (row, count) in rows.zip(counts) {
            let (codes, slots) = (nm.row(row), &slots.row(row)[..layout.slots]);
            check_codes(layout, table, codes).map_err(|(group, code)| nm.wrong(row, group, code))?;
            let mut bits = NO_BITS;
            let nonzero = slots
                .chunks(TILE)
                .map(|slots| T::nonzero_bits(slots, T::mask(u64::MAX), &mut bits[..slots.len().div_ceil(8)]));
            *count = I::cut(nonzero.sum::<usize>() - beyond(layout, table, codes, slots).count());
        }
        Ok(())
    })
}

/// Writes the column and item of every slot that [`row_counts`] counts, row by row, where `indptr` says: a slice of
/// `rows + 1` absolute positions in `indices` and `out_slots`.
///
/// # Errors
/// A code that names no mask; `indptr` falls, points outside, or does not agree with the number of nonzeros; arrays of
/// the wrong shape.
pub fn to_csr<T: Slot, I: Index>(
    nm: NmRows<'_>,
    slots: Matrix<'_, T>,
    indptr: &[I],
    indices: &mut [I],
    out_slots: &mut [T],
) -> Result<()> {
    let (rows, layout, table) = (slots.rows(), nm.layout(), nm.table());
    nm.check_slots(&slots)?;
    fits("indptr", indptr.len(), rows.saturating_add(1))?;
    let place = span(indptr, indices.len().min(out_slots.len()))?;
    let ranges = par::cut(rows, 1, size_of_val(slots.items()));
    let lengths = lengths(indptr, &ranges, place.len())?;
    let indices = par::split_mut(&mut indices[place.clone()], lengths.iter().copied());
    let out_slots = par::split_mut(&mut out_slots[place], lengths);
    let tasks = ranges.into_iter().zip(indices.into_iter().zip(out_slots)).collect();
    par::run(tasks, |(rows, (indices, out_slots)): (Range<usize>, (&mut [I], &mut [T]))| {
        let mut written = 0;
        for row in rows {
            let end = written + slots_of(indptr, row)?;
            let (codes, slots) = (nm.row(row), slots.row(row));
            for tile in layout.tiles() {
                let (mut bits, mut room) = (NO_BITS, [T::default(); TILE]);
                table
                    .unpack(&codes[tile.code..], tile.groups, &mut bits)
                    .map_err(|(group, code)| nm.wrong(row, tile.first + group, code))?;
                let (bits, room) = (&mut bits[..tile.cols.div_ceil(8)], &mut room[..tile.cols]);
                T::expand(&slots[tile.slot..], bits, room, false);
                let count = T::nonzero_bits(room, T::mask(u64::MAX), bits);
                if written + count > end || end > indices.len() {
                    return Err(Error::Changed);
                }
                I::positions(bits, tile.start, &mut indices[written..]);
                T::compress(room, bits, &mut out_slots[written..]);
                written += count;
            }
            if written != end {
                return Err(Error::Changed);
            }
        }
        Ok(())
    })
}

/// The rows of csr as a source of tiles.
struct Tiles<'a, T, I> {
    csr: Csr<'a, I>,
    slots: &'a [T],
    /// The positions of the row at hand that are still to come.
    left: Range<usize>,
    /// Whether the columns of the row at hand ascend, so that a tile is a run of positions.
    ascending: bool,
    room: [T; TILE],
}

impl<T: Slot, I: Index> Source<T> for Tiles<'_, T, I> {
    fn start(&mut self, row: usize) -> Result<()> {
        self.left = self.csr.slots(row)?;
        let (indices, cols) = (&self.csr.indices()[self.left.clone()], self.csr.cols());
        // Without an early end this goes by whole registers.
        self.ascending = indices.windows(2).fold(true, |ascending, pair| ascending & (pair[0] <= pair[1]));
        let outside = if self.ascending {
            [0, indices.len().saturating_sub(1)]
                .into_iter()
                .find(|&i| indices.get(i).is_some_and(|c| c.below(cols).is_none()))
        } else {
            indices.iter().position(|c| c.below(cols).is_none())
        };
        match outside {
            Some(i) => Err(self.csr.wrong(self.left.start + i)),
            None => Ok(()),
        }
    }

    fn tile(&mut self, _row: usize, cols: Range<usize>, keep: &mut [u8]) -> Result<&[T]> {
        let room = &mut self.room[..cols.len()];
        room.fill(T::default());
        let mut places = self.left.clone();
        if self.ascending {
            let inside = |column: &I| column.below(self.csr.cols()).is_some_and(|column| column < cols.end);
            places.end = places.start + self.csr.indices()[places.clone()].partition_point(inside);
            self.left.start = places.end;
        }
        for (column, &slot) in self.csr.indices()[places.clone()].iter().zip(&self.slots[places]) {
            let place = column.to_i64().wrapping_sub(cols.start as i64);
            if let Some(to) = room.get_mut(place as usize) {
                *to = slot;
            }
        }
        T::nonzero_bits(room, T::mask(u64::MAX), keep);
        Ok(room)
    }
}

/// Packs the nonzero (by bits) slots of csr; see [`super::encode`].
///
/// # Errors
/// Offsets fall or point outside; a column is out of range; arrays of the wrong shape.
pub fn from_csr<T: Slot, I: Index>(
    csr: Csr<'_, I>,
    slots: &[T],
    pattern: Pattern,
    codes: MatrixMut<'_, u8>,
    out_slots: MatrixMut<'_, T>,
) -> Result<Option<Overfull>> {
    csr.check_slots(slots.len())?;
    if csr.cols() == 0 && !csr.place().is_empty() {
        return Err(csr.wrong(csr.place().start));
    }
    let source = || Tiles { csr, slots, left: 0..0, ascending: true, room: [T::default(); TILE] };
    pack_rows(pattern, (csr.rows(), csr.cols()), codes, out_slots, source)
}
