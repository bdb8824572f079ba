//! Products with many columns, written so that the compiler vectorises them for whatever instruction set they are
//! inlined into.

use super::affine::{widen_bf16, widen_f16};
use super::product::{Index, fma};
use crate::args::panels::{AHEAD, DEPTH, DepthBits, Panel, PanelPositions, PanelRows, PanelValues};
use crate::prefetch::prefetch_near;

/// See [`crate::Kernels::add_panel`].
#[inline(always)]
pub(crate) fn add<const W: usize, const F: bool>(
    w: &PanelRows<'_>,
    cursors: &mut [usize],
    x: &Panel,
    sums: &mut [f32],
) {
    match w.values {
        PanelValues::F32(items) => rows::<W, F, _>(w, items, cursors, x, sums, |from, to| to.copy_from_slice(from)),
        PanelValues::F16(items) => rows::<W, F, _>(w, items, cursors, x, sums, widen_f16),
        PanelValues::Bf16(items) => rows::<W, F, _>(w, items, cursors, x, sums, widen_bf16),
    }
}

#[inline(always)]
fn rows<const W: usize, const F: bool, T>(
    w: &PanelRows<'_>,
    items: &[T],
    cursors: &mut [usize],
    x: &Panel,
    sums: &mut [f32],
    widen: impl Fn(&[T], &mut [f32]),
) {
    for row in 0..cursors.len() {
        if let Some(&to_come) = cursors.get(row + AHEAD) {
            prefetch_near(items, to_come, DEPTH / 2);
            if let PanelPositions::Indices(indices, ..) = w.places {
                prefetch_near(indices, to_come, DEPTH / 2);
            }
        }
        let cursor = &mut cursors[row];
        let rest = items.get(*cursor..).unwrap_or_default();
        let mut places = [0; DEPTH];
        let found = match w.places {
            PanelPositions::Bits(bits) => set_bits(bits[row], &mut places),
            PanelPositions::Indices(indices, first, ends) => {
                near(indices, *cursor, first, &mut places).min(ends[row].saturating_sub(*cursor))
            }
        };
        *cursor = cursor.wrapping_add(found);
        let count = rest.len().min(found);
        let mut values = [0.0; DEPTH];
        widen(&rest[..count], &mut values[..count]);
        let sums = &mut sums[row * w.stride..][..w.width];
        let mut all = [0.0; W];
        if !w.first {
            all[..sums.len()].copy_from_slice(sums);
        }
        for (&value, &place) in values[..count].iter().zip(&places) {
            let row = &x.0[usize::from(place) % DEPTH * W..][..W];
            for i in 0..W {
                all[i] = fma::<F>(value, row[i], all[i]);
            }
        }
        sums.copy_from_slice(&all[..sums.len()]);
    }
}

/// The places of set bits, and their number.
#[inline(always)]
fn set_bits(bits: DepthBits, places: &mut [u8; DEPTH]) -> usize {
    let mut left = u64::from_le_bytes(bits);
    let count = left.count_ones() as usize;
    for place in &mut places[..count] {
        *place = left.trailing_zeros() as u8;
        left &= left.wrapping_sub(1);
    }
    count
}

/// The places of indices from number `start` on that are less than [`DEPTH`] above `first`, and their number.
#[inline(always)]
pub(crate) fn near(indices: &[i32], start: usize, first: usize, places: &mut [u8; DEPTH]) -> usize {
    let mut count = 0;
    for (place, index) in places.iter_mut().zip(indices.get(start..).unwrap_or_default()) {
        let at = index.row().wrapping_sub(first);
        if at >= DEPTH {
            break;
        }
        *place = at as u8;
        count += 1;
    }
    count
}
