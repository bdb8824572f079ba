//! Look-ups of 16-bit items by codes of 4 bits: their two bytes come from two tables in registers.

use super::registers::{load_u8, load_u16, low_bytes, store_fours};
use crate::args::lookup::Table;
use crate::scalar::lookup as plain;
use std::arch::aarch64::{uint8x16x4_t, vandq_u8, vdupq_n_u8, vqtbl1q_u8, vreinterpretq_u8_u16, vshrq_n_u8, vuzp2q_u8};

pub(crate) const TABLE: Table = Table { bytes: plain::bytes, nibbles, floats: None };

/// See [`crate::Kernels::lookup_nibbles_u16`].
#[target_feature(enable = "neon")]
pub(super) fn nibbles(pairs: &[u8], table: &[u16; 16], out: &mut [u16]) {
    let [front, back] = [0, 1].map(|at| load_u16(&table.as_chunks().0[at]));
    let first = low_bytes(front, back);
    let second = vuzp2q_u8(vreinterpretq_u8_u16(front), vreinterpretq_u8_u16(back));
    let (rooms, rest) = out.as_chunks_mut::<32>();
    let (head, tail) = pairs.split_at(16 * rooms.len());
    for (block, room) in head.as_chunks::<16>().0.iter().zip(rooms) {
        let pairs = load_u8(block);
        let (even, odd) = (vandq_u8(pairs, vdupq_n_u8(15)), vshrq_n_u8::<4>(pairs));
        let [a, b] = [even, odd].map(|codes| (vqtbl1q_u8(first, codes), vqtbl1q_u8(second, codes)));
        store_fours(room, uint8x16x4_t(a.0, a.1, b.0, b.1));
    }
    plain::nibbles(tail, table, rest);
}
