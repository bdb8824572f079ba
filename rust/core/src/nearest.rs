//! Codes of 16-bit items by a codebook, in one pass from items to stream.

use crate::nm::{Order, Ranked};
use crate::{Error, Kernels, Result, par, stream};
use sparsefmt_kernels::{Entries, Keys};

/// Items that are worked on at once: a multiple of 8, so that their codes end on a byte.
const RUN: usize = 4096;

/// How the items of a dtype are ordered, if it has 16 bits.
pub(crate) fn keys(dtype: &str) -> Option<Keys> {
    let Order { signed, mask, top } = u16::order(dtype)?;
    Some(match (signed, mask) {
        (false, 0x7FFF) => Keys { flip_negative: mask, flip: 0x8000, infinity: top },
        _ => Keys { flip_negative: 0, flip: if signed { 0x8000 } else { 0 }, infinity: 0 },
    })
}

/// Items from which on a table of all of them is soon made, in comparison.
const MANY: usize = 1 << 18;

/// How codes are found.
pub(crate) enum Search {
    /// In registers.
    Small(Entries),
    /// In a table of all items.
    Large(Box<[u8; 1 << 16]>),
}

impl Search {
    /// For about so many items.
    pub(crate) fn new(limits: &[u16], codes: &[u8], keys: Keys, items: usize) -> Result<Self> {
        if codes.len() != limits.len() + 1 {
            return Err(Error::Length { name: "codes", got: codes.len(), want: limits.len() + 1 });
        }
        if let Some(at) = limits.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(Error::Value { name: "limits", at: at + 1, want: "ascending" });
        }
        // Without permutations of registers every limit is compared with, and a table is faster.
        let compared = if Kernels::active().nearest_centroid_is_searched() || items < MANY { 31 } else { 3 };
        if limits.len() <= compared { Ok(Self::small(limits, codes)) } else { Self::large(limits, codes, keys) }
    }

    fn small(limits: &[u16], codes: &[u8]) -> Self {
        let mut entries = Entries { limits: [0xFFFF; 32], codes: [0; 32], count: limits.len() };
        entries.limits[..limits.len()].copy_from_slice(limits);
        entries.codes[..codes.len()].copy_from_slice(codes);
        Self::Small(entries)
    }

    fn large(limits: &[u16], codes: &[u8], keys: Keys) -> Result<Self> {
        let mut by_key = vec![0; 1 << 16];
        let mut start = 0;
        let ends = limits.iter().map(|&limit| usize::from(limit) + 1).chain([by_key.len()]);
        for (end, &code) in ends.zip(codes) {
            by_key[start..end.max(start)].fill(code);
            start = end.max(start);
        }
        let table: Vec<u8> = (0..=u16::MAX).map(|item| by_key[usize::from(keys.key(item))]).collect();
        let table = table.into_boxed_slice().try_into().map_err(|_| Error::Memory { bytes: 1 << 16 })?;
        Ok(Self::Large(table))
    }

    /// Tells whether an item is not finite.
    pub(crate) fn fill(&self, items: &[u16], keys: Keys, codes: &mut [u8]) -> bool {
        match self {
            Self::Small(entries) => Kernels::active().nearest_centroid_u16(items, keys, entries, codes),
            Self::Large(table) => {
                for (&item, code) in items.iter().zip(codes) {
                    *code = table[usize::from(item)];
                }
                // By itself, because so it goes many at a time.
                let odd = items.iter().fold(false, |odd, &item| odd | (item & keys.infinity == keys.infinity));
                keys.infinity != 0 && odd
            }
        }
    }
}

/// Writes for each item the code of the entry whose number is that of the limits below the item, in a stream of `bits`
/// per code. Limits are keys, which rise with the items' values. Tells whether an item is not finite.
///
/// # Errors
/// A dtype that has not 16 bits; limits that fall; lengths that do not fit; `bits` is not 1 to 8.
pub fn nearest16(
    items: &[u16],
    dtype: &str,
    limits: &[u16],
    codes: &[u8],
    bits: usize,
    out: &mut [u8],
) -> Result<bool> {
    let keys = keys(dtype).ok_or(Error::Value { name: "dtype", at: 0, want: "one of 16 bits" })?;
    let search = Search::new(limits, codes, keys, items.len())?;
    stream::check(out, bits, items.len())?;
    let pack = stream::packer(bits);
    let ranges = par::cut(items.len(), RUN, size_of_val(items));
    let outs = par::split_mut(out, ranges.iter().map(|range| (range.len() * bits).div_ceil(8)));
    let found = par::map(ranges.into_iter().zip(outs).collect(), |(range, out)| {
        let (mut room, mut odd) = ([0; RUN], false);
        for (items, out) in items[range].chunks(RUN).zip(out.chunks_mut(RUN / 8 * bits)) {
            let room = &mut room[..items.len()];
            odd |= search.fill(items, keys, room);
            pack(room, out);
        }
        odd
    });
    Ok(found.into_iter().any(|odd| odd))
}

#[cfg(test)]
mod tests {
    use super::{Search, keys};

    #[test]
    fn the_table_and_the_comparisons_agree_on_every_item() {
        let items: Vec<u16> = (0..=u16::MAX).collect();
        for dtype in ["float16", "bfloat16", "int16", "uint16"] {
            let Some(keys) = keys(dtype) else { panic!("{dtype} has 16 bits") };
            for count in [0, 1, 2, 4, 15, 31] {
                // Some limits twice, and the ends of all keys.
                let mut limits: Vec<u16> = (0..count).map(|i| ((i / 2 * 9973) % 65536) as u16).collect();
                limits.sort_unstable();
                if let Some(last) = limits.last_mut() {
                    *last = u16::MAX;
                }
                let codes: Vec<u8> = (0..=count as u8).rev().collect();
                let Ok(table) = Search::large(&limits, &codes, keys) else { panic!("no memory") };
                let (mut got, mut want) = (vec![0; items.len()], vec![0; items.len()]);
                let odd = table.fill(&items, keys, &mut got);
                assert_eq!(odd, Search::small(&limits, &codes).fill(&items, keys, &mut want), "{dtype}");
                assert_eq!(got, want, "{dtype}, {count} limits");
            }
        }
    }
}
