//! Structures that are a bit for every column and the values of the set ones, side by side: nm, bitmask, dense.

use super::masked_rows::{Dense, Masked, Nm};
use super::plan::{self, Way};
use super::shapes::{MAX_COLS_NARROW, check};
use super::values::Values;
use super::{amx_gemm, gemv, integers, panel, spmm_narrow};
use crate::nm::NmRows;
use crate::views::{BitRows, Csr};
use crate::{Error, Index, Matrix, MatrixMut, Result};

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
        _ if values.in_integers => {
            plan::took(Way::Integers);
            integers::run(w, values, x, out)
        }
        (_, k) => {
            let mut way = plan::masked((rows, cols), stored_slots(w)?, k);
            if way == Way::AmxGemm && !amx_gemm::run(w, values, amx_gemm::Right::F32(*x), &mut out)? {
                way = Way::Panel;
            }
            plan::took(way);
            match way {
                Way::AmxGemm => Ok(()),
                Way::Gemv => gemv::run(w, values, x.items(), out.items_mut()),
                Way::SpmmNarrow => spmm_narrow::run(w, values, x, out),
                _ => panel::run(w, values, x, out),
            }
        }
    }
}

/// The slots of all rows.
fn stored_slots(w: &impl Masked) -> Result<usize> {
    let Some(last) = w.shape().0.checked_sub(1) else { return Ok(0) };
    Ok(w.slots(last)?.end.saturating_sub(w.slots(0)?.start))
}

/// `out = w @ x` for N:M codes. `stride` slots stand in a row, at least as many as the pattern has.
///
/// # Errors
/// A code that names no mask; arrays of the wrong shape.
pub fn nm_matmul(
    rows: NmRows<'_>,
    (values, stride): (&Values<'_>, usize),
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    rows.check_stride(stride)?;
    let last = rows.shape().0.checked_sub(1);
    let last = last.map_or(0, |last| last.saturating_mul(stride).saturating_add(rows.slots()));
    matmul(&Nm { rows, stride }, values, last, &x, out)
}

/// `out = w @ x` for N:M codes and `x` of bfloat16, if tiles multiply it.
pub(super) fn nm_bf16(
    rows: NmRows<'_>,
    (values, stride): (&Values<'_>, usize),
    x: Matrix<'_, u16>,
    out: &mut MatrixMut<'_, f32>,
) -> Result<bool> {
    rows.check_stride(stride)?;
    let w = Nm { rows, stride };
    if plan::masked(rows.shape(), stored_slots(&w)?, x.cols()) != Way::AmxGemm {
        return Ok(false);
    }
    let ran = amx_gemm::run(&w, values, amx_gemm::Right::Bf16(x), out)?;
    if ran {
        plan::took(Way::AmxGemm);
    }
    Ok(ran)
}

/// `out = w @ x` for a bit per element.
///
/// # Errors
/// The offsets do not agree with the bits; arrays of the wrong shape.
pub fn bits_matmul<I: Index>(
    bits: BitRows<'_, I>,
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    bits.check_slots(values.len())?;
    matmul(&bits, values, bits.place().end, &x, out)
}

/// `out = w @ x` for rows of ascending indices; see [`super::csr_matmul`].
pub(super) fn csr_matmul<I: Index>(
    csr: Csr<'_, I>,
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    matmul(&csr, values, csr.place().end, &x, out)
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
