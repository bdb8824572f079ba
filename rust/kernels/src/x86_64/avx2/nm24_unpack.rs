//! 2 of 4 to dense items of 16 bits, two groups at a time: their two codes name a shuffle of four slots.

use super::compress::{load_128, put, store_128};
use std::arch::x86_64::{_mm_loadl_epi64, _mm_shuffle_epi8};

/// The slots of a group by code: ascending masks of two bits.
const MASKS: [u8; 8] = [0b0011, 0b0101, 0b0110, 0b1001, 0b1010, 0b1100, 0, 0];

/// For two codes of 3 bits, the bytes of four slots that each byte of eight columns takes; above 127: none.
static SHUFFLES: [[u8; 16]; 64] = {
    let mut table = [[0x80; 16]; 64];
    let mut codes = 0;
    while codes < 64 {
        let masks = [MASKS[codes & 7], MASKS[codes >> 3]];
        let mut column = 0;
        let mut slot = [0, 2];
        while column < 8 {
            let group = column / 4;
            if masks[group] >> (column % 4) & 1 == 1 {
                table[codes][2 * column] = 2 * slot[group];
                table[codes][2 * column + 1] = 2 * slot[group] + 1;
                slot[group] += 1;
            }
            column += 1;
        }
        codes += 1;
    }
    table
};

/// The third bit of every code of 3 bits in a word of 16.
const THIRD: u64 = 0x9249_2492_4924;

#[inline]
#[target_feature(enable = "avx2")]
fn run<const STREAM: bool>(codes: &[u8], slots: &[u16], out: &mut [u16]) -> bool {
    let mut bad = 0;
    let groups = codes.as_chunks::<6>().0.iter().zip(slots.as_chunks::<32>().0);
    for ((&[a, b, c, d, e, f], slots), out) in groups.zip(out.as_chunks_mut::<64>().0) {
        let word = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        bad |= word & word << 1; // 6 and 7 are no codes
        for (i, (slots, out)) in slots.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
            // SAFETY: 8 readable bytes; the load takes no more and needs no alignment.
            let four = unsafe { _mm_loadl_epi64(slots.as_ptr().cast()) };
            let items = _mm_shuffle_epi8(four, load_128(&SHUFFLES[(word >> (6 * i)) as usize & 63]));
            if STREAM { put(out, items) } else { store_128(out, items) }
        }
    }
    bad & THIRD == 0
}

/// See [`crate::Kernels::nm24_unpack`].
#[target_feature(enable = "avx2")]
pub(crate) fn unpack(codes: &[u8], slots: &[u16], out: &mut [u16], stream: bool) -> bool {
    if stream { run::<true>(codes, slots, out) } else { run::<false>(codes, slots, out) }
}
