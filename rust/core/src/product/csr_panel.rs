//! Compressed rows with so many slots that each block of columns holds some: panels, as for bits. Rows are taken to
//! have ascending indices, and looked at when all is done.

use super::csr_rows::Rows;
use super::panel::{Room, shared, stored};
use crate::room::refill;
use crate::{Index, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{DEPTH, Kernels, PanelPositions, PanelRows, PanelValues};
use std::ops::Range;

/// Rows at a time, whose sums stay in the second-level cache; fewer where values are decoded.
const MOST: [usize; 2] = [1024, 256];

/// `out = w @ x`; returns false where that is not what it wrote, or it wrote nothing: indices are long, do not ascend
/// or are out of range.
pub(super) fn run<I: Index>(
    w: &Rows<'_, I>,
    ranges: Vec<Range<usize>>,
    x: &Matrix<'_, f32>,
    out: &mut MatrixMut<'_, f32>,
) -> Result<bool> {
    let Some(indices) = I::narrow(w.csr.indices()) else { return Ok(false) };
    let (k, cols) = (x.cols(), w.csr.cols());
    let ranges = shared(ranges);
    let outs = par::split_mut(out.items_mut(), ranges.iter().map(|range| range.len() * k));
    let done = par::map(ranges.into_iter().zip(outs).collect(), |(range, sums): (Range<usize>, &mut [f32])| {
        let (mut room, mut decoded) = (Room::new(), Vec::new());
        let most = MOST[usize::from(stored(w.values).is_none())];
        for (start, sums) in range.clone().step_by(most).zip(sums.chunks_mut(most * k)) {
            let slots = (start..start + sums.len() / k).map(|row| w.csr.slots(row));
            let mut slots = slots.collect::<Result<Vec<_>>>()?;
            let (mut indices, before) = (indices, slots[0].start);
            let values = match stored(w.values) {
                Some(values) => values,
                None => {
                    if !decode(w, start, &slots, &mut decoded)? {
                        return Ok(false);
                    }
                    indices = &indices[before..];
                    slots.iter_mut().for_each(|slots| *slots = slots.start - before..slots.end - before);
                    PanelValues::F32(&decoded)
                }
            };
            let (mut first, ends) = (0, slots.iter().map(|slots| slots.end).collect::<Vec<_>>());
            while first < k {
                let mut cursors: Vec<_> = slots.iter().map(|slots| slots.start).collect();
                let mut width = 0;
                for (block, x) in x.items().chunks(DEPTH * k).enumerate() {
                    width = room.pack(x, k, first);
                    // Behind the last column there are places of a panel too, but no columns.
                    let last = |(&start, &end)| indices.get(start..end).unwrap_or_default();
                    let beyond = |index: &i32| !usize::try_from(*index).is_ok_and(|index| index < cols);
                    if x.len() < DEPTH * k && cursors.iter().zip(&ends).flat_map(last).any(beyond) {
                        return Ok(false);
                    }
                    let places = PanelPositions::Indices(indices, block * DEPTH, &ends);
                    let rows = PanelRows { places, values, stride: k, width, first: block == 0 };
                    Kernels::active().add_panel(&rows, &mut cursors, &room.panel, &mut sums[first..]);
                }
                if cursors != ends {
                    return Ok(false);
                }
                first += width;
            }
        }
        Ok(true)
    });
    done.into_iter().try_fold(true, |all, done| Ok(all & done?))
}

/// Writes the values of the slots of rows from `start` on; returns false where an index is out of range.
fn decode<I: Index>(w: &Rows<'_, I>, start: usize, slots: &[Range<usize>], decoded: &mut Vec<f32>) -> Result<bool> {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return Ok(true) };
    decoded.clear();
    refill(decoded, 0.0, last.end - first.start)?;
    for (row, slots) in (start..).zip(slots) {
        let values = &mut decoded[slots.start - first.start..slots.end - first.start];
        w.values.widen(row, slots.start, values)?;
        if let Some(scales) = w.values.scales {
            let indices = &w.csr.indices()[slots.clone()];
            if indices.iter().any(|index| index.below(w.csr.cols()).is_none()) {
                return Ok(false);
            }
            scales.apply_each(row, indices.iter().map(|index| index.below(w.csr.cols()).unwrap_or(0)), values);
        }
    }
    Ok(true)
}
