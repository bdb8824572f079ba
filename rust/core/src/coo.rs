//! Coordinates: a row and a column per slot.

use crate::coo_sort::{Plan, Unsorted};
use crate::count::count_indices;
use crate::csr;
use crate::item::bound;
use crate::room::{filled, reserved};
use crate::stop::Stop;
use crate::views::Coo;
use crate::views::offsets::{fits, lengths, out_of_range, slots_at, span};
use crate::{Error, Index, Item, MatrixMut, Result, par};
use std::ops::Range;

/// Bytes of `out` that are zeroed at once, just before slots fall on them.
const ZEROED: usize = 1 << 17;

/// Zeroes `out`, a block of rows from `first_row`, and puts in the slots, which all lie in the block. Of two slots in
/// one place the later one stays. The shape of `coo` is that of the block.
///
/// # Errors
/// A row or a column is out of range, or the arrays do not fit together; `out` then holds anything.
pub fn coo_to_dense<T: Item, I: Index>(
    coo: Coo<'_, I>,
    slots: &[T],
    first_row: i64,
    mut out: MatrixMut<'_, T>,
) -> Result<()> {
    let (rows, cols) = coo.shape();
    out.check_shape("out", coo.shape())?;
    coo.check_slots("slots", slots.len())?;
    let (row, out) = (coo.row(), out.items_mut());
    if out.is_empty() {
        return row.first().map_or(Ok(()), |&first| Err(out_of_range(0, first, 0)));
    }
    let ranges = par::cut(rows, 1, size_of_val(out) + size_of_val(slots));
    let borders = slot_borders(row, &ranges, first_row);
    let outs = par::split_mut(&mut *out, ranges.iter().map(|rows| rows.len() * cols));
    let tasks = ranges.into_iter().zip(borders.windows(2)).zip(outs).collect();
    let in_order = par::map(tasks, |((rows, at), out)| {
        let at = at[0]..at[1];
        let first_row = first_row.checked_add(rows.start as i64);
        first_row.is_some_and(|first_row| scatter(&coo, slots, at, first_row, out).is_ok())
    });
    if in_order.into_iter().all(|ok| ok) {
        return Ok(());
    }
    // Rows that do not ascend, or an index out of range: one thread, which finds the first.
    scatter(&coo, slots, 0..coo.len(), first_row, out)
}

/// The borders of the slots whose rows fall into consecutive `ranges`, if the rows ascend.
fn slot_borders<I: Index>(row: &[I], ranges: &[Range<usize>], first_row: i64) -> Vec<usize> {
    let mut borders = vec![0];
    let mut last = 0;
    for range in &ranges[1..] {
        let first = first_row.saturating_add(range.start as i64);
        last = row.partition_point(|row| row.to_i64() < first).max(last);
        borders.push(last);
    }
    borders.push(row.len());
    borders
}

/// Zeroes `out` and puts in the slots of `at`, one run of equal rows after the other. Rows that ascend find their place
/// freshly zeroed.
fn scatter<T: Item, I: Index>(
    coo: &Coo<'_, I>,
    slots: &[T],
    at: Range<usize>,
    first_row: i64,
    out: &mut [T],
) -> Result<()> {
    let (row, col, cols) = (coo.row(), coo.col(), coo.shape().1);
    let rows = out.len() / cols;
    let step = (ZEROED / size_of::<T>()).div_ceil(cols) * cols;
    let mut zeroed = 0;
    let mut start = at.start;
    while start < at.end {
        let current = row[start];
        let length = row[start + 1..at.end].iter().take_while(|&&row| row == current).count() + 1;
        let run = start..start + length;
        let local = current.to_i64().checked_sub(first_row).and_then(|local| usize::try_from(local).ok());
        let Some(local) = local.filter(|&local| local < rows) else {
            return Err(Error::Index { at: start, got: current.to_i64().saturating_sub(first_row), bound: rows });
        };
        while (local + 1) * cols > zeroed {
            let end = out.len().min(zeroed + step);
            out[zeroed..end].fill(T::default());
            zeroed = end;
        }
        csr::scatter(&col[run.clone()], &slots[run.clone()], &mut out[local * cols..][..cols])
            .map_err(|(i, index)| out_of_range(start + i, index, cols))?;
        start = run.end;
    }
    out[zeroed..].fill(T::default());
    Ok(())
}

/// Writes the row of every slot: row r stands at `indptr[r]..indptr[r + 1]`, counted from `indptr[0]`.
///
/// # Errors
/// `indptr` falls, or does not fit the length of `out`.
pub fn expand_indptr<I: Index>(indptr: &[I], out: &mut [I]) -> Result<()> {
    let place = span(indptr, i64::MAX as usize - 1)?;
    fits("out", out.len(), place.len())?;
    let ranges = par::cut_by(indptr, 1, size_of_val(out));
    let outs = par::split_mut(out, lengths(indptr, &ranges, place.len())?);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out)| {
        for row in rows {
            let at = slots_at(indptr, row, &place)?;
            let (head, rest) = out.split_at_mut_checked(at.len()).ok_or(Error::Changed)?;
            head.fill(I::cut(row));
            out = rest;
        }
        if out.is_empty() { Ok(()) } else { Err(Error::Changed) }
    })
}

/// Writes into `indptr[r]` the number of entries of the ascending `row` below r.
///
/// # Errors
/// An entry is not in `0..indptr.len() - 1`, or they do not ascend; `indptr` then holds anything.
pub fn compress_rows<I: Index>(row: &[I], indptr: &mut [I]) -> Result<()> {
    let bound = indptr.len().checked_sub(1).ok_or(Error::Length { name: "indptr", got: 0, want: 1 })?;
    let ranges = par::cut(indptr.len(), 1, size_of_val(row) + size_of_val(indptr));
    let borders = slot_borders(row, &ranges, 0);
    let outs = par::split_mut(indptr, ranges.iter().map(ExactSizeIterator::len));
    let tasks = ranges.into_iter().zip(borders.windows(2)).zip(outs).collect();
    par::run(tasks, |((range, at), out)| {
        let mut out = range.zip(out);
        let mut last = None;
        for (i, &entry) in (at[0]..at[1]).zip(&row[at[0]..at[1]]) {
            let entry = entry.below(bound).ok_or_else(|| out_of_range(i, entry, bound))?;
            if last != Some(entry) {
                if last.is_some_and(|last| entry < last) {
                    return Err(Error::Changed);
                }
                last = Some(entry);
                // All that lie between the entry before and this one.
                loop {
                    let Some((r, out)) = out.next() else { return Err(Error::Changed) };
                    *out = I::cut(i);
                    if r == entry {
                        break;
                    }
                }
            }
        }
        out.for_each(|(_, out)| *out = I::cut(at[1]));
        Ok(())
    })
}

/// Writes the stable permutation that sorts by row, then by column.
///
/// # Errors
/// A row or a column is out of range, the arrays do not fit together, or `stop` says so; `order` then holds anything.
pub fn coo_order<I: Index>(coo: Coo<'_, I>, order: &mut [i64], stop: &Stop<'_>) -> Result<()> {
    coo.check_slots("order", order.len())?;
    let (row, col, shape) = (coo.row(), coo.col(), coo.shape());
    let slots = Unsorted { pairs: coo, len: row.len(), slot: |at| at as i64, stop };
    if let Some(plan) = Plan::new(shape, row.len(), 32) {
        let mut keys = filled(0i32, row.len())?;
        return slots.sort(&plan, slots.shares(&plan)?, &mut keys, order, |_, _| true);
    }
    if let Some(plan) = Plan::new(shape, row.len(), 63) {
        let mut keys = filled(0i64, row.len())?;
        return slots.sort(&plan, slots.shares(&plan)?, &mut keys, order, |_, _| true);
    }
    let mut keys = reserved(row.len())?;
    for (i, (&r, &c)) in row.iter().zip(col).enumerate() {
        r.below(bound(shape.0)).ok_or_else(|| out_of_range(i, r, shape.0))?;
        c.below(bound(shape.1)).ok_or_else(|| out_of_range(i, c, shape.1))?;
        keys.push((r, c, i as i64));
    }
    keys.sort_unstable();
    for (to, key) in order.iter_mut().zip(keys) {
        *to = key.2;
    }
    Ok(())
}

/// Sorts coordinates in any order by row, then column, into csr; slots in one place stay in order.
///
/// # Errors
/// A row or a column is out of range, the arrays do not fit together, or `stop` says so; the outputs then hold anything.
pub fn coo_to_csr<T: Item, I: Index>(
    coo: Coo<'_, I>,
    slots: &[T],
    indptr: &mut [I],
    indices: &mut [I],
    out_slots: &mut [T],
    stop: &Stop<'_>,
) -> Result<()> {
    for (name, len) in [("slots", slots.len()), ("indices", indices.len()), ("out_slots", out_slots.len())] {
        coo.check_slots(name, len)?;
    }
    let (row, col, shape, n) = (coo.row(), coo.col(), coo.shape(), coo.len());
    fits("indptr", indptr.len(), shape.0.saturating_add(1))?;
    let unsorted = Unsorted { pairs: coo, len: n, slot: |at: usize| slots[at], stop };
    let plan = Plan::new(shape, n, if size_of::<I>() == 4 { 32 } else { 63 });
    // What comes column by column has the columns of each row in order.
    let plan =
        plan.map(|plan| if col.is_sorted_by_key(|col| col.to_i64()) { plan.with_ascending_columns() } else { plan });
    let shares = plan.as_ref().map(|plan| unsorted.shares(plan)).transpose()?;
    indptr[0] = I::default();
    let ends = &mut indptr[1..];
    if !shares.as_ref().is_some_and(|shares| shares.row_counts(ends)) {
        count_indices(row, ends)?;
    }
    let mut sum = 0i64;
    for end in ends {
        sum = sum.wrapping_add(end.to_i64());
        *end = I::cut(sum as usize);
    }
    let (Some(plan), Some(shares)) = (plan, shares) else {
        let mut order = filled(0, n)?;
        coo_order(coo, &mut order, stop)?;
        for (from, (index, slot)) in order.iter().zip(indices.iter_mut().zip(out_slots)) {
            (*index, *slot) = (col[*from as usize], slots[*from as usize]);
        }
        return Ok(());
    };
    unsorted.sort(&plan, shares, indices, out_slots, |_, _| true)
}
