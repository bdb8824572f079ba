//! 2:4 of bfloat16 times bfloat16: the two values of a group at once, with the pair of rows that its code names.

use crate::nm::{Pattern, RowBits};
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Kernels, PAIRED, Pairs};
use std::ops::Range;

/// Columns of `x` at a time.
const WIDTH: usize = 64;

/// Rows whose values are asked for before they are used.
const AHEAD: usize = 6;

/// The places of the two ones of each code.
const ROWS: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];

/// Whether this CPU multiplies pairs at once, so that this is the way to go.
#[must_use]
pub fn pairs_are_fast() -> bool {
    Kernels::active().pairs_are_fast()
}

/// Whether no item is NaN or infinite.
fn all_finite(items: &[u16]) -> bool {
    items.iter().fold(0, |most, item| most.max(item & 0x7FFF)) < 0x7F80
}

/// `out = w @ x` for the codes and values of 2:4, and `x` (cols, k), all of bfloat16; sums in float32. Gives false, and
/// writes nothing, where `x` is not finite. A code that names no mask gives a wrong number.
///
/// # Errors
/// Arrays of the wrong shape.
pub fn pairs_matmul(
    codes: Matrix<'_, u8>,
    values: Matrix<'_, u16>,
    x: Matrix<'_, u16>,
    out: MatrixMut<'_, f32>,
) -> Result<bool> {
    let rows = RowBits::new(codes, Pattern::new(2, 4)?, x.rows(), values.cols())?;
    let wants = [
        ("rows of out", out.rows(), codes.rows()),
        ("rows of slots", values.rows(), codes.rows()),
        ("columns of out", out.cols(), x.cols()),
    ];
    for (name, got, want) in wants {
        if got != want {
            return Err(Error::Length { name, got, want });
        }
    }
    if !all_finite(x.items()) {
        return Ok(false);
    }
    if x.cols() == 0 {
        return Ok(true);
    }
    let work = (rows.nbytes() + size_of_val(values.items())).saturating_mul(x.cols());
    let ranges = par::joined(par::cut(codes.rows(), 1, work));
    let outs = out.split(&ranges);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut pairs = Box::new(Pairs::ZERO);
        let (k, sums) = (x.cols(), out.items_mut());
        sums.fill(0.0);
        for first in (0..k).step_by(WIDTH) {
            for (block, x) in x.items().chunks(4 * PAIRED * k).enumerate() {
                pack(x, k, first, &mut pairs);
                for (row, sums) in range.clone().zip(sums.chunks_mut(k)) {
                    if row + AHEAD < range.end {
                        let (codes, values) = (codes.row(row + AHEAD), values.row(row + AHEAD));
                        let code = block * (3 * PAIRED / 8);
                        Kernels::prefetch(codes.get(code..code + 1).unwrap_or_default());
                        Kernels::prefetch(values.get(block * 2 * PAIRED..).unwrap_or_default());
                    }
                    let codes = eight(&codes.row(row)[block * (3 * PAIRED / 8)..]);
                    add(codes, &values.row(row)[block * 2 * PAIRED..], &pairs, &mut sums[first..k.min(first + WIDTH)]);
                }
            }
        }
    });
    Ok(true)
}

/// The first 8 bytes; those behind the end are zero.
#[inline]
fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut room = [0; 8];
        room[..bytes.len()].copy_from_slice(bytes);
        room
    })
}

/// Adds the products of some groups of a row.
#[inline]
fn add(codes: [u8; 8], values: &[u16], pairs: &Pairs, sums: &mut [f32]) {
    let mut last = [0; 2 * PAIRED];
    let values = values.first_chunk().unwrap_or_else(|| {
        last[..values.len()].copy_from_slice(values);
        &last
    });
    if let Ok(sums) = <&mut [f32; WIDTH]>::try_from(&mut *sums) {
        Kernels::active().add_pairs(&codes, values, pairs, sums);
        return;
    }
    let mut room = [0.0; WIDTH];
    room[..sums.len()].copy_from_slice(sums);
    Kernels::active().add_pairs(&codes, values, pairs, &mut room);
    sums.copy_from_slice(&room[..sums.len()]);
}

/// Packs up to `4 * PAIRED` rows of `x`, [`WIDTH`] columns from `first` on; zeros behind them.
fn pack(x: &[u16], k: usize, first: usize, pairs: &mut Pairs) {
    let width = WIDTH.min(k - first);
    for (group, pairs) in pairs.0.chunks_exact_mut(ROWS.len()).take(PAIRED).enumerate() {
        let row = |i: usize| x.get((4 * group + i) * k + first..).and_then(|row| row.get(..width)).unwrap_or_default();
        for (pair, (low, high)) in pairs.iter_mut().zip(ROWS) {
            pair.fill(0);
            pair.iter_mut().zip(row(low)).for_each(|(to, &x)| *to = x.into());
            pair.iter_mut().zip(row(high)).for_each(|(to, &x)| *to |= u32::from(x) << 16);
        }
    }
}
