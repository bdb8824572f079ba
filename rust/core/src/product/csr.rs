//! Compressed sparse rows.

use super::check;
use super::values::{Slots, Values};
use crate::csr::{slots_at, span};
use crate::{Error, Index, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::Strided;
use std::ops::Range;

/// Slots whose values are decoded at once.
const RUN: usize = 1024;

/// Columns of `x` at a time.
const WIDTH: usize = 64;

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
    let k = x.cols();
    if k == 0 {
        return Ok(());
    }
    let work = place.len().saturating_mul(8).saturating_mul(k);
    let ranges = par::cut_by(indptr, 1, work);
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = [0.0; RUN];
        for (row, sums) in range.zip(out.items_mut().chunks_mut(k)) {
            let slots = slots_at(indptr, row, &place)?;
            sums.fill(0.0);
            for start in slots.clone().step_by(RUN) {
                let run = start..slots.end.min(start + RUN);
                let part = &indices[run.clone()];
                let values = if let Slots::Single(items) = values.slots {
                    &items[run.clone()]
                } else {
                    let room = &mut room[..run.len()];
                    values.widen(row, run.start, room)?;
                    if let Some(scales) = values.scales {
                        let columns = part.iter().map(|index| index.below(x.rows()).unwrap_or(0));
                        scales.apply_each(row, columns, room);
                    }
                    room
                };
                add(part, values, &x, sums).map_err(|at| Error::Index {
                    at: run.start + at,
                    got: part[at].to_i64(),
                    bound: x.rows(),
                })?;
            }
        }
        Ok(())
    })
}

/// Adds the products of some slots of a row; the position of an index that is out of range.
fn add<I: Index>(
    indices: &[I],
    values: &[f32],
    x: &Matrix<'_, f32>,
    sums: &mut [f32],
) -> std::result::Result<(), usize> {
    let k = x.cols();
    if let [sum] = sums {
        *sum += I::dot(indices, values, x.items())?;
        return Ok(());
    }
    for (at, sums) in sums.chunks_mut(WIDTH).enumerate() {
        let x = Strided { items: x.items(), rows: x.rows(), stride: k, first: at * WIDTH, width: sums.len() };
        I::add_rows(indices, values, &x, sums)?;
    }
    Ok(())
}
