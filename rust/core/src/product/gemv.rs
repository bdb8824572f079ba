//! One column: a row at a time, straight from the packed values where a kernel does that.

use super::Aligned;
use super::masked::Masked;
use super::values::{Slots, Values};
use crate::{Error, Result, par};
use sparsefmt_kernels::Kernels;

/// Working space of a thread.
#[derive(Default)]
struct Room {
    bits: Vec<u8>,
    values: Vec<f32>,
    scale: Vec<f32>,
}

/// `out = w @ x` for a vector `x`.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &[f32], out: &mut [f32]) -> Result<()> {
    let (rows, cols) = w.shape();
    let x = Aligned::new(x);
    let ranges = par::cut(rows, 1, w.nbytes() + values.nbytes());
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, out)| {
        let mut room = Room { bits: vec![0; cols.div_ceil(8) + 8], ..Room::default() };
        for (row, out) in rows.zip(out) {
            w.bits(row, &mut room.bits)?;
            *out = dot(w, values, row, x.items(), &mut room)?;
        }
        Ok(())
    })
}

fn dot(w: &impl Masked, values: &Values<'_>, row: usize, x: &[f32], room: &mut Room) -> Result<f32> {
    let kernels = Kernels::active();
    let slots = w.slots(row)?;
    let wrong = Error::Offsets { name: "row_offsets", at: row };
    if slots.end > values.len() {
        return Err(wrong);
    }
    let bits = &room.bits[..x.len().div_ceil(8)];
    // Items behind the row are there to be loaded, not to be used: the bits tell how many are.
    let direct = match (values.slots, values.scales) {
        (Slots::Single(items), _) => Some(kernels.dot_f32(&items[slots.start..], bits, x)),
        (Slots::Half(items), _) => kernels.dot_f16(&items[slots.start..], bits, x),
        (Slots::Brain(items), _) => kernels.dot_bf16(&items[slots.start..], bits, x),
        (Slots::Codes(stream, width), Some(scales)) => {
            if scales.row(row, x.len(), &mut room.scale) {
                kernels.dot_codes((stream, width, slots.start), bits, x, &room.scale)
            } else {
                None
            }
        }
        _ => None,
    };
    let (sum, used) = match direct {
        Some(found) => found,
        None => {
            room.values.resize(slots.len(), 0.0);
            values.widen(row, slots.start, &mut room.values)?;
            values.scale_bits(row, 0, bits, &mut room.values);
            kernels.dot_f32(&room.values, bits, x)
        }
    };
    // Of nm, slots beyond the last column have no bits that count.
    if used > slots.len() { Err(wrong) } else { Ok(sum) }
}
