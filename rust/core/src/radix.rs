//! Sorting numbers by some of their bits, digit by digit.

use std::ops::Range;

/// Bits of a digit at most: counts of its values take half of the first-level cache at most.
const DIGIT: u32 = 11;

/// The lowest `bits`, at most 63.
#[inline]
pub(crate) fn low(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// The digits in `bits` bits, by which so many items are sorted; none where to compare them is as good. A digit does
/// not have many more values than there are items.
pub(crate) fn digits(bits: u32, items: usize) -> u32 {
    if items < 256 || u32::try_from(items).is_err() { 0 } else { bits.div_ceil(items.ilog2().min(DIGIT)) }
}

/// Sorts items by their `bits`, those with equal bits in the order in which they are, and tells `put` each and its
/// place. Where one digit is all, tells `starts` before where the items of each digit will be.
#[inline(always)]
pub(crate) fn radix(
    items: &mut Vec<u64>,
    other: &mut Vec<u64>,
    bits: Range<u32>,
    starts: impl Fn(u64, Range<usize>),
    mut put: impl FnMut(u64, usize),
) {
    let count = digits(bits.end - bits.start, items.len());
    if count == 0 {
        items.sort_by_key(|item| item >> (bits.start & 63) & low(bits.end - bits.start));
        items.iter().enumerate().for_each(|(to, &item)| put(item, to));
        return;
    }
    other.resize(items.len(), 0);
    let width = (bits.end - bits.start).div_ceil(count);
    for pass in 1..=count {
        let from = bits.start + (pass - 1) * width;
        let digit = Digit { from: from & 63, mask: low(width.min(bits.end - from)) as u16 };
        let mut next = digit.starts(items);
        if pass == count {
            if count == 1 {
                let next = &next[..=usize::from(digit.mask)];
                let ends = next[1..].iter().copied().chain([items.len() as u32]);
                for ((digit, &start), end) in (0..).zip(next).zip(ends).filter(|((_, start), end)| *start < end) {
                    starts(digit, start as usize..end as usize);
                }
            }
            for &item in &items[..] {
                put(item, digit.take(item, &mut next));
            }
        } else {
            digit.deal(items, &mut other[..], &mut next);
            std::mem::swap(items, other);
        }
    }
}

/// Bits by which items are sorted in one pass.
#[derive(Clone, Copy)]
struct Digit {
    from: u32,
    mask: u16,
}

impl Digit {
    #[inline(always)]
    fn of(self, item: u64) -> usize {
        usize::from((item >> self.from) as u16 & self.mask)
    }

    /// The place of the first item of each digit.
    fn starts(self, items: &[u64]) -> [u32; 1 << DIGIT] {
        let mut counts = [0; 1 << DIGIT];
        for &item in items {
            counts[self.of(item)] += 1;
        }
        let mut sum = 0;
        for count in &mut counts[..=usize::from(self.mask)] {
            sum += std::mem::replace(count, sum);
        }
        counts
    }

    /// The place of an item, which is the next of its digit.
    #[inline(always)]
    fn take(self, item: u64, next: &mut [u32; 1 << DIGIT]) -> usize {
        let next = &mut next[self.of(item)];
        let to = *next as usize;
        *next += 1;
        to
    }

    /// Moves items to their places.
    fn deal(self, items: &[u64], to: &mut [u64], next: &mut [u32; 1 << DIGIT]) {
        for &item in items {
            to[self.take(item, next)] = item;
        }
    }
}
