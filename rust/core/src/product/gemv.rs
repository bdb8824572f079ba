//! One column: a row or two at a time, straight from the packed values where a kernel does that.

use super::aligned::Aligned;
use super::masked_rows::Masked;
use super::values::{Scales, Slots, Values};
use crate::{Error, Result, par};
use sparsefmt_kernels::{Kernels, Nm24Row};

/// Working space of a thread.
#[derive(Default)]
struct Room {
    bits: Vec<u8>,
    values: Vec<f32>,
    scale: [Vec<f32>; 2],
}

/// `out = w @ x` for a vector `x`.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &[f32], out: &mut [f32]) -> Result<()> {
    let (rows, cols) = w.shape();
    let x = Aligned::new(x)?;
    let ranges = par::cut(rows, 2, w.nbytes() + values.nbytes());
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, out)| {
        let mut room = Room { bits: vec![0; cols.div_ceil(8) + 8], ..Room::default() };
        for (row, out) in rows.step_by(2).zip(out.chunks_mut(2)) {
            let both = [row, row + out.len() - 1];
            if let Some(found) = fours(w, values, both, x.items(), &mut room) {
                out.copy_from_slice(&found[..out.len()]);
                continue;
            }
            for (row, out) in (row..).zip(out) {
                w.bits(row, &mut room.bits)?;
                *out = dot(w, values, row, x.items(), &mut room)?;
            }
        }
        Ok(())
    })
}

/// Two rows of 2:4, where there is a kernel for them and the codes are right.
fn fours(w: &impl Masked, values: &Values<'_>, both: [usize; 2], x: &[f32], room: &mut Room) -> Option<[f32; 2]> {
    let kernels = Kernels::active();
    let starts = starts_of_fours(w, values, both)?;
    match (values.slots, values.scales) {
        (Slots::F32(items), _) => kernels.nm24_dot_f32(&nm24_rows(w, both, starts, items, [&[]; 2])?, x),
        (Slots::F16(items), _) => kernels.nm24_dot_f16(&nm24_rows(w, both, starts, items, [&[]; 2])?, x),
        (Slots::Bf16(items), _) => kernels.nm24_dot_bf16(&nm24_rows(w, both, starts, items, [&[]; 2])?, x),
        (Slots::Codes(stream, width), Some(scales)) => {
            let scale = scales_of_both(&scales, both, x.len(), &mut room.scale)?;
            let starts = starts_of_codes(starts, width)?;
            kernels.nm24_dot_codes(&nm24_rows(w, both, starts, stream, scale)?, width, x)
        }
        _ => None,
    }
}

/// The first slots of two rows, if there are as many as their ends say.
pub(super) fn starts_of_fours(w: &impl Masked, values: &Values<'_>, both: [usize; 2]) -> Option<[usize; 2]> {
    let [a, b] = [w.slots(both[0]).ok()?, w.slots(both[1]).ok()?];
    (a.end.max(b.end) <= values.len()).then_some([a.start, b.start])
}

/// The bytes that codes start at.
pub(super) fn starts_of_codes(starts: [usize; 2], width: usize) -> Option<[usize; 2]> {
    starts.iter().all(|start| (start * width).is_multiple_of(8)).then(|| starts.map(|start| start * width / 8))
}

/// The scales of two rows, one for every 64 columns.
pub(super) fn scales_of_both<'a>(
    scales: &Scales<'_>,
    both: [usize; 2],
    cols: usize,
    room: &'a mut [Vec<f32>; 2],
) -> Option<[&'a [f32]; 2]> {
    for (row, room) in both.into_iter().zip(&mut *room) {
        if !scales.row(row, cols, room) {
            return None;
        }
    }
    let [a, b] = room;
    Some([a, b])
}

/// What kernels take of two rows of 2:4.
pub(super) fn nm24_rows<'a, T>(
    w: &'a impl Masked,
    both: [usize; 2],
    starts: [usize; 2],
    items: &'a [T],
    scale: [&'a [f32]; 2],
) -> Option<[Nm24Row<'a, T>; 2]> {
    let row = |i: usize| Some(Nm24Row { codes: w.fours(both[i])?, values: items.get(starts[i]..)?, scale: scale[i] });
    Some([row(0)?, row(1)?])
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
        (Slots::F32(items), _) => Some(kernels.dot_f32(&items[slots.start..], bits, x)),
        (Slots::F16(items), _) => kernels.dot_f16(&items[slots.start..], bits, x),
        (Slots::Bf16(items), _) => kernels.dot_bf16(&items[slots.start..], bits, x),
        (Slots::Codes(stream, width), Some(scales)) => {
            if scales.row(row, x.len(), &mut room.scale[0]) {
                kernels.dot_codes((stream, width, slots.start), bits, x, &room.scale[0])
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
