//! N:M whose slots come a tile at a time, from codes.

use super::codes::Codes;
use super::layout::{Layout, NO_BITS};
use super::pattern::Pattern;
use super::slots::Slot;
use crate::{Error, Result, TILE};
use sparsefmt_kernels::{Kernels, NonTemporal};
use std::ops::Range;

/// Fills a row, `out`, zeros included. `slots` is called with consecutive ranges of slots and room for them. Error: a
/// code that names no mask, with its group.
///
/// Between the writes of one tile, which wait for memory where they go past the caches, the slots of the next are made.
pub(crate) fn decode_row<T: Slot>(
    codes: &[u8],
    pattern: Pattern,
    streamed: &NonTemporal,
    out: &mut [T],
    mut slots: impl FnMut(Range<usize>, &mut [T]),
) -> Result<()> {
    let (layout, table) = (Layout::new(pattern, out.len())?, Codes::of(pattern));
    layout.check(1, (1, codes.len()), (1, layout.slots))?;
    let (mut bits, mut room) = (NO_BITS, [T::default(); TILE]);
    if pattern.n == pattern.m {
        // Every column has a slot: there is nothing to unpack, and nothing to move but past the caches.
        for (i, out) in out.chunks_mut(TILE).enumerate() {
            let columns = i * TILE..i * TILE + out.len();
            if streamed.is_past_caches() {
                let room = &mut room[..out.len()];
                slots(columns, room);
                T::drain(streamed, room, out);
            } else {
                slots(columns, out);
            }
        }
        return Ok(());
    }
    let fours = (pattern.n, pattern.m) == (2, 4) && out.len().is_multiple_of(Kernels::FOURS);
    for tile in layout.tiles() {
        let room = &mut room[..tile.groups * pattern.n];
        slots(tile.slot..tile.slot + room.len(), room);
        let out = &mut out[tile.start..tile.start + tile.cols];
        let codes = &codes[tile.code..];
        if fours && T::nm24_unpack(streamed, &codes[..tile.cols / Kernels::FOURS * 6], room, out) {
            continue;
        }
        let unpacked = table.unpack(codes, tile.groups, &mut bits);
        unpacked.map_err(|(group, got)| Error::Code {
            row: 0,
            group: tile.first + group,
            got,
            bound: pattern.count(),
        })?;
        T::expand_part(streamed, room, &bits[..out.len().div_ceil(8)], out);
    }
    Ok(())
}
