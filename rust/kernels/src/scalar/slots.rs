//! Packing items by bit masks.

/// See [`crate::Kernels::pack_slots_u16`].
pub(crate) fn pack_slots<T: Copy + Default>(src: &[T], keep: &[u8], full: &[u8], dst: &mut [T]) -> usize {
    let mut room = dst.iter_mut();
    let mut count = 0;
    for ((items, &keep), &full) in src.chunks(8).zip(keep).zip(full) {
        let mut left = full;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let Some(&item) = items.get(at) else { break };
            count += 1;
            if let Some(to) = room.next() {
                *to = if keep >> at & 1 == 1 { item } else { T::default() };
            }
        }
    }
    count
}

/// See [`crate::Kernels::keep_slots_u16`].
pub(crate) fn keep_slots<T: Copy + Default>(src: &[T], bits: &[u8], dst: &mut [T]) {
    for ((items, room), &byte) in src.chunks(8).zip(dst.chunks_mut(8)).zip(bits) {
        for (i, (&item, to)) in items.iter().zip(room).enumerate() {
            *to = if byte >> i & 1 == 1 { item } else { T::default() };
        }
    }
}
