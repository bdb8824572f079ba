//! Blocks.

use super::check;
use super::values::{Slots, Values};
use crate::bsr::Block;
use crate::csr::span;
use crate::{Error, Index, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Kernels, Strided};
use std::ops::Range;

/// Columns of `x` at a time.
const WIDTH: usize = 64;

/// The most items of a block that are decoded.
const MOST: usize = 1 << 16;

/// `out = w @ x` for blocks; `indptr` and `indices` count blocks.
///
/// # Errors
/// `indptr` falls or points outside; an index is out of range; arrays of the wrong shape; a block of more than 2^16
/// items that are no float32.
pub fn bsr_matmul<I: Index>(
    (indptr, indices): (&[I], &[I]),
    block: Block,
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    let (rows, cols, k, area) = (out.rows(), x.rows(), x.cols(), block.r * block.c);
    check(&x, &out, (rows, cols))?;
    values.check(rows, cols)?;
    if indptr.len() != rows.div_ceil(block.r) + 1 {
        return Err(Error::Length { name: "indptr", got: indptr.len(), want: rows.div_ceil(block.r) + 1 });
    }
    let is_single = matches!(values.slots, Slots::Single(_));
    if !is_single && area > MOST {
        return Err(Error::Parameter { name: "items of a block", got: area });
    }
    let place = span(indptr, indices.len().min(values.len() / area))?;
    if k == 0 {
        return Ok(());
    }
    let work = place.len().saturating_mul(area).saturating_mul(4 * k);
    let ranges = par::cut_by(indptr, 1, work);
    let lines: Vec<_> = ranges.iter().map(|r| r.start * block.r..(r.end * block.r).min(rows)).collect();
    let outs = out.split(&lines);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = vec![0.0; if is_single { 0 } else { area }];
        let first = range.start;
        let sums = out.items_mut();
        sums.fill(0.0);
        for line in range {
            let from = (line - first) * block.r * k;
            let end = sums.len().min(from + block.r * k);
            let sums = &mut sums[from..end];
            let blocks = crate::csr::slots_at(indptr, line, &place)?;
            for at in blocks {
                let wrong = || Error::Index { at, got: indices[at].to_i64(), bound: cols.div_ceil(block.c) };
                let column = indices[at].below(cols.div_ceil(block.c)).ok_or_else(wrong)? * block.c;
                let items = match values.slots {
                    Slots::Single(items) => &items[at * area..(at + 1) * area],
                    _ => {
                        decode(values, block, (line * block.r, column), at, &mut room)?;
                        &room
                    }
                };
                multiply(items, block, column, &x, sums);
            }
        }
        Ok(())
    })
}

/// Decodes a block row by row, as scales go.
fn decode(values: &Values<'_>, block: Block, at: (usize, usize), number: usize, room: &mut [f32]) -> Result<()> {
    let area = block.r * block.c;
    for (i, room) in room.chunks_mut(block.c).enumerate() {
        // Rows that stick out hold zeros; the last row has scales for them.
        let row = at.0 + i;
        if values.check(row + 1, 0).is_err() {
            room.fill(0.0);
            continue;
        }
        values.widen(row, number * area + i * block.c, room)?;
        if let Some(scales) = values.scales {
            scales.apply_each(row, at.1..at.1 + block.c, room);
        }
    }
    Ok(())
}

/// Adds the product of a block to the sums of its rows.
fn multiply(items: &[f32], block: Block, column: usize, x: &Matrix<'_, f32>, sums: &mut [f32]) {
    let (k, rows) = (x.cols(), sums.len() / x.cols());
    let depth = block.c.min(x.rows() - column);
    for first in (0..k).step_by(WIDTH) {
        let width = WIDTH.min(k - first);
        let x = Strided { items: &x.items()[column * k..], rows: depth, stride: k, first, width };
        if depth == block.c {
            Kernels::active().block(&items[..rows * depth], &x, &mut sums[first..], k);
        } else {
            for (items, sums) in items.chunks(block.c).zip(sums.chunks_mut(k)) {
                Kernels::active().block(&items[..depth], &x, &mut sums[first..], k);
            }
        }
    }
}
