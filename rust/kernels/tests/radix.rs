//! Words of mixed radix of any N:M on every instruction set equal a plain definition.

mod common;

use common::{generator, tables};
use sparsefmt_kernels::RadixTable;

/// Counts of codes, and groups of a word: those of patterns, and the most that fit.
const SHAPES: [(u64, usize); 15] = [
    (70, 7),
    (12870, 3),
    (6, 17),
    (3, 26),
    (3, 5),
    (10, 3),
    (15, 11),
    (20, 3),
    (35, 7),
    (220, 5),
    (1820, 4),
    (3432, 2),
    (32767, 3),
    (1023, 5),
    (31, 10),
];

/// Puts fields of `width` bits side by side, LSB first.
fn packed(fields: &[u64], width: usize) -> Vec<u8> {
    let mut bytes = vec![0; (fields.len() * width).div_ceil(8)];
    for at in 0..fields.len() * width {
        bytes[at / 8] |= ((fields[at / width] >> (at % width) & 1) as u8) << (at % 8);
    }
    bytes
}

fn digits(mut word: u64, count: u64, groups: usize) -> Vec<u64> {
    let digit = |_| {
        let digit = word % count;
        word /= count;
        digit
    };
    (0..groups).map(digit).collect()
}

/// Words that lie at the borders of what any number of groups holds, and anywhere, up to `end`.
fn words(count: u64, groups: usize, end: u64, next: &mut impl FnMut() -> u64) -> Vec<u64> {
    let mut words: Vec<u64> = (0..40).map(|below| end - 1 - below).collect();
    for power in (0..=groups as u32).map(|group| count.pow(group)) {
        for code in [1, 2, 3, count - 2, count - 1, next() % count] {
            words.extend([code * power - u64::from(code > 0), code * power, code * power + 1]);
        }
    }
    for _ in 0..4000 {
        let power = count.pow((next() % groups as u64) as u32);
        words.extend([next(), next() % end / power * power, (next() % end / power * power).wrapping_sub(1)]);
    }
    words.iter_mut().for_each(|word| *word %= end);
    words.truncate(words.len() / 8 * 8);
    words
}

#[test]
fn words_and_codes_agree() {
    let mut next = generator(70);
    for (count, groups) in SHAPES {
        let table = RadixTable::new(count, groups).expect("fits");
        let (width, bits) = (table.block_codes() / groups, table.block_words());
        let (top, block) = (count.pow(groups as u32), table.block_groups() / groups);
        assert_eq!((block, width), (8, (u64::BITS - (count - 1).leading_zeros()) as usize));
        assert_eq!(bits, (u64::BITS - (top - 1).leading_zeros()) as usize);
        // Up to `top`, words are what codes become; up to 2^bits, words that are too large become codes.
        for end in [top, 1 << bits] {
            let values = words(count, groups, end, &mut next);
            for blocks in (0..6).chain([values.len() / 8]) {
                let from = next() as usize % (values.len() - 8 * blocks + 1);
                let values = &values[from..from + 8 * blocks];
                let codes =
                    packed(&values.iter().flat_map(|&word| digits(word, count, groups)).collect::<Vec<_>>(), width);
                let words = packed(values, bits);
                for kernels in tables() {
                    let context = format!("{:?}, {count}^{groups}, {blocks} blocks", kernels.isa());
                    let (mut got, mut back) = (vec![0xAA; words.len()], vec![0xAA; codes.len()]);
                    kernels.radix_unpack(&table, &words, &mut back);
                    assert!(back == codes, "{context}");
                    kernels.radix_pack(&table, &codes, &mut got);
                    assert!(end != top || got == words, "{context}");
                }
            }
        }
    }
}

#[test]
fn codes_that_name_no_mask_do_no_harm() {
    for table in SHAPES.map(|(count, groups)| RadixTable::new(count, groups).expect("fits")) {
        for kernels in tables() {
            kernels.radix_pack(&table, &vec![0xFF; 3 * table.block_codes()], &mut vec![0; 3 * table.block_words()]);
        }
    }
}

#[test]
fn what_does_not_fit_has_no_table() {
    let none =
        [(0, 3), (5, 3), (1, 8), (2, 20), (64, 4), (6, 0), (6, 2), (6, 18), (3, 27), (601_080_390, 4), (1 << 40, 1)];
    for (count, groups) in none.into_iter().chain([(u64::MAX, 1), (7, usize::MAX), (28, 11), (1820, 6)]) {
        assert!(RadixTable::new(count, groups).is_none(), "{count}^{groups}");
    }
}
