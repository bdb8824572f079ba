//! Structures that are a bit for every column and the values of the set ones, side by side: nm, bitmask, dense.

use super::values::Values;
use super::{MAX_COLS_NARROW, amx_gemm, check, gemv, integers, panel, spmm_narrow};
use crate::csr::{slots_at, span};
use crate::nm::{Pattern, RowBits};
use crate::{Error, Index, Matrix, MatrixMut, Result};
use sparsefmt_kernels::prefetch_near;
use std::ops::Range;

/// Rows of bits with their slots.
pub(super) trait Masked: Sync {
    /// Rows and columns.
    fn shape(&self) -> (usize, usize);
    /// Writes the bits of a row; there is room for `ceil(cols / 8)` bytes and 8 more.
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()>;
    /// The slots of a row.
    fn slots(&self, row: usize) -> Result<Range<usize>>;
    /// Bytes of structure in all.
    fn nbytes(&self) -> usize;
    /// Where it is 2:4, the codes of a row and all that follow.
    fn fours(&self, _row: usize) -> Option<&[u8]> {
        None
    }
}

struct Nm<'a> {
    rows: RowBits<'a>,
    stride: usize,
}

impl Masked for Nm<'_> {
    fn shape(&self) -> (usize, usize) {
        self.rows.shape()
    }
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        if let Some(to_come) = self.rows.fours(row + 4) {
            prefetch_near(to_come, 0, self.rows.nbytes() / self.rows.shape().0);
        }
        self.rows.fill(row, bits)
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        let first = row.saturating_mul(self.stride);
        Ok(first..first.saturating_add(self.rows.slots()))
    }
    fn nbytes(&self) -> usize {
        self.rows.nbytes()
    }
    fn fours(&self, row: usize) -> Option<&[u8]> {
        self.rows.fours(row)
    }
}

struct Bits<'a, I> {
    bits: Matrix<'a, u8>,
    row_offsets: &'a [I],
    place: Range<usize>,
    cols: usize,
}

impl<I: Index> Masked for Bits<'_, I> {
    fn shape(&self) -> (usize, usize) {
        (self.bits.rows(), self.cols)
    }
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        let count = self.cols.div_ceil(8);
        bits[..count].copy_from_slice(&self.bits.row(row)[..count]);
        Ok(())
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        slots_at(self.row_offsets, row, &self.place)
    }
    fn nbytes(&self) -> usize {
        self.bits.items().len()
    }
}

/// Rows of ascending indices, as bits.
struct Csr<'a, I> {
    indptr: &'a [I],
    indices: &'a [I],
    place: Range<usize>,
    cols: usize,
}

impl<I: Index> Masked for Csr<'_, I> {
    fn shape(&self) -> (usize, usize) {
        (self.indptr.len() - 1, self.cols)
    }
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        bits.fill(0);
        let slots = self.slots(row)?;
        for (at, index) in self.indices[slots.clone()].iter().enumerate() {
            let wrong = || Error::Index { at: slots.start + at, got: index.to_i64(), bound: self.cols };
            let column = index.below(self.cols).ok_or_else(wrong)?;
            bits[column / 8] |= 1 << (column % 8);
        }
        Ok(())
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        slots_at(self.indptr, row, &self.place)
    }
    fn nbytes(&self) -> usize {
        size_of_val(self.indices)
    }
}

struct Dense {
    shape: (usize, usize),
}

impl Masked for Dense {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }
    fn bits(&self, _row: usize, bits: &mut [u8]) -> Result<()> {
        bits.fill(0xFF);
        Ok(())
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        Ok(row * self.shape.1..(row + 1) * self.shape.1)
    }
    fn nbytes(&self) -> usize {
        0
    }
}

fn matmul(
    w: &impl Masked,
    values: &Values<'_>,
    last_slot: usize,
    x: &Matrix<'_, f32>,
    mut out: MatrixMut<'_, f32>,
) -> Result<()> {
    let (rows, cols) = w.shape();
    check(x, &out, (rows, cols))?;
    values.check(rows, cols)?;
    if cols > MAX_COLS_NARROW {
        return Err(Error::Parameter { name: "cols", got: cols });
    }
    if last_slot > values.len() {
        return Err(Error::Length { name: "slots", got: values.len(), want: last_slot });
    }
    match (cols, x.cols()) {
        (0, _) => {
            out.items_mut().fill(0.0);
            Ok(())
        }
        (_, 0) => Ok(()),
        _ if values.in_integers => integers::run(w, values, x, out),
        (_, 1) => gemv::run(w, values, x.items(), out.items_mut()),
        (_, 2..=spmm_narrow::MOST) => spmm_narrow::run(w, values, x, out),
        _ if amx_gemm::run(w, values, amx_gemm::Right::Singles(*x), &mut out)? => Ok(()),
        _ => panel::run(w, values, x, out),
    }
}

/// `out = w @ x` for N:M codes. `stride` slots stand in a row, at least as many as the pattern has.
///
/// # Errors
/// A code that names no mask; arrays of the wrong shape.
pub fn nm_matmul(
    codes: Matrix<'_, u8>,
    pattern: Pattern,
    (values, stride): (&Values<'_>, usize),
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    let rows = RowBits::new(codes, pattern, x.rows(), stride)?;
    let last = codes.rows().checked_sub(1).map_or(0, |last| last.saturating_mul(stride).saturating_add(rows.slots()));
    matmul(&Nm { rows, stride }, values, last, &x, out)
}

/// `out = w @ x` for N:M codes and `x` of bfloat16, if tiles multiply it.
pub(super) fn nm_brains(
    (codes, pattern): (Matrix<'_, u8>, Pattern),
    (values, stride): (&Values<'_>, usize),
    x: Matrix<'_, u16>,
    out: &mut MatrixMut<'_, f32>,
) -> Result<bool> {
    let rows = RowBits::new(codes, pattern, x.rows(), stride)?;
    amx_gemm::run(&Nm { rows, stride }, values, amx_gemm::Right::Brains(x), out)
}

/// `out = w @ x` for a bit per element.
///
/// # Errors
/// `row_offsets` does not agree with the bits; arrays of the wrong shape.
pub fn bits_matmul<I: Index>(
    bits: Matrix<'_, u8>,
    row_offsets: &[I],
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    let (rows, cols) = (bits.rows(), x.rows());
    if row_offsets.len() != rows + 1 {
        return Err(Error::Length { name: "row_offsets", got: row_offsets.len(), want: rows + 1 });
    }
    if bits.cols() < cols.div_ceil(8) {
        return Err(Error::Length { name: "a row of bits", got: bits.cols(), want: cols.div_ceil(8) });
    }
    let place = span(row_offsets, values.len())?;
    matmul(&Bits { bits, row_offsets, place: place.clone(), cols }, values, place.end, &x, out)
}

/// `out = w @ x` for rows of ascending indices; see [`super::csr_matmul`].
pub(super) fn csr_matmul<I: Index>(
    indptr: &[I],
    indices: &[I],
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    let (cols, place) = (x.rows(), span(indptr, indices.len().min(values.len()))?);
    matmul(&Csr { indptr, indices, place: place.clone(), cols }, values, place.end, &x, out)
}

/// `out = w @ x` where every element is stored.
///
/// # Errors
/// Arrays of the wrong shape.
pub fn dense_matmul(values: &Values<'_>, x: Matrix<'_, f32>, out: MatrixMut<'_, f32>) -> Result<()> {
    let shape = (out.rows(), x.rows());
    let last = shape.0.saturating_mul(shape.1);
    matmul(&Dense { shape }, values, last, &x, out)
}
