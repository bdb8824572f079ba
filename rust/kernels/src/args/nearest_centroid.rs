//! Arguments of searches in small codebooks, and their signatures.

/// How 16-bit items are ordered: as `key = item ^ (flip_negative if its highest bit is set) ^ flip`, unsigned; and
/// which bits are all set in what is not finite (none: everything is).
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// 0x7FFF for floats, where the magnitude of negative items falls; else 0.
    pub flip_negative: u16,
    /// 0x8000 where the highest bit is a sign; else 0.
    pub flip: u16,
    /// The bits of infinity; 0 for integers.
    pub infinity: u16,
}

impl Keys {
    /// The place of an item in the order.
    #[must_use]
    pub fn key(self, item: u16) -> u16 {
        let negative = if item & 0x8000 == 0 { 0 } else { self.flip_negative };
        item ^ negative ^ self.flip
    }

    /// Whether it is NaN or infinite.
    #[must_use]
    pub fn is_odd(self, item: u16) -> bool {
        self.infinity != 0 && item & self.infinity == self.infinity
    }
}

/// Up to 32 entries: a key goes to the entry whose number is that of the limits below it.
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    /// Ascending, completed by 0xFFFF.
    pub limits: [u16; 32],
    /// The code of each entry.
    pub codes: [u8; 32],
    /// How many limits there are, at most 31.
    pub count: usize,
}

pub(crate) type Nearest = unsafe fn(&[u16], Keys, &Entries, &mut [u8]) -> bool;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) nearest: Nearest,
    /// Whether its time hardly rises with the number of limits.
    pub(crate) searched: bool,
}
