//! Votes, counts and words that stay in registers equal the loops over tiles bit for bit, on every instruction set.

mod common;

use common::{generator, scalar, tables};
use sparsefmt_kernels::{Kernels, MERGE_MODELS, MERGE_TILE, MergeItems, MergeShare, MergeTile, MergeVoted, MergeVoter};

const LENGTHS: [usize; 5] = [0, 16, 48, MERGE_TILE - 16, MERGE_TILE];

/// Items with zeros of both signs and small numbers; `odd`: also what is not finite.
fn items(len: usize, seed: usize, odd: bool) -> Vec<u16> {
    const ODD: [u16; 8] = [0, 1 << 15, 1, 0x8001, 0x7F80, 0xFF80, 0x7FC1, 0xFFA0];
    let mut next = generator(seed);
    let mut item = || {
        let word = next();
        match word % 8 {
            0 => ODD[(word >> 8) as usize % if odd { 8 } else { 4 }],
            1 => 0x3F00 | (word >> 16) as u16 & 0x8000,
            _ => (((word >> 40) as f32 / 1e7 - 0.8).to_bits() >> 16) as u16,
        }
    };
    (0..len).map(|_| item()).collect()
}

/// By tiles, as [`Kernels::merge_voted`] says.
fn by_tiles(models: &[MergeVoter<'_>], how: MergeVoted<'_>) -> (Vec<u16>, bool) {
    let (kernels, len, zeros) = (scalar(), how.base.len(), MergeTile([0.0; MERGE_TILE]));
    let (mut anchor, mut deltas) = (zeros, vec![zeros; models.len()]);
    let mut finite = kernels.merge_read(MergeItems::BFloat16(how.base), None, &mut anchor[..len]);
    for (model, delta) in models.iter().zip(&mut deltas) {
        let delta = &mut delta[..len];
        finite &= kernels.merge_read(MergeItems::BFloat16(model.items), Some(&anchor[..len]), delta);
        kernels.merge_band(delta, model.band.0, model.band.1);
        let mut words = model.words.to_vec();
        words.as_chunks_mut::<16>().0.iter_mut().for_each(|words| {
            let (front, back) = words.split_at_mut(8);
            front[4..].swap_with_slice(&mut back[..4]);
        });
        if !words.is_empty() {
            kernels.merge_drop(delta, &words, model.below);
        }
        kernels.merge_multiply(delta, model.scale);
        kernels.merge_divide(delta, model.divisor);
    }
    let voices: Vec<f32> = models.iter().map(|model| model.share.voice).collect();
    let shares: Vec<MergeShare> = models.iter().map(|model| model.share).collect();
    let (mut votes, mut sums, mut divisors) = (zeros, zeros, zeros);
    kernels.merge_add(&deltas, &voices, &mut votes);
    kernels.merge_elect(&mut votes, how.none);
    kernels.merge_agree(&deltas, &shares, &votes, &mut sums, &mut divisors);
    if let Some(floor) = how.mean {
        kernels.merge_mean(&mut sums, &divisors, floor);
    }
    kernels.merge_finish(&mut sums, how.factor, &anchor);
    let mut out = vec![0; len];
    kernels.narrow_bf16(&sums[..len], &mut out);
    (out, finite)
}

#[test]
fn a_vote_in_one_go_is_that_by_tiles() {
    let mut seed = 0;
    for len in LENGTHS {
        for count in 1..=MERGE_MODELS {
            for case in 0..24 {
                seed += 9;
                let odd = case % 3 == 0;
                let base = items(len, seed, odd);
                let all: Vec<_> = (0..count).map(|k| items(len, seed + k + 1, odd)).collect();
                let mut next = generator(seed);
                let words: Vec<Vec<u32>> = (0..count).map(|_| (0..len).map(|_| next() as u32).collect()).collect();
                let unit = case % 2 == 0;
                let models: Vec<_> = (0..count)
                    .map(|k| {
                        let weight = if unit { 1.0 } else { [0.3, -0.5, 0.0, 1.0][(case + k) % 4] };
                        let lows = [-1, 0, 0x3E80_0000, 0x7F80_0001, i32::MAX];
                        MergeVoter {
                            items: &all[k],
                            band: (lows[(case + k) % 5], [i32::MAX, 0x3F40_0000, 0x7F80_0001][case % 3]),
                            words: if (case + k) % 3 == 0 { &words[k] } else { &[] },
                            below: [1 << 31, 1, u32::MAX][case % 3],
                            scale: if case % 5 == 1 { 0.7 } else { 1.0 },
                            divisor: if case % 4 < 2 { 0.2 } else { 1.0 },
                            share: MergeShare {
                                voice: if case % 4 == 1 { weight } else { 1.0 },
                                weight,
                                share: if case % 8 < 4 { 1.0 } else { weight },
                            },
                        }
                    })
                    .collect();
                let mean = [None, Some(0.0), Some(1e-6), Some(0.7)][case % 4];
                let factor = if case % 7 == 0 { 1.0 } else { 0.3 };
                let how = MergeVoted { base: &base, none: [0.0, 1.0, -1.0][case / 2 % 3], mean, factor };
                let want = by_tiles(&models, how);
                for kernels in tables() {
                    let mut out = vec![9; len];
                    if let Some(finite) = kernels.merge_voted(&models, how, &mut out) {
                        assert_eq!((out, finite), want, "{:?}, {len}, {count} models, case {case}", kernels.isa());
                    }
                }
            }
        }
    }
}

#[test]
fn magnitudes_of_items_are_those_of_tiles() {
    for len in LENGTHS {
        for seed in 0..20 {
            let (base, model) = (items(len, 3 * seed, seed % 2 == 0), items(len, 3 * seed + 1, seed % 2 == 0));
            let mut anchor = vec![0.0; len];
            let mut delta = vec![0.0; len];
            scalar().merge_read(MergeItems::BFloat16(&base), None, &mut anchor);
            scalar().merge_read(MergeItems::BFloat16(&model), Some(&anchor), &mut delta);
            for (low, high) in
                [(0, i32::MAX), (0, 0x7F80_0002), (0x3E80_0000, 0x3F80_0000), (1, 2), (0x7F80_0001, 0x7F80_0002)]
            {
                let mut want = vec![0; len];
                let (above, count) = scalar().merge_between(&delta, low, high, &mut want);
                for kernels in tables() {
                    let mut keys = vec![0; len];
                    if let Some(found) = kernels.merge_between_bf16(&base, &model, (low, high), &mut keys) {
                        assert_eq!(found, (above, count), "{:?}, {len}, {low:x}..{high:x}", kernels.isa());
                        assert_eq!(keys[..count], want[..count], "{:?}, {len}, {low:x}..{high:x}", kernels.isa());
                    }
                }
            }
        }
    }
}

#[test]
fn words_apart_are_those_in_order() {
    for kernels in tables() {
        for start in [0, 4, 7, 1 << 20, (1 << 34) - 64, (1 << 34) - 60, u64::MAX - 255] {
            for len in [0, 16, 64, 80, MERGE_TILE] {
                let mut want = vec![0; len];
                scalar().philox_words(1 << 40 | 7, 1 << 50 | 3, start, &mut want);
                let mut got = vec![0; len];
                kernels.philox_words(1 << 40 | 7, 1 << 50 | 3, start, &mut got);
                assert_eq!(got, want, "{:?}, {start}, {len}", kernels.isa());
                kernels.philox_words_apart(1 << 40 | 7, 1 << 50 | 3, start, &mut got);
                for words in got.as_chunks_mut::<16>().0 {
                    let (front, back) = words.split_at_mut(8);
                    front[4..].swap_with_slice(&mut back[..4]);
                }
                assert_eq!(got, want, "{:?}, {start}, {len}", kernels.isa());
            }
        }
    }
}

#[test]
#[should_panic(expected = "items of the base")]
fn bases_of_another_length_are_refused() {
    let share = MergeShare { voice: 1.0, weight: 1.0, share: 1.0 };
    let model = MergeVoter { items: &[0; 16], band: (-1, 1), words: &[], below: 0, scale: 1.0, divisor: 1.0, share };
    let how = MergeVoted { base: &[], none: 0.0, mean: None, factor: 1.0 };
    Kernels::active().merge_voted(&[model], how, &mut [0; 16]);
}
