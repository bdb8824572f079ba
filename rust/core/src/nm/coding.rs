//! How the codes of rows are stored: plain, or in a way of their own, between which and the rest a row of plain codes
//! passes through the first-level cache.

use crate::Result;
use crate::room::filled;

/// How a row of codes is stored.
pub(crate) trait Coding: Sync {
    /// Bytes of plain codes of a row that a thread needs room for: none where they are stored plain.
    fn room(&self) -> usize;

    /// Stores the plain codes that `make` writes to a room that is as long as they are, or longer.
    fn store<R>(&self, row: &mut [u8], room: &mut [u8], make: impl FnOnce(&mut [u8]) -> R) -> R;

    /// The plain codes of a row.
    fn load<'a>(&self, row: &'a [u8], room: &'a mut [u8]) -> &'a [u8];
}

/// Codes as they are.
pub(super) struct Plain;

impl Coding for Plain {
    fn room(&self) -> usize {
        0
    }

    #[inline(always)]
    fn store<R>(&self, row: &mut [u8], _room: &mut [u8], make: impl FnOnce(&mut [u8]) -> R) -> R {
        make(row)
    }

    #[inline(always)]
    fn load<'a>(&self, row: &'a [u8], _room: &'a mut [u8]) -> &'a [u8] {
        row
    }
}

/// The room of a thread.
pub(super) fn room_for(coding: &impl Coding) -> Result<Vec<u8>> {
    filled(0, coding.room())
}
