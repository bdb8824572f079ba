//! Float16 and bfloat16 in groups that share a scale, 32 items at a time.
//!
//! Quotients by a float16 scale are products with its reciprocal, rounded to 14 binary places. For items of at most 11
//! significant bits that gives the code of the quotient itself: a quotient of two such numbers is a tie, or at least
//! 2^-13 from one, and the product is off by less than 2^-15, as long as the code is within 127. tests/halves.rs goes
//! through all pairs.

use crate::args::quantize_f16::Table;
use crate::scalar::quantize_f16 as plain;
use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _CMP_ORD_Q, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_cvtsi128_si32,
    _mm_loadu_si128, _mm_maskz_loadu_epi8, _mm_max_epu16, _mm_minpos_epu16, _mm_set1_epi8, _mm_setr_epi8,
    _mm_xor_si128, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_mask_storeu_epi8,
    _mm256_maskz_loadu_epi8, _mm256_max_epu16, _mm256_set1_epi16, _mm256_storeu_si256, _mm512_add_epi32,
    _mm512_and_si512, _mm512_broadcast_i64x4, _mm512_castps_si512, _mm512_castsi256_si512, _mm512_castsi512_ps,
    _mm512_castsi512_si256, _mm512_cmp_ps_mask, _mm512_cvtepi8_epi32, _mm512_cvtepi32_epi16, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_cvtps_epi32, _mm512_cvtps_ph, _mm512_div_ps,
    _mm512_extracti64x4_epi64, _mm512_inserti64x4, _mm512_loadu_si512, _mm512_mask_storeu_epi16,
    _mm512_maskz_loadu_epi16, _mm512_maskz_mov_ps, _mm512_max_epu16, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps,
    _mm512_or_si512, _mm512_permutex2var_epi8, _mm512_permutexvar_epi16, _mm512_roundscale_ps, _mm512_set1_epi16,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_storeu_si512,
};

pub(crate) const TABLE: Table = Table {
    magnitudes_u16,
    quantize_f16,
    quantize_bf16,
    dequantize_f16,
    dequantize_bf16,
    nibbles_to_f16,
    nibbles_to_bf16,
};

/// Rounds to 14 binary places, ties to even.
const PLACES: i32 = 14 << 4 | _MM_FROUND_TO_NEAREST_INT;

/// The lowest byte of each of 32 numbers of 4 bytes, of which 16 are in the second register.
const LOW_BYTES: [u8; 64] = {
    let mut index = [0; 64];
    let mut i = 0;
    while i < 32 {
        index[i] = 4 * i as u8;
        i += 1;
    }
    index
};

/// Lanes of 32 that the first `len` items take.
#[inline]
fn lanes(len: usize) -> u32 {
    if len < 32 { (1 << len) - 1 } else { u32::MAX }
}

/// Up to 32 items of a slice, zeros behind its end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load(items: &[u16]) -> __m512i {
    if let Some(items) = items.first_chunk::<32>() {
        // SAFETY: 32 readable items; the load needs no alignment.
        return unsafe { _mm512_loadu_si512(items.as_ptr().cast()) };
    }
    // SAFETY: lanes behind the last item are not read.
    unsafe { _mm512_maskz_loadu_epi16(lanes(items.len()), items.as_ptr().cast()) }
}

/// Up to 32 bytes of a slice, zeros behind its end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_bytes(bytes: &[u8]) -> __m256i {
    if let Some(bytes) = bytes.first_chunk::<32>() {
        // SAFETY: 32 readable bytes; the load needs no alignment.
        return unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
    }
    // SAFETY: lanes behind the last byte are not read.
    unsafe { _mm256_maskz_loadu_epi8(lanes(bytes.len()), bytes.as_ptr().cast()) }
}

/// Up to 16 bytes of a slice, zeros behind its end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_pairs(bytes: &[u8]) -> __m128i {
    if let Some(bytes) = bytes.first_chunk::<16>() {
        // SAFETY: 16 readable bytes; the load needs no alignment.
        return unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    }
    // SAFETY: lanes behind the last byte are not read.
    unsafe { _mm_maskz_loadu_epi8(lanes(bytes.len()) as u16, bytes.as_ptr().cast()) }
}

/// The first of 32 items as far as the slice goes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store(room: &mut [u16], items: __m512i) {
    if let Some(room) = room.first_chunk_mut::<32>() {
        // SAFETY: room for 32 items; the store needs no alignment.
        unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), items) };
    } else {
        // SAFETY: lanes behind the last item are not written.
        unsafe { _mm512_mask_storeu_epi16(room.as_mut_ptr().cast(), lanes(room.len()), items) };
    }
}

/// The first of 32 bytes as far as the slice goes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn store_bytes(room: &mut [u8], bytes: __m256i) {
    if let Some(room) = room.first_chunk_mut::<32>() {
        // SAFETY: room for 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(room.as_mut_ptr().cast(), bytes) };
    } else {
        // SAFETY: lanes behind the last byte are not written.
        unsafe { _mm256_mask_storeu_epi8(room.as_mut_ptr().cast(), lanes(room.len()), bytes) };
    }
}

/// Float16 as float32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn widen_f16(items: __m256i) -> __m512 {
    _mm512_cvtph_ps(items)
}

/// Bfloat16 as float32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn widen_bf16(items: __m256i) -> __m512 {
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(items)))
}

/// Rounded to float16.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn narrow_f16(x: __m512) -> __m256i {
    _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
}

/// Rounded to bfloat16; no NaN comes here.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn narrow_bf16(x: __m512) -> __m256i {
    let bits = _mm512_castps_si512(x);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded))
}

/// See [`crate::Kernels::magnitudes_u16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn magnitudes_u16(src: &[u16], group: usize, out: &mut [u16]) {
    let magnitude = _mm512_set1_epi16(0x7FFF);
    for (src, out) in src.chunks(group).zip(out) {
        let mut most = _mm512_setzero_si512();
        let (blocks, src) = src.as_chunks::<32>();
        for block in blocks {
            most = _mm512_max_epu16(most, _mm512_and_si512(load(block), magnitude));
        }
        for items in src.chunks(32) {
            most = _mm512_max_epu16(most, _mm512_and_si512(load(items), magnitude));
        }
        let half = _mm256_max_epu16(_mm512_castsi512_si256(most), _mm512_extracti64x4_epi64::<1>(most));
        let eight = _mm_max_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
        // There is an instruction for the least of eight only.
        let flip = _mm_set1_epi8(-1);
        *out = !(_mm_cvtsi128_si32(_mm_minpos_epu16(_mm_xor_si128(eight, flip))) as u16);
    }
}

/// A scale and what goes with it.
#[derive(Clone, Copy)]
struct Divisor {
    reciprocal: __m512,
    most: __m512,
    least: __m512,
}

impl Divisor {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn new(scale: u16, most: f32) -> Self {
        let scale = _mm512_cvtph_ps(_mm256_set1_epi16(scale as i16));
        let reciprocal = _mm512_div_ps(_mm512_set1_ps(1.0), scale);
        Self { reciprocal, most: _mm512_set1_ps(most), least: _mm512_set1_ps(-most) }
    }

    /// The codes of 16 items, in the lowest byte of each lane.
    ///
    /// Of a NaN and a bound, minimum and maximum give the second operand, and as an integer NaN has no low bits.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn codes(self, x: __m512) -> __m512i {
        let step = _mm512_roundscale_ps::<PLACES>(_mm512_mul_ps(x, self.reciprocal));
        _mm512_cvtps_epi32(_mm512_max_ps(self.least, _mm512_min_ps(self.most, step)))
    }
}

/// A scale, and whether its products with codes need no look.
#[derive(Clone, Copy)]
struct Factor {
    scale: __m512,
    most: __m512,
    least: __m512,
    plain: bool,
}

impl Factor {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn new(scale: f32, most: f32) -> Self {
        let (limit, below) = (_mm512_set1_ps(most), _mm512_set1_ps(-most));
        Self { scale: _mm512_set1_ps(scale), most: limit, least: below, plain: scale.abs() <= most / 128.0 }
    }

    /// The products with 16 codes, within the bounds; 0 for NaN.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn times(self, steps: __m512) -> __m512 {
        let x = _mm512_mul_ps(steps, self.scale);
        if self.plain {
            return x;
        }
        let known = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(x, x);
        _mm512_maskz_mov_ps(known, _mm512_min_ps(_mm512_max_ps(x, self.least), self.most))
    }
}

macro_rules! halves {
    ($quantize:ident, $dequantize:ident, $nibbles:ident, $widen:ident, $narrow:ident, $most:expr) => {
        /// See [`crate::Kernels::quantize_f16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
        fn $quantize(src: &[u16], group: usize, scale: &[u16], most: f32, codes: &mut [u8]) {
            // SAFETY: 64 readable bytes; the load needs no alignment.
            let low_bytes = unsafe { _mm512_loadu_si512(LOW_BYTES.as_ptr().cast()) };
            for ((src, &scale), codes) in src.chunks(group).zip(scale).zip(codes.chunks_mut(group)) {
                let divisor = Divisor::new(scale, most);
                let ((blocks, src), (rooms, codes)) = (src.as_chunks::<64>(), codes.as_chunks_mut::<64>());
                for (block, room) in blocks.iter().zip(rooms) {
                    let half = |items: __m512i| {
                        let first = divisor.codes($widen(_mm512_castsi512_si256(items)));
                        let second = divisor.codes($widen(_mm512_extracti64x4_epi64::<1>(items)));
                        _mm512_castsi512_si256(_mm512_permutex2var_epi8(first, low_bytes, second))
                    };
                    let (first, second) = (half(load(&block[..32])), half(load(&block[32..])));
                    let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second);
                    // SAFETY: room for 64 bytes; the store needs no alignment.
                    unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), both) };
                }
                for (items, room) in src.chunks(32).zip(codes.chunks_mut(32)) {
                    let items = load(items);
                    let first = divisor.codes($widen(_mm512_castsi512_si256(items)));
                    let second = divisor.codes($widen(_mm512_extracti64x4_epi64::<1>(items)));
                    let bytes = _mm512_castsi512_si256(_mm512_permutex2var_epi8(first, low_bytes, second));
                    store_bytes(room, bytes);
                }
            }
        }

        /// See [`crate::Kernels::dequantize_f16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
        fn $dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            /// The values of 16 codes.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
            fn values(codes: __m128i, factor: Factor) -> __m256i {
                $narrow(factor.times(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes))))
            }

            for ((codes, &scale), out) in codes.chunks(group).zip(scale).zip(out.chunks_mut(group)) {
                let factor = Factor::new(scale, $most);
                let ((blocks, codes), (rooms, out)) = (codes.as_chunks::<32>(), out.as_chunks_mut::<32>());
                for (block, room) in blocks.iter().zip(rooms) {
                    let codes = load_bytes(block);
                    let first = values(_mm256_castsi256_si128(codes), factor);
                    let second = values(_mm256_extracti128_si256::<1>(codes), factor);
                    store(room, _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second));
                }
                for (codes, room) in codes.chunks(32).zip(out.chunks_mut(32)) {
                    let codes = load_bytes(codes);
                    let first = values(_mm256_castsi256_si128(codes), factor);
                    let second = values(_mm256_extracti128_si256::<1>(codes), factor);
                    store(room, _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second));
                }
            }
        }

        /// See [`crate::Kernels::nibbles_to_f16`]. The values of the 16 codes are a table in a register.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
        fn $nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            let all = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1);
            let steps = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(all));
            let nibble = _mm512_set1_epi32(0x000F_000F);
            let mut at = 0;
            for (&scale, out) in scale.iter().zip(out.chunks_mut(group)) {
                let table = _mm512_broadcast_i64x4($narrow(Factor::new(scale, $most).times(steps)));
                for room in out.chunks_mut(32) {
                    let pairs = &bytes[at..at + room.len().div_ceil(2)];
                    let wide = _mm512_cvtepu8_epi32(load_pairs(pairs));
                    let index = _mm512_and_si512(_mm512_or_si512(wide, _mm512_slli_epi32::<12>(wide)), nibble);
                    store(room, _mm512_permutexvar_epi16(index, table));
                    at += pairs.len();
                }
            }
        }
    };
}

halves!(quantize_f16, dequantize_f16, nibbles_to_f16, widen_f16, narrow_f16, plain::MAX_F16);
halves!(quantize_bf16, dequantize_bf16, nibbles_to_bf16, widen_bf16, narrow_bf16, plain::MAX_BF16);
