//! Rows in blocks of eight words by a kernel, what is left as a block with zeros behind it.

use super::layout::Layout;
use crate::bits::copy_bits;
use crate::nm::Pattern;
use sparsefmt_kernels::{Kernels, RadixTable};

/// Blocks take fewer bytes than this.
const ROOM: usize = 64;

/// Which kernel it is, how many whole blocks a row has, and where they are.
pub(super) struct Blocks {
    kind: Kind,
    whole: usize,
    codes: Side,
    words: Side,
}

enum Kind {
    /// 2:4 in words of 17 groups.
    Fours,
    Any(Box<RadixTable>),
}

/// Rows of codes or of words: bytes of a block, and bits behind the whole ones.
struct Side {
    block: usize,
    rest: usize,
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
        let rest = (layout.groups - whole * 8 * layout.per) * pattern.bits() as usize;
        let codes = Side { block: kind.codes(), rest };
        let words = Side { block: kind.words(), rest: layout.row_bits()? - whole * kind.words() * 8 };
        Some(Self { kind, whole, codes, words })
    }

    /// The words of a row of codes.
    pub(super) fn pack(&self, codes: &[u8], words: &mut [u8]) {
        self.run((&self.codes, codes), (&self.words, words), |from, to| self.kind.pack(from, to));
    }

    /// The codes of a row of words.
    pub(super) fn unpack(&self, words: &[u8], codes: &mut [u8]) {
        self.run((&self.words, words), (&self.codes, codes), |from, to| self.kind.unpack(from, to));
    }

    fn run(&self, (from, input): (&Side, &[u8]), (to, output): (&Side, &mut [u8]), kernel: impl Fn(&[u8], &mut [u8])) {
        let (blocks, rest) = input.split_at(self.whole * from.block);
        let (out, end) = output.split_at_mut(self.whole * to.block);
        kernel(blocks, out);
        let (mut read, mut made) = ([0; ROOM], [0; ROOM]);
        let (read, made) = (&mut read[..from.block], &mut made[..to.block]);
        if from.rest > 0 {
            copy_bits(rest, from.rest, read);
            kernel(read, made);
        }
        // A last word that is too large has codes for more groups than there are.
        copy_bits(made, to.rest, end);
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
