//! Eight float32 as 16-bit floats.

use std::arch::x86_64::{
    __m128i, __m256, _MM_FROUND_TO_NEAREST_INT, _mm256_add_epi32, _mm256_and_si256, _mm256_castps_si256,
    _mm256_castsi256_si128, _mm256_cvtps_ph, _mm256_packus_epi32, _mm256_permute4x64_epi64, _mm256_set1_epi32,
    _mm256_srli_epi32,
};

/// Ties to even.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn round_f16(x: __m256) -> __m128i {
    _mm256_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(x)
}

/// Ties to even; finite numbers only.
#[inline]
#[target_feature(enable = "avx2,f16c")]
pub(super) fn round_bf16(x: __m256) -> __m128i {
    let bits = _mm256_castps_si256(x);
    let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
    let up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
    let rounded = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, up));
    _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b10_00>(_mm256_packus_epi32(rounded, rounded)))
}
