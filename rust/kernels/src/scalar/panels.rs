//! Products with many columns, written so that the compiler vectorises them for whatever instruction set they are
//! inlined into.

use super::affine::{widen_bf16, widen_f16};
use super::product::fma;
use crate::panels::{DEPTH, Panel, PanelRows, PanelValues};

/// See [`crate::Kernels::add_panel`].
#[inline(always)]
pub(crate) fn add<const W: usize, const F: bool>(
    w: &PanelRows<'_>,
    cursors: &mut [usize],
    x: &Panel,
    sums: &mut [f32],
) {
    match w.values {
        PanelValues::Single(items) => rows::<W, F, _>(w, items, cursors, x, sums, |from, to| to.copy_from_slice(from)),
        PanelValues::Half(items) => rows::<W, F, _>(w, items, cursors, x, sums, |from, to| widen_f16(from, to)),
        PanelValues::Brain(items) => rows::<W, F, _>(w, items, cursors, x, sums, |from, to| widen_bf16(from, to)),
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
    for (row, (bits, cursor)) in w.bits.iter().zip(cursors).enumerate() {
        let mut left = u64::from_le_bytes(*bits);
        let rest = items.get(*cursor..).unwrap_or_default();
        *cursor = cursor.saturating_add(left.count_ones() as usize);
        let count = rest.len().min(left.count_ones() as usize);
        let mut values = [0.0; DEPTH];
        let values = &mut values[..count];
        widen(&rest[..count], values);
        let sums = &mut sums[row * w.stride..][..w.width];
        let mut all = [0.0; W];
        if !w.first {
            all[..sums.len()].copy_from_slice(sums);
        }
        for &mut value in values {
            let place = left.trailing_zeros() as usize % DEPTH;
            left &= left.wrapping_sub(1);
            let row = &x.0[place * W..][..W];
            for i in 0..W {
                all[i] = fma::<F>(value, row[i], all[i]);
            }
        }
        sums.copy_from_slice(&all[..sums.len()]);
    }
}
