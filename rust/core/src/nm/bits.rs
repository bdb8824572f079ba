//! Fields of up to 32 bits in streams of bytes, LSB first.

/// The field of `width` bits that starts at bit `at`; bits behind the end read as zero.
#[inline]
pub(crate) fn field(bytes: &[u8], at: usize, width: u32) -> u32 {
    ((word(bytes, at / 8) >> (at % 8)) & ((1 << width) - 1)) as u32
}

/// The 8 bytes from `at` on; those behind the end are zero.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
    }
}

/// Reads the first fields of `width` bits.
pub(crate) fn read_fields(bytes: &[u8], width: u32, fields: &mut [u32]) {
    match width {
        16 if bytes.len() / 2 >= fields.len() => {
            let halves = bytes.as_chunks().0.iter().map(|half| u32::from(u16::from_le_bytes(*half)));
            fields.iter_mut().zip(halves).for_each(|(field, half)| *field = half);
        }
        32 if bytes.len() / 4 >= fields.len() => {
            let words = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
            fields.iter_mut().zip(words).for_each(|(field, word)| *field = word);
        }
        0..8 => read::<8>(bytes, width, fields),
        8..15 => read::<4>(bytes, width, fields),
        15..=30 => read::<2>(bytes, width, fields),
        _ => read::<1>(bytes, width, fields),
    }
}

/// `N` fields at a time lie in the 8 bytes that begin with the first one's byte: they take at most 56 bits, or are two of
/// 29 or 30 bits, of which no two begin more than 6 or 4 bits behind a byte.
fn read<const N: usize>(bytes: &[u8], width: u32, fields: &mut [u32]) {
    let mask = (1 << width) - 1;
    let (whole, rest) = fields.as_chunks_mut::<N>();
    let mut at = 0;
    for fields in whole {
        let word = word(bytes, at / 8) >> (at % 8);
        for (i, to) in fields.iter_mut().enumerate() {
            *to = ((word >> (i as u32 * width)) & mask) as u32;
        }
        at += N * width as usize;
    }
    for to in rest {
        *to = field(bytes, at, width);
        at += width as usize;
    }
}

/// Writes the field of `width` bits that starts at bit `at`, and leaves the bits around it. What does not fit is dropped.
pub(crate) fn write_field(bytes: &mut [u8], at: usize, width: u32, value: u32) {
    let (first, shift) = (at / 8, at as u32 % 8);
    let (mask, word) = (((1u64 << width) - 1) << shift, u64::from(value) << shift);
    let touched = (shift + width).div_ceil(8) as usize;
    for (i, byte) in bytes.iter_mut().skip(first).take(touched).enumerate() {
        *byte = *byte & !((mask >> (8 * i)) as u8) | (word >> (8 * i)) as u8;
    }
}

/// Writes fields of `width` bits, whose other bits are zero, one behind the other, and completes the last byte by
/// zeros. What does not fit is dropped.
pub(crate) fn write_fields(fields: &[u32], width: u32, out: &mut [u8]) {
    match width {
        16 if out.len() / 2 >= fields.len() => {
            let halves = fields.iter().map(|&field| (field as u16).to_le_bytes());
            out.as_chunks_mut().0.iter_mut().zip(halves).for_each(|(to, half)| *to = half);
        }
        32 if out.len() / 4 >= fields.len() => {
            let words = fields.iter().map(|&field| field.to_le_bytes());
            out.as_chunks_mut().0.iter_mut().zip(words).for_each(|(to, word)| *to = word);
        }
        0..8 => write::<8>(fields, width, out),
        8..15 => write::<4>(fields, width, out),
        15..=30 => write::<2>(fields, width, out),
        _ => write::<1>(fields, width, out),
    }
}

/// `N` fields at a time fit into a word behind the bits of an open byte, as they do in [`read`].
fn write<const N: usize>(fields: &[u32], width: u32, out: &mut [u8]) {
    let (mut word, mut fill, mut at) = (0u64, 0, 0);
    let (whole, rest) = fields.as_chunks::<N>();
    for fields in whole {
        for (i, &field) in fields.iter().enumerate() {
            word |= u64::from(field) << (fill + i as u32 * width);
        }
        fill += N as u32 * width;
        put(out, at, word, fill);
        at += fill as usize / 8;
        word = word.checked_shr(fill / 8 * 8).unwrap_or(0);
        fill %= 8;
    }
    for (i, &field) in rest.iter().enumerate() {
        word |= u64::from(field) << (fill + i as u32 * width);
    }
    put(out, at, word, fill + rest.len() as u32 * width);
}

/// Writes the lowest `fill` bits of `word`, whose other bits are zero, at byte `at`.
#[inline]
fn put(out: &mut [u8], at: usize, word: u64, fill: u32) {
    let rest = out.get_mut(at..).unwrap_or_default();
    match rest.first_chunk_mut::<8>() {
        Some(chunk) => *chunk = word.to_le_bytes(),
        None => {
            let count = rest.len().min(fill.div_ceil(8) as usize);
            rest[..count].copy_from_slice(&word.to_le_bytes()[..count]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_and_no_other() {
        for (width, at) in (0..=32u32).flat_map(|width| [0, 1, 9, 40, 63].map(|at| (width, at * width as usize))) {
            let mut bytes = [0xA5; 300];
            let value = (0x9E37_79B9u64 & ((1 << width) - 1)) as u32;
            write_field(&mut bytes, at, width, value);
            assert_eq!(field(&bytes, at, width), value, "width {width} at {at}");
            let kept = |bit: usize| bytes[bit / 8] >> (bit % 8) & 1 == 0xA5 >> (bit % 8) & 1;
            assert!(
                (0..2400).filter(|bit| !(at..at + width as usize).contains(bit)).all(kept),
                "width {width} at {at}"
            );
        }
    }

    #[test]
    fn fields_come_back_at_every_width_and_room() {
        for (width, count) in (0..=32u32).flat_map(|width| [0, 1, 7, 8, 40, 41].map(|count| (width, count))) {
            let mask = ((1u64 << width) - 1) as u32;
            let values: Vec<u32> = (0..count).map(|i: u32| (i + 1).wrapping_mul(0x9E37_79B9) & mask).collect();
            let need = (values.len() * width as usize).div_ceil(8);
            for room in [need, need + 9, need / 2] {
                let mut out = vec![0xAA; room];
                write_fields(&values, width, &mut out);
                let kept = values.iter().take(if width == 0 { 0 } else { room * 8 / width as usize });
                let mut got = vec![0; kept.len()];
                read_fields(&out, width, &mut got);
                assert!(got.iter().eq(kept), "width {width}, {count} fields, room {room}");
                let used = values.len() * width as usize % 8;
                assert!(used == 0 || out.get(need - 1).is_none_or(|last| last >> used == 0), "width {width}");
            }
        }
    }
}
