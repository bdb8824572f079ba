//! Rows of 2:4 in words of 17 groups: blocks of eight words by a kernel, what is left as a block with zeros behind it.

use super::layout::Layout;
use crate::bits::copy_bits;
use crate::nm::Pattern;
use sparsefmt_kernels::Kernels;

const CODES: usize = Kernels::RADIX_CODES;
const WORDS: usize = Kernels::RADIX_WORDS;

/// Where the blocks of a row end, and how many bits are left there.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    whole: usize,
    code_bits: usize,
    word_bits: usize,
}

impl Blocks {
    /// None for other patterns, and words of another number of groups.
    pub(super) fn of(pattern: Pattern, layout: &Layout) -> Option<Self> {
        if (pattern.n(), pattern.m(), layout.per) != (2, 4, Kernels::RADIX_GROUPS) {
            return None;
        }
        let whole = layout.groups / (8 * layout.per);
        let code_bits = (layout.groups - whole * 8 * layout.per) * 3;
        Some(Self { whole, code_bits, word_bits: layout.row_bits()? - whole * WORDS * 8 })
    }

    /// The words of a row of codes.
    pub(super) fn pack(self, codes: &[u8], words: &mut [u8]) {
        let (blocks, rest) = codes.split_at(self.whole * CODES);
        let (out, end) = words.split_at_mut(self.whole * WORDS);
        Kernels::active().nm24_radix_pack(blocks, out);
        let (block, mut packed) = (completed::<CODES>(rest, self.code_bits), [0; WORDS]);
        if self.code_bits > 0 {
            Kernels::active().nm24_radix_pack(&block, &mut packed);
        }
        copy_bits(&packed, self.word_bits, end);
    }

    /// The codes of a row of words.
    pub(super) fn unpack(self, words: &[u8], codes: &mut [u8]) {
        let (blocks, rest) = words.split_at(self.whole * WORDS);
        let (out, end) = codes.split_at_mut(self.whole * CODES);
        Kernels::active().nm24_radix_unpack(blocks, out);
        let (block, mut unpacked) = (completed::<WORDS>(rest, self.word_bits), [0; CODES]);
        if self.word_bits > 0 {
            Kernels::active().nm24_radix_unpack(&block, &mut unpacked);
        }
        // A last word that is too large has codes for more groups than there are.
        copy_bits(&unpacked, self.code_bits, end);
    }
}

/// The first `bits` bits, and zeros.
fn completed<const N: usize>(bytes: &[u8], bits: usize) -> [u8; N] {
    let mut block = [0; N];
    copy_bits(bytes, bits, &mut block);
    block
}
