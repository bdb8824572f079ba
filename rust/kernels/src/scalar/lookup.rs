//! Look-ups one by one.

/// See [`crate::Kernels::lookup_u16`]. Four codes come in one load, and their items go out in one store.
pub(crate) fn bytes(codes: &[u8], table: &[u16; 256], out: &mut [u16]) {
    let (blocks, tail) = codes.as_chunks::<4>();
    let (rooms, rest) = out.as_chunks_mut::<4>();
    for (block, room) in blocks.iter().zip(rooms) {
        let word = u32::from_le_bytes(*block);
        let item = |shift: u32| u64::from(table[usize::from((word >> shift) as u8)]);
        let items = item(0) | item(8) << 16 | item(16) << 32 | item(24) << 48;
        *room = [items as u16, (items >> 16) as u16, (items >> 32) as u16, (items >> 48) as u16];
    }
    for (out, &code) in rest.iter_mut().zip(tail) {
        *out = table[usize::from(code)];
    }
}

/// See [`crate::Kernels::lookup_nibbles_u16`].
#[inline(always)]
pub(crate) fn nibbles(pairs: &[u8], table: &[u16; 16], out: &mut [u16]) {
    let (rooms, rest) = out.as_chunks_mut::<2>();
    for (room, &pair) in rooms.iter_mut().zip(pairs) {
        *room = [table[usize::from(pair & 15)], table[usize::from(pair >> 4)]];
    }
    if let ([last], Some(&pair)) = (rest, pairs.last()) {
        *last = table[usize::from(pair & 15)];
    }
}
