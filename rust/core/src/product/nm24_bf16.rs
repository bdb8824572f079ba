//! 2:4 of bfloat16 times bfloat16: the two values of a group at once, with the pair of rows that its code names.

use super::masked;
use super::plan::{self, Way};
use super::values::Values;
use crate::nm::{NmRows, Pattern};
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Kernels, NM24_BF16_GROUPS, Nm24Bf16Rows, Pairs};
use std::ops::Range;

/// Columns of `x` at a time.
const WIDTH: usize = 64;

/// Groups at a time, so that many rows of them stay in the second-level cache.
const SPAN: usize = 64 * NM24_BF16_GROUPS;

/// Bytes of codes and values of some rows, which stay in the second-level cache while the next are on their way there.
const MOST_BYTES: usize = 5 << 17;

/// The most rows at a time.
const MOST_ROWS: usize = 128;

/// Whether this CPU multiplies pairs at once, so that this is the way to go.
#[must_use]
pub fn nm24_bf16_is_fast() -> bool {
    Kernels::active().nm24_bf16_is_fast()
}

/// `out = w @ x` for the codes and values of 2:4, and `x` (cols, k), all of bfloat16; sums in float32. Returns false,
/// and writes nothing, where `x` is not finite. A code that names no mask gives a wrong number, or an error.
///
/// # Errors
/// Arrays of the wrong shape; a code that names no mask, where tiles multiply.
pub fn nm24_bf16_matmul(
    codes: Matrix<'_, u8>,
    values: Matrix<'_, u16>,
    x: Matrix<'_, u16>,
    mut out: MatrixMut<'_, f32>,
) -> Result<bool> {
    let rows = NmRows::new(codes, Pattern::new(2, 4)?, (codes.rows(), x.rows()))?;
    rows.check_stride(values.cols())?;
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
    if !Kernels::active().bf16_all_finite(x.items()) {
        return Ok(false);
    }
    if x.cols() == 0 {
        return Ok(true);
    }
    if let Some(items) = Values::shorts(values.items(), "bfloat16")
        && masked::nm_bf16(rows, (&items, values.cols()), x, &mut out)?
    {
        return Ok(true);
    }
    plan::took(Way::Nm24Bf16);
    let work = (rows.nbytes() + size_of_val(values.items())).saturating_mul(x.cols());
    let ranges = par::cut(codes.rows(), 1, work);
    let outs = out.split(&ranges);
    let per_row = (values.cols().min(2 * SPAN) * 2 + codes.cols().min(SPAN * 3 / 8)).max(1);
    let tile = (MOST_BYTES / per_row).clamp(8, MOST_ROWS);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = Box::new(Room { rows: [[0; 64]; 4 * NM24_BF16_GROUPS], pairs: Pairs::ZERO });
        let groups = x.rows().div_ceil(4);
        if groups == 0 {
            out.items_mut().fill(0.0);
        }
        for first in (0..x.cols()).step_by(WIDTH) {
            for span in (0..groups).step_by(SPAN) {
                for (start, sums) in range.clone().step_by(tile).zip(out.items_mut().chunks_mut(tile * x.cols())) {
                    let rows = start..start + sums.len() / x.cols();
                    for group in (span..groups.min(span + SPAN)).step_by(NM24_BF16_GROUPS) {
                        room.pack(&x, group, first);
                        add(&codes, &values, rows.clone(), group, &room.pairs, (sums, x.cols(), first));
                    }
                }
            }
        }
    });
    Ok(true)
}

/// Working space of a thread.
struct Room {
    rows: [[u16; 64]; 4 * NM24_BF16_GROUPS],
    pairs: Pairs,
}

impl Room {
    /// Packs the rows of `x` of some groups, [`WIDTH`] columns from `first` on; zeros behind them.
    fn pack(&mut self, x: &Matrix<'_, u16>, group: usize, first: usize) {
        let width = WIDTH.min(x.cols() - first);
        let mut count = 0;
        for (to, row) in self.rows.iter_mut().zip(4 * group..x.rows()) {
            to[..width].copy_from_slice(&x.row(row)[first..first + width]);
            count += 1;
        }
        self.rows[count..].fill([0; 64]);
        Kernels::active().nm24_bf16_pack(&self.rows, &mut self.pairs);
    }
}

/// Adds the products of [`NM24_BF16_GROUPS`] groups, from `group` on, of some rows.
fn add(
    codes: &Matrix<'_, u8>,
    values: &Matrix<'_, u16>,
    rows: Range<usize>,
    group: usize,
    pairs: &Pairs,
    (sums, k, first): (&mut [f32], usize, usize),
) {
    let strides = (codes.cols(), values.cols());
    let place = (k, WIDTH.min(k - first));
    let code = |row: usize| codes.items().get(row * strides.0 + group * 3 / 8..).unwrap_or_default();
    let value = |row: usize| values.items().get(row * strides.1 + 2 * group..).unwrap_or_default();
    // Whole groups of which more bytes follow; the last rows of the matrix have none.
    let whole = 2 * (group + NM24_BF16_GROUPS) <= strides.1;
    let fitting = (code(rows.start).len() + strides.0).saturating_sub(8) / strides.0.max(1);
    let count = if whole { rows.len().min(fitting) } else { 0 };
    let to_come = (code(rows.end), value(rows.end));
    let w = Nm24Bf16Rows { codes: code(rows.start), values: value(rows.start), strides, rows: count, to_come };
    Kernels::active().nm24_bf16_add(&w, pairs, &mut sums[first..], place, group == 0);
    for (row, sums) in rows.zip(sums.chunks_mut(k)).skip(count) {
        let (mut code_room, mut value_room) = ([0; 8], [0; 2 * NM24_BF16_GROUPS]);
        copy(&codes.row(row)[group * 3 / 8..], &mut code_room);
        copy(&values.row(row)[2 * group..], &mut value_room);
        let w = Nm24Bf16Rows { codes: &code_room, values: &value_room, strides: (0, 0), rows: 1, to_come: (&[], &[]) };
        Kernels::active().nm24_bf16_add(&w, pairs, &mut sums[first..], place, group == 0);
    }
}

/// Copies as many items as there are room and items for.
fn copy<T: Copy>(from: &[T], to: &mut [T]) {
    let count = from.len().min(to.len());
    to[..count].copy_from_slice(&from[..count]);
}
