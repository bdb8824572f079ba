//! N:M together with a codebook: one pass over the matrix.

use crate::nearest::{Search, keys};
use crate::nm::{self, NmRows, Order, Pattern, Ranked, Slot};
use crate::{Error, Kernels, Matrix, MatrixMut, Result, TILE, par, stream};
use std::ops::Range;

/// What was found on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// A group has too many nonzeros, or a value is not finite: what was written is unspecified.
    pub bad: bool,
    /// A slot is all zero bits.
    pub zero: bool,
}

/// Checks rows of values, and of codes, for `cols` columns.
fn check<const N: usize>(
    pattern: Pattern,
    cols: usize,
    bits: usize,
    rows: [(&'static str, usize, usize); N],
    want: usize,
) -> Result<()> {
    if !(1..=8).contains(&bits) {
        return Err(Error::Parameter { name: "bits", got: bits });
    }
    let groups = cols.div_ceil(pattern.m());
    let bytes = [groups * pattern.n() * bits, groups * pattern.bits() as usize].map(|bits| bits.div_ceil(8));
    for ((name, got, stride), bytes) in rows.into_iter().zip(bytes) {
        if got != want || stride < bytes {
            return Err(Error::Length { name, got: got.min(stride), want: want.max(bytes) });
        }
    }
    Ok(())
}

/// A codebook as [`crate::nearest16`] takes it.
#[derive(Clone, Copy, Debug)]
pub struct Nearest<'a> {
    /// Names a dtype of 16 bits.
    pub dtype: &'a str,
    /// Where the nearest entry changes.
    pub limits: &'a [u16],
    /// The code of each range between limits.
    pub names: &'a [u8],
    /// Bits of a code: 1 to 8.
    pub bits: usize,
}

/// Packs `w` as N:M, with `order` the n of largest magnitude of each group, and codes its slots as [`crate::nearest16`]
/// does. `codes` and `values` have a row for each row of `w`, long enough or longer, and are completed by zeros.
///
/// # Errors
/// As there; shapes do not fit.
pub fn nm_nearest_encode(
    w: Matrix<'_, u16>,
    zero: u64,
    prune: bool,
    pattern: Pattern,
    book: Nearest<'_>,
    codes: MatrixMut<'_, u8>,
    values: MatrixMut<'_, u8>,
) -> Result<Found> {
    let Nearest { dtype, limits, names, bits } = book;
    let keys = keys(dtype).ok_or(Error::Value { name: "dtype", at: 0, want: "one of 16 bits" })?;
    let (search, pack) = (Search::new(limits, names, keys, w.items().len())?, stream::packer(bits));
    let order: Option<Order<u16>> = if prune { u16::order(dtype) } else { None };
    let shapes = [("values", values.rows(), values.cols()), ("codes", codes.rows(), codes.cols())];
    let step = pattern.tile() * pattern.m();
    check(pattern, w.cols(), bits, shapes, w.rows())?;
    let ranges = par::cut(w.rows(), 1, size_of_val(w.items()));
    let outs = codes.split(&ranges).into_iter().zip(values.split(&ranges));
    let tasks = ranges.into_iter().zip(outs.collect::<Vec<_>>()).collect();
    let found = par::map(tasks, |(rows, (mut codes, mut values)): (Range<usize>, _)| {
        let (mut slots, mut made, mut found) = ([0; TILE], [0; TILE], Found::default());
        for (at, row) in rows.enumerate() {
            let (mut codes, mut values) = (codes.row_mut(at), values.row_mut(at));
            for items in w.row(row).chunks(step) {
                let groups = items.len().div_ceil(pattern.m());
                let slots = &mut slots[..groups * pattern.n()];
                let made = &mut made[..slots.len()];
                let room = take(&mut codes, (groups * pattern.bits() as usize).div_ceil(8));
                found.bad |= !nm::encode_row(items, zero, order, pattern, room, slots)?;
                found.bad |= search.fill(slots, keys, made);
                found.zero |= slots.iter().fold(false, |zero, &slot| zero | (slot == 0));
                pack(made, take(&mut values, (made.len() * bits).div_ceil(8)));
            }
            codes.fill(0);
            values.fill(0);
        }
        Ok(found)
    });
    found.into_iter().try_fold(Found::default(), |all, one: Result<Found>| {
        let one = one?;
        Ok(Found { bad: all.bad | one.bad, zero: all.zero | one.zero })
    })
}

/// Takes the first `len` items off `rest`.
fn take<'a>(rest: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let (head, tail) = std::mem::take(rest).split_at_mut(len);
    *rest = tail;
    head
}

/// Fills `out` with the items of N:M whose slots are codes into `table`: 256 items for each row, or for all.
///
/// # Errors
/// Shapes do not fit; a code of a group names no mask.
pub fn nm_lut_decode<T: Slot>(
    codes: NmRows<'_>,
    values: Matrix<'_, u8>,
    bits: usize,
    table: &[T],
    mut out: MatrixMut<'_, T>,
) -> Result<()> {
    let ((rows, cols), pattern, stream) = (codes.shape(), codes.pattern(), out.is_streamed());
    out.check_shape("out", codes.shape())?;
    check(pattern, cols, bits, [("values", values.rows(), values.cols())], rows)?;
    let (tables, _) = table.as_chunks::<256>();
    let want = if tables.len() == 1 { 256 } else { rows.saturating_mul(256) };
    if table.len() != want {
        return Err(Error::Length { name: "table", got: table.len(), want });
    }
    let ranges = par::cut(rows, 1, size_of_val(out.items_mut()));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out)| {
        Kernels::nontemporal(stream, |streamed| {
            let mut room = [0; TILE];
            for (at, row) in rows.enumerate() {
                let (stored, table) = (values.row(row), &tables[if tables.len() == 1 { 0 } else { row }]);
                let made = nm::decode_row(codes.row(row), pattern, streamed, out.row_mut(at), |slots, items| {
                    // Tiles start with slots whose number is a multiple of 8.
                    let stored = &stored[slots.start / 8 * bits..][..(slots.len() * bits).div_ceil(8)];
                    T::look_up(stored, bits, table, &mut room[..slots.len()], items);
                });
                made.map_err(|error| match error {
                    Error::Code { group, got, bound, .. } => Error::Code { row, group, got, bound },
                    other => other,
                })?;
            }
            Ok(())
        })
    })
}
