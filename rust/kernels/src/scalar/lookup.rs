//! Look-ups one by one.

/// See [`crate::Kernels::lookup_u16`].
pub(crate) fn bytes(codes: &[u8], table: &[u16; 256], out: &mut [u16]) {
    for (out, &code) in out.iter_mut().zip(codes) {
        *out = table[usize::from(code)];
    }
}

/// See [`crate::Kernels::lookup_nibbles_u16`].
pub(crate) fn nibbles(pairs: &[u8], table: &[u16; 16], out: &mut [u16]) {
    for (out, &pair) in out.chunks_mut(2).zip(pairs) {
        for (out, code) in out.iter_mut().zip([pair & 15, pair >> 4]) {
            *out = table[usize::from(code)];
        }
    }
}
