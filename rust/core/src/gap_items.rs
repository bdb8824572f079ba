//! Items of dense bytes at the places that gaps name: taken out, and put in.

use crate::gap::Rows;
use crate::gap_columns::each_column_ahead;
use crate::views::offsets::{fits, lengths};
use crate::{Error, Index, Keyed, Result, par};
use std::ops::{Deref, Range};

/// The rows of gaps that name as many places as there are items.
fn rows_of<'a, I: Index>(
    gaps: &'a [u8],
    (byte_offsets, row_offsets): (&'a [I], &'a [I]),
    items: usize,
) -> Result<Rows<'a, I>> {
    let all = Rows::new(gaps, byte_offsets, row_offsets, items)?;
    fits("items", items, all.len())?;
    Ok(all)
}

/// Tells `take` the column of every slot of a row of `slots` items `T` in `values`, whose gaps are `bytes`.
fn each<T, V: Deref<Target = [u8]>>(
    bytes: &[u8],
    row: usize,
    slots: usize,
    values: &mut V,
    far: bool,
    mut take: impl FnMut(&mut V, usize, usize) -> Option<()>,
) -> Result<()> {
    let mut at = 0;
    each_column_ahead(bytes, size_of::<T>(), values, far, |values, col| {
        let beyond = Error::Index { at, got: col as i64, bound: slots };
        take(values, at, col).ok_or(beyond)?;
        at += 1;
        Ok(())
    })?;
    if at == slots { Ok(()) } else { Err(Error::Offsets { name: "row_offsets", at: row }) }
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
    offsets: (&[I], &[I]),
    cols: usize,
    values: &[u8],
    items: &mut [T],
) -> Result<()> {
    let all = rows_of(gaps, offsets, items.len())?;
    let length = cols.saturating_mul(size_of::<T>());
    let ranges = all.cut(64 * all.len());
    let outs = par::split_mut(items, lengths(offsets.1, &ranges, all.len())?);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut items)| {
        for row in rows {
            let start = row.saturating_mul(length).min(values.len());
            let mut from = &values[start..start.saturating_add(length).min(values.len())];
            let (bytes, slots) = all.row(row)?;
            let mine = items.split_off_mut(..slots.len()).ok_or(Error::Changed)?;
            each::<T, _>(bytes, row, mine.len(), &mut from, true, |from, at, col| {
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
    offsets: (&[I], &[I]),
    cols: usize,
    items: &[T],
    values: &mut [u8],
) -> Result<()> {
    let all = rows_of(gaps, offsets, items.len())?;
    let length = cols.saturating_mul(size_of::<T>());
    let ranges = all.cut(64 * all.len());
    lengths(offsets.1, &ranges, all.len())?;
    let outs = par::split_mut(values, ranges.iter().map(|rows| rows.len().saturating_mul(length)));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, values)| {
        let first = rows.start;
        for row in rows {
            let start = (row - first).saturating_mul(length).min(values.len());
            let end = start.saturating_add(length).min(values.len());
            let mut into = &mut values[start..end];
            let (bytes, slots) = all.row(row)?;
            let mine = &items[slots];
            each::<T, _>(bytes, row, mine.len(), &mut into, false, |into, at, col| {
                mine.get(at)?.store(into.get_mut(place::<T>(col))?);
                Some(())
            })?;
        }
        Ok(())
    })
}
