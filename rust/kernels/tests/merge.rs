//! Merging and random numbers on every instruction set equal the portable loops bit for bit, and those plain definitions.

mod common;

use common::{agree, generator, scalar};
use sparsefmt_kernels::{
    Kernels, MERGE_LANES, MERGE_MODELS, MERGE_TILE, MergeItems, MergeShare, MergeStraight, MergeTile,
};

/// Bits of float32: small numbers, zeros of both signs, and all that is odd.
fn bits(len: usize, seed: usize) -> Vec<u32> {
    const ODD: [u32; 8] = [0, 1 << 31, 0x7F80_0000, 0xFF80_0000, 0x7FC0_1234, 0xFFA0_0001, 1, 0x007F_FFFF];
    let mut next = generator(seed);
    (0..len)
        .map(|_| {
            let word = next();
            if word.is_multiple_of(16) {
                ODD[(word >> 8) as usize % 8]
            } else {
                ((word >> 40) as f32 / 1e7 - 0.8).to_bits()
            }
        })
        .collect()
}

fn floats(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|&bits| f32::from_bits(bits)).collect()
}

/// The bits; every NaN as one, since the sign of what an operation makes is the processor's choice.
fn known(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { 0x7FC0_0000 } else { x.to_bits() }).collect()
}

fn tile(seed: usize) -> MergeTile {
    MergeTile(floats(&bits(MERGE_TILE, seed)).try_into().expect("as long"))
}

#[test]
fn items_less_a_base() {
    for len in (0..70).chain([MERGE_TILE - 1, MERGE_TILE]) {
        for odd in [false, true] {
            let clean = |bits: Vec<u32>| -> Vec<u32> {
                bits.into_iter().map(|b| if odd || b & 0x7F80_0000 != 0x7F80_0000 { b } else { 7 }).collect()
            };
            let (items, base) = (clean(bits(len, len + 1)), floats(&clean(bits(len, len + 2))));
            let halves: Vec<u16> = items.iter().map(|&bits| (bits >> 16) as u16).collect();
            let want: Vec<f32> = floats(&items).iter().zip(&base).map(|(x, base)| x - base).collect();
            let mut got = vec![9.0; len];
            let finite = scalar().merge_read(MergeItems::Single(&items), Some(&base), &mut got);
            assert_eq!((known(&got), finite), (known(&want), floats(&items).iter().all(|x| x.is_finite())), "{len}");
            agree(&format!("{len}, {odd}"), |kernels| {
                let read = |items, base| {
                    let mut delta = vec![9.0; len];
                    let finite = kernels.merge_read(items, base, &mut delta);
                    (known(&delta), finite)
                };
                [MergeItems::Single(&items), MergeItems::BFloat16(&halves), MergeItems::Float16(&halves)]
                    .map(|items| [read(items, None), read(items, Some(&base))])
            });
        }
    }
}

#[test]
fn what_is_kept_keeps_its_bits() {
    let mut next = generator(3);
    for len in (0..70).chain([MERGE_TILE]) {
        let (delta, words) = (floats(&bits(len, len)), (0..len).map(|_| next() as u32).collect::<Vec<_>>());
        for (low, high) in [(-1, i32::MAX), (0x3E00_0000, 0x3F00_0000), (0, 0x7F80_0000), (i32::MAX, i32::MAX)] {
            let want: Vec<u32> = delta
                .iter()
                .map(|x| {
                    let key = if x.is_nan() { 0x7F80_0001 } else { (x.to_bits() & 0x7FFF_FFFF) as i32 };
                    if key > low && key <= high { x.to_bits() } else { x.to_bits() & 1 << 31 }
                })
                .collect();
            let mut got = delta.clone();
            scalar().merge_band(&mut got, low, high);
            assert_eq!(got.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), want, "{len}");
            agree(&format!("{len}, {low}..{high}"), |kernels| {
                let (mut band, mut drop) = (delta.clone(), delta.clone());
                kernels.merge_band(&mut band, low, high);
                kernels.merge_drop(&mut drop, &words, low as u32);
                let mut keys = vec![0; len];
                let (above, count) = kernels.merge_between(&delta, low.max(0), high, &mut keys);
                keys.truncate(count);
                let listed = (above, keys);
                (band.into_iter().chain(drop).map(f32::to_bits).collect::<Vec<_>>(), listed)
            });
            let key = |x: &f32| if x.is_nan() { 0x7F80_0001 } else { (x.to_bits() & 0x7FFF_FFFF) as i32 };
            let mut keys = vec![0; len];
            let (above, count) = scalar().merge_between(&delta, low.max(0), high, &mut keys);
            assert_eq!(above, delta.iter().filter(|x| key(x) >= high).count(), "{len}");
            let want: Vec<u32> =
                delta.iter().map(key).filter(|key| (low.max(0)..high).contains(key)).map(|key| key as u32).collect();
            assert_eq!(keys[..count], want, "{len}");
        }
    }
}

#[test]
fn sums_over_models_in_order() {
    for count in 0..10 {
        let deltas: Vec<MergeTile> = (0..count).map(|k| tile(k + 50)).collect();
        let shares: Vec<MergeShare> = (0..count)
            .map(|k| MergeShare { voice: [1.0, 0.7][k % 2], weight: 0.3 * k as f32 - 0.5, share: 1.5 })
            .collect();
        for weights in [vec![1.0; count], shares.iter().map(|s| s.weight).collect::<Vec<f32>>()] {
            let mut got = [MergeTile([-0.0; MERGE_TILE]); 3];
            scalar().merge_add(&deltas, &weights, &mut got[0]);
            scalar().merge_add_together(&deltas, &weights, &mut got[1]);
            scalar().merge_add_signs(&deltas, &weights, &mut got[2]);
            for i in 0..MERGE_TILE {
                let terms = || deltas.iter().zip(&weights).map(|(delta, &weight)| (weight, delta[i]));
                let sum = terms().fold(-0.0f32, |sum, (w, x)| sum + w * x);
                let once = |sum: f32, (w, x): (f32, f32)| (f64::from(w) * f64::from(x) + f64::from(sum)) as f32;
                let signs = terms().fold(-0.0f32, |sum, (w, x)| {
                    let x = w * x;
                    sum + if x == 0.0 || x.is_nan() { x } else { x.signum() }
                });
                let want = [sum, terms().fold(-0.0f32, once), signs];
                assert_eq!(known(&got.map(|sums| sums[i])), known(&want), "{count}, {i}");
            }
            agree(&format!("{count} models"), |kernels| {
                let (mut sums, mut votes) = ([MergeTile([-0.0; MERGE_TILE]); 3], tile(9));
                kernels.merge_add(&deltas, &weights, &mut sums[0]);
                kernels.merge_add_together(&deltas, &weights, &mut sums[1]);
                kernels.merge_add_signs(&deltas, &weights, &mut sums[2]);
                kernels.merge_elect(&mut votes, 1.0);
                let (mut mixed, mut divisors) = (MergeTile([0.0; MERGE_TILE]), MergeTile([0.0; MERGE_TILE]));
                kernels.merge_agree(&deltas, &shares, &votes, &mut mixed, &mut divisors);
                let agreed = [known(&mixed[..]), known(&divisors[..]), known(&votes[..])];
                kernels.merge_mean(&mut mixed, &divisors, 1e-6);
                kernels.merge_divide(&mut mixed[..], 0.3);
                kernels.merge_multiply(&mut mixed[..], 0.7);
                kernels.merge_finish(&mut mixed, 1.1, &tile(5));
                (sums.map(|x| known(&x[..])), agreed, known(&mixed[..]))
            });
        }
        let votes = MergeTile(tile(9).map(|x| if x > 0.0 { 1.0 } else { -1.0 }));
        let (mut sums, mut divisors) = (MergeTile([0.0; MERGE_TILE]), MergeTile([0.0; MERGE_TILE]));
        scalar().merge_agree(&deltas, &shares, &votes, &mut sums, &mut divisors);
        for i in 0..MERGE_TILE {
            let agreeing = deltas.iter().zip(&shares).filter(|(delta, s)| s.voice * delta[i] * votes[i] > 0.0);
            let want = agreeing.fold((0.0f32, 0.0f32), |(sum, d), (delta, s)| (sum + s.weight * delta[i], d + s.share));
            assert_eq!(known(&[sums[i], divisors[i]]), known(&[want.0, want.1]), "{count}, {i}");
        }
    }
}

#[test]
fn in_one_go_as_by_tiles() {
    let narrowed = |x: &[f32]| {
        let mut out = vec![0; x.len()];
        scalar().narrow_bf16(x, &mut out);
        out
    };
    for len in (0..40).chain([255, 256, 257, MERGE_TILE - 1, MERGE_TILE]) {
        for count in 1..=MERGE_MODELS {
            for (odd, weight, based) in [(true, 1.0, true), (false, 1.0, false), (true, 0.7, false), (false, 0.7, true)]
            {
                let items = |seed| -> Vec<u16> {
                    let top = bits(len, seed).into_iter().map(|bits| (bits >> 16) as u16);
                    top.map(|b| if odd || b & 0x7F80 != 0x7F80 { b } else { 7 }).collect()
                };
                let (models, base) = ((0..count).map(|k| items(len + k)).collect::<Vec<_>>(), items(len + 9));
                let (weights, mut anchor) = (vec![weight; count], MergeTile([0.0; MERGE_TILE]));
                let mut finite = scalar().merge_read(MergeItems::BFloat16(&base), None, &mut anchor[..len]) || !based;
                let mut deltas = vec![MergeTile([0.0; MERGE_TILE]); count];
                for (model, delta) in models.iter().zip(&mut deltas) {
                    let less = based.then_some(&anchor[..len]);
                    finite &= scalar().merge_read(MergeItems::BFloat16(model), less, &mut delta[..len]);
                }
                let mut sums = MergeTile([if based { 0.0 } else { -0.0 }; MERGE_TILE]);
                if based {
                    scalar().merge_add(&deltas, &weights, &mut sums);
                    scalar().merge_finish(&mut sums, 0.3, &anchor);
                } else {
                    scalar().merge_add_together(&deltas, &weights, &mut sums);
                    scalar().merge_divide(&mut sums[..], 2.1);
                }
                let want = (narrowed(&sums[..len]), finite);
                let models: Vec<&[u16]> = models.iter().map(Vec::as_slice).collect();
                for kernels in common::tables() {
                    let (base, divisor) = if based { (Some(&base[..]), 1.0) } else { (None, 2.1) };
                    let how = MergeStraight { base, weights: &weights, divisor, factor: 0.3 };
                    let mut out = vec![9; len];
                    let finite = kernels.merge_straight(&models, how, &mut out);
                    assert_eq!((out, finite), want, "{:?}, {len}, {count} models, {weight}", kernels.isa());
                }
            }
        }
    }
}

#[test]
fn sums_in_lanes() {
    for len in (0..200).chain([MERGE_TILE]) {
        let finite = |seed| -> Vec<f32> { floats(&bits(len, seed)).iter().map(|x| x.clamp(-9.0, 9.0)).collect() };
        let (a, b) = (finite(len), finite(len + 1));
        let mut want = [[0.5f64; MERGE_LANES]; 2];
        for i in 0..len {
            want[0][i % MERGE_LANES] += f64::from(a[i]) * f64::from(b[i]);
            want[1][i % MERGE_LANES] += f64::from(a[i].abs());
        }
        let found = |kernels: &Kernels| {
            let mut lanes = [[0.5; MERGE_LANES]; 2];
            kernels.merge_products(&a, &b, &mut lanes[0]);
            kernels.merge_magnitudes(&a, &mut lanes[1]);
            lanes.map(|lanes| lanes.map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }))
        };
        let want = want.map(|lanes| lanes.map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }));
        assert_eq!(found(scalar()), want, "{len}");
        agree(&format!("{len}"), found);
    }
}

/// One counter as the paper has it.
fn philox(seed: u64, stream: u64, counter: u64) -> [u32; 4] {
    let mut x = [counter as u32, (counter >> 32) as u32, stream as u32, (stream >> 32) as u32];
    let (mut k0, mut k1) = (seed as u32, (seed >> 32) as u32);
    for _ in 0..10 {
        let (left, right) = (u64::from(x[0]) * 0xD251_1F53, u64::from(x[2]) * 0xCD9E_8D57);
        x = [(right >> 32) as u32 ^ x[1] ^ k0, right as u32, (left >> 32) as u32 ^ x[3] ^ k1, left as u32];
        (k0, k1) = (k0.wrapping_add(0x9E37_79B9), k1.wrapping_add(0xBB67_AE85));
    }
    x
}

#[test]
fn words_depend_on_their_place_alone() {
    // Known answers of the authors' Random123, kat_vectors: a counter and a key of zeros, and of ones.
    assert_eq!(philox(0, 0, 0), [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
    assert_eq!(philox(u64::MAX, u64::MAX, u64::MAX), [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]);
    let (seed, stream) = (0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210);
    for start in [0, 1, 2, 3, 31, 32, 33, (1 << 34) - 20, u64::MAX - 100] {
        for len in (0..80).chain([200]) {
            let want: Vec<u32> = (0..len as u64)
                .map(|i| {
                    let (counter, lane) = (start / 4 + (start % 4 + i) / 4, (start % 4 + i) % 4);
                    philox(seed, stream, counter)[lane as usize]
                })
                .collect();
            for kernels in common::tables() {
                let mut got = vec![0; len];
                kernels.philox_words(seed, stream, start, &mut got);
                assert_eq!(got, want, "{:?}, {start}, {len}", kernels.isa());
            }
        }
    }
}
