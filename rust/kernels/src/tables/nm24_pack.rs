//! The part of the table that packs 16-bit items as 2 of 4 in one go.

use crate::args::nm24_pack::Table;
use crate::args::topk::Order;
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { pack: scalar::nm24_pack::pack };

#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: Table = Table { pack: crate::aarch64::neon::nm24_pack::pack };

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
    /// Tells whether a group holds more than 2; `codes` and `slots` are unspecified then.
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
