//! The part of the table that packs 16-bit items as 2 of 4 in one go.

use crate::args::nm24_pack::Table;
use crate::args::nontemporal::NonTemporal;
use crate::args::topk::Order;
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { pack: scalar::nm24_pack::pack, unpack: None };

#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: Table = Table { pack: crate::aarch64::neon::nm24_pack::pack, unpack: None };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table =
    Table { pack: crate::x86_64::avx2::nm24_pack::pack, unpack: Some(crate::x86_64::avx2::nm24_unpack::unpack) };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table { pack: crate::x86_64::avx512::nm24_pack::pack, unpack: None };

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

    /// Puts two slots for each code of 3 bits to their places among four items, and zeros elsewhere: the inverse of
    /// [`Kernels::nm24_pack`]. Tells whether all codes name places; `out` is unspecified otherwise. None: there is no
    /// function for it, and nothing was written. With `stream` it writes past the caches where it can.
    ///
    /// # Panics
    /// `out` is no multiple of 64 long; not 6 bytes of codes and 32 slots for every 64.
    pub fn nm24_unpack(&self, codes: &[u8], slots: &[u16], out: &mut [u16], stream: bool) -> Option<bool> {
        Self::nontemporal(stream, |streamed| self.nm24_unpack_part(streamed, codes, slots, out))
    }

    fn nm24_unpack_part(&self, to: &NonTemporal, codes: &[u8], slots: &[u16], out: &mut [u16]) -> Option<bool> {
        assert!(out.len().is_multiple_of(Self::FOURS), "{} items", out.len());
        assert_eq!(codes.len(), out.len() / 64 * 6, "bytes of codes");
        assert_eq!(slots.len(), out.len() / 2, "slots");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above; what is
        // written past the caches is waited for before `nontemporal` returns.
        self.nm24_pack.unpack.map(|unpack| unsafe { unpack(codes, slots, out, to.stream) })
    }
}

impl NonTemporal {
    /// See [`Kernels::nm24_unpack`].
    ///
    /// # Panics
    /// As there.
    pub fn nm24_unpack(&self, codes: &[u8], slots: &[u16], out: &mut [u16]) -> Option<bool> {
        Kernels::active().nm24_unpack_part(self, codes, slots, out)
    }
}
