//! Products with many columns, whose sums stay in registers for a row.

use super::affine::{widen_bf16, widen_f16};
use super::csr::add as add_row;
use super::registers::{load_f32, store_f32};
use crate::args::panels::{DEPTH, Panel, PanelPositions, PanelRows, PanelValues, Table};
use crate::scalar::panels::near;
use std::arch::aarch64::vdupq_n_f32;

pub(crate) const TABLE: Table = Table { narrowest: 16, add: &[add_16, add_32, add_64] };

/// The places of set bits, in ascending order.
struct SetBits(u64);

impl Iterator for SetBits {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let place = self.0.trailing_zeros() as usize;
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            place
        })
    }
}

/// Adds the products of values with the rows of `x` at their places to the sums of a row, or sets these.
#[inline]
#[target_feature(enable = "neon")]
fn row<const W: usize, const R: usize>(
    values: &[f32],
    places: impl Iterator<Item = usize>,
    x: &Panel,
    sums: &mut [f32],
    first: bool,
) {
    let (mut all, mut room) = ([vdupq_n_f32(0.0); R], [0.0; W]);
    if !first {
        room[..sums.len()].copy_from_slice(sums);
        all.iter_mut().zip(room.as_chunks().0).for_each(|(all, sums)| *all = load_f32(sums));
    }
    for (place, &value) in places.zip(values) {
        add_row(&mut all, value, &x.0[place % DEPTH * W..][..W]);
    }
    if let Some(sums) = sums.first_chunk_mut::<W>() {
        sums.as_chunks_mut().0.iter_mut().zip(all).for_each(|(sums, all)| store_f32(sums, all));
    } else {
        room.as_chunks_mut().0.iter_mut().zip(all).for_each(|(sums, all)| store_f32(sums, all));
        sums.copy_from_slice(&room[..sums.len()]);
    }
}

/// All rows; `widen` makes float32 of their values.
#[inline]
#[target_feature(enable = "neon")]
fn rows<const W: usize, const R: usize, T>(
    w: &PanelRows<'_>,
    items: &[T],
    cursors: &mut [usize],
    x: &Panel,
    sums: &mut [f32],
    widen: impl for<'a> Fn(&'a [T], &'a mut [f32]) -> &'a [f32],
) {
    let mut room = [0.0; DEPTH];
    for (at, cursor) in cursors.iter_mut().enumerate() {
        let rest = items.get(*cursor..).unwrap_or_default();
        let sums = &mut sums[at * w.stride..][..w.width];
        let found = match w.places {
            PanelPositions::Bits(bits) => {
                let bits = u64::from_le_bytes(bits[at]);
                let found = bits.count_ones() as usize;
                let count = rest.len().min(found);
                row::<W, R>(widen(&rest[..count], &mut room[..count]), SetBits(bits), x, sums, w.first);
                found
            }
            PanelPositions::Indices(indices, first, ends) => {
                let mut places = [0; DEPTH];
                let found = near(indices, *cursor, first, &mut places).min(ends[at].saturating_sub(*cursor));
                let count = rest.len().min(found);
                let places = places.iter().map(|&place| usize::from(place));
                row::<W, R>(widen(&rest[..count], &mut room[..count]), places, x, sums, w.first);
                found
            }
        };
        *cursor = cursor.wrapping_add(found);
    }
}

macro_rules! add {
    ($name:ident, $w:literal, $registers:literal) => {
        /// See [`crate::Kernels::add_panel`].
        #[target_feature(enable = "neon")]
        fn $name(w: &PanelRows<'_>, cursors: &mut [usize], x: &Panel, sums: &mut [f32]) {
            match w.values {
                PanelValues::F32(items) => rows::<$w, $registers, _>(w, items, cursors, x, sums, |items, _| items),
                PanelValues::F16(items) => rows::<$w, $registers, _>(w, items, cursors, x, sums, |items, room| {
                    widen_f16(items, room);
                    room
                }),
                PanelValues::Bf16(items) => rows::<$w, $registers, _>(w, items, cursors, x, sums, |items, room| {
                    widen_bf16(items, room);
                    room
                }),
            }
        }
    };
}
add!(add_16, 16, 4);
add!(add_32, 32, 8);
add!(add_64, 64, 16);
