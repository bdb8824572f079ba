//! Codes of groups that fill bytes: 64 look-ups at once in registers, `pext` packs, `vpmultishiftqb` unpacks the bits.

use crate::UnitTable;
use crate::x86_64::avx2::units::{self, low_bits, put};
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_maskz_loadu_epi8,
    _mm512_movepi8_mask, _mm512_multishift_epi64_epi8, _mm512_permutex2var_epi8, _mm512_permutexvar_epi8,
    _mm512_set1_epi8, _mm512_storeu_si512, _mm512_test_epi8_mask, _pext_u64,
};

/// Loads 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(block: &[u8; 64]) -> __m512i {
    // SAFETY: `block` is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

/// Stores 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(block: &mut [u8; 64], value: __m512i) {
    // SAFETY: `block` is 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), value) }
}

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

/// See [`crate::Kernels::pack_units`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn pack_units(keep: &[u8], table: &UnitTable, full: &mut [u8], codes: &mut [u8]) -> bool {
    let (mask, width) = (low_bits(table.width), table.width as usize);
    let (fulls, fields) = (Table::new(&table.full), Table::new(&table.code));
    let (keep, keep_tail) = keep.as_chunks::<64>();
    let (full, full_tail) = full.as_chunks_mut::<64>();
    let mut over = 0;
    let mut written = 0;
    for (keep, full) in keep.iter().zip(full) {
        let index = load(keep);
        let high = _mm512_movepi8_mask(index);
        store(full, fulls.get(index, high));
        let field = fields.get(index, high);
        over |= _mm512_movepi8_mask(field);
        let mut words = [0; 64];
        store(&mut words, field);
        for word in words.as_chunks().0 {
            put(&mut codes[written..], _pext_u64(u64::from_le_bytes(*word), mask), width);
            written += width;
        }
    }
    units::pack_units(keep_tail, table, full_tail, &mut codes[written..]) | (over != 0)
}

/// See [`crate::Kernels::unpack_units`]. Byte `i` of 64 is cut out of the 8 bytes from `i / 8 * width` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn unpack_units(codes: &[u8], table: &UnitTable, bits: &mut [u8]) -> bool {
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
    units::unpack_units(&codes[read..], table, tail) | (good != u64::MAX)
}
