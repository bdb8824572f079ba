//! The part of the table that packs 16-bit items as 2 of 4 in one go.

use crate::{Kernels, Order, scalar};

pub(crate) type Pack = unsafe fn(&[u16], Option<Order<u16>>, u16, &mut [u8], &mut [u16]) -> bool;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) pack: Pack,
}

pub(crate) const SCALAR: Table = Table { pack: scalar::nm24_pack::pack };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table { pack: crate::x86_64::avx2::nm24_pack::pack };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table { pack: crate::x86_64::avx512::nm24_pack::pack };

impl Kernels {
    /// The items that [`Kernels::nm24_pack`] takes at once.
    pub const FOURS: usize = 64;

    /// Packs groups of 4 items as 2 slots and a code of 3 bits each. Kept are items with a bit of `zero`; with `order`
    /// only the 2 that rank highest, of equal ones the first. Short groups are filled up with zeros: with the lowest
    /// free places among the last two. The code is the rank of the mask of the slots' places among the six.
    ///
    /// Tells whether a group holds more than 2; `codes` and `slots` hold nothing of use then.
    ///
    /// # Panics
    /// `items` are no multiple of 64; not 6 bytes of codes and 32 slots for every 64.
    #[must_use]
    pub fn nm24_pack(
        &self,
        items: &[u16],
        order: Option<Order<u16>>,
        zero: u16,
        codes: &mut [u8],
        slots: &mut [u16],
    ) -> bool {
        assert!(items.len().is_multiple_of(Self::FOURS), "{} items", items.len());
        assert_eq!(codes.len(), items.len() / 64 * 6, "bytes of codes");
        assert_eq!(slots.len(), items.len() / 2, "slots");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.nm24_pack.pack)(items, order, zero, codes, slots) }
    }
}

/// The lowest bit of every group.
const LOWEST: u64 = 0x1111_1111_1111_1111;

/// The lowest bit that is set in each group.
#[inline(always)]
fn first(bits: u64) -> u64 {
    let before = (bits << 1 & (LOWEST * 14)) | (bits << 2 & (LOWEST * 12)) | (bits << 3 & (LOWEST * 8));
    bits & !before
}

/// Two bits of each group: those of `above`, at most one, and the lowest of `equal`.
#[inline(always)]
pub(crate) fn two(above: u64, equal: u64) -> u64 {
    let one = first(equal);
    let groups = (above | above >> 1 | above >> 2 | above >> 3) & LOWEST;
    above | one | (first(equal & !one) & !(groups * 15))
}

/// What 16 groups of 4 bits become.
pub(crate) struct Groups {
    /// Two bits in each group.
    pub(crate) full: u64,
    /// The code of each, in 4 bits.
    pub(crate) code: u64,
    /// Not zero: a group has more than 2 bits.
    pub(crate) over: u64,
}

/// Completes 16 groups and finds their codes, by logic on all of them at once.
#[inline(always)]
pub(crate) const fn complete(keep: u64) -> Groups {
    let (b0, b1, b2, b3) = (keep, keep >> 1, keep >> 2, keep >> 3);
    let (low, high) = (b0 | b1, b2 | b3);
    let (both_low, both_high) = (b0 & b1, b2 & b3);
    let short = !(both_low | both_high | (low & high)) & LOWEST;
    let full = keep | short << 2 | (short & !low) << 3;
    let (f0, f1, f2, f3) = (full, full >> 1, full >> 2, full >> 3);
    let first = ((f0 & !f1) | (f2 & f3)) & LOWEST;
    let second = ((f0 & f3) | (f1 & f2)) & LOWEST;
    let third = (f3 & !f0) & LOWEST;
    let over = ((both_low & high) | (low & both_high)) & LOWEST;
    Groups { full, code: first | second << 1 | third << 2, over }
}

/// Fields of 3 bits, side by side, from such in 4 bits.
#[inline(always)]
pub(crate) fn thirds(fields: u64) -> u64 {
    let word = fields & 0x0707_0707_0707_0707 | fields >> 1 & 0x3838_3838_3838_3838;
    let word = word & 0x003F_003F_003F_003F | word >> 2 & 0x0FC0_0FC0_0FC0_0FC0;
    let word = word & 0x0000_0FFF_0000_0FFF | word >> 4 & 0x00FF_F000_00FF_F000;
    word & 0x00FF_FFFF | word >> 8 & 0xFFFF_FF00_0000
}
