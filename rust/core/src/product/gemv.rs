//! One column: a row at a time, straight from the packed values where a kernel does that.

use super::masked::Masked;
use super::values::{Slots, Values, fetch};
use crate::{Error, Result, par};
use sparsefmt_kernels::Kernels;

/// Working space of a thread.
#[derive(Default)]
struct Room {
    bits: Vec<u8>,
    values: Vec<f32>,
    codes: Vec<u8>,
    scale: Vec<f32>,
}

/// `out = w @ x` for a vector `x`.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &[f32], out: &mut [f32]) -> Result<()> {
    let (rows, cols) = w.shape();
    let ranges = par::cut(rows, 1, w.nbytes() + values.nbytes());
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, out)| {
        let mut room = Room { bits: vec![0; cols.div_ceil(8) + 8], ..Room::default() };
        for (row, out) in rows.zip(out) {
            w.bits(row, &mut room.bits)?;
            *out = dot(w, values, row, x, &mut room)?;
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
        (Slots::Codes(stream, width), Some(scales)) => match scales.row(row, x.len(), &mut room.scale) {
            Some(group) if width == 8 => kernels.dot_codes(&stream[slots.start..], bits, x, &room.scale, group),
            Some(group) if kernels.has_dot_codes() => {
                let lead = slots.start % 2;
                let count = slots.len() + lead;
                room.codes.resize(room.codes.len().max(count + 64), 0);
                let bytes = &stream[slots.start / 2..][..count.div_ceil(2)];
                kernels.unpack_nibbles(bytes, &mut room.codes[..count]);
                kernels.dot_codes(&room.codes[lead..], bits, x, &room.scale, group)
            }
            _ => None,
        },
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
