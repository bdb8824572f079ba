//! The least and the largest item of groups.

use super::number::{Compute, Number};
use super::runs::{RUN, by_row, check_length, group_count, take};
use crate::{Matrix, MatrixMut, Result, par};

/// The least and the largest item of one long group, and 0.
pub(crate) fn scan<K: Number>(items: &[K::Item]) -> (K::Compute, K::Compute) {
    let mut x = [K::Compute::default(); RUN];
    let found = items.chunks(RUN).map(|part| {
        let x = &mut x[..part.len()];
        K::widen(part, x);
        let (mut low, mut high) = ([K::Compute::default()], [K::Compute::default()]);
        K::Compute::extremes(x, x.len(), &mut low, &mut high);
        (low[0], high[0])
    });
    merged(found)
}

/// The extremes of several parts of a group.
pub(crate) fn merged<T: Compute>(parts: impl Iterator<Item = (T, T)>) -> (T, T) {
    let mut all = (T::default(), T::default());
    for (low, high) in parts {
        if low.partial_cmp(&all.0).is_none() {
            return (T::NAN, T::NAN);
        }
        all = (if low < all.0 { low } else { all.0 }, if high > all.1 { high } else { all.1 });
    }
    all
}

/// The extremes of the groups of a part of a row that starts with a group.
pub(crate) fn scan_groups<K: Number>(items: &[K::Item], group: usize, low: &mut [K::Compute], high: &mut [K::Compute]) {
    if group > RUN {
        for ((items, low), high) in items.chunks(group).zip(low).zip(high) {
            (*low, *high) = scan::<K>(items);
        }
        return;
    }
    let per = RUN / group;
    let mut x = [K::Compute::default(); RUN];
    for ((items, low), high) in items.chunks(per * group).zip(low.chunks_mut(per)).zip(high.chunks_mut(per)) {
        let x = &mut x[..items.len()];
        K::widen(items, x);
        K::Compute::extremes(x, group, low, high);
    }
}

/// Writes min(0, smallest) and max(0, largest) of every group of a row to `low` and `high` (rows, groups); NaN to both
/// where the group holds NaN.
///
/// # Errors
/// `group` is 0; `low` or `high` has another shape.
pub fn extremes<K: Number>(
    values: Matrix<'_, K::Item>,
    group: usize,
    mut low: MatrixMut<'_, K::Compute>,
    mut high: MatrixMut<'_, K::Compute>,
) -> Result<()> {
    let (cols, per_row) = (values.cols(), group_count(values.cols(), group)?);
    for (name, shape) in [("low", (low.rows(), low.cols())), ("high", (high.rows(), high.cols()))] {
        check_length(name, shape.0, values.rows())?;
        check_length(name, shape.1, per_row)?;
    }
    let (low, high) = (low.items_mut(), high.items_mut());
    let work = size_of_val(values.items());
    if low.len() < par::threads() * 4 && cols > RUN {
        // Few groups, perhaps long: threads share each of them.
        for (i, (low, high)) in low.iter_mut().zip(high).enumerate() {
            let first = i % per_row * group;
            let items = &values.row(i / per_row)[first..cols.min(first.saturating_add(group))];
            let parts = par::cut(items.len(), RUN, size_of_val(items));
            (*low, *high) = merged(par::map(parts, |part| scan::<K>(&items[part])).into_iter());
        }
        return Ok(());
    }
    let ranges = par::cut(low.len(), 1, work);
    let lows = par::split_mut(low, ranges.iter().map(ExactSizeIterator::len));
    let highs = par::split_mut(high, ranges.iter().map(ExactSizeIterator::len));
    let tasks = ranges.into_iter().zip(lows.into_iter().zip(highs)).collect();
    par::map(tasks, |(range, (mut low, mut high))| {
        for (row, part) in by_row(range, per_row) {
            let (low, high) = (take(&mut low, part.len()), take(&mut high, part.len()));
            let items = &values.row(row)[part.start * group..cols.min(part.end.saturating_mul(group))];
            scan_groups::<K>(items, group, low, high);
        }
    });
    Ok(())
}
