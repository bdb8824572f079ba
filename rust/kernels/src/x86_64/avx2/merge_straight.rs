//! Merging of bfloat16 in one go. Items are widened by a shuffle with zeros, which leaves each half of a register where
//! it is, and narrowed by its inverse: nothing crosses the halves, which takes long on Zen 1.

use super::compress::{load_256, store_256};
use crate::args::merge::{MERGE_SIDE, MergeStraight};
use crate::prefetch::prefetch_line;
use crate::scalar::merge as plain;
use std::arch::x86_64::{
    __m256, __m256i, _CMP_UNORD_Q, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256,
    _mm256_blendv_epi8, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cmpeq_epi16, _mm256_div_ps,
    _mm256_max_epu16, _mm256_movemask_epi8, _mm256_mul_ps, _mm256_packus_epi32, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_si256, _mm256_srli_epi32, _mm256_sub_ps, _mm256_unpackhi_epi16,
    _mm256_unpacklo_epi16,
};

/// Items of a register.
pub(super) const SIDE: usize = MERGE_SIDE;

/// Registers of a cache line, and how many before their use the items of models are prefetched: prefetchers of the
/// processor follow few arrays at once, and stop at the end of a page.
pub(super) const LINE: usize = 2;
pub(super) const AHEAD: usize = 128;

/// Items as two registers of float32, as a shuffle leaves them.
#[derive(Clone, Copy)]
pub(super) struct Pair(pub(super) __m256, pub(super) __m256);

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn wide(items: __m256i) -> Pair {
    let zero = _mm256_setzero_si256();
    let (low, high) = (_mm256_unpacklo_epi16(zero, items), _mm256_unpackhi_epi16(zero, items));
    Pair(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
}

/// The larger of what was seen and items without their signs, which are shifted out.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn larger(seen: __m256i, items: __m256i) -> __m256i {
    _mm256_max_epu16(seen, _mm256_add_epi16(items, items))
}

/// Whether all that was seen is finite: no exponent is all ones.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn finite(seen: __m256i) -> bool {
    let least = _mm256_set1_epi16(0xFF00_u16 as i16);
    _mm256_movemask_epi8(_mm256_cmpeq_epi16(_mm256_max_epu16(seen, least), seen)) == 0
}

/// The nearest bfloat16, ties to even, in 32 bits; one NaN.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn narrow(x: __m256) -> __m256i {
    let bits = _mm256_castps_si256(x);
    let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
    let sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
    let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
    _mm256_blendv_epi8(_mm256_srli_epi32::<16>(sum), _mm256_set1_epi32(0x7FC0), nan)
}

/// Merges whole registers; gives whether all their items are finite.
#[inline]
#[target_feature(enable = "avx2")]
fn blocks<const K: usize, const BASE: bool, const DIVIDED: bool>(
    models: [&[[u16; SIDE]]; K],
    base: &[[u16; SIDE]],
    weights: [f32; K],
    (divisor, factor): (f32, f32),
    outs: &mut [[u16; SIDE]],
) -> bool {
    let count = outs.len();
    let mut shares = [_mm256_set1_ps(0.0); K];
    let mut rows: [&[[u16; SIDE]]; K] = [&[]; K];
    for k in 0..K {
        shares[k] = _mm256_set1_ps(weights[k]);
        rows[k] = &models[k][..count];
    }
    let base = &base[..if BASE { count } else { 0 }];
    let (divisor, factor) = (_mm256_set1_ps(divisor), _mm256_set1_ps(factor));
    let first = _mm256_set1_ps(if BASE { 0.0 } else { -0.0 });
    let mut seen = _mm256_setzero_si256();
    for i in 0..count {
        if i % LINE == 0 {
            for row in &rows {
                prefetch_line(&row[i..], AHEAD);
            }
        }
        let mut anchor = Pair(first, first);
        if BASE {
            let items = load_256(&base[i]);
            seen = larger(seen, items);
            anchor = wide(items);
        }
        let mut sum = Pair(first, first);
        for k in 0..K {
            let items = load_256(&rows[k][i]);
            seen = larger(seen, items);
            let mut x = wide(items);
            if BASE {
                x = Pair(_mm256_sub_ps(x.0, anchor.0), _mm256_sub_ps(x.1, anchor.1));
            }
            sum.0 = _mm256_add_ps(sum.0, _mm256_mul_ps(shares[k], x.0));
            sum.1 = _mm256_add_ps(sum.1, _mm256_mul_ps(shares[k], x.1));
        }
        if DIVIDED {
            sum = Pair(_mm256_div_ps(sum.0, divisor), _mm256_div_ps(sum.1, divisor));
        }
        if BASE {
            sum.0 = _mm256_add_ps(_mm256_mul_ps(sum.0, factor), anchor.0);
            sum.1 = _mm256_add_ps(_mm256_mul_ps(sum.1, factor), anchor.1);
        }
        store_256(&mut outs[i], _mm256_packus_epi32(narrow(sum.0), narrow(sum.1)));
    }
    finite(seen)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rows<const K: usize>(models: &[&[u16]], how: MergeStraight<'_>, out: &mut [u16]) -> bool {
    let Ok(weights) = <[f32; K]>::try_from(how.weights) else {
        return plain::straight(models, how, out);
    };
    // A product by 1 is exact; others are rounded together with the sum, by way of float64, if there is no base.
    if how.base.is_none() && weights.iter().any(|weight| weight.abs() != 1.0) {
        return plain::straight(models, how, out);
    }
    let (outs, rest) = out.as_chunks_mut::<SIDE>();
    let done = outs.len() * SIDE;
    let (mut whole, mut tails): ([&[[u16; SIDE]]; K], [&[u16]; K]) = ([&[]; K], [&[]; K]);
    for ((whole, tail), items) in whole.iter_mut().zip(&mut tails).zip(models) {
        (*whole, *tail) = items.as_chunks();
    }
    let numbers = (how.divisor, how.factor);
    let all_finite = match (how.base, how.divisor != 1.0) {
        (Some(base), false) => blocks::<K, true, false>(whole, base.as_chunks().0, weights, numbers, outs),
        (Some(base), true) => blocks::<K, true, true>(whole, base.as_chunks().0, weights, numbers, outs),
        (None, _) => blocks::<K, false, true>(whole, &[], weights, numbers, outs),
    };
    let tail = MergeStraight { base: how.base.map(|base| &base[done..]), ..how };
    all_finite & plain::straight(&tails, tail, rest)
}

/// See [`crate::Kernels::merge_straight`].
#[target_feature(enable = "avx2")]
pub(crate) fn straight(models: &[&[u16]], how: MergeStraight<'_>, out: &mut [u16]) -> bool {
    match models.len() {
        1 => rows::<1>(models, how, out),
        2 => rows::<2>(models, how, out),
        3 => rows::<3>(models, how, out),
        4 => rows::<4>(models, how, out),
        _ => plain::straight(models, how, out),
    }
}
