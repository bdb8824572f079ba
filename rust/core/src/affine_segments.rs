//! Affine codes of slots that stand in segments of any length, one scale each: those of csr and bitmask.
//!
//! `offsets` has one entry more than there are segments, starts at 0, never falls, and ends at the number of slots; it
//! is checked where it is used.

use crate::affine::extremes::scan;
use crate::affine::grid::Grid;
use crate::affine::number::{Compute, Number};
use crate::affine::runs::{RUN, check_length, take};
use crate::views::offsets::{lengths, slots_of, span};
use crate::{Error, Index, Result, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Groups of a row, if `offsets` has room for those of all rows.
fn group_count(offsets: &[i64], rows: usize) -> Result<usize> {
    let all = offsets.len().saturating_sub(1);
    let groups = all.checked_div(rows).unwrap_or(0);
    check_length("offsets", offsets.len(), groups * rows + 1)?;
    Ok(groups)
}

/// Writes where the slots of each group of columns of each row begin, from `indptr[0]` on, and in the end their number.
/// The columns of a row ascend; a column beyond the last group counts as one of it.
///
/// # Errors
/// `group` is 0; lengths do not fit; `indptr` falls or points outside.
pub fn csr_segments<I: Index>(indptr: &[I], indices: &[I], group: usize, offsets: &mut [i64]) -> Result<()> {
    let rows = indptr.len().saturating_sub(1);
    let (per_row, place) = (group_count(offsets, rows)?, span(indptr, indices.len())?);
    if group == 0 {
        return Err(Error::Parameter { name: "group", got: 0 });
    }
    let (first, rest) = offsets.split_at_mut(1);
    first[0] = 0;
    let ranges = par::cut_by(indptr, 1, place.len() * size_of::<I>());
    let outs = par::split_mut(rest, ranges.iter().map(|rows| rows.len() * per_row));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, out)| {
        for (row, out) in rows.zip(out.chunks_mut(per_row.max(1))) {
            let start = (indptr[row].to_i64() as usize).wrapping_sub(place.start);
            let indices = indices[place.clone()].get(start..start.saturating_add(slots_of(indptr, row)?));
            let indices = indices.ok_or(Error::Offsets { name: "indptr", at: row })?;
            let (last, others) = out.split_last_mut().ok_or(Error::Changed)?;
            let mut at = 0;
            for (i, end) in others.iter_mut().enumerate() {
                let bound = ((i + 1) as i64).saturating_mul(group as i64);
                at += indices[at..].iter().take_while(|column| column.to_i64() < bound).count();
                *end = (start + at) as i64;
            }
            *last = (start + indices.len()) as i64;
        }
        Ok(())
    })
}

/// The number of set bits in a range.
fn ones(bits: &[u8], range: Range<usize>) -> usize {
    let Range { start, end } = range;
    if start >= end {
        return 0;
    }
    let (first, last) = (start / 8, (end - 1) / 8);
    let (head, tail) = (u8::MAX << (start % 8), u8::MAX >> (7 - (end - 1) % 8));
    if first == last {
        return (bits[first] & head & tail).count_ones() as usize;
    }
    let ends = (bits[first] & head).count_ones() + (bits[last] & tail).count_ones();
    ends as usize + Kernels::active().count_bits(&bits[first + 1..last])
}

/// The same for set bits: rows of `stride` bytes, `cols` of whose bits count.
///
/// # Errors
/// As [`csr_segments`]; `row_offsets` do not agree with the bits.
pub fn bits_segments<I: Index>(
    bits: &[u8],
    stride: usize,
    row_offsets: &[I],
    cols: usize,
    group: usize,
    offsets: &mut [i64],
) -> Result<()> {
    let rows = row_offsets.len().saturating_sub(1);
    let per_row = group_count(offsets, rows)?;
    if group == 0 {
        return Err(Error::Parameter { name: "group", got: 0 });
    }
    check_length("bits", bits.len(), rows.saturating_mul(stride))?;
    check_length("columns", cols.div_ceil(8).max(stride), stride)?;
    let place = span(row_offsets, usize::MAX >> 1)?;
    let (first, rest) = offsets.split_at_mut(1);
    first[0] = 0;
    let ranges = par::cut(rows, 1, bits.len() * 8);
    let outs = par::split_mut(rest, ranges.iter().map(|rows| rows.len() * per_row));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, out)| {
        for (row, out) in rows.zip(out.chunks_mut(per_row.max(1))) {
            let bits = &bits[row * stride..][..stride];
            let mut at = row_offsets[row].to_i64().wrapping_sub(place.start as i64);
            for (i, end) in out.iter_mut().enumerate() {
                let (low, high) = (i.saturating_mul(group).min(cols), (i + 1).saturating_mul(group).min(cols));
                at = at.wrapping_add(ones(bits, low..high) as i64);
                *end = at;
            }
            if at != row_offsets[row + 1].to_i64().wrapping_sub(place.start as i64) {
                return Err(Error::Offsets { name: "row_offsets", at: row });
            }
        }
        Ok(())
    })
}

/// Ranges of segments with about equal numbers of slots, and these numbers.
fn cut(offsets: &[i64], slots: usize, work: usize) -> Result<(Vec<Range<usize>>, Vec<usize>)> {
    let place = span(offsets, slots)?;
    if place != (0..slots) {
        return Err(Error::Offsets { name: "offsets", at: 0 });
    }
    let ranges = par::cut_by(offsets, 1, work);
    let lengths = lengths(offsets, &ranges, slots)?;
    Ok((ranges, lengths))
}

/// The slots of one segment, as a range that lies inside `from..len`.
fn segment(offsets: &[i64], at: usize, from: usize, len: usize) -> Result<Range<usize>> {
    match (offsets[at].below(len + 1), offsets[at + 1].below(len + 1)) {
        (Some(low), Some(high)) if low == from && low <= high => Ok(low..high),
        _ => Err(Error::Offsets { name: "offsets", at }),
    }
}

/// See [`crate::affine::extremes`].
///
/// # Errors
/// Lengths do not fit; `offsets` are none.
pub fn segment_extremes<K: Number>(
    values: &[K::Item],
    offsets: &[i64],
    low: &mut [K::Compute],
    high: &mut [K::Compute],
) -> Result<()> {
    check_length("low", low.len(), offsets.len().saturating_sub(1))?;
    check_length("high", high.len(), low.len())?;
    let (ranges, _) = cut(offsets, values.len(), size_of_val(values))?;
    let lows = par::split_mut(low, ranges.iter().map(ExactSizeIterator::len));
    let highs = par::split_mut(high, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(lows.into_iter().zip(highs)).collect(), |(range, (low, high))| {
        let mut from = offsets[range.start].below(values.len() + 1).unwrap_or(0);
        for (at, (low, high)) in range.zip(low.iter_mut().zip(high)) {
            let slots = segment(offsets, at, from, values.len())?;
            from = slots.end;
            (*low, *high) = scan::<K>(&values[slots]);
        }
        Ok(())
    })
}

/// Entries of a grid with one row, repeated for runs of slots.
struct Walk<'a, T> {
    offsets: &'a [i64],
    grid: Grid<'a>,
    /// The segment at hand, where it ends, and where the last one does.
    at: usize,
    end: usize,
    last: usize,
    entry: Vec<T>,
    scale: [T; RUN],
    point: [u8; RUN],
}

impl<'a, T: Compute> Walk<'a, T> {
    fn new(offsets: &'a [i64], grid: Grid<'a>, first: usize, last: usize) -> Self {
        Self {
            offsets,
            grid,
            at: first,
            end: 0,
            last,
            entry: Vec::new(),
            scale: [T::default(); RUN],
            // Symmetric codes are those with a zero point in the middle.
            point: [128; RUN],
        }
    }

    /// Fills scales and zero points for the slots `run`, which follow those before.
    fn load(&mut self, run: Range<usize>) -> Result<()> {
        let mut at = run.start;
        while at < run.end {
            let wrong = Error::Offsets { name: "offsets", at: self.at };
            if self.at + 1 >= self.offsets.len() {
                return Err(wrong);
            }
            let end = self.offsets[self.at + 1].below(self.last + 1).ok_or(wrong.clone())?;
            if end < self.end {
                return Err(wrong);
            }
            self.end = end;
            if self.end <= at {
                self.at += 1;
                continue;
            }
            let stop = self.end.min(run.end);
            let room = at - run.start..stop - run.start;
            let (scale, point) = self.grid.entry(self.at, &mut self.entry);
            self.scale[room.clone()].fill(scale);
            if let Some(point) = point {
                self.point[room].fill(point);
            }
            at = stop;
        }
        Ok(())
    }
}

/// Runs `work` on runs of slots, their codes or values in `out`, and the scales and zero points of each.
fn each_run<T: Compute, U: Send>(
    offsets: &[i64],
    grid: Grid<'_>,
    work: usize,
    out: &mut [U],
    run: impl Fn(Range<usize>, &[T], &[u8], &mut [U]) + Sync + Send,
) -> Result<()> {
    grid.fits(1, offsets.len().saturating_sub(1), 1)?;
    let (ranges, counts) = cut(offsets, out.len(), work)?;
    let outs = par::split_mut(out, counts.iter().copied());
    let mut start = 0;
    let mut tasks = Vec::new();
    for ((range, count), out) in ranges.into_iter().zip(counts).zip(outs) {
        tasks.push((range, start..start + count, out));
        start += count;
    }
    par::run(tasks, |(range, slots, mut out)| {
        let mut walk = Walk::<T>::new(offsets, grid, range.start, slots.end);
        for part in crate::affine::runs::runs(slots, RUN) {
            walk.load(part.clone())?;
            let (len, out) = (part.len(), take(&mut out, part.len()));
            run(part, &walk.scale[..len], &walk.point[..len], out);
        }
        Ok(())
    })
}

/// See [`super::quantize`]; `grid` has one row, with an entry for each segment.
///
/// # Errors
/// As there; `offsets` are none.
pub fn segment_quantize<K: Number>(
    values: &[K::Item],
    offsets: &[i64],
    grid: Grid<'_>,
    bits: u32,
    codes: &mut [u8],
) -> Result<()> {
    check_length("codes", codes.len(), values.len())?;
    let span = grid.span(bits)?;
    let middle = K::Compute::from_i16(-(span / 2));
    let has_points = grid.has_points();
    each_run(offsets, grid, size_of_val(values) + codes.len(), codes, |run, scale, point, codes| {
        let (mut x, mut low) = ([K::Compute::default(); RUN], [middle; RUN]);
        let (x, low) = (&mut x[..run.len()], &mut low[..run.len()]);
        K::widen(&values[run], x);
        if has_points {
            low.iter_mut().zip(point).for_each(|(low, &point)| *low = K::Compute::from_i16(-i16::from(point)));
        }
        K::Compute::quantize(x, scale, low, K::Compute::from_i16(span), codes);
    })
}

/// See [`super::dequantize`]; `grid` has one row, with an entry for each segment.
///
/// # Errors
/// As there; `offsets` are none.
pub fn segment_dequantize<K: Number>(codes: &[u8], offsets: &[i64], grid: Grid<'_>, out: &mut [K::Item]) -> Result<()> {
    check_length("out", out.len(), codes.len())?;
    let work = codes.len() + size_of_val(out);
    each_run(offsets, grid, work, out, |run, scale, point, out| {
        let mut x = [K::Compute::default(); RUN];
        let x = &mut x[..run.len()];
        K::Compute::dequantize(&codes[run], point, scale, K::LIMITS, x);
        K::narrow(x, out);
    })
}
