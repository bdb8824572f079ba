//! Products in integers: every column of `x` in 8 bits, codes as they are stored.

use super::masked::Masked;
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
    let ranges = par::cut(rows, 1, (w.nbytes() + values.nbytes()).saturating_mul(x.cols()));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let (mut bits, mut scale) = (vec![0; cols.div_ceil(8) + 8], Vec::new());
        for (row, sums) in range.zip(out.items_mut().chunks_mut(columns.len())) {
            w.bits(row, &mut bits)?;
            let (bits, slots) = (&bits[..cols.div_ceil(8)], w.slots(row)?);
            if !scales.row(row, cols, &mut scale) {
                return Err(unfit.clone());
            }
            for (sum, column) in sums.iter_mut().zip(&columns) {
                let codes = (stream, width, slots.start);
                let (found, used) = Kernels::active().dot_integers(codes, bits, &column.bytes, &scale);
                if used > slots.len() {
                    return Err(Error::Offsets { name: "row_offsets", at: row });
                }
                *sum = found * column.step;
            }
        }
        Ok(())
    })
}
