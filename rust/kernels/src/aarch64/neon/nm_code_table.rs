//! Codes of groups that fill bytes: tables of bytes in registers for `tbl`, and fields of bits that meet or part in three
//! steps, those of two bytes, of four and of eight.

use super::registers::{load_half_u8, load_u8, load_u64, store_u8, table};
use crate::args::nm_code_table::NmCodeTable;
use std::arch::aarch64::{
    int16x8_t, int32x4_t, int64x2_t, uint8x16_t, uint8x16x4_t, vandq_u8, vbslq_u16, vbslq_u32, vbslq_u64, vcombine_u8,
    vdupq_n_s16, vdupq_n_s32, vdupq_n_s64, vdupq_n_u8, vdupq_n_u16, vdupq_n_u32, vdupq_n_u64, vgetq_lane_u64,
    vmaxvq_u8, vminq_u8, vminvq_u8, vorrq_u8, vqtbl4q_u8, vqtbx4q_u8, vreinterpretq_u8_u16, vreinterpretq_u16_u8,
    vreinterpretq_u16_u32, vreinterpretq_u32_u16, vreinterpretq_u32_u64, vreinterpretq_u64_u32, vshlq_u16, vshlq_u32,
    vshlq_u64, vsubq_u8,
};

/// How far apart fields of 1, 2 and 4 codes are in twice, four and eight times a byte, less their bits.
#[derive(Clone, Copy)]
struct Gaps(int16x8_t, int32x4_t, int64x2_t);

impl Gaps {
    /// `sign` is 1 to part them, -1 to bring them together.
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(width: u32, sign: i16) -> Self {
        let gap = sign * (8 - width as i16);
        Self(vdupq_n_s16(gap), vdupq_n_s32((2 * gap).into()), vdupq_n_s64((4 * gap).into()))
    }
}

/// 8 codes of `width` bits, one behind the other, in each half.
#[inline]
#[target_feature(enable = "neon")]
fn together(codes: uint8x16_t, width: u32, gaps: Gaps) -> [u64; 2] {
    let word = vreinterpretq_u16_u8(codes);
    let word = vbslq_u16(vdupq_n_u16((1 << width) - 1), word, vshlq_u16(word, gaps.0));
    let word = vreinterpretq_u32_u16(word);
    let word = vbslq_u32(vdupq_n_u32((1 << (2 * width)) - 1), word, vshlq_u32(word, gaps.1));
    let word = vreinterpretq_u64_u32(word);
    let word = vbslq_u64(vdupq_n_u64((1 << (4 * width)) - 1), word, vshlq_u64(word, gaps.2));
    [vgetq_lane_u64::<0>(word), vgetq_lane_u64::<1>(word)]
}

/// The inverse; what is behind the codes is left in the upper bits of bytes.
#[inline]
#[target_feature(enable = "neon")]
fn apart(words: [u64; 2], gaps: Gaps) -> uint8x16_t {
    let word = load_u64(&words);
    let word = vbslq_u64(vdupq_n_u64(u32::MAX.into()), word, vshlq_u64(word, gaps.2));
    let word = vreinterpretq_u32_u64(word);
    let word = vbslq_u32(vdupq_n_u32(u16::MAX.into()), word, vshlq_u32(word, gaps.1));
    let word = vreinterpretq_u16_u32(word);
    vreinterpretq_u8_u16(vbslq_u16(vdupq_n_u16(u8::MAX.into()), word, vshlq_u16(word, gaps.0)))
}

/// Parts of a table of bytes.
#[inline]
#[target_feature(enable = "neon")]
fn parts<const N: usize, const P: usize>(bytes: &[u8; N]) -> [uint8x16x4_t; P] {
    const { assert!(N == 64 * P) };
    let chunks = bytes.as_chunks::<64>().0;
    std::array::from_fn::<&[u8; 64], P, _>(|part| &chunks[part]).map(|part| table(part))
}

/// What a table holds at each byte; 0 behind its end.
#[inline]
#[target_feature(enable = "neon")]
fn found<const P: usize>(parts: &[uint8x16x4_t; P], mut at: uint8x16_t) -> uint8x16_t {
    let mut bytes = vqtbl4q_u8(parts[0], at);
    for part in &parts[1..] {
        at = vsubq_u8(at, vdupq_n_u8(64));
        bytes = vqtbx4q_u8(bytes, *part, at);
    }
    bytes
}

/// Looks up each byte.
#[inline(never)]
#[target_feature(enable = "neon")]
fn look_up(bytes: &[u8], table: &[u8; 256], out: &mut [u8]) {
    let ((blocks, tail), (rooms, rest)) = (bytes.as_chunks::<16>(), out.as_chunks_mut::<16>());
    let parts = parts::<256, 4>(table);
    for (block, room) in blocks.iter().zip(rooms) {
        store_u8(room, found(&parts, load_u8(block)));
    }
    for (&byte, out) in tail.iter().zip(rest) {
        *out = table[usize::from(byte)];
    }
}

/// The first `width` bytes; what is above them is to be ignored.
#[inline]
fn get(bytes: &[u8], width: usize) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => bytes[..width].iter().rev().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
    }
}

/// See [`crate::Kernels::pack_nm_codes`].
#[target_feature(enable = "neon")]
pub(crate) fn pack_nm_codes(keep: &[u8], table: &NmCodeTable, full: &mut [u8], codes: &mut [u8]) -> bool {
    look_up(keep, &table.full, full);
    let (width, gaps) = (table.width as usize % 8, Gaps::new(table.width, -1));
    let (parts, field) = (parts::<256, 4>(&table.code), vdupq_n_u8(0x7F));
    let (mut flags, mut done, mut at) = (vdupq_n_u8(0), 0, 0);
    // Room for whole words, so that nothing is called, which would cost the tables their registers.
    for block in keep.as_chunks::<16>().0 {
        let Some(room) = codes.get_mut(at..).and_then(|room| room.first_chunk_mut::<16>()) else { break };
        let fields = found(&parts, load_u8(block));
        flags = vorrq_u8(flags, fields);
        let [low, high] = together(vandq_u8(fields, field), table.width, gaps);
        room[..8].copy_from_slice(&low.to_le_bytes());
        room[width..][..8].copy_from_slice(&high.to_le_bytes());
        at += 2 * width;
        done += 16;
    }
    for eight in keep[done..].as_chunks::<8>().0 {
        let fields = found(&parts, vcombine_u8(load_half_u8(eight), load_half_u8(eight)));
        flags = vorrq_u8(flags, fields);
        let [word, _] = together(vandq_u8(fields, field), table.width, gaps);
        codes[at..][..width].copy_from_slice(&word.to_le_bytes()[..width]);
        at += width;
    }
    vmaxvq_u8(flags) >= 0x80
}

/// See [`crate::Kernels::unpack_nm_codes`].
#[target_feature(enable = "neon")]
pub(crate) fn unpack_nm_codes(codes: &[u8], table: &NmCodeTable, bits: &mut [u8]) -> bool {
    let (width, gaps) = (table.width as usize, Gaps::new(table.width, 1));
    let (parts, field) = (parts::<128, 2>(&table.mask), vdupq_n_u8((1u8 << width) - 1));
    let (mut least, mut codes) = (vdupq_n_u8(u8::MAX), codes);
    let (rooms, last) = bits.as_chunks_mut::<16>();
    for room in rooms {
        let words = [get(codes, width), get(&codes[width..], width)];
        let masks = found(&parts, vandq_u8(apart(words, gaps), field));
        least = vminq_u8(least, masks);
        store_u8(room, masks);
        codes = &codes[2 * width..];
    }
    if let Some(room) = last.first_chunk_mut::<8>() {
        let word = get(codes, width);
        let mut both = [0; 16];
        let masks = found(&parts, vandq_u8(apart([word; 2], gaps), field));
        store_u8(&mut both, masks);
        room.copy_from_slice(&both[..8]);
        least = vminq_u8(least, masks);
    }
    vminvq_u8(least) == 0
}
