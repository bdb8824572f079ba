//! Rows in blocks of eight words by a kernel, what is left as a block with zeros behind it.

use super::layout::Layout;
use crate::bits::copy_bits;
use crate::nm::Pattern;
use sparsefmt_kernels::{Kernels, RadixTable};

/// Blocks take fewer bytes than this.
const ROOM: usize = 64;

/// Which kernel it is, where the blocks of a row end, and how many bits are left there.
pub(super) struct Blocks {
    kind: Kind,
    whole: usize,
    code_bits: usize,
    word_bits: usize,
}

enum Kind {
    /// 2:4 in words of 17 groups.
    Fours,
    Any(Box<RadixTable>),
}

impl Blocks {
    /// None for words that are too long, and rows of less than a block.
    pub(super) fn of(pattern: Pattern, layout: &Layout) -> Option<Self> {
        let whole = layout.groups / 8 / layout.per;
        let kind = match (pattern.n(), pattern.m(), layout.per) {
            (2, 4, Kernels::RADIX_GROUPS) => Kind::Fours,
            _ if whole == 0 => return None,
            _ => Kind::Any(Box::new(RadixTable::new(pattern.count().into(), layout.per)?)),
        };
        let code_bits = (layout.groups - whole * 8 * layout.per) * pattern.bits() as usize;
        let word_bits = layout.row_bits()? - whole * kind.words() * 8;
        Some(Self { kind, whole, code_bits, word_bits })
    }

    /// The words of a row of codes.
    pub(super) fn pack(&self, codes: &[u8], words: &mut [u8]) {
        let (blocks, rest) = codes.split_at(self.whole * self.kind.codes());
        let (out, end) = words.split_at_mut(self.whole * self.kind.words());
        self.kind.pack(blocks, out);
        let (mut block, mut packed) = ([0; ROOM], [0; ROOM]);
        let (block, packed) = (&mut block[..self.kind.codes()], &mut packed[..self.kind.words()]);
        if self.code_bits > 0 {
            copy_bits(rest, self.code_bits, block);
            self.kind.pack(block, packed);
        }
        copy_bits(packed, self.word_bits, end);
    }

    /// The codes of a row of words.
    pub(super) fn unpack(&self, words: &[u8], codes: &mut [u8]) {
        let (blocks, rest) = words.split_at(self.whole * self.kind.words());
        let (out, end) = codes.split_at_mut(self.whole * self.kind.codes());
        self.kind.unpack(blocks, out);
        let (mut block, mut unpacked) = ([0; ROOM], [0; ROOM]);
        let (block, unpacked) = (&mut block[..self.kind.words()], &mut unpacked[..self.kind.codes()]);
        if self.word_bits > 0 {
            copy_bits(rest, self.word_bits, block);
            self.kind.unpack(block, unpacked);
        }
        // A last word that is too large has codes for more groups than there are.
        copy_bits(unpacked, self.code_bits, end);
    }
}

impl Kind {
    /// Bytes of the codes of a block.
    fn codes(&self) -> usize {
        match self {
            Self::Fours => Kernels::RADIX_CODES,
            Self::Any(table) => table.block_codes(),
        }
    }

    /// Bytes of the words of a block.
    fn words(&self) -> usize {
        match self {
            Self::Fours => Kernels::RADIX_WORDS,
            Self::Any(table) => table.block_words(),
        }
    }

    fn pack(&self, codes: &[u8], words: &mut [u8]) {
        match self {
            Self::Fours => Kernels::active().nm24_radix_pack(codes, words),
            Self::Any(table) => Kernels::active().radix_pack(table, codes, words),
        }
    }

    fn unpack(&self, words: &[u8], codes: &mut [u8]) {
        match self {
            Self::Fours => Kernels::active().nm24_radix_unpack(words, codes),
            Self::Any(table) => Kernels::active().radix_unpack(table, words, codes),
        }
    }
}
