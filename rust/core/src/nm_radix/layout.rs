//! What a row of words holds.

use crate::nm::Pattern;
use crate::{Error, Result};

/// How many groups a row has, and where their words stand.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) groups: usize,
    pub(super) per: usize,
    pub(super) bits: u32,
    pub(super) tail: u32,
}

impl Layout {
    /// Checks (rows, columns) of plain codes, where there are any, and of words.
    pub(super) fn new(pattern: Pattern, groups: usize, per: usize) -> Result<Self> {
        let bits = |groups: usize| {
            let values = u128::from(pattern.count()).checked_pow(u32::try_from(groups).ok()?)?;
            Some(u128::BITS - (values - 1).leading_zeros())
        };
        let wrong = Error::Parameter { name: "per", got: per };
        if per == 0 {
            return Err(wrong);
        }
        let (bits, tail) = (bits(per).ok_or(wrong)?, bits(groups % per).unwrap_or(0));
        Ok(Self { groups, per, bits, tail })
    }

    pub(super) fn row_bits(&self) -> Option<usize> {
        (self.groups / self.per).checked_mul(self.bits as usize)?.checked_add(self.tail as usize)
    }

    pub(super) fn check(&self, pattern: Pattern, words: (usize, usize), codes: Option<(usize, usize)>) -> Result<()> {
        let wants = [
            ("words", self.row_bits(), Some(words)),
            ("codes", self.groups.checked_mul(pattern.bits() as usize), codes),
        ];
        for (name, bits, got) in wants {
            let want = bits.ok_or(Error::Parameter { name: "groups", got: self.groups })?.div_ceil(8);
            match got {
                Some((rows, _)) if rows != words.0 => return Err(Error::Length { name, got: rows, want: words.0 }),
                Some((_, got)) if got < want => return Err(Error::Length { name, got, want }),
                _ => {}
            }
        }
        Ok(())
    }

    /// The first group, the number of groups, the first bit and the number of bits of every word; none of a pattern whose
    /// codes have no bits, of which there may be as many groups as anybody says.
    pub(super) fn words(self) -> impl Iterator<Item = (usize, usize, usize, u32)> {
        let Self { groups, per, bits, tail } = self;
        let count = if bits == 0 { 0 } else { groups.div_ceil(per) };
        (0..count).map(move |word| {
            let held = per.min(groups - word * per);
            (word * per, held, word * bits as usize, if held == per { bits } else { tail })
        })
    }
}
