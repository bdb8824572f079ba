//! Products in integers: every column of `x` in 8 bits, codes as they are stored.

use super::gemv;
use super::masked_rows::Masked;
use super::values::{Slots, Values};
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// A column of `x`: `x / step`, rounded to even, plus 128.
struct Column {
    step: f32,
    bytes: Vec<u8>,
}

impl Column {
    fn new(x: &Matrix<'_, f32>, column: usize) -> Self {
        let items = || x.items().iter().skip(column).step_by(x.cols());
        let most = items().fold(0.0f32, |most, item| most.max(item.abs()));
        let step = if most / 127.0 > 0.0 { most / 127.0 } else { 1.0 };
        Self { step, bytes: items().map(|item| ((item / step).round_ties_even() as i16 + 128) as u8).collect() }
    }
}

/// `out = w @ x` with `x` rounded to 8 bits.
///
/// # Errors
/// Values that are not symmetric codes whose scales serve whole multiples of 64 columns.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &Matrix<'_, f32>, out: MatrixMut<'_, f32>) -> Result<()> {
    let (rows, cols) = w.shape();
    let unfit = Error::Parameter { name: "columns per scale", got: values.scales.map_or(0, |scales| scales.group) };
    let (Slots::Codes(stream, width), Some(scales)) = (values.slots, values.scales) else { return Err(unfit) };
    let columns: Vec<_> = (0..x.cols()).map(|column| Column::new(x, column)).collect();
    let ranges = par::cut(rows, 2, (w.nbytes() + values.nbytes()).saturating_mul(x.cols()));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let (mut bits, mut room) = (vec![0; cols.div_ceil(8) + 8], [Vec::new(), Vec::new()]);
        for (row, sums) in range.step_by(2).zip(out.items_mut().chunks_mut(2 * columns.len())) {
            let both = [row, row + sums.len() / columns.len() - 1];
            if fours(w, values, both, &columns, &mut room, sums) {
                continue;
            }
            for (row, sums) in (row..).zip(sums.chunks_mut(columns.len())) {
                w.bits(row, &mut bits)?;
                let (bits, slots) = (&bits[..cols.div_ceil(8)], w.slots(row)?);
                if !scales.row(row, cols, &mut room[0]) {
                    return Err(unfit.clone());
                }
                for (sum, column) in sums.iter_mut().zip(&columns) {
                    let codes = (stream, width, slots.start);
                    let (found, used) = Kernels::active().dot_integers(codes, bits, &column.bytes, &room[0]);
                    if used > slots.len() {
                        return Err(Error::Offsets { name: "row_offsets", at: row });
                    }
                    *sum = found * column.step;
                }
            }
        }
        Ok(())
    })
}

/// Writes the sums of two rows of 2:4, where there is a kernel for them and the codes are right; tells whether it did.
fn fours(
    w: &impl Masked,
    values: &Values<'_>,
    both: [usize; 2],
    columns: &[Column],
    room: &mut [Vec<f32>; 2],
    sums: &mut [f32],
) -> bool {
    let (Slots::Codes(stream, width), Some(scales)) = (values.slots, values.scales) else { return false };
    let ready = gemv::starts_of_fours(w, values, both)
        .and_then(|starts| gemv::starts_of_codes(starts, width))
        .zip(gemv::scales_of_both(&scales, both, w.shape().1, room))
        .and_then(|(starts, scale)| gemv::nm24_rows(w, both, starts, stream, scale));
    let Some(rows) = ready else { return false };
    for (i, column) in columns.iter().enumerate() {
        let Some(found) = Kernels::active().nm24_dot_integers(&rows, width, &column.bytes) else { return false };
        for (sums, found) in sums.chunks_mut(columns.len()).zip(found) {
            sums[i] = found * column.step;
        }
    }
    true
}
