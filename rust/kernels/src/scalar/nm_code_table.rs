//! Codes of groups that fill bytes, 8 bytes of mask at a time.

/// See [`crate::Kernels::pack_nm_codes`].
pub(crate) fn pack_nm_codes(keep: &[u8], table: &crate::NmCodeTable, full: &mut [u8], codes: &mut [u8]) -> bool {
    let (keep, full, width) = (keep.as_chunks::<8>().0, full.as_chunks_mut::<8>().0, table.width as usize);
    let mut flags = 0;
    for (step, (keep, full)) in keep.iter().zip(full).enumerate() {
        *full = keep.map(|byte| table.full[usize::from(byte)]);
        let fields = keep.map(|byte| table.code[usize::from(byte)]);
        flags = fields.iter().fold(flags, |flags, field| flags | field);
        let word = fields.iter().rev().fold(0u64, |word, &field| (word << width) | u64::from(field & 0x7F));
        codes[step * width..][..width].copy_from_slice(&word.to_le_bytes()[..width]);
    }
    flags >= 0x80
}

/// See [`crate::Kernels::unpack_nm_codes`].
pub(crate) fn unpack_nm_codes(codes: &[u8], table: &crate::NmCodeTable, bits: &mut [u8]) -> bool {
    let width = table.width as usize;
    let mut bad = false;
    for (step, bits) in bits.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut word = [0; 8];
        word[..width].copy_from_slice(&codes[step * width..][..width]);
        let word = u64::from_le_bytes(word);
        for (i, bits) in bits.iter_mut().enumerate() {
            *bits = table.mask[(word >> (i * width)) as usize % (1 << width)];
            bad |= *bits == 0;
        }
    }
    bad
}
