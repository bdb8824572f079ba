//! Ranks of masks at every length on every instruction set that has them equal a plain definition.

mod common;

use common::tables;
use sparsefmt_kernels::{Isa, RankTable};

fn binomial(p: u64, k: u64) -> u64 {
    (0..k).fold(1, |value, i| value * p.saturating_sub(i) / (i + 1))
}

/// The sum of `C(p_i, i + 1)` over the places of the bits.
fn rank(mask: u32) -> u32 {
    let places = (0..32).filter(|p| mask >> p & 1 == 1);
    places.zip(1..).map(|(p, k)| binomial(p, k)).sum::<u64>() as u32
}

/// A mask with n of the m lowest bits.
fn mask(n: usize, m: usize, seed: u32) -> u32 {
    let mut places: Vec<usize> = (0..m).collect();
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    for i in 0..n {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        places.swap(i, i + state as usize % (m - i));
    }
    places[..n].iter().fold(0, |mask, p| mask | 1 << p)
}

/// Codes one behind the other.
fn joined(codes: &[u32], width: usize) -> Vec<u8> {
    let mut bytes = vec![0; (codes.len() * width).div_ceil(8)];
    for (i, code) in codes.iter().enumerate() {
        for bit in (0..width).filter(|bit| code >> bit & 1 == 1) {
            bytes[(i * width + bit) / 8] |= 1 << ((i * width + bit) % 8);
        }
    }
    bytes
}

#[test]
fn ranks_agree_at_every_length_and_pattern() {
    for (n, m) in (1..=32usize).flat_map(|m| (1..=m).map(move |n| (n, m))) {
        let table = RankTable::new(n, m);
        let count = binomial(m as u64, n as u64) as u32;
        let width = (u32::BITS - (count - 1).leading_zeros()) as usize;
        let lens: Vec<usize> = if m % 8 == 0 && n % 4 == 0 { (0..200).collect() } else { vec![0, 1, 31, 130] };
        for len in lens {
            let masks: Vec<u32> = (0..len).map(|i| mask(n, m, (i * 33 + n) as u32)).collect();
            let ranks: Vec<u32> = masks.iter().map(|&mask| rank(mask)).collect();
            assert!(ranks.iter().all(|&rank| rank < count));
            for kernels in tables() {
                let (mut got, mut back) = (vec![7; len], vec![7; len]);
                if kernels.rank_words(&masks, &table, &mut got) {
                    assert_eq!(got, ranks, "{:?}, {n} of {m}, len {len}", kernels.isa());
                    assert!(kernels.unrank_words(&ranks, &table, &mut back));
                    assert_eq!(back, masks, "{:?}, {n} of {m}, len {len}", kernels.isa());
                }
                let (want, mut back) = (joined(&ranks, width), vec![7; len]);
                let mut got = vec![7; want.len()];
                if kernels.rank_codes(&masks, &table, &mut got) {
                    assert_eq!(got, want, "{:?}, {n} of {m}, len {len}", kernels.isa());
                    assert!(kernels.unrank_codes(&want, &table, &mut back));
                    assert_eq!(back, masks, "{:?}, {n} of {m}, len {len}", kernels.isa());
                    assert!(m <= 16 && kernels.isa() >= Isa::Avx512);
                }
            }
        }
        for kernels in tables() {
            let (codes, mut masks) = ([0, count - 1, count, count + 1, u32::MAX, 1 << 16, 1 << 31], [7; 7]);
            if kernels.unrank_words(&codes, &table, &mut masks) {
                for (code, mask) in codes.into_iter().zip(masks) {
                    assert_eq!(mask != 0, code < count, "{:?}, {n} of {m}, code {code}", kernels.isa());
                }
            }
            let most = ((1u64 << width) - 1) as u32;
            let (codes, mut masks) = ([0, most, count - 1, count.min(most), 0], [7; 5]);
            if kernels.unrank_codes(&joined(&codes, width), &table, &mut masks) {
                for (code, mask) in codes.into_iter().zip(masks) {
                    assert_eq!(mask != 0, code < count, "{:?}, {n} of {m}, code {code}", kernels.isa());
                }
            }
        }
    }
}

#[test]
fn masks_are_completed_at_every_length_and_pattern() {
    for (n, m) in (1..=32usize).flat_map(|m| (1..=m).map(move |n| (n, m))) {
        for len in if m == 16 { (0..200).collect() } else { vec![0, 5, 16, 33] } {
            for most in [n, m] {
                let short = |i: usize| mask(i * 7 % (most + 1), m, (i * 33 + n) as u32);
                let masks: Vec<u32> = (0..len).map(short).collect();
                let is_over = masks.iter().any(|mask| mask.count_ones() as usize > n);
                let want: Vec<u32> = masks
                    .iter()
                    .map(|&mask| {
                        let missing = n.saturating_sub(mask.count_ones() as usize);
                        let free = (m - n..m).filter(|p| mask >> p & 1 == 0);
                        free.take(missing).fold(mask, |mask, p| mask | 1 << p)
                    })
                    .collect();
                for kernels in tables() {
                    let mut got = masks.clone();
                    let over = kernels.complete_words(&mut got, (n, m));
                    assert_eq!((over, &got), (is_over, &want), "{:?}, {n} of {m}, len {len}", kernels.isa());
                }
            }
        }
    }
}
