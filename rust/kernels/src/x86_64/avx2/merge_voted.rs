//! Merging of bfloat16 by a vote in one go: what is kept of each model, the vote, the sums and the mean of sixteen elements
//! stay in registers. See `merge_straight` for how items are widened and narrowed.

use super::compress::{load_256, store_256};
use super::merge_straight::{AHEAD, LINE, Pair, SIDE, finite, larger, narrow, wide};
use crate::args::merge::{MergeShare, MergeVoted, MergeVoter};
use crate::prefetch::prefetch_line;
use crate::scalar::merge::{MAGNITUDE, NAN};
use std::arch::x86_64::{
    __m256, __m256i, _CMP_EQ_OQ, _CMP_GT_OQ, _CMP_LT_OQ, _CMP_NEQ_OQ, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_blendv_ps, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmp_ps, _mm256_cmpeq_epi32,
    _mm256_cmpgt_epi32, _mm256_cvtepi32_ps, _mm256_div_ps, _mm256_max_epi32, _mm256_max_epu32, _mm256_max_ps,
    _mm256_mul_ps, _mm256_or_ps, _mm256_packus_epi32, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_sub_epi32, _mm256_sub_ps, _mm256_xor_ps,
};

/// What one model brings, in all lanes.
#[derive(Clone, Copy)]
struct Voter<'a> {
    items: &'a [[u16; SIDE]],
    words: &'a [[u32; 8]],
    low: __m256i,
    high: __m256i,
    below: __m256i,
    scale: __m256,
    divisor: __m256,
    voice: __m256,
    weight: __m256,
    share: __m256,
    /// Whether something lies outside of the band, above it, is drawn, multiplied, divided.
    has: [bool; 5],
}

/// A border of a band for magnitudes whose NaN are not made one: beyond them nothing is.
pub(super) fn border(key: i32) -> i32 {
    if key >= NAN as i32 { i32::MAX } else { key }
}

impl<'a> Voter<'a> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(model: &MergeVoter<'a>) -> Self {
        let (low, high) = (border(model.band.0), border(model.band.1));
        let drawn = !model.words.is_empty();
        Self {
            items: model.items.as_chunks().0,
            words: model.words.as_chunks().0,
            low: _mm256_set1_epi32(low),
            high: _mm256_set1_epi32(high),
            below: _mm256_set1_epi32(model.below as i32),
            scale: _mm256_set1_ps(model.scale),
            divisor: _mm256_set1_ps(model.divisor),
            voice: _mm256_set1_ps(model.share.voice),
            weight: _mm256_set1_ps(model.share.weight),
            share: _mm256_set1_ps(model.share.share),
            has: [low >= 0, high < i32::MAX, drawn, model.scale != 1.0, model.divisor != 1.0],
        }
    }

    /// What is left of differences, whose words stand there. A zero has no sign here: where sums begin with 0, it has none.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn kept(&self, x: __m256, at: usize) -> __m256 {
        let [low, high, drawn, scaled, divided] = self.has;
        let mut bits = _mm256_castps_si256(x);
        if low | high {
            let key = _mm256_and_si256(bits, _mm256_set1_epi32(MAGNITUDE as i32));
            bits = _mm256_and_si256(bits, _mm256_cmpgt_epi32(key, self.low));
            if high {
                bits = _mm256_andnot_si256(_mm256_cmpgt_epi32(key, self.high), bits);
            }
        }
        if drawn {
            let words = load_256(&self.words[at]);
            let keep = _mm256_cmpeq_epi32(_mm256_max_epu32(words, self.below), words);
            bits = _mm256_and_si256(bits, keep);
        }
        let mut x = _mm256_castsi256_ps(bits);
        if scaled {
            x = _mm256_mul_ps(x, self.scale);
        }
        if divided {
            x = _mm256_div_ps(x, self.divisor);
        }
        x
    }
}

/// Numbers for all models, in all lanes.
#[derive(Clone, Copy)]
struct Whole {
    none: __m256,
    floor: __m256,
    factor: __m256,
    /// Whether a vote of 0 elects a sign, sums are divided, by a floor at least, and multiplied.
    has: [bool; 4],
}

/// The merged of eight elements, in 32 bits.
#[inline]
#[target_feature(enable = "avx2")]
fn merged<const K: usize>(x: [__m256; K], anchor: __m256, voters: &[Voter<'_>; K], whole: &Whole) -> __m256i {
    let [elects, means, floored, multiplied] = whole.has;
    let (zero, one) = (_mm256_setzero_ps(), _mm256_set1_ps(1.0));
    let (mut voices, mut vote) = (x, zero);
    for k in 0..K {
        voices[k] = _mm256_mul_ps(voters[k].voice, x[k]);
        vote = _mm256_add_ps(vote, voices[k]);
    }
    // The sign, 0 where there is none: of 0, and of NaN, with which nobody agrees.
    let sign = _mm256_or_ps(_mm256_and_ps(vote, _mm256_set1_ps(-0.0)), one);
    let mut elected = _mm256_and_ps(sign, _mm256_cmp_ps::<_CMP_NEQ_OQ>(vote, zero));
    if elects {
        elected = _mm256_blendv_ps(elected, whole.none, _mm256_cmp_ps::<_CMP_EQ_OQ>(vote, zero));
    }
    let (mut sum, mut divisor) = (zero, zero);
    for k in 0..K {
        let agrees = _mm256_cmp_ps::<_CMP_GT_OQ>(_mm256_mul_ps(voices[k], elected), zero);
        let term = _mm256_mul_ps(voters[k].weight, x[k]);
        sum = _mm256_add_ps(sum, _mm256_and_ps(term, agrees));
        divisor = _mm256_add_ps(divisor, _mm256_and_ps(voters[k].share, agrees));
    }
    if means {
        if floored {
            let small = _mm256_cmp_ps::<_CMP_LT_OQ>(divisor, whole.floor);
            divisor = _mm256_blendv_ps(divisor, whole.floor, small);
        }
        divisor = _mm256_blendv_ps(divisor, one, _mm256_cmp_ps::<_CMP_EQ_OQ>(divisor, zero));
        sum = _mm256_div_ps(sum, divisor);
    }
    finished(sum, multiplied, whole.factor, anchor)
}

#[inline]
#[target_feature(enable = "avx2")]
fn finished(sum: __m256, multiplied: bool, factor: __m256, anchor: __m256) -> __m256i {
    let sum = if multiplied { _mm256_mul_ps(sum, factor) } else { sum };
    narrow(_mm256_add_ps(sum, anchor))
}

/// The same where voices, weights and shares are all 1, and there is no floor: with the sign of the vote taken off, what
/// agrees is what is positive.
#[inline]
#[target_feature(enable = "avx2")]
fn merged_alike<const K: usize>(x: [__m256; K], anchor: __m256, whole: &Whole) -> __m256i {
    let [elects, means, _, multiplied] = whole.has;
    let (zero, top) = (_mm256_setzero_ps(), _mm256_set1_ps(-0.0));
    let mut vote = x[0];
    for &x in &x[1..] {
        vote = _mm256_add_ps(vote, x);
    }
    // Nobody agrees with 0 and NaN.
    let (mut sign, mut counts) = (_mm256_and_ps(vote, top), _mm256_cmp_ps::<_CMP_NEQ_OQ>(vote, zero));
    if elects {
        let even = _mm256_cmp_ps::<_CMP_EQ_OQ>(vote, zero);
        sign = _mm256_blendv_ps(sign, _mm256_and_ps(whole.none, top), even);
        counts = _mm256_or_ps(counts, even);
    }
    let (mut sum, mut number) = (zero, _mm256_setzero_si256());
    for x in x {
        // The second of both where the first is NaN.
        let agreeing = _mm256_max_ps(_mm256_xor_ps(x, sign), zero);
        sum = _mm256_add_ps(sum, agreeing);
        let one = _mm256_cmpgt_epi32(_mm256_castps_si256(agreeing), _mm256_setzero_si256());
        number = _mm256_sub_epi32(number, one);
    }
    sum = _mm256_and_ps(_mm256_xor_ps(sum, sign), counts);
    if elects {
        sum = _mm256_add_ps(sum, zero); // of nothing: 0 without a sign
    }
    if means {
        let number = _mm256_max_epi32(number, _mm256_set1_epi32(1));
        sum = _mm256_div_ps(sum, _mm256_cvtepi32_ps(number));
    }
    finished(sum, multiplied, whole.factor, anchor)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rows<const K: usize>(models: &[MergeVoter<'_>; K], how: MergeVoted<'_>, out: &mut [u16]) -> bool {
    let floor = how.mean.unwrap_or(0.0);
    let whole = Whole {
        none: _mm256_set1_ps(how.none),
        floor: _mm256_set1_ps(floor),
        factor: _mm256_set1_ps(how.factor),
        has: [how.none != 0.0, how.mean.is_some(), floor > 0.0, how.factor != 1.0],
    };
    let one = |share: MergeShare| [share.voice, share.weight, share.share] == [1.0; 3];
    let alike = floor <= 0.0 && models.iter().all(|model| one(model.share));
    let mut voters = [Voter::new(&models[0]); K];
    for (voter, model) in voters.iter_mut().zip(models) {
        *voter = Voter::new(model);
    }
    let (outs, base) = (out.as_chunks_mut::<SIDE>().0, how.base.as_chunks::<SIDE>().0);
    let mut seen = _mm256_setzero_si256();
    for (i, out) in outs.iter_mut().enumerate() {
        let items = load_256(&base[i]);
        seen = larger(seen, items);
        let anchor = wide(items);
        let (mut low, mut high) = ([anchor.0; K], [anchor.1; K]);
        for (k, voter) in voters.iter().enumerate() {
            if i % LINE == 0 {
                prefetch_line(&voter.items[i..], AHEAD);
            }
            let items = load_256(&voter.items[i]);
            seen = larger(seen, items);
            let Pair(first, second) = wide(items);
            low[k] = voter.kept(_mm256_sub_ps(first, anchor.0), 2 * i);
            high[k] = voter.kept(_mm256_sub_ps(second, anchor.1), 2 * i + 1);
        }
        let (low, high) = if alike {
            (merged_alike(low, anchor.0, &whole), merged_alike(high, anchor.1, &whole))
        } else {
            (merged(low, anchor.0, &voters, &whole), merged(high, anchor.1, &voters, &whole))
        };
        store_256(out, _mm256_packus_epi32(low, high));
    }
    finite(seen)
}

/// See [`crate::Kernels::merge_voted`].
#[target_feature(enable = "avx2")]
pub(crate) fn voted(models: &[MergeVoter<'_>], how: MergeVoted<'_>, out: &mut [u16]) -> bool {
    match models {
        [a] => rows(&[*a], how, out),
        [a, b] => rows(&[*a, *b], how, out),
        [a, b, c] => rows(&[*a, *b, *c], how, out),
        [a, b, c, d] => rows(&[*a, *b, *c, *d], how, out),
        _ => true, // there are as many models as `merge_voted` has counted
    }
}
