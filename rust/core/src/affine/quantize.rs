//! Codes of whole matrices, and back.

use super::grid::Grid;
use super::number::{Compute, Number};
use super::runs::{RUN, by_row, check_length, runs, take};
use crate::{Matrix, MatrixMut, Result, par};

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
