//! Items of dense bytes at the places that gaps name: taken out, and put in.

use crate::csr::{fits, lengths, slots_at, span};
use crate::gap::each_column;
use crate::{Error, Index, Keyed, Result, par};
use std::ops::Range;

/// The bytes of gaps and the slots of a row.
struct Rows<'a, I> {
    gaps: &'a [u8],
    byte_offsets: &'a [I],
    row_offsets: &'a [I],
    bytes: Range<usize>,
    slots: Range<usize>,
}

impl<'a, I: Index> Rows<'a, I> {
    fn new(gaps: &'a [u8], byte_offsets: &'a [I], row_offsets: &'a [I], items: usize) -> Result<Self> {
        fits("byte_offsets", byte_offsets.len(), row_offsets.len())?;
        let (bytes, slots) = (span(byte_offsets, gaps.len())?, span(row_offsets, items)?);
        fits("items", items, slots.len())?;
        Ok(Self { gaps, byte_offsets, row_offsets, bytes, slots })
    }

    fn cut(&self) -> Vec<Range<usize>> {
        par::cut_by(self.row_offsets, 1, 64 * self.slots.len())
    }

    /// Tells `take` the column of every slot of a row of `slots` items.
    fn each(&self, row: usize, slots: usize, mut take: impl FnMut(usize, usize) -> Option<()>) -> Result<()> {
        let wrong = |name| Error::Offsets { name, at: row };
        let bytes = slots_at(self.byte_offsets, row, &self.bytes).map_err(|_| wrong("byte_offsets"))?;
        let mut at = 0;
        each_column(&self.gaps[bytes], |col| {
            let beyond = Error::Index { at, got: col as i64, bound: slots };
            take(at, col).ok_or(beyond)?;
            at += 1;
            Ok(())
        })?;
        if at == slots { Ok(()) } else { Err(wrong("row_offsets")) }
    }

    fn slots_of(&self, row: usize) -> Result<Range<usize>> {
        slots_at(self.row_offsets, row, &self.slots)
    }
}

/// Where the bytes of an item of a row lie.
#[inline(always)]
fn place<T>(col: usize) -> Range<usize> {
    let start = col.saturating_mul(size_of::<T>());
    start..start.saturating_add(size_of::<T>())
}

/// Copies the items of `values`, bytes in rows of `cols` items, that the gaps name to `items`.
///
/// # Errors
/// The arrays do not fit together, or a place lies beyond the last item.
pub fn gaps_take<T: Keyed, I: Index>(
    gaps: &[u8],
    (byte_offsets, row_offsets): (&[I], &[I]),
    cols: usize,
    values: &[u8],
    items: &mut [T],
) -> Result<()> {
    let all = Rows::new(gaps, byte_offsets, row_offsets, items.len())?;
    let length = cols.saturating_mul(size_of::<T>());
    let ranges = all.cut();
    let outs = par::split_mut(items, lengths(row_offsets, &ranges, all.slots.len())?);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut items)| {
        for row in rows {
            let start = row.saturating_mul(length).min(values.len());
            let from = &values[start..start.saturating_add(length).min(values.len())];
            let mine = items.split_off_mut(..all.slots_of(row)?.len()).ok_or(Error::Changed)?;
            all.each(row, mine.len(), |at, col| {
                *mine.get_mut(at)? = T::load(from.get(place::<T>(col))?);
                Some(())
            })?;
        }
        Ok(())
    })
}

/// Copies `items` to the places in `values`, bytes in rows of `cols` items, that the gaps name.
///
/// # Errors
/// The arrays do not fit together, or a place lies beyond the last item; then some may have been copied.
pub fn gaps_put<T: Keyed, I: Index>(
    gaps: &[u8],
    (byte_offsets, row_offsets): (&[I], &[I]),
    cols: usize,
    items: &[T],
    values: &mut [u8],
) -> Result<()> {
    let all = Rows::new(gaps, byte_offsets, row_offsets, items.len())?;
    let length = cols.saturating_mul(size_of::<T>());
    let ranges = all.cut();
    lengths(row_offsets, &ranges, all.slots.len())?;
    let outs = par::split_mut(values, ranges.iter().map(|rows| rows.len().saturating_mul(length)));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, values)| {
        let first = rows.start;
        for row in rows {
            let start = (row - first).saturating_mul(length).min(values.len());
            let end = start.saturating_add(length).min(values.len());
            let into = &mut values[start..end];
            let mine = &items[all.slots_of(row)?];
            all.each(row, mine.len(), |at, col| {
                mine.get(at)?.store(into.get_mut(place::<T>(col))?);
                Some(())
            })?;
        }
        Ok(())
    })
}
