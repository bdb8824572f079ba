//! Codes of groups that fill bytes: `pext` packs eight codes at once, `pdep` unpacks them.

use crate::args::nm_code_table::NmCodeTable;
use std::arch::x86_64::{_pdep_u64, _pext_u64};

/// The low `width` bits of each byte.
fn low_bits(width: u32) -> u64 {
    u64::from_le_bytes([(1 << width) - 1; 8])
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
    let (mask, width) = (low_bits(table.width), table.width as usize);
    let mut flags = 0;
    for (step, (keep, full)) in keep.as_chunks::<8>().0.iter().zip(full.as_chunks_mut::<8>().0).enumerate() {
        *full = keep.map(|byte| table.full[usize::from(byte)]);
        let word = u64::from_le_bytes(keep.map(|byte| table.code[usize::from(byte)]));
        flags |= word;
        put(&mut codes[step * width..], _pext_u64(word, mask), width);
    }
    flags & 0x8080_8080_8080_8080 != 0
}

/// See [`crate::Kernels::unpack_nm_codes`].
#[target_feature(enable = "bmi2")]
pub(crate) fn unpack_nm_codes(codes: &[u8], table: &NmCodeTable, bits: &mut [u8]) -> bool {
    let (mask, width) = (low_bits(table.width), table.width as usize);
    let mut bad = false;
    for (step, bits) in bits.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let word = _pdep_u64(get(&codes[step * width..], width), mask).to_le_bytes();
        *bits = word.map(|code| table.mask[usize::from(code & 0x7F)]);
        bad |= bits.contains(&0);
    }
    bad
}
