//! Merging of bfloat16 in one go, where nothing is dropped and nobody votes: all stays in registers.

use super::affine::narrow_brain;
use crate::args::merge::MergeStraight;

#[inline(always)]
fn wide(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// A block of so many elements is one loop, which the compiler makes registers of.
const BLOCK: usize = 256;

/// The highest bit is set if an item is NaN or infinite: an exponent of ones carries into it.
#[inline(always)]
fn excess(items: &[u16; BLOCK]) -> u16 {
    let mut over = 0;
    for &item in items {
        over |= (item & 0x7FFF) + 0x80;
    }
    over
}

/// `once`: products and sums are rounded together, by way of float64; `divided`: the divisor is not 1.
#[inline(always)]
fn block<const K: usize>(
    models: &[&[u16; BLOCK]; K],
    base: Option<&[u16; BLOCK]>,
    weights: &[f32; K],
    (once, divided): (bool, bool),
    how: &MergeStraight<'_>,
    out: &mut [u16; BLOCK],
) -> u16 {
    let mut over = 0;
    for items in models {
        over |= excess(items);
    }
    if let Some(base) = base {
        over |= excess(base);
    }
    for i in 0..BLOCK {
        let anchor = if let Some(base) = base { wide(base[i]) } else { 0.0 };
        let mut sum = if base.is_some() { 0.0 } else { -0.0f32 };
        for k in 0..K {
            let x = if base.is_some() { wide(models[k][i]) - anchor } else { wide(models[k][i]) };
            sum = if once {
                (f64::from(weights[k]) * f64::from(x) + f64::from(sum)) as f32
            } else {
                sum + weights[k] * x
            };
        }
        let mean = if divided { sum / how.divisor } else { sum };
        out[i] = narrow_brain(if base.is_some() { mean * how.factor + anchor } else { mean });
    }
    over
}

/// The same, compiled for each of the cases.
#[inline(always)]
fn in_its_case<const K: usize>(
    models: &[&[u16; BLOCK]; K],
    base: Option<&[u16; BLOCK]>,
    weights: &[f32; K],
    how: &MergeStraight<'_>,
    out: &mut [u16; BLOCK],
) -> u16 {
    // A product by 1 is exact: the sum of two float32, rounded once, needs no other dtype.
    let exact = weights.iter().all(|weight| weight.abs() == 1.0);
    match (base, exact, how.divisor != 1.0) {
        (Some(_), _, false) => block(models, base, weights, (false, false), how, out),
        (Some(_), _, true) => block(models, base, weights, (false, true), how, out),
        (None, true, _) => block(models, None, weights, (false, true), how, out),
        (None, false, _) => block(models, None, weights, (true, true), how, out),
    }
}

#[inline(always)]
fn rows<const K: usize>(models: &[&[u16]], how: &MergeStraight<'_>, out: &mut [u16]) -> bool {
    let (Ok(models), Ok(weights)) = (<[&[u16]; K]>::try_from(models), <&[f32; K]>::try_from(how.weights)) else {
        return true; // there are as many models as `straight` has counted
    };
    let (mut over, length) = (0, out.len());
    for start in (0..length).step_by(BLOCK) {
        let count = BLOCK.min(length - start);
        if count == BLOCK {
            let Some(out) = out[start..].first_chunk_mut() else { break };
            let mut here = [&[0; BLOCK]; K];
            for (here, items) in here.iter_mut().zip(&models) {
                *here = items[start..].first_chunk().unwrap_or(here);
            }
            let base = how.base.and_then(|base| base[start..].first_chunk());
            over |= in_its_case(&here, base, weights, how, out);
            continue;
        }
        // What is left is completed by zeros.
        let padded = |items: &[u16]| {
            let mut room = [0; BLOCK];
            room[..count].copy_from_slice(&items[start..]);
            room
        };
        let mut rooms = [[0; BLOCK]; K];
        rooms.iter_mut().zip(&models).for_each(|(room, items)| *room = padded(items));
        let mut here = [&[0; BLOCK]; K];
        here.iter_mut().zip(&rooms).for_each(|(here, room)| *here = room);
        let (anchor, mut room) = (how.base.map(padded), [0; BLOCK]);
        over |= in_its_case(&here, anchor.as_ref(), weights, how, &mut room);
        out[start..].copy_from_slice(&room[..count]);
    }
    over >> 15 == 0
}

/// See [`crate::Kernels::merge_straight`].
#[inline(always)]
pub(crate) fn straight(models: &[&[u16]], how: MergeStraight<'_>, out: &mut [u16]) -> bool {
    match models.len() {
        1 => rows::<1>(models, &how, out),
        2 => rows::<2>(models, &how, out),
        3 => rows::<3>(models, &how, out),
        4 => rows::<4>(models, &how, out),
        _ => rows::<0>(models, &how, out),
    }
}
