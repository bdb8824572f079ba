//! Words of mixed radix, code by code: products and sums to join them, quotients by products to part them.

use crate::args::radix::{Lanes, RadixTable};

/// See [`crate::Kernels::radix_pack`].
pub(crate) fn pack(table: &RadixTable, codes: &[u8], words: &mut [u8]) {
    let (strings, mask) = (&table.strings, (1 << table.width) - 1);
    for (codes, words) in blocks(strings, codes).zip(words.chunks_exact_mut(table.words.bits)) {
        let word = |i: usize| {
            let string = field(strings, codes, i);
            let join = |word: u64, group: usize| {
                let code = string >> (group as u32 * table.width) & mask;
                word.wrapping_mul(table.count).wrapping_add(code)
            };
            (0..table.groups).rev().fold(0, join) & table.words.mask
        };
        put(&std::array::from_fn(word), table.words.bits, words);
    }
}

/// See [`crate::Kernels::radix_unpack`].
pub(crate) fn unpack(table: &RadixTable, words: &[u8], codes: &mut [u8]) {
    for (words, codes) in blocks(&table.words, words).zip(codes.chunks_exact_mut(table.strings.bits)) {
        let string = |i: usize| {
            let (mut word, mut string) = (field(&table.words, words, i) & table.words.mask, 0);
            for group in 0..table.groups as u32 {
                let rest = ((u128::from(word) * u128::from(table.inverse)) >> 64) as u64;
                string |= (word - rest * table.count) << (group * table.width);
                word = rest;
            }
            string
        };
        put(&std::array::from_fn(string), table.strings.bits, codes);
    }
}

/// The blocks of `bytes`, of which there are as many bytes as a field has bits.
#[inline(always)]
pub(crate) fn blocks<'a>(lanes: &Lanes, bytes: &'a [u8]) -> std::slice::ChunksExact<'a, u8> {
    bytes.chunks_exact(lanes.bits)
}

/// Field `i` of a block, and any bits above it.
#[inline(always)]
pub(crate) fn field(lanes: &Lanes, block: &[u8], i: usize) -> u64 {
    let eight = block.get(usize::from(lanes.first[i])..).and_then(|rest| rest.first_chunk());
    u64::from_le_bytes(eight.copied().unwrap_or_default()) >> lanes.shift[i]
}

/// Puts fields of `bits` bits, with zeros above them, side by side.
#[inline(always)]
pub(crate) fn put(fields: &[u64; 8], bits: usize, block: &mut [u8]) {
    let (mut open, mut fill) = (0, 0);
    let (whole, rest) = block.as_chunks_mut::<8>();
    let mut whole = whole.iter_mut();
    for &field in fields {
        open |= field << fill;
        fill += bits;
        if fill >= 64 {
            if let Some(to) = whole.next() {
                *to = open.to_le_bytes();
            }
            fill -= 64;
            open = if fill > 0 { field >> (bits - fill) } else { 0 };
        }
    }
    rest.iter_mut().zip(open.to_le_bytes()).for_each(|(to, byte)| *to = byte);
}
