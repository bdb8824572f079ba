//! Merging, tile by tile: plain loops over arrays of one length, which the compiler makes registers of.
//!
//! The functions are inlined into one function per instruction set, which differ in speed only: no operation is fused,
//! and sums of models are taken in the order of the models.

use super::affine::wide;
pub(crate) use super::merge_straight::straight;
use crate::args::merge::{MERGE_GROUP, MERGE_LANES, MERGE_TILE, MergeItems, MergeLanes, MergeShare, MergeTile};

/// The bits of a magnitude.
pub(crate) const MAGNITUDE: u32 = 0x7FFF_FFFF;
/// The magnitude of every NaN, one behind infinity.
pub(crate) const NAN: u32 = 0x7F80_0001;

/// The magnitude as an integer, in the same order.
#[inline(always)]
fn magnitude(x: f32) -> i32 {
    let key = x.to_bits() & MAGNITUDE;
    (if key > NAN { NAN } else { key }) as i32
}

/// Its zero where it is not kept.
#[inline(always)]
fn kept(x: f32, keep: bool) -> f32 {
    f32::from_bits(x.to_bits() & (u32::from(keep).wrapping_neg() | !MAGNITUDE))
}

/// The sign as numpy has it.
#[inline(always)]
fn sign(x: f32) -> f32 {
    let below = if x < 0.0 { -1.0 } else { x };
    if x > 0.0 { 1.0 } else { below }
}

#[inline(always)]
fn widened<T: Copy>(items: &[T], base: Option<&[f32]>, delta: &mut [f32], wide: impl Fn(T) -> f32) -> bool {
    // An exponent of ones carries into the highest bit.
    let mut over = 0u32;
    match base {
        None => {
            for (delta, &item) in delta.iter_mut().zip(items) {
                let x = wide(item);
                over |= (x.to_bits() & MAGNITUDE) + 0x0080_0000;
                *delta = x;
            }
        }
        Some(base) => {
            for ((delta, &item), &base) in delta.iter_mut().zip(items).zip(base) {
                let x = wide(item);
                over |= (x.to_bits() & MAGNITUDE) + 0x0080_0000;
                *delta = x - base;
            }
        }
    }
    over >> 31 == 0
}

/// See [`crate::Kernels::merge_read`].
#[inline(always)]
pub(crate) fn read(items: MergeItems<'_>, base: Option<&[f32]>, delta: &mut [f32]) -> bool {
    match items {
        MergeItems::Single(items) => widened(items, base, delta, f32::from_bits),
        MergeItems::BFloat16(items) => widened(items, base, delta, |bits| f32::from_bits(u32::from(bits) << 16)),
        MergeItems::Float16(items) => widened(items, base, delta, wide),
    }
}

/// See [`crate::Kernels::merge_band`].
#[inline(always)]
pub(crate) fn band(delta: &mut [f32], low: i32, high: i32) {
    for x in delta {
        let key = magnitude(*x);
        *x = kept(*x, (key > low) & (key <= high));
    }
}

/// See [`crate::Kernels::merge_drop`].
#[inline(always)]
pub(crate) fn drop(delta: &mut [f32], words: &[u32], below: u32) {
    for (x, &word) in delta.iter_mut().zip(words) {
        *x = kept(*x, word >= below);
    }
}

/// See [`crate::Kernels::merge_multiply`].
#[inline(always)]
pub(crate) fn multiply(delta: &mut [f32], factor: f32) {
    delta.iter_mut().for_each(|x| *x *= factor);
}

/// See [`crate::Kernels::merge_divide`].
#[inline(always)]
pub(crate) fn divide(delta: &mut [f32], divisor: f32) {
    delta.iter_mut().for_each(|x| *x /= divisor);
}

/// Calls a function on four models at a time, then on what is left at once, in the order of the models.
macro_rules! in_groups {
    ($deltas:expr, $shares:expr, |$group:ident, $some:ident| $work:expr) => {
        let (deltas, shares) = ($deltas, $shares);
        in_groups!(4, deltas, shares, |$group, $some| $work);
        in_groups!(3, deltas, shares, |$group, $some| $work);
        in_groups!(2, deltas, shares, |$group, $some| $work);
        in_groups!(1, deltas, shares, |$group, $some| $work);
        let _ = (deltas, shares);
    };
    ($count:literal, $deltas:ident, $shares:ident, |$group:ident, $some:ident| $work:expr) => {
        let (groups, $deltas) = $deltas.as_chunks::<$count>();
        let (some, $shares) = $shares.as_chunks::<$count>();
        for ($group, $some) in groups.iter().zip(some) {
            $work;
        }
    };
}

#[inline(always)]
fn add_some<const K: usize>(deltas: &[MergeTile; K], weights: &[f32; K], sums: &mut MergeTile) {
    for i in 0..MERGE_TILE {
        let mut sum = sums.0[i];
        for k in 0..K {
            sum += weights[k] * deltas[k].0[i];
        }
        sums.0[i] = sum;
    }
}

/// See [`crate::Kernels::merge_add`].
#[inline(always)]
pub(crate) fn add(deltas: &[MergeTile], weights: &[f32], sums: &mut MergeTile) {
    in_groups!(deltas, weights, |deltas, weights| add_some(deltas, weights, sums));
}

#[inline(always)]
fn add_some_together<const K: usize>(deltas: &[MergeTile; K], weights: &[f32; K], sums: &mut MergeTile) {
    // A product by 1 is exact: the sum of two float32, rounded once, needs no other dtype.
    if weights.iter().all(|weight| weight.abs() == 1.0) {
        return add_some(deltas, weights, sums);
    }
    for i in 0..MERGE_TILE {
        let mut sum = sums.0[i];
        for k in 0..K {
            sum = (f64::from(weights[k]) * f64::from(deltas[k].0[i]) + f64::from(sum)) as f32;
        }
        sums.0[i] = sum;
    }
}

/// See [`crate::Kernels::merge_add_together`].
#[inline(always)]
pub(crate) fn add_together(deltas: &[MergeTile], weights: &[f32], sums: &mut MergeTile) {
    in_groups!(deltas, weights, |deltas, weights| add_some_together(deltas, weights, sums));
}

#[inline(always)]
fn add_some_signs<const K: usize>(deltas: &[MergeTile; K], weights: &[f32; K], sums: &mut MergeTile) {
    for i in 0..MERGE_TILE {
        let mut sum = sums.0[i];
        for k in 0..K {
            sum += sign(weights[k] * deltas[k].0[i]);
        }
        sums.0[i] = sum;
    }
}

/// See [`crate::Kernels::merge_add_signs`].
#[inline(always)]
pub(crate) fn add_signs(deltas: &[MergeTile], weights: &[f32], sums: &mut MergeTile) {
    in_groups!(deltas, weights, |deltas, weights| add_some_signs(deltas, weights, sums));
}

/// See [`crate::Kernels::merge_elect`].
#[inline(always)]
pub(crate) fn elect(votes: &mut MergeTile, none: f32) {
    for vote in &mut votes.0 {
        let elected = sign(*vote);
        *vote = if *vote == 0.0 { none } else { elected };
    }
}

#[inline(always)]
fn agree_some<const K: usize>(
    deltas: &[MergeTile; K],
    shares: &[MergeShare; K],
    votes: &MergeTile,
    sums: &mut MergeTile,
    divisors: &mut MergeTile,
) {
    for i in 0..MERGE_TILE {
        let (mut sum, mut divisor) = (sums.0[i], divisors.0[i]);
        for k in 0..K {
            let (x, MergeShare { voice, weight, share }) = (deltas[k].0[i], shares[k]);
            let agrees = u32::from(voice * x * votes.0[i] > 0.0).wrapping_neg();
            sum += f32::from_bits((weight * x).to_bits() & agrees);
            divisor += f32::from_bits(share.to_bits() & agrees);
        }
        sums.0[i] = sum;
        divisors.0[i] = divisor;
    }
}

/// See [`crate::Kernels::merge_agree`].
#[inline(always)]
pub(crate) fn agree(
    deltas: &[MergeTile],
    shares: &[MergeShare],
    votes: &MergeTile,
    sums: &mut MergeTile,
    divisors: &mut MergeTile,
) {
    in_groups!(deltas, shares, |deltas, shares| agree_some(deltas, shares, votes, sums, divisors));
}

/// See [`crate::Kernels::merge_mean`].
#[inline(always)]
pub(crate) fn mean(sums: &mut MergeTile, divisors: &MergeTile, floor: f32) {
    for (sum, &divisor) in sums.0.iter_mut().zip(&divisors.0) {
        let divisor = if (floor > 0.0) & (divisor < floor) { floor } else { divisor };
        *sum /= if divisor == 0.0 { 1.0 } else { divisor };
    }
}

/// See [`crate::Kernels::merge_finish`].
#[inline(always)]
pub(crate) fn finish(sums: &mut MergeTile, factor: f32, base: &MergeTile) {
    sums.0.iter_mut().zip(&base.0).for_each(|(sum, &base)| *sum = *sum * factor + base);
}

/// See [`crate::Kernels::merge_between`].
#[inline(always)]
pub(crate) fn between(delta: &[f32], low: i32, high: i32, keys: &mut [u32]) -> (usize, usize) {
    let (mut total, mut found) = (0, 0);
    for group in delta.chunks(MERGE_GROUP) {
        let (mut above, mut reach) = (0, 0);
        for &x in group {
            let key = magnitude(x);
            above += i32::from(key >= high);
            reach += i32::from(key >= low);
        }
        total += above as usize;
        if reach > above {
            // What is not wanted is overwritten by what comes next.
            for &x in group {
                let key = magnitude(x);
                keys[found] = key as u32;
                found += usize::from((key >= low) & (key < high));
            }
        }
    }
    (total, found)
}

/// See [`crate::Kernels::merge_products`].
#[inline(always)]
pub(crate) fn products(a: &[f32], b: &[f32], lanes: &mut MergeLanes) {
    let ((rows_a, tail_a), (rows_b, tail_b)) = (a.as_chunks::<MERGE_LANES>(), b.as_chunks::<MERGE_LANES>());
    for (a, b) in rows_a.iter().zip(rows_b) {
        for i in 0..MERGE_LANES {
            lanes[i] += f64::from(a[i]) * f64::from(b[i]);
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(tail_a).zip(tail_b) {
        *lane += f64::from(a) * f64::from(b);
    }
}

/// See [`crate::Kernels::merge_magnitudes`].
#[inline(always)]
pub(crate) fn magnitudes(x: &[f32], lanes: &mut MergeLanes) {
    let (rows, tail) = x.as_chunks::<MERGE_LANES>();
    for row in rows {
        for i in 0..MERGE_LANES {
            lanes[i] += f64::from(row[i].abs());
        }
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane += f64::from(x.abs());
    }
}
