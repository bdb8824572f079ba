//! Words of mixed radix of 2 of 4 on every instruction set equal a plain definition.

mod common;

use common::{generator, tables};
use sparsefmt_kernels::Kernels;

const GROUPS: usize = Kernels::RADIX_GROUPS;

/// Puts fields of `width` bits side by side, LSB first.
fn packed(fields: &[u64], width: usize) -> Vec<u8> {
    let mut bytes = vec![0; (fields.len() * width).div_ceil(8)];
    for at in 0..fields.len() * width {
        bytes[at / 8] |= ((fields[at / width] >> (at % width) & 1) as u8) << (at % 8);
    }
    bytes
}

fn digits(word: u64) -> [u64; GROUPS] {
    std::array::from_fn(|i| word / 6u64.pow(i as u32) % 6)
}

/// Words that lie at the borders of what any number of groups holds, above all of them, and anywhere.
fn words(next: &mut impl FnMut() -> u64) -> Vec<u64> {
    let borders = (0..GROUPS as u32).flat_map(|groups| (1..6).map(move |code| code * 6u64.pow(groups)));
    let near = borders.flat_map(|border| [border - 1, border, border + 1]).collect::<Vec<_>>();
    let top = (0..40).map(|below| 6u64.pow(17) - 1 - below);
    let mut words: Vec<u64> = near.iter().copied().chain(top).collect();
    words.extend((0..400).map(|_| near[next() as usize % near.len()] % 6u64.pow(16) + 6u64.pow(16) * (next() % 6)));
    words.extend((0..4000).map(|_| next() % 6u64.pow(17)));
    words.truncate(words.len() / 8 * 8);
    words
}

#[test]
fn words_and_codes_agree() {
    let mut next = generator(24);
    let values = words(&mut next);
    for blocks in (0..20).chain([values.len() / 8]) {
        let from = next() as usize % (values.len() - 8 * blocks + 1);
        let values = &values[from..from + 8 * blocks];
        let codes = packed(&values.iter().flat_map(|&word| digits(word)).collect::<Vec<_>>(), 3);
        let words = packed(values, 44);
        for kernels in tables() {
            let (mut got, mut back) = (vec![0xAA; words.len()], vec![0xAA; codes.len()]);
            kernels.nm24_radix_pack(&codes, &mut got);
            assert_eq!(got, words, "{:?}, {blocks} blocks from {from}", kernels.isa());
            kernels.nm24_radix_unpack(&words, &mut back);
            assert_eq!(back, codes, "{:?}, {blocks} blocks from {from}", kernels.isa());
        }
    }
}

#[test]
fn words_that_are_too_large_become_codes() {
    let mut next = generator(44);
    let top = 6u64.pow(17);
    let values: Vec<u64> = (0..800).map(|i| if i < 40 { top + i } else { top + next() % ((1 << 44) - top) }).collect();
    let values: Vec<u64> = values.into_iter().chain((0..8).map(|below| (1 << 44) - 1 - below)).collect();
    let codes = packed(&values.iter().flat_map(|&word| digits(word)).collect::<Vec<_>>(), 3);
    for kernels in tables() {
        let mut got = vec![0xAA; codes.len()];
        kernels.nm24_radix_unpack(&packed(&values, 44), &mut got);
        assert_eq!(got, codes, "{:?}", kernels.isa());
    }
}

#[test]
fn codes_that_name_no_mask_do_no_harm() {
    for kernels in tables() {
        let mut words = vec![0; 3 * Kernels::RADIX_WORDS];
        kernels.nm24_radix_pack(&[0xFF; 3 * Kernels::RADIX_CODES], &mut words);
    }
}
