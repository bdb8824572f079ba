//! Expanding past the caches several times, with one wait for memory at the end.

use crate::args::nontemporal::NonTemporal;
use crate::tables::kernels::Kernels;

macro_rules! expand {
    ($name:ident, $t:ty) => {
        /// See the method of [`Kernels`] of the same name.
        ///
        /// # Panics
        /// As there.
        pub fn $name(&self, src: &[$t], bits: &[u8], dst: &mut [$t]) -> usize {
            assert_eq!(bits.len(), dst.len().div_ceil(8), "bytes of bits");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above; what
            // is written past the caches is waited for before `nontemporal` returns.
            unsafe { (Kernels::active().compress.$name)(src, bits, dst, self.stream) }
        }
    };
}

macro_rules! drain {
    ($name:ident, $t:ty) => {
        /// See the method of [`Kernels`] of the same name; always past the caches, so `stream` must have been asked for.
        ///
        /// # Panics
        /// As there, and if `stream` was not asked for.
        pub fn $name(&self, buffer: &mut [$t], dst: &mut [$t]) {
            assert!(self.stream, "drained past the caches");
            assert_eq!(buffer.len(), dst.len(), "items of dst");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above; what
            // is written past the caches is waited for before `nontemporal` returns.
            unsafe { (Kernels::active().compress.$name)(buffer, dst) }
        }
    };
}

impl NonTemporal {
    /// Whether `stream` was asked for.
    #[must_use]
    pub fn is_past_caches(&self) -> bool {
        self.stream
    }

    expand!(expand_u8, u8);
    expand!(expand_u16, u16);
    expand!(expand_u32, u32);
    expand!(expand_u64, u64);
    expand!(expand_pair, [u64; 2]);
    drain!(drain_u8, u8);
    drain!(drain_u16, u16);
    drain!(drain_u32, u32);
    drain!(drain_u64, u64);
    drain!(drain_pair, [u64; 2]);
}

impl Kernels {
    /// Calls `work` with what expands items, past the caches if `stream` says so. Such writes are complete, for all
    /// threads, when this returns; so a thread can go on while they are under way.
    pub fn nontemporal<R>(stream: bool, work: impl FnOnce(&NonTemporal) -> R) -> R {
        let streamed = NonTemporal { stream };
        work(&streamed)
    }
}
