//! Look-ups one by one.

/// See [`crate::Kernels::lookup_u16`].
pub(crate) fn bytes(codes: &[u8], table: &[u16; 256], out: &mut [u16]) {
    for (out, &code) in out.iter_mut().zip(codes) {
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
