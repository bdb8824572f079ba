//! Codes of groups that fill bytes: 64 look-ups at once in registers, multiplications pack and `vpmultishiftqb` unpacks the bits.

use super::registers::{load, store};
use crate::args::nm_code_table::NmCodeTable;
use crate::x86_64::avx2::nm_code_table;
use std::arch::x86_64::{
    __m512i, _mm_cvtsi32_si128, _mm512_and_si512, _mm512_andnot_si512, _mm512_madd_epi16, _mm512_maddubs_epi16,
    _mm512_mask_blend_epi8, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask,
    _mm512_multishift_epi64_epi8, _mm512_or_si512, _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_srl_epi64, _mm512_test_epi8_mask,
};

/// A table of 256 bytes in registers.
struct Table([__m512i; 4]);

impl Table {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(bytes: &[u8; 256]) -> Self {
        let quarter = |i: usize| bytes.as_chunks::<64>().0[i];
        Self([load(&quarter(0)), load(&quarter(1)), load(&quarter(2)), load(&quarter(3))])
    }

    /// One look-up per byte: the upper half of the table where the highest bit of the index, `high`, is set.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn get(&self, index: __m512i, high: u64) -> __m512i {
        let low_half = _mm512_permutex2var_epi8(self.0[0], index, self.0[1]);
        let high_half = _mm512_permutex2var_epi8(self.0[2], index, self.0[3]);
        _mm512_mask_blend_epi8(high, low_half, high_half)
    }
}

/// See [`crate::Kernels::pack_nm_codes`]. Neighbours are joined three times over: bytes by `vpmaddubsw` with 1 and
/// `1 << width`, the pairs by `vpmaddwd`, the fours by a shift; then the bytes in use move together.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn pack_nm_codes(keep: &[u8], table: &NmCodeTable, full: &mut [u8], codes: &mut [u8]) -> bool {
    let width = table.width;
    let (fulls, fields) = (Table::new(&table.full), Table::new(&table.code));
    let (pairs, fours) = (_mm512_set1_epi16(1 | 1 << (8 + width)), _mm512_set1_epi32(1 | 1 << (16 + 2 * width)));
    let (low, shift) = (_mm512_set1_epi64(u32::MAX.into()), _mm_cvtsi32_si128(32 - 4 * width as i32));
    let bytes = load(&table.bytes);
    let (keep, keep_tail) = keep.as_chunks::<64>();
    let (full, full_tail) = full.as_chunks_mut::<64>();
    let (mut over, mut written) = (0, 0);
    for (keep, full) in keep.iter().zip(full) {
        let index = load(keep);
        let high = _mm512_movepi8_mask(index);
        store(full, fulls.get(index, high));
        let field = fields.get(index, high);
        over |= _mm512_movepi8_mask(field);
        let joined = _mm512_madd_epi16(_mm512_maddubs_epi16(pairs, field), fours);
        let upper = _mm512_srl_epi64(_mm512_andnot_si512(low, joined), shift);
        let eights = _mm512_or_si512(_mm512_and_si512(joined, low), upper);
        let room = &mut codes[written..][..8 * width as usize];
        let packed = _mm512_permutexvar_epi8(bytes, eights);
        // SAFETY: the mask writes the bytes of `room`, at most 56; the store needs no alignment.
        unsafe { _mm512_mask_storeu_epi8(room.as_mut_ptr().cast(), (1 << (8 * width)) - 1, packed) };
        written += room.len();
    }
    nm_code_table::pack_nm_codes(keep_tail, table, full_tail, &mut codes[written..]) | (over != 0)
}

/// See [`crate::Kernels::unpack_nm_codes`]. Byte `i` of 64 is cut out of the 8 bytes from `i / 8 * width` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn unpack_nm_codes(codes: &[u8], table: &NmCodeTable, bits: &mut [u8]) -> bool {
    let width = table.width as usize;
    let halves = table.mask.as_chunks::<64>().0;
    let (low, high) = (load(&halves[0]), load(&halves[1]));
    let (eights, shifts) = (load(&table.eights), load(&table.shifts));
    let field = _mm512_set1_epi8(((1u32 << width) - 1) as i8);
    let (bits, tail) = bits.as_chunks_mut::<64>();
    let mut good = u64::MAX;
    let mut read = 0;
    for bits in bits {
        let packed = &codes[read..][..8 * width];
        // SAFETY: the mask reads the bytes of `packed`, at most 56; the load needs no alignment.
        let packed = unsafe { _mm512_maskz_loadu_epi8((1 << (8 * width)) - 1, packed.as_ptr().cast()) };
        let fields = _mm512_multishift_epi64_epi8(shifts, _mm512_permutexvar_epi8(eights, packed));
        let masks = _mm512_permutex2var_epi8(low, _mm512_and_si512(fields, field), high);
        good &= _mm512_test_epi8_mask(masks, masks);
        store(bits, masks);
        read += 8 * width;
    }
    nm_code_table::unpack_nm_codes(&codes[read..], table, tail) | (good != u64::MAX)
}
