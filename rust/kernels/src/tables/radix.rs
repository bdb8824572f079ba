//! The part of the table that packs codes of any N:M into words of mixed radix, with its length assertions.

use crate::args::radix::{RadixTable, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { pack: scalar::radix::pack, unpack: scalar::radix::unpack };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table =
    Table { pack: crate::x86_64::avx2::radix::pack, unpack: crate::x86_64::avx2::radix::unpack };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table =
    Table { pack: crate::x86_64::avx512::radix::pack, unpack: crate::x86_64::avx512::radix::unpack };

impl Kernels {
    /// Packs blocks of codes into blocks of words. Of codes that are not below C, the words of the block are unspecified.
    ///
    /// # Panics
    /// Lengths that are no blocks, or not equally many.
    pub fn radix_pack(&self, table: &RadixTable, codes: &[u8], words: &mut [u8]) {
        check(table, codes.len(), words.len());
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.radix.pack)(table, codes, words) }
    }

    /// The inverse of [`Kernels::radix_pack`]; of a word that is too large, what is left of its last group is taken
    /// modulo C.
    ///
    /// # Panics
    /// As there.
    pub fn radix_unpack(&self, table: &RadixTable, words: &[u8], codes: &mut [u8]) {
        check(table, codes.len(), words.len());
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.radix.unpack)(table, words, codes) }
    }
}

fn check(table: &RadixTable, codes: usize, words: usize) {
    assert!(codes.is_multiple_of(table.block_codes()), "{codes} bytes of codes");
    assert_eq!(words, codes / table.block_codes() * table.block_words(), "bytes of words");
}
