//! The part of the table that packs codes of 2 of 4 into words of mixed radix, with its length assertions.

use crate::args::nm24_radix::{CODES, GROUPS, Table, WORDS};
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { pack: scalar::nm24_radix::pack, unpack: scalar::nm24_radix::unpack };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table { unpack: crate::x86_64::avx2::nm24_radix::unpack, ..SCALAR };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table =
    Table { pack: crate::x86_64::avx512::nm24_radix::pack, unpack: crate::x86_64::avx512::nm24_radix::unpack };

impl Kernels {
    /// Groups of a word of mixed radix of 2 of 4.
    pub const RADIX_GROUPS: usize = GROUPS;
    /// Bytes of the plain codes of a block: of eight words.
    pub const RADIX_CODES: usize = CODES;
    /// Bytes of the words of a block.
    pub const RADIX_WORDS: usize = WORDS;

    /// Packs codes of 3 bits, side by side, LSB first, into words of 44 bits, side by side: the number
    /// `c0 + 6 c1 + 36 c2 + ...` of 17 codes. Of codes above 5, words are unspecified.
    ///
    /// # Panics
    /// Not 51 bytes of codes for every 44 of words.
    pub fn nm24_radix_pack(&self, codes: &[u8], words: &mut [u8]) {
        check(codes.len(), words.len());
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.nm24_radix.pack)(codes, words) }
    }

    /// The inverse of [`Kernels::nm24_radix_pack`]; of a word that is too large, what is left of its last group is taken
    /// modulo 6.
    ///
    /// # Panics
    /// As there.
    pub fn nm24_radix_unpack(&self, words: &[u8], codes: &mut [u8]) {
        check(codes.len(), words.len());
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.nm24_radix.unpack)(words, codes) }
    }
}

fn check(codes: usize, words: usize) {
    assert!(codes.is_multiple_of(CODES), "{codes} bytes of codes");
    assert_eq!(words, codes / CODES * WORDS, "bytes of words");
}
