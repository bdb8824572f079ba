//! Masks and their codes: a code is the rank of its mask among all masks with n bits, in ascending integer order.
//!
//! A mask of up to 16 bits is looked up. A longer one is cut into 16 low bits and the rest: with the high part fixed,
//! the low parts with the remaining number of bits come in ascending order, so
//! `code = first[high] + rank of low among the 16-bit masks with as many bits`.

use super::bits::{field, read_fields, write_fields};
use super::layout::NO_BITS;
use super::pattern::{Pattern, binomial};
use once_cell::race::OnceBox;
use sparsefmt_kernels::{Kernels, NmCodeTable, RankTable};

const LOW: usize = 1 << 16;

/// Groups whose masks and codes are worked on at once: a multiple of 8.
const AT_ONCE: usize = 128;

/// Tables for one pattern.
pub(crate) struct Codes {
    pattern: Pattern,
    tables: Tables,
    ranks: RankTable,
    /// Where groups fill bytes: m is 1, 2, 4 or 8.
    units: Option<NmCodeTable>,
}

enum Tables {
    Short(Short),
    Long(Long),
}

/// m up to 16.
struct Short {
    /// The code of every mask with n bits.
    code: Vec<u16>,
    /// The mask of every code; 0 for what is no code.
    mask: Vec<u16>,
}

/// m from 17 to 32.
struct Long {
    /// For each high part the first code with it, and what leads from a code to the place of its low part in
    /// [`Low::mask`]. At the end the number of codes.
    first: Vec<(u32, u32)>,
    /// `near[c >> shift]` is the high part of code `c >> shift << shift`.
    near: Vec<u16>,
    shift: u32,
    low: &'static Low,
}

/// The first of the groups that hold more than n items, and their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) count: usize,
    pub(crate) group: usize,
    pub(crate) nonzeros: u32,
}

/// All masks of 16 bits, ordered by their number of bits, then ascending.
struct Low {
    /// Where the masks with k bits start.
    start: [usize; 18],
    mask: Vec<u16>,
    /// The rank of a mask among those with as many bits.
    rank: Vec<u16>,
}

fn low() -> &'static Low {
    static LOW_MASKS: OnceBox<Low> = OnceBox::new(); // no lock, see `Codes::of`
    LOW_MASKS.get_or_init(|| {
        let mut start = [0; 18];
        for k in 0..17 {
            start[k + 1] = start[k] + binomial(16, k);
        }
        let (mut next, mut mask, mut rank) = (start, vec![0; LOW], vec![0; LOW]);
        for low in 0..=u16::MAX {
            let k = low.count_ones() as usize;
            mask[next[k]] = low;
            rank[usize::from(low)] = (next[k] - start[k]) as u16;
            next[k] += 1;
        }
        Box::new(Low { start, mask, rank })
    })
}

impl Codes {
    /// The tables for `pattern`, kept for the life of the process.
    ///
    /// No lock: a process that forks while another thread holds one hands on a lock that nobody will ever open. Two
    /// threads may build the tables at once, and one set is used.
    pub(crate) fn of(pattern: Pattern) -> &'static Self {
        static ALL: [[OnceBox<Codes>; 32]; 32] = [const { [const { OnceBox::new() }; 32] }; 32];
        ALL[pattern.m - 1][pattern.n - 1].get_or_init(|| Box::new(Self::new(pattern)))
    }

    fn new(pattern: Pattern) -> Self {
        let Pattern { n, m, .. } = pattern;
        let tables = if m <= 16 {
            let (mut code, mut mask) = (vec![0; 1 << m], vec![0; 1 << pattern.bits()]);
            let full = (0..1usize << m).filter(|mask| mask.count_ones() as usize == n);
            for (rank, full) in full.enumerate() {
                mask[rank] = full as u16;
                code[full] = rank as u16;
            }
            Tables::Short(Short { code, mask })
        } else {
            let (mut first, mut next) = (Vec::new(), 0);
            for high in 0u32..1 << (m - 16) {
                let left = n.checked_sub(high.count_ones() as usize).filter(|&left| left <= 16);
                let start = left.map_or(0, |left| low().start[left] as u32);
                first.push((next, start.wrapping_sub(next)));
                next += left.map_or(0, |left| binomial(16, left)) as u32;
            }
            first.extend([(next, 0); 5]); // more than one, so that some can be looked at at once
            let shift = pattern.bits().saturating_sub(16);
            let mut high = 0;
            let near = (0..pattern.count().div_ceil(1 << shift)).map(|near| {
                while first[high + 1].0 <= near << shift {
                    high += 1;
                }
                high as u16
            });
            Tables::Long(Long { near: near.collect(), shift, first, low: low() })
        };
        let mut codes = Self { pattern, tables, ranks: RankTable::new(n, m), units: None };
        codes.units = 8usize.is_multiple_of(m).then(|| codes.units());
        codes
    }

    /// What bytes of mask mean.
    fn units(&self) -> NmCodeTable {
        let (m, bits) = (self.pattern.m as u32, self.pattern.bits());
        let groups = 8 / m;
        let (mut full, mut code, mut mask) = ([0; 256], [0; 256], [0; 128]);
        for byte in 0..256usize {
            for group in 0..groups {
                match self.complete((byte >> (group * m)) as u32 & ((1 << m) - 1)) {
                    Some(whole) => {
                        full[byte] |= (whole << (group * m)) as u8;
                        code[byte] |= (self.rank(whole) << (group * bits)) as u8;
                    }
                    None => code[byte] |= 0x80,
                }
            }
            if code[byte] < 0x80 {
                mask[usize::from(code[byte])] = full[byte];
            }
        }
        NmCodeTable::new(full, code, mask, groups * bits)
    }

    /// The mask with n bits that `short` becomes, if it does not have more.
    fn complete(&self, short: u32) -> Option<u32> {
        let Pattern { n, m, .. } = self.pattern;
        let mut masks = [short];
        (!Kernels::active().complete_words(&mut masks, (n, m))).then_some(masks[0])
    }

    /// The code of a mask with n bits.
    #[inline]
    fn rank(&self, full: u32) -> u32 {
        match &self.tables {
            Tables::Short(tables) => u32::from(tables.code[full as usize]),
            Tables::Long(tables) => {
                tables.first[(full >> 16) as usize].0 + u32::from(tables.low.rank[full as usize % LOW])
            }
        }
    }

    /// The mask of a code.
    #[inline]
    fn unrank(&self, code: u32) -> Option<u32> {
        match &self.tables {
            Tables::Short(tables) => {
                tables.mask.get(code as usize).map(|&mask| u32::from(mask)).filter(|&mask| mask != 0)
            }
            Tables::Long(tables) => {
                let mut high = usize::from(*tables.near.get((code >> tables.shift) as usize)?);
                // Mostly one or two steps, without a branch that nobody could foresee.
                let near = tables.first.get(high..high + 5)?;
                high += near[1..].iter().map(|next| usize::from(next.0 <= code)).sum::<usize>();
                while tables.first.get(high + 1)?.0 <= code {
                    high += 1;
                }
                let low = tables.low.mask.get(code.wrapping_add(tables.first[high].1) as usize)?;
                Some((high as u32) << 16 | u32::from(*low))
            }
        }
    }

    /// Completes masks of at most n bits, and gives their codes.
    pub(super) fn complete_and_rank(&self, masks: &mut [u32], ranks: &mut [u32]) {
        let over = Kernels::active().complete_words(masks, (self.pattern.n, self.pattern.m));
        debug_assert!(!over, "a mask of more than n bits");
        if !Kernels::active().rank_words(masks, &self.ranks, ranks) {
            ranks.iter_mut().zip(masks).for_each(|(rank, &mut mask)| *rank = self.rank(mask));
        }
    }

    /// Completes the masks of `groups` groups, side by side in `keep`, into `full`, and writes their codes.
    /// Where some hold more than n bits, tells which, and writes nothing of use.
    pub(crate) fn pack(&self, keep: &[u8], groups: usize, full: &mut [u8], codes: &mut [u8]) -> Option<Over> {
        if let Some(units) = &self.units {
            let (bytes, packed) = self.whole(groups);
            let (full_head, full_tail) = full.split_at_mut(bytes);
            let (codes_head, codes_tail) = codes.split_at_mut(packed);
            if !Kernels::active().pack_nm_codes(&keep[..bytes], units, full_head, codes_head) {
                let before = bytes * 8 / self.pattern.m;
                let over = self.pack_each(&keep[bytes..], groups - before, full_tail, codes_tail);
                return over.map(|over| Over { group: before + over.group, ..over });
            }
        }
        self.pack_each(keep, groups, full, codes)
    }

    /// The bytes of mask of the first groups that fill 8 bytes again and again, and the bytes of their codes.
    fn whole(&self, groups: usize) -> (usize, usize) {
        let eights = groups * self.pattern.m / 64;
        (eights * 8, eights * 64 / self.pattern.m * self.pattern.bits() as usize / 8)
    }

    /// Like `pack`, group by group.
    fn pack_each(&self, keep: &[u8], groups: usize, full: &mut [u8], codes: &mut [u8]) -> Option<Over> {
        let (Pattern { n, m, .. }, bits) = (self.pattern, self.pattern.bits());
        let mut over: Option<Over> = None;
        for first in (0..groups).step_by(AT_ONCE) {
            let (mut masks, mut ranks) = ([0; AT_ONCE], [0; AT_ONCE]);
            let count = AT_ONCE.min(groups - first);
            let (masks, ranks) = (&mut masks[..count], &mut ranks[..count]);
            read_fields(&keep[first / 8 * m..], m as u32, masks);
            if Kernels::active().complete_words(masks, (n, m)) {
                let found = masks.iter().enumerate().filter(|(_, mask)| mask.count_ones() as usize > n);
                for (group, mask) in found {
                    let found = Over { count: 0, group: first + group, nonzeros: mask.count_ones() };
                    over.get_or_insert(found).count += 1;
                }
            }
            if over.is_none() {
                write_fields(masks, m as u32, &mut full[first / 8 * m..]);
                let codes = &mut codes[first / 8 * bits as usize..];
                if let Some(codes) = codes.get_mut(..(count * bits as usize).div_ceil(8))
                    && Kernels::active().rank_codes(masks, &self.ranks, codes)
                {
                    continue;
                }
                if !Kernels::active().rank_words(masks, &self.ranks, ranks) {
                    ranks.iter_mut().zip(masks).for_each(|(rank, &mut mask)| *rank = self.rank(mask));
                }
                write_fields(ranks, bits, codes);
            }
        }
        over
    }

    /// Looks for the group and value of the first field that is no code.
    pub(crate) fn check(&self, codes: &[u8], groups: usize) -> Result<(), (usize, u32)> {
        if let Some(units) = &self.units {
            let (bytes, packed) = self.whole(groups);
            let mut bits = NO_BITS;
            if !Kernels::active().unpack_nm_codes(&codes[..packed], units, &mut bits[..bytes]) {
                let before = bytes * 8 / self.pattern.m;
                let checked = self.check_each(&codes[packed..], groups - before);
                return checked.map_err(|(group, code)| (before + group, code));
            }
        }
        self.check_each(codes, groups)
    }

    /// Like `check`, group by group.
    fn check_each(&self, codes: &[u8], groups: usize) -> Result<(), (usize, u32)> {
        let (bits, count) = (self.pattern.bits(), self.pattern.count());
        for first in (0..groups).step_by(AT_ONCE) {
            let mut fields = [0; AT_ONCE];
            let fields = &mut fields[..AT_ONCE.min(groups - first)];
            read_fields(&codes[first / 8 * bits as usize..], bits, fields);
            // The search stops early, so it would go one by one; this does not.
            if fields.iter().fold(false, |bad, &field| bad | (field >= count)) {
                let group = fields.iter().position(|&field| field >= count).unwrap_or(0);
                return Err((first + group, fields[group]));
            }
        }
        Ok(())
    }

    /// Writes the masks of `groups` codes side by side into `bits`, or gives the group and value of the first that is
    /// no code.
    pub(crate) fn unpack(&self, codes: &[u8], groups: usize, bits: &mut [u8]) -> Result<(), (usize, u32)> {
        if let Some(units) = &self.units {
            let (bytes, packed) = self.whole(groups);
            let (head, tail) = bits.split_at_mut(bytes);
            if !Kernels::active().unpack_nm_codes(&codes[..packed], units, head) {
                let before = bytes * 8 / self.pattern.m;
                let unpacked = self.unpack_each(&codes[packed..], groups - before, tail);
                return unpacked.map_err(|(group, code)| (before + group, code));
            }
        }
        self.unpack_each(codes, groups, bits)
    }

    /// Like `unpack`, group by group.
    fn unpack_each(&self, codes: &[u8], groups: usize, bits: &mut [u8]) -> Result<(), (usize, u32)> {
        let (m, width) = (self.pattern.m, self.pattern.bits());
        for first in (0..groups).step_by(AT_ONCE) {
            let (mut fields, mut masks) = ([0; AT_ONCE], [0; AT_ONCE]);
            let count = AT_ONCE.min(groups - first);
            let (fields, masks) = (&mut fields[..count], &mut masks[..count]);
            let codes = &codes[first / 8 * width as usize..];
            let whole = codes.get(..(count * width as usize).div_ceil(8));
            if !whole.is_some_and(|codes| Kernels::active().unrank_codes(codes, &self.ranks, masks)) {
                read_fields(codes, width, fields);
                if !Kernels::active().unrank_words(fields, &self.ranks, masks) {
                    masks.iter_mut().zip(&*fields).for_each(|(mask, &code)| *mask = self.unrank(code).unwrap_or(0));
                }
            }
            if masks.iter().fold(false, |bad, &mask| bad | (mask == 0)) {
                let group = masks.iter().position(|&mask| mask == 0).unwrap_or(0);
                return Err((first + group, field(codes, group * width as usize, width)));
            }
            write_fields(masks, m as u32, &mut bits[first / 8 * m..]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive_rank(mask: u32) -> u64 {
        let places = (0..32).filter(|p| mask >> p & 1 == 1);
        places.enumerate().map(|(i, p)| binomial(p, i + 1) as u64).sum()
    }

    fn patterns() -> impl Iterator<Item = Pattern> {
        (1..=32).flat_map(|m| (1..=m).map(move |n| Pattern::new(n, m).expect("1 <= n <= m <= 32")))
    }

    #[test]
    fn every_code_of_short_groups_names_its_mask() {
        for pattern in patterns().filter(|p| p.m <= 16) {
            let codes = Codes::of(pattern);
            let masks = (0..1u32 << pattern.m).filter(|mask| mask.count_ones() as usize == pattern.n);
            assert_eq!(masks.clone().count(), pattern.count() as usize);
            for (code, mask) in masks.enumerate() {
                assert_eq!(codes.unrank(code as u32), Some(mask), "{pattern:?}");
                assert_eq!((codes.complete(mask), codes.rank(mask)), (Some(mask), code as u32), "{pattern:?}");
                assert_eq!(naive_rank(mask), code as u64);
            }
            for code in pattern.count()..1 << pattern.bits() {
                assert_eq!(codes.unrank(code), None, "{pattern:?}");
            }
        }
    }

    #[test]
    fn sampled_codes_of_long_groups_name_their_masks() {
        for pattern in patterns().filter(|p| p.m > 16) {
            let codes = Codes::of(pattern);
            let count = u64::from(pattern.count());
            let step = (count / 997).max(1);
            let ends = (0..count.min(300)).flat_map(|i| [i, count - 1 - i]);
            for code in (0..count).step_by(step as usize).chain(ends) {
                let mask = codes.unrank(code as u32).expect("a code");
                assert_eq!(mask.count_ones() as usize, pattern.n, "{pattern:?}");
                assert!(u64::from(mask) < 1 << pattern.m);
                assert_eq!(naive_rank(mask), code, "{pattern:?}");
                assert_eq!((codes.complete(mask), codes.rank(mask)), (Some(mask), code as u32), "{pattern:?}");
            }
            for code in [pattern.count(), u32::MAX] {
                assert_eq!(codes.unrank(code), None, "{pattern:?}");
            }
        }
    }

    #[test]
    fn masks_are_completed_among_the_last_positions() {
        for pattern in patterns() {
            let Pattern { n, m, .. } = pattern;
            for seed in 0..200u32 {
                let short = seed.wrapping_mul(0x9E37_79B9).rotate_left(seed) & ((1u64 << m) - 1) as u32;
                let missing = n.checked_sub(short.count_ones() as usize);
                let want = missing.map(|missing| {
                    let free = (m - n..m).filter(|p| short >> p & 1 == 0).take(missing);
                    free.fold(short, |mask, p| mask | 1 << p)
                });
                assert_eq!(Codes::of(pattern).complete(short), want, "{pattern:?} {short:b}");
            }
        }
    }
}
