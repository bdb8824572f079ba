//! Whether packed rows are the rows of a dense matrix, bit for bit.

use crate::nm::{self, NmRows, Slot};
use crate::room::filled;
use crate::{BitRows, Csr, Index, Item, Matrix, MatrixMut, Result, bits_to_dense, csr_to_dense, par};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of rows that are decoded at a time: they are compared while the nearest caches still hold them.
const BLOCK: usize = 1 << 16;

/// Whether `decode` of every range of rows gives those of `want`. What is wrong behind a difference may not be noticed.
fn blocks_equal<T: Item>(
    want: Matrix<'_, T>,
    decode: impl Fn(Range<usize>, MatrixMut<'_, T>) -> Result<()> + Sync,
) -> Result<bool> {
    let step = (BLOCK / (want.cols() * size_of::<T>()).max(1)).max(1);
    let same = AtomicBool::new(true);
    par::run(par::cut(want.rows(), 1, size_of_val(want.items())), |rows: Range<usize>| {
        let mut room = filled(T::default(), step.min(rows.len()) * want.cols())?;
        for first in rows.clone().step_by(step) {
            if !same.load(Ordering::Relaxed) {
                break;
            }
            let some = first..rows.end.min(first + step);
            let expected = want.range(some.clone());
            let out = &mut room[..expected.items().len()];
            decode(some, MatrixMut::new("out", out, expected.rows(), want.cols())?)?;
            if *out != *expected.items() {
                same.store(false, Ordering::Relaxed);
            }
        }
        Ok(())
    })?;
    Ok(same.into_inner())
}

/// Whether rows of N:M with these slots are `want`.
///
/// # Errors
/// As of [`nm::decode`].
pub fn nm_equal<T: Item + Slot>(nm: NmRows<'_>, slots: Matrix<'_, T>, want: Matrix<'_, T>) -> Result<bool> {
    want.check_shape("want", nm.shape())?;
    nm.check_slots(&slots)?;
    blocks_equal(want, |rows, out| nm::decode(nm.range(rows.clone()), slots.range(rows), out))
}

/// Whether the slots of rows at their set bits are `want`.
///
/// # Errors
/// As of [`bits_to_dense`].
pub fn bits_equal<T: Item, I: Index>(bits: BitRows<'_, I>, slots: &[T], want: Matrix<'_, T>) -> Result<bool> {
    want.check_shape("want", (bits.rows(), bits.cols()))?;
    bits.check_slots(slots.len())?;
    blocks_equal(want, |rows, out| bits_to_dense(bits.range(rows)?, slots, out))
}

/// Whether rows of csr with these slots are `want`.
///
/// # Errors
/// As of [`csr_to_dense`].
pub fn csr_equal<T: Item, I: Index>(csr: Csr<'_, I>, slots: &[T], want: Matrix<'_, T>) -> Result<bool> {
    want.check_shape("want", (csr.rows(), csr.cols()))?;
    csr.check_slots(slots.len())?;
    blocks_equal(want, |rows, out| csr_to_dense(csr.range(rows)?, slots, out))
}
