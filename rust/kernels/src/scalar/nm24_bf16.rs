//! Products of pairs of bfloat16.

use crate::args::nm24_bf16::{NM24_BF16_GROUPS, Nm24Bf16Rows, Pairs};

/// The places of the two ones of each code.
pub(crate) const ROWS: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];

/// The numbers of the pairs of rows that the codes name.
#[inline(always)]
fn places(codes: &[u8; 8]) -> [u8; NM24_BF16_GROUPS] {
    let word = u64::from_le_bytes(*codes);
    std::array::from_fn(|group| 6 * group as u8 + (word >> (3 * group)) as u8 % 8)
}

/// See [`crate::Kernels::nm24_bf16_pack`].
#[inline(always)]
pub(crate) fn pack(rows: &[[u16; 64]; 4 * NM24_BF16_GROUPS], pairs: &mut Pairs) {
    for (rows, pairs) in rows.as_chunks::<4>().0.iter().zip(pairs.0.as_chunks_mut::<6>().0) {
        for (pair, (low, high)) in pairs.iter_mut().zip(ROWS) {
            for ((to, &low), &high) in pair.iter_mut().zip(&rows[low]).zip(&rows[high]) {
                *to = u32::from(low) | u32::from(high) << 16;
            }
        }
    }
}

/// See [`crate::Kernels::nm24_bf16_add`].
#[inline(always)]
pub(crate) fn add(w: &Nm24Bf16Rows<'_>, x: &Pairs, sums: &mut [f32], (stride, width): (usize, usize), first: bool) {
    let wide = |bits: u32| f32::from_bits(bits << 16);
    for row in 0..w.rows {
        let sums = &mut sums[row * stride..][..width];
        if first {
            sums.fill(0.0);
        }
        let Some(codes) = w.codes[row * w.strides.0..].first_chunk() else { return };
        let values = w.values[row * w.strides.1..].as_chunks::<2>().0;
        for (&place, pair) in places(codes).iter().zip(values) {
            let (low, high) = (wide(pair[0].into()), wide(pair[1].into()));
            for (sum, &x) in sums.iter_mut().zip(&x.0[usize::from(place)]) {
                *sum += low * wide(x) + high * wide(x >> 16);
            }
        }
    }
}

/// See [`crate::Kernels::bf16_all_finite`].
#[inline(always)]
pub(crate) fn are_finite(items: &[u16]) -> bool {
    items.iter().fold(0, |most, item| most.max(item & 0x7FFF)) < 0x7F80
}
