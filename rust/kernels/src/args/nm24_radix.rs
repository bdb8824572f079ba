//! Signatures of what packs codes of 2 of 4 into words of mixed radix, and the sizes of their blocks.

#[cfg(target_arch = "x86_64")]
use crate::args::radix::Lanes;

/// Groups of a word.
pub(crate) const GROUPS: usize = 17;
/// Bits of the codes of a word.
pub(crate) const STRING: usize = 3 * GROUPS;
/// Bits of a word: 6^17 is just below 2^44.
pub(crate) const BITS: usize = 44;
/// Bytes of the codes, and of the words, of a block: eight of either fill bytes.
pub(crate) const CODES: usize = STRING;
pub(crate) const WORDS: usize = BITS;

/// How strings, and words, of a block stand in lanes.
#[cfg(target_arch = "x86_64")]
pub(crate) static CODE_LANES: Lanes = Lanes::of(STRING);
#[cfg(target_arch = "x86_64")]
pub(crate) static WORD_LANES: Lanes = Lanes::of(BITS);

/// How many values so many groups have.
pub(crate) const SIXES_4: u64 = 6u64.pow(4);
pub(crate) const SIXES_8: u64 = 6u64.pow(8);
pub(crate) const SIXES_16: u64 = 6u64.pow(16);

/// From the first slice to the second, block by block.
pub(crate) type Convert = unsafe fn(&[u8], &mut [u8]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) pack: Convert,
    pub(crate) unpack: Convert,
}
