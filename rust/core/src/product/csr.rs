//! Compressed sparse rows.

use super::aligned::Aligned;
use super::csr_rows::{RUN, Rows};
use super::plan::{self, Way};
use super::shapes::check;
use super::values::Values;
use super::{csr_panel, csr_spmm, masked};
use crate::views::Csr;
use crate::{Index, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::Strided;
use std::ops::Range;

/// Columns of `x` at a time.
const WIDTH: usize = 64;

/// `out = w @ x` for compressed rows.
///
/// # Errors
/// Offsets fall or point outside; an index is out of range; arrays of the wrong shape.
pub fn csr_matmul<I: Index>(
    csr: Csr<'_, I>,
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    mut out: MatrixMut<'_, f32>,
) -> Result<()> {
    let (rows, cols, k, slots) = (csr.rows(), csr.cols(), x.cols(), csr.place().len());
    check(&x, &out, (rows, cols))?;
    values.check(rows, cols)?;
    csr.check_slots(values.len())?;
    if k == 0 {
        return Ok(());
    }
    let w = Rows { csr, values };
    let ranges = csr.cut(1, slots.saturating_mul(8).saturating_mul(k));
    let mut way = plan::csr((rows, cols), slots, k);
    if way == Way::CsrPanel {
        if csr_panel::run(&w, ranges.clone(), &x, &mut out)? {
            plan::took(way);
            return Ok(());
        }
        way = plan::csr_without_panels((rows, cols), slots, k);
    }
    match way {
        Way::CsrGemv | Way::CsrSpmm | Way::CsrRows => plan::took(way),
        _ => return masked::csr_matmul(csr, values, x, out),
    }
    match way {
        Way::CsrGemv => return one(&w, ranges, x.items(), out),
        Way::CsrSpmm => return csr_spmm::run(&w, ranges, &x, out),
        _ => {}
    }
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = [0.0; RUN];
        let sums = out.items_mut();
        sums.fill(0.0);
        // All rows for some columns of `x`, which stay near, then for the next.
        for first in (0..k).step_by(WIDTH) {
            let width = WIDTH.min(k - first);
            let x = Strided { items: x.items(), rows: cols, stride: k, first, width };
            for (row, sums) in range.clone().zip(sums.chunks_mut(k)) {
                w.each_run(row, &mut room, |indices, values| {
                    I::add_rows(indices, values, &x, &mut sums[first..first + width])
                })?;
            }
        }
        Ok(())
    })
}

/// One column.
fn one<I: Index>(w: &Rows<'_, I>, ranges: Vec<Range<usize>>, x: &[f32], out: MatrixMut<'_, f32>) -> Result<()> {
    let x = Aligned::new(x)?;
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = [0.0; RUN];
        for (row, sum) in range.zip(out.items_mut()) {
            *sum = 0.0;
            w.each_run(row, &mut room, |indices, values| {
                *sum += I::dot(indices, values, x.items())?;
                Ok(())
            })?;
        }
        Ok(())
    })
}
