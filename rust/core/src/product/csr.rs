//! Compressed sparse rows.

use super::values::{Slots, Values};
use super::{Aligned, MOST_COLS, check, masked};
use crate::csr::{slots_at, span};
use crate::{Error, Index, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::Strided;
use std::ops::Range;

/// Slots whose values are decoded at once.
const RUN: usize = 1024;

/// Columns of `x` at a time.
const WIDTH: usize = 64;

/// Bytes of some columns of `x` that a thread brings together.
const MOST_PACKED: usize = 3 << 19;

/// `out = w @ x` for the slots of each row, at `indptr[r]..indptr[r + 1]`.
///
/// # Errors
/// `indptr` falls or points outside; an index is out of range; arrays of the wrong shape.
pub fn csr_matmul<I: Index>(
    indptr: &[I],
    indices: &[I],
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    let rows = indptr.len().saturating_sub(1);
    check(&x, &out, (rows, x.rows()))?;
    values.check(rows, x.rows())?;
    let place = span(indptr, indices.len().min(values.len()))?;
    let (k, cols) = (x.cols(), x.rows());
    if k > 1 && cols <= MOST_COLS && place.len() > rows.saturating_mul(cols) / 4 {
        // So many that a bit for each column costs less than an index.
        return masked::csr_matmul(indptr, indices, values, x, out);
    }
    if k == 0 {
        return Ok(());
    }
    // Where rows of `x` are read again and again, they are brought together first, on lines of the cache.
    let packs = k > 1 && place.len() > 64 * cols && cols * WIDTH * 4 <= MOST_PACKED;
    let work = place.len().saturating_mul(8).saturating_mul(k);
    let ranges = par::cut_by(indptr, 1, work);
    let ranges = if packs { par::joined(ranges) } else { ranges };
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = [0.0; RUN];
        let mut packed = Aligned::zeros(if packs { cols * WIDTH } else { 0 });
        let sums = out.items_mut();
        sums.fill(0.0);
        // All rows for some columns of `x`, which stay near, then for the next.
        for first in (0..k).step_by(WIDTH) {
            let width = WIDTH.min(k - first);
            let x = if packs {
                for (to, from) in packed.items_mut().chunks_mut(WIDTH).zip(x.items().chunks(k)) {
                    to[..width].copy_from_slice(&from[first..first + width]);
                }
                Strided { items: packed.items(), rows: cols, stride: WIDTH, first: 0, width }
            } else {
                Strided { items: x.items(), rows: cols, stride: k, first, width }
            };
            for (row, sums) in range.clone().zip(sums.chunks_mut(k)) {
                let slots = slots_at(indptr, row, &place)?;
                for start in slots.clone().step_by(RUN) {
                    let run = start..slots.end.min(start + RUN);
                    let part = &indices[run.clone()];
                    let values = if let Slots::Single(items) = values.slots {
                        &items[run.clone()]
                    } else {
                        let room = &mut room[..run.len()];
                        values.widen(row, run.start, room)?;
                        if let Some(scales) = values.scales {
                            let columns = part.iter().map(|index| index.below(x.rows).unwrap_or(0));
                            scales.apply_each(row, columns, room);
                        }
                        room
                    };
                    add(part, values, &x, &mut sums[first..first + x.width]).map_err(|at| Error::Index {
                        at: run.start + at,
                        got: part[at].to_i64(),
                        bound: x.rows,
                    })?;
                }
            }
        }
        Ok(())
    })
}

/// Adds the products of some slots of a row; the position of an index that is out of range.
fn add<I: Index>(indices: &[I], values: &[f32], x: &Strided<'_>, sums: &mut [f32]) -> std::result::Result<(), usize> {
    match sums {
        [sum] if x.stride == 1 => *sum += I::dot(indices, values, x.items)?,
        _ => I::add_rows(indices, values, x, sums)?,
    }
    Ok(())
}
