//! Loads, stores and lanes of whole registers, for all kernels of this folder.

use crate::x86_64::Plain;
use std::arch::asm;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
    _mm512_storeu_ps, _mm512_storeu_si512,
};

/// Loads a whole register.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load<T: Plain, const N: usize>(block: &[T; N]) -> __m512i {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: `block` is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

/// Stores a whole register.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store<T: Plain, const N: usize>(block: &mut [T; N], value: __m512i) {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: `block` is 64 writable bytes, and any bytes make items of `T`; the store needs no alignment.
    unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), value) }
}

/// Loads 64 bytes into a register.
///
/// The empty assembly keeps the compiler from loading and expanding in one instruction, which is microcoded on Zen 4.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_opaque<T: Copy, const N: usize>(items: &[T; N]) -> __m512i {
    const { assert!(size_of::<T>() * N == 64) };
    // SAFETY: 64 readable bytes; the load needs no alignment.
    let mut bytes = unsafe { _mm512_loadu_si512(items.as_ptr().cast()) };
    // SAFETY: it does nothing.
    unsafe { asm!("/* {0} */", inout(zmm_reg) bytes, options(pure, nomem, nostack, preserves_flags)) };
    bytes
}

/// Loads a register of float32.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load_f32(items: &[f32; 16]) -> __m512 {
    // SAFETY: 16 readable items of 4 bytes; the load needs no alignment.
    unsafe { _mm512_loadu_ps(items.as_ptr()) }
}

/// Stores a register of float32.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store_f32(items: &mut [f32; 16], value: __m512) {
    // SAFETY: 16 writable items of 4 bytes; the store needs no alignment.
    unsafe { _mm512_storeu_ps(items.as_mut_ptr(), value) }
}

/// Lanes of a register that `len` items take.
#[inline]
pub(super) fn lanes(len: usize) -> u16 {
    ((1u32 << len.min(16)) - 1) as u16
}

/// Columns in registers: all full but the last, of which `mask` tells the lanes in use.
pub(super) struct Columns {
    mask: u16,
}

impl Columns {
    pub(super) fn new(width: usize) -> Self {
        Self { mask: (0xFFFF_u32 >> (width.wrapping_neg() % 16)) as u16 }
    }

    /// The lanes in use of register `q` of `of`.
    #[inline]
    fn lanes(&self, q: usize, of: usize) -> u16 {
        if q + 1 == of { self.mask } else { u16::MAX }
    }

    /// Loads register `q` of `of` of a row.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn load(&self, row: &[f32], q: usize, of: usize) -> __m512 {
        let part = row.get(16 * q..).unwrap_or_default();
        let lanes = self.lanes(q, of) & lanes(part.len());
        // SAFETY: lanes behind the last item are not read.
        unsafe { _mm512_maskz_loadu_ps(lanes, part.as_ptr()) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) fn store(&self, row: &mut [f32], q: usize, of: usize, value: __m512) {
        let part = row.get_mut(16 * q..).unwrap_or_default();
        let lanes = self.lanes(q, of) & lanes(part.len());
        // SAFETY: lanes behind the last item are not written.
        unsafe { _mm512_mask_storeu_ps(part.as_mut_ptr(), lanes, value) }
    }
}
