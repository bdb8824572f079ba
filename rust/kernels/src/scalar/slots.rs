//! Packing items by bit masks.

use super::bit_positions::{PLACES, count, gather};

/// See [`crate::Kernels::pack_slots_u16`].
pub(crate) fn pack_slots<T: Copy + Default>(src: &[T], keep: &[u8], full: &[u8], dst: &mut [T]) -> usize {
    let (blocks, tail) = src.as_chunks::<8>();
    let mut written = 0;
    for ((items, &keep), &full) in blocks.iter().zip(keep).zip(full) {
        let room = dst.get_mut(written..).unwrap_or_default();
        match room.first_chunk_mut() {
            Some(room) if keep == full => gather(items, full, room),
            _ => pack_few(items, keep, full, room),
        }
        written += count(full);
    }
    if let (false, Some(&keep), Some(&full)) = (tail.is_empty(), keep.get(blocks.len()), full.get(blocks.len())) {
        let full = full & u8::MAX >> (8 - tail.len());
        pack_few(tail, keep, full, dst.get_mut(written..).unwrap_or_default());
        written += count(full);
    }
    written
}

/// The same for up to 8 items, of which `full` has bits of no others.
fn pack_few<T: Copy + Default>(items: &[T], keep: u8, full: u8, room: &mut [T]) {
    for (to, &at) in room.iter_mut().zip(&PLACES[usize::from(full)][..count(full)]) {
        *to = if keep >> at & 1 == 1 { items[usize::from(at)] } else { T::default() };
    }
}

/// See [`crate::Kernels::keep_slots_u16`].
pub(crate) fn keep_slots<T: Copy + Default>(src: &[T], bits: &[u8], dst: &mut [T]) {
    for ((items, room), &byte) in src.chunks(8).zip(dst.chunks_mut(8)).zip(bits) {
        for (i, (&item, to)) in items.iter().zip(room).enumerate() {
            *to = if byte >> i & 1 == 1 { item } else { T::default() };
        }
    }
}
