//! Words of mixed radix of 2 of 4: neighbours are joined, and words halved, level by level.
//!
//! A field of `2 w` bits that holds `low + high * 2^w`, digits of radix `r`, becomes `low + high * r` when
//! `high * (2^w - r)` is taken off, in all fields of a word at once.

use crate::args::nm24_radix::{BITS, CODES, SIXES_4, SIXES_8, SIXES_16, STRING, WORDS};

/// The string of codes of every value of four groups.
const STRINGS: [u16; SIXES_4 as usize] = {
    let mut table = [0; SIXES_4 as usize];
    let mut value = 0;
    while value < table.len() {
        table[value] = ((value % 6) | ((value / 6 % 6) << 3) | ((value / 36 % 6) << 6) | ((value / 216) << 9)) as u16;
        value += 1;
    }
    table
};

/// See [`crate::Kernels::nm24_radix_pack`].
pub(crate) fn pack(codes: &[u8], words: &mut [u8]) {
    for (codes, words) in codes.as_chunks::<CODES>().0.iter().zip(words.as_chunks_mut::<WORDS>().0) {
        let word = |i: usize| join(bits_at(codes, i * STRING) & ((1 << STRING) - 1));
        for (pair, out) in words.as_chunks_mut::<11>().0.iter_mut().enumerate() {
            let both = u128::from(word(2 * pair)) | u128::from(word(2 * pair + 1)) << BITS;
            out.copy_from_slice(&both.to_le_bytes()[..11]);
        }
    }
}

/// See [`crate::Kernels::nm24_radix_unpack`]. All strings first: their look-ups then do not wait for stores.
pub(crate) fn unpack(words: &[u8], codes: &mut [u8]) {
    for (words, codes) in words.as_chunks::<WORDS>().0.iter().zip(codes.as_chunks_mut::<CODES>().0) {
        let strings: [u64; 8] = std::array::from_fn(|i| part(bits_at(words, i * BITS) & ((1 << BITS) - 1)));
        let mut out = [0; 8];
        for (i, string) in strings.into_iter().enumerate() {
            let (at, shift) = (i * STRING / 64, i * STRING % 64);
            out[at] |= string << shift;
            if shift + STRING > 64 {
                out[at + 1] |= string >> (64 - shift);
            }
        }
        let (whole, rest) = codes.as_chunks_mut::<8>();
        whole.iter_mut().zip(out).for_each(|(to, word)| *to = word.to_le_bytes());
        rest.copy_from_slice(&out[6].to_le_bytes()[..3]);
    }
}

/// The bits from bit `at` on: 57 or more, or up to the end.
#[inline(always)]
fn bits_at(bytes: &[u8], at: usize) -> u64 {
    let first = (at / 8).min(bytes.len() - 8);
    let chunk = bytes[first..].first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(chunk) >> (at - 8 * first)
}

/// The word of a string of codes.
#[inline(always)]
fn join(codes: u64) -> u64 {
    let pairs = codes - 2 * (codes >> 3 & 0x1C71_C71C_71C7);
    let fours = pairs - 28 * (pairs >> 6 & 0x03F0_3F03_F03F);
    let eights = fours - (4096 - SIXES_4) * (fours >> 12 & 0x000F_FF00_0FFF);
    (eights & 0xFF_FFFF) + (eights >> 24 & 0xFF_FFFF) * SIXES_8 + (codes >> 48) * SIXES_16
}

/// The string of codes of a word.
#[inline(always)]
fn part(word: u64) -> u64 {
    let (top, rest) = (word / SIXES_16, word % SIXES_16);
    let string = |eight: u32| {
        let string = |four: u32| u64::from(STRINGS[four as usize]);
        string(eight % SIXES_4 as u32) | string(eight / SIXES_4 as u32) << 12
    };
    let top = if top < 6 { top } else { 0 }; // 2^44 is below 7 of these
    string((rest % SIXES_8) as u32) | string((rest / SIXES_8) as u32) << 24 | top << 48
}
