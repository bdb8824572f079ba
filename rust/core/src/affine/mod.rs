//! Affine codes: code = round(x / scale) + zero point, x = (code - zero point) * scale.
//!
//! Codes are lifted, i.e. without the zero point and modulo 256. Work is done on runs of [`RUN`] items that are
//! widened to float32 or float64 in the first-level cache, so that only widening and narrowing know the dtype.

mod decode_masked;
mod encode_masked;
mod grid;
mod groups;
mod nm;
mod number;
mod scales;
mod segments;

pub use decode_masked::{bits_decode, csr_decode};
pub use encode_masked::{bits_encode, csr_encode};
pub use grid::{Grid, Scale};
pub use groups::Grouped;
pub use nm::{nm_decode, nm_encode};
pub use number::{
    BFloat16, Compute, Float8E4M3, Float8E5M2, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Number, UInt8,
    UInt16, UInt32, UInt64,
};
pub use scales::ScaleMut;

pub use segments::{bits_segments, csr_segments, segment_dequantize, segment_extremes, segment_quantize};

use crate::{Error, Matrix, MatrixMut, Result, par};
use std::ops::Range;

/// Items that are worked on at once.
const RUN: usize = 512;

fn check_length(name: &'static str, got: usize, want: usize) -> Result<()> {
    if got == want { Ok(()) } else { Err(Error::Length { name, got, want }) }
}

/// Groups of a row.
fn groups(cols: usize, group: usize) -> Result<usize> {
    if group == 0 { Err(Error::Parameter { name: "group", got: 0 }) } else { Ok(cols.div_ceil(group)) }
}

/// Cuts a range of places in rows of `n` into the parts that lie in one row each.
fn by_row(range: Range<usize>, n: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let row = at.checked_div(n)?;
        let part = at..range.end.min((row + 1) * n);
        at = part.end;
        (!part.is_empty()).then_some((row, part.start - row * n..part.end - row * n))
    })
}

/// Cuts a range into runs.
fn runs(range: Range<usize>, run: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(run).map(move |start| start..end.min(start + run))
}

/// Cuts a range of columns so that only the first part may begin inside a group; no other part is cut.
fn at_groups(range: Range<usize>, group: usize) -> impl Iterator<Item = Range<usize>> {
    let next = range.end.min(range.start.checked_next_multiple_of(group).unwrap_or(usize::MAX));
    [range.start..next, next..range.end].into_iter().filter(|part| !part.is_empty())
}

/// Takes the first `len` items off `rest`.
fn take<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(rest).split_at_mut(len);
    *rest = tail;
    head
}

/// The least and the largest item of one long group, and 0.
fn scan<K: Number>(items: &[K::Item]) -> (K::Compute, K::Compute) {
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
fn merged<T: Compute>(parts: impl Iterator<Item = (T, T)>) -> (T, T) {
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
fn scan_groups<K: Number>(items: &[K::Item], group: usize, low: &mut [K::Compute], high: &mut [K::Compute]) {
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
    let (cols, per_row) = (values.cols(), groups(values.cols(), group)?);
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

/// Writes the lifted codes of `values`: round(x / s), within -q..=q where q = 2^(bits-1) - 1, or within what the zero
/// point leaves of 0..2^bits.
///
/// # Errors
/// `group` is 0, `bits` is not 1 to 8; shapes differ or do not fit the grid.
pub fn quantize<K: Number>(
    values: Matrix<'_, K::Item>,
    group: usize,
    grid: Grid<'_>,
    bits: u32,
    mut codes: MatrixMut<'_, u8>,
) -> Result<()> {
    let (rows, cols) = (values.rows(), values.cols());
    grid.fits(rows, cols, group)?;
    check_length("codes", codes.rows(), rows)?;
    check_length("codes", codes.cols(), cols)?;
    let span = grid.span(bits)?;
    let codes = codes.items_mut();
    let ranges = par::cut(codes.len(), RUN, codes.len() + size_of_val(values.items()));
    let outs = par::split_mut(codes, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut codes)| {
        let mut x = [K::Compute::default(); RUN];
        let mut spread = grid.spread::<K::Compute>(group, span);
        for (row, part) in by_row(range, cols) {
            for run in runs(part, RUN) {
                let x = &mut x[..run.len()];
                K::widen(&values.row(row)[run.clone()], x);
                let codes = take(&mut codes, x.len());
                spread.load(row, run);
                K::Compute::quantize(x, spread.scale(), spread.low(), K::Compute::from_i16(span), codes);
            }
        }
    });
    Ok(())
}

/// Writes (code - zero point) * scale for lifted codes, within the finite values of the dtype; NaN becomes 0.
///
/// # Errors
/// `group` is 0; shapes differ or do not fit the grid.
pub fn dequantize<K: Number>(
    codes: Matrix<'_, u8>,
    group: usize,
    grid: Grid<'_>,
    mut out: MatrixMut<'_, K::Item>,
) -> Result<()> {
    let (rows, cols) = (codes.rows(), codes.cols());
    grid.fits(rows, cols, group)?;
    check_length("out", out.rows(), rows)?;
    check_length("out", out.cols(), cols)?;
    let out = out.items_mut();
    let ranges = par::cut(out.len(), RUN, out.len() + size_of_val(out));
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out)| {
        let mut x = [K::Compute::default(); RUN];
        let mut spread = grid.spread::<K::Compute>(group, 0);
        for (row, part) in by_row(range, cols) {
            for run in runs(part, RUN) {
                let x = &mut x[..run.len()];
                spread.load(row, run.clone());
                K::Compute::dequantize(&codes.row(row)[run], spread.zero_point(), spread.scale(), K::LIMITS, x);
                K::narrow(x, take(&mut out, x.len()));
            }
        }
    });
    Ok(())
}
