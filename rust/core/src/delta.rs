//! Steps between two arrays in the order of their values, modulo the width of an item.

use crate::csr::take_items;
use crate::gap::{each_column, each_tile, push_gaps};
use crate::views::offsets::{fits, lengths, slots_at, span};
use crate::{Error, Index, Item, Result, TILE, par};
use std::ops::Range;

/// Items per task of work without rows.
const PIECE: usize = 1 << 16;

/// An item that has a place in the order of values.
pub trait Keyed: Item {
    /// The place: of floats in the order of values, of integers themselves.
    #[must_use]
    fn key<const FLOATS: bool>(self) -> Self;

    /// The inverse of [`Keyed::key`].
    #[must_use]
    fn back<const FLOATS: bool>(self) -> Self;

    /// `self - other` modulo the width.
    #[must_use]
    fn minus(self, other: Self) -> Self;

    /// `self + other` modulo the width.
    #[must_use]
    fn plus(self, other: Self) -> Self;
}

macro_rules! keyed {
    ($t:ty, $signed:ty) => {
        impl Keyed for $t {
            #[inline(always)]
            fn key<const FLOATS: bool>(self) -> Self {
                let sign = (self as $signed >> (Self::BITS - 1)) as Self; // all bits of a negative float, else none
                if FLOATS { self ^ (sign | 1 << (Self::BITS - 1)) } else { self }
            }
            #[inline(always)]
            fn back<const FLOATS: bool>(self) -> Self {
                let sign = (self as $signed >> (Self::BITS - 1)) as Self;
                if FLOATS { self ^ (!sign | 1 << (Self::BITS - 1)) } else { self }
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        }
    };
}
keyed!(u8, i8);
keyed!(u16, i16);
keyed!(u32, i32);
keyed!(u64, i64);

/// Evaluates `$body` with the constant `$name` set to `$floats`.
macro_rules! by_kind {
    ($floats:expr, $name:ident => $body:expr) => {
        if $floats {
            const $name: bool = true;
            $body
        } else {
            const $name: bool = false;
            $body
        }
    };
}

#[inline]
fn steps_of<T: Keyed, const FLOATS: bool>(old: &[T], new: &[T], steps: &mut [T]) {
    for ((step, old), new) in steps.iter_mut().zip(old).zip(new) {
        *step = new.key::<FLOATS>().minus(old.key::<FLOATS>());
    }
}

#[inline]
fn moved<T: Keyed, const FLOATS: bool>(value: T, step: T) -> T {
    value.key::<FLOATS>().plus(step).back::<FLOATS>()
}

/// Pieces of `len` items, by which work without rows is shared.
fn pieces(len: usize) -> Vec<Range<usize>> {
    (0..len).step_by(PIECE).map(|start| start..(start + PIECE).min(len)).collect()
}

/// Writes the step of every item; gives the number of those that are not 0.
///
/// # Errors
/// The arrays do not have one length.
pub fn delta_steps<T: Keyed>(old: &[T], new: &[T], floats: bool, steps: &mut [T]) -> Result<usize> {
    fits("new", new.len(), old.len())?;
    fits("steps", steps.len(), old.len())?;
    let ranges = pieces(old.len());
    let tasks = ranges.into_iter().zip(steps.chunks_mut(PIECE)).collect();
    let counts = par::map(tasks, |(range, steps): (Range<usize>, &mut [T])| {
        by_kind!(floats, FLOATS => steps_of::<T, FLOATS>(&old[range.clone()], &new[range], steps));
        steps.iter().filter(|&&step| step != T::default()).count()
    });
    Ok(counts.into_iter().sum())
}

/// What a task finds in its rows.
#[derive(Default)]
struct Found<T> {
    /// The bytes and the steps up to the end of each row.
    ends: Vec<(usize, usize)>,
    gaps: Vec<u8>,
    steps: Vec<T>,
}

/// Writes the steps that are not 0, and the gaps between them, if there is room for all, and the offsets of rows of
/// `cols` items; the last may be short. Gives how many bytes of gaps and how many steps there are. Reads the inputs once.
///
/// # Errors
/// The arrays do not fit together.
pub fn delta_gaps<T: Keyed, I: Index>(
    (old, new): (&[T], &[T]),
    floats: bool,
    cols: usize,
    offsets: (&mut [I], &mut [I]),
    gaps: &mut [u8],
    steps: &mut [T],
) -> Result<(usize, usize)> {
    let (byte_offsets, row_offsets) = offsets;
    fits("new", new.len(), old.len())?;
    let rows = old.len().checked_div(cols).ok_or(Error::Parameter { name: "cols", got: cols })?;
    let rows = rows + usize::from(rows * cols < old.len());
    fits("row_offsets", row_offsets.len(), rows + 1)?;
    fits("byte_offsets", byte_offsets.len(), rows + 1)?;
    if cols > i32::MAX as usize {
        return Err(Error::Parameter { name: "cols", got: cols });
    }
    let ranges = par::cut(rows, 1, 2 * size_of_val(old));
    let found = par::map(ranges, |rows| {
        let (start, end) = (rows.start * cols, old.len().min(rows.end * cols));
        let pair = old[start..end].chunks(cols).zip(new[start..end].chunks(cols));
        by_kind!(floats, FLOATS => rows_of::<T, FLOATS>(pair))
    });
    let found = found.into_iter().collect::<Result<Vec<_>>>()?;
    let (total, count) = found.iter().fold((0, 0), |(b, s), part| (b + part.gaps.len(), s + part.steps.len()));
    let filled = total <= gaps.len() && count <= steps.len();
    (byte_offsets[0], row_offsets[0]) = (I::default(), I::default());
    let (mut row, mut bytes, mut slots) = (0, 0, 0);
    for part in found {
        for (b, s) in part.ends {
            row += 1;
            (byte_offsets[row], row_offsets[row]) = (I::cut(bytes + b), I::cut(slots + s));
        }
        if filled {
            gaps[bytes..][..part.gaps.len()].copy_from_slice(&part.gaps);
            steps[slots..][..part.steps.len()].copy_from_slice(&part.steps);
        }
        (bytes, slots) = (bytes + part.gaps.len(), slots + part.steps.len());
    }
    Ok((total, count))
}

fn rows_of<'a, T: Keyed, const FLOATS: bool>(pair: impl Iterator<Item = (&'a [T], &'a [T])>) -> Result<Found<T>> {
    let mut found = Found { ends: Vec::new(), gaps: Vec::new(), steps: Vec::new() };
    let (mut tile, mut places, mut kept) = ([T::default(); TILE], [0i32; TILE], [T::default(); TILE]);
    for (old, new) in pair {
        let mut next = 0;
        for (i, (old, new)) in old.chunks(TILE).zip(new.chunks(TILE)).enumerate() {
            let steps = &mut tile[..old.len()];
            steps_of::<T, FLOATS>(old, new, steps);
            each_tile(steps, u64::MAX, |_, items, bits| {
                let count = take_items(items, bits, i * TILE, &mut places, &mut kept);
                push_gaps(&places[..count], &mut next, &mut found.gaps);
                found.steps.extend_from_slice(&kept[..count]);
                Ok(())
            })?;
        }
        found.ends.push((found.gaps.len(), found.steps.len()));
    }
    Ok(found)
}

/// Moves every item of `values` by its step.
///
/// # Errors
/// The arrays do not have one length.
pub fn add_steps<T: Keyed>(steps: &[T], floats: bool, values: &mut [T]) -> Result<()> {
    fits("values", values.len(), steps.len())?;
    par::run(steps.chunks(PIECE).zip(values.chunks_mut(PIECE)).collect(), |(steps, values)| {
        by_kind!(floats, FLOATS => {
            for (value, &step) in values.iter_mut().zip(steps) {
                *value = moved::<T, FLOATS>(*value, step);
            }
        });
        Ok(())
    })
}

/// Moves the items of `values`, in rows of `cols`, that the gaps name by their steps.
///
/// # Errors
/// The arrays do not fit together, or a place lies beyond the last item; then some may have moved.
pub fn add_gaps<T: Keyed, I: Index>(
    gaps: &[u8],
    (byte_offsets, row_offsets): (&[I], &[I]),
    steps: &[T],
    floats: bool,
    cols: usize,
    values: &mut [T],
) -> Result<()> {
    fits("byte_offsets", byte_offsets.len(), row_offsets.len())?;
    let (bytes, slots) = (span(byte_offsets, gaps.len())?, span(row_offsets, steps.len())?);
    fits("steps", steps.len(), slots.len())?;
    let ranges = par::cut_by(row_offsets, 1, bytes.len() + size_of_val(steps) + 64 * steps.len());
    lengths(row_offsets, &ranges, slots.len())?;
    let outs = par::split_mut(values, ranges.iter().map(|rows| rows.len().saturating_mul(cols)));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, values)| {
        let first = rows.start;
        for row in rows {
            let start = (row - first).saturating_mul(cols).min(values.len());
            let end = start.saturating_add(cols).min(values.len());
            let out = &mut values[start..end];
            let wrong = |name| Error::Offsets { name, at: row };
            let bytes = &gaps[slots_at(byte_offsets, row, &bytes).map_err(|_| wrong("byte_offsets"))?];
            let steps = &steps[slots_at(row_offsets, row, &slots)?];
            let mut at = 0;
            by_kind!(floats, FLOATS => each_column(bytes, |col| {
                let bound = out.len();
                let beyond = Error::Index { at, got: col as i64, bound };
                let (Some(value), Some(&step)) = (out.get_mut(col), steps.get(at)) else { return Err(beyond) };
                *value = moved::<T, FLOATS>(*value, step);
                at += 1;
                Ok(())
            }))?;
            if at != steps.len() {
                return Err(wrong("row_offsets"));
            }
        }
        Ok(())
    })
}
