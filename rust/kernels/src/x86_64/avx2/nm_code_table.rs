//! Codes of groups that fill bytes: shifts pack and unpack eight of them at once. `pext` and `pdep` would take one step
//! instead of three, but some twenty cycles on Zen 1 and 2, which halves the speed of whole matrices there.

use crate::args::nm_code_table::NmCodeTable;

/// Which bits fields of `bits` bits take in lanes of `lane` bits.
#[inline(always)]
fn lanes(bits: u32, lane: u32) -> u64 {
    u64::MAX / ((1 << lane) - 1) * ((1 << bits) - 1)
}

/// The low `width` bits of each byte, side by side.
#[inline(always)]
fn gather(word: u64, width: u32) -> u64 {
    let (ones, pairs, fours) = (lanes(width, 16), lanes(2 * width, 32), (1 << (4 * width)) - 1);
    let word = word & ones | word >> (8 - width) & (ones << width);
    let word = word & pairs | word >> (16 - 2 * width) & (pairs << (2 * width));
    word & fours | word >> (32 - 4 * width) & (fours << (4 * width))
}

/// The inverse: eight fields of `width` bits, each in a byte.
#[inline(always)]
fn spread(word: u64, width: u32) -> u64 {
    let (fours, pairs, ones) = (lanes(4 * width, 32), lanes(2 * width, 16), lanes(width, 8));
    let word = word & (fours & 0xFFFF_FFFF) | word << (32 - 4 * width) & (fours << 32);
    let word = word & (pairs & 0x0000_FFFF_0000_FFFF) | word << (16 - 2 * width) & (pairs & 0xFFFF_0000_FFFF_0000);
    word & (ones & 0x00FF_00FF_00FF_00FF) | word << (8 - width) & (ones & 0xFF00_FF00_FF00_FF00)
}

/// Writes the low `width` bytes of `word`, and zeros behind them where there is room.
#[inline]
fn put(room: &mut [u8], word: u64, width: usize) {
    match room.first_chunk_mut() {
        Some(chunk) => *chunk = word.to_le_bytes(),
        None => room[..width].copy_from_slice(&word.to_le_bytes()[..width]),
    }
}

/// The first `width` bytes; what is above them is unspecified.
#[inline]
fn get(bytes: &[u8], width: usize) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => bytes[..width].iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
    }
}

/// See [`crate::Kernels::pack_nm_codes`].
#[target_feature(enable = "bmi2")]
pub(crate) fn pack_nm_codes(keep: &[u8], table: &NmCodeTable, full: &mut [u8], codes: &mut [u8]) -> bool {
    let width = table.width as usize;
    let mut flags = 0;
    for (step, (keep, full)) in keep.as_chunks::<8>().0.iter().zip(full.as_chunks_mut::<8>().0).enumerate() {
        *full = keep.map(|byte| table.full[usize::from(byte)]);
        let word = u64::from_le_bytes(keep.map(|byte| table.code[usize::from(byte)]));
        flags |= word;
        put(&mut codes[step * width..], gather(word, table.width), width);
    }
    flags & 0x8080_8080_8080_8080 != 0
}

/// See [`crate::Kernels::unpack_nm_codes`].
#[target_feature(enable = "bmi2")]
pub(crate) fn unpack_nm_codes(codes: &[u8], table: &NmCodeTable, bits: &mut [u8]) -> bool {
    let width = table.width as usize;
    let mut bad = false;
    for (step, bits) in bits.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let word = spread(get(&codes[step * width..], width), table.width).to_le_bytes();
        *bits = word.map(|code| table.mask[usize::from(code & 0x7F)]);
        bad |= bits.contains(&0);
    }
    bad
}
