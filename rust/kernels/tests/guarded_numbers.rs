//! Kernels for numbers, as `guarded` has those for items: affine codes in double precision, float16 and bfloat16 and
//! their conversions, entries of codebooks, and the splits of k-means.
#![cfg(unix)]

mod common;
mod fence;

use common::{generator, scalar};
use fence::{Fence, PAGE, bytes, everywhere};
use half::{bf16, f16};
use sparsefmt_kernels::{Clusters, Entries, Kernels, Keys, Order};

#[test]
fn affine_codes_in_double_precision() {
    everywhere(|kernels, side, len, [a, b, c, d]| {
        let mut next = generator(len);
        let context = format!("{:?}, {side:?}, {len}", kernels.isa());
        let x: Vec<f64> = (0..len).map(|_| (next() % 2001) as f64 / 100.0 - 10.0).collect();
        let (scale, low) = (vec![0.25; len], vec![-7.0; len]);
        let mut codes = vec![0; len];
        scalar().quantize_f64(&x, &scale, &low, 14.0, &mut codes);
        let got = d.place(side, &vec![7u8; len]);
        kernels.quantize_f64(a.place(side, &x), b.place(side, &scale), c.place(side, &low), 14.0, got);
        assert_eq!(got, codes, "{context}");
        let (zeros, mut want) = (bytes(len, &mut next), vec![0.0; len]);
        scalar().dequantize_f64(&codes, &zeros, &scale, (-9.0, 9.0), &mut want);
        let out = c.place(side, &vec![7.0; len]);
        let (codes, zeros) = (a.place(side, &codes), d.place(side, &zeros));
        kernels.dequantize_f64(codes, zeros, b.place(side, &scale), (-9.0, 9.0), out);
        assert_eq!(out, want, "{context}");
        for group in [1, 4, 32, 128] {
            let groups = len.div_ceil(group);
            let (mut low, mut high) = (vec![0.0; groups], vec![0.0; groups]);
            scalar().extremes_f64(&x, group, &mut low, &mut high);
            let (got_low, got_high) = (b.place(side, &vec![7.0; groups]), c.place(side, &vec![7.0; groups]));
            kernels.extremes_f64(a.place(side, &x), group, got_low, got_high);
            assert_eq!((&*got_low, &*got_high), (&*low, &*high), "{context}, groups of {group}");
        }
    });
}

#[test]
fn halves_and_singles() {
    everywhere(|kernels, side, len, [a, b, ..]| {
        let mut next = generator(len);
        let context = format!("{:?}, {side:?}, {len}", kernels.isa());
        let singles: Vec<f32> = (0..len).map(|_| (next() % 4001) as f32 / 7.0 - 280.0).collect();
        let half: Vec<f16> = singles.iter().map(|&x| f16::from_f32(x)).collect();
        let bf16_items: Vec<bf16> = singles.iter().map(|&x| bf16::from_f32(x)).collect();
        let bits = |items: &[f16]| items.iter().map(|item| item.to_bits()).collect::<Vec<_>>();
        let brain_bits: Vec<u16> = bf16_items.iter().map(|item| item.to_bits()).collect();

        let got = b.place(side, &vec![7u16; len]);
        kernels.narrow_f16(a.place(side, &singles), got);
        assert_eq!(got, bits(&half), "{context}");
        kernels.narrow_bf16(a.place(side, &singles), got);
        assert_eq!(got, brain_bits, "{context}");
        let back = b.place(side, &vec![7f32; len]);
        kernels.widen_f16(a.place(side, &bits(&half)), back);
        assert!(back.iter().zip(&half).all(|(x, y)| *x == y.to_f32()), "{context}");
        kernels.widen_bf16(a.place(side, &brain_bits), back);
        assert!(back.iter().zip(&bf16_items).all(|(x, y)| *x == y.to_f32()), "{context}");
    });
}

/// Runs what `work` names with each table and with the portable one.
macro_rules! same {
    ($kernels:ident, $context:expr, $fence:ident, $side:ident, $start:expr, |$k:ident, $out:ident| $work:expr) => {{
        let mut want = $start;
        {
            let ($k, $out): (&Kernels, &mut [_]) = (scalar(), &mut want);
            $work;
        }
        let got = $fence.place($side, &$start);
        {
            let ($k, $out): (&Kernels, &mut [_]) = ($kernels, &mut *got);
            $work;
        }
        assert_eq!(got, want, "{}", $context);
    }};
}

#[test]
fn halves_in_groups() {
    everywhere(|kernels, side, len, [a, b, c, _]| {
        let mut next = generator(len);
        let src: Vec<u16> = (0..len).map(|_| next() as u16 & 0xBFFF).collect();
        let codes = bytes(len, &mut next);
        for group in [2, 16, 32, 100] {
            let count = len.div_ceil(group);
            let half: Vec<u16> = (0..count).map(|_| next() as u16 & 0x3FFF).collect();
            let scale: Vec<f32> = (0..count).map(|_| (next() % 999) as f32 / 99.0).collect();
            let context = format!("{:?}, {side:?}, {len} in groups of {group}", kernels.isa());
            let (src, scale_bits) = (a.place(side, &src), b.place(side, &half));
            same!(kernels, context, c, side, vec![7u16; count], |k, out| k.magnitudes_u16(src, group, out));
            same!(kernels, context, c, side, vec![7u8; len], |k, out| k.quantize_f16(src, group, scale_bits, 7.0, out));
            same!(kernels, context, c, side, vec![7u8; len], |k, out| k
                .quantize_bf16(src, group, scale_bits, 127.0, out));
            let (bytes, scale) = (a.place(side, &codes), b.place(side, &scale));
            same!(kernels, context, c, side, vec![7u16; len], |k, out| k.dequantize_f16(bytes, group, scale, out));
            same!(kernels, context, c, side, vec![7u16; len], |k, out| k.dequantize_bf16(bytes, group, scale, out));
            let nibbles = a.place(side, &codes[..len.div_ceil(2)]);
            same!(kernels, context, c, side, vec![7u16; len], |k, out| k.nibbles_to_f16(nibbles, group, scale, out));
            same!(kernels, context, c, side, vec![7u16; len], |k, out| k.nibbles_to_bf16(nibbles, group, scale, out));
        }
    });
}

#[test]
fn nearest_entries() {
    everywhere(|kernels, side, len, [a, b, ..]| {
        let mut next = generator(len);
        let src: Vec<u16> = (0..len).map(|_| next() as u16 & 0xBFFF).collect();
        let keys = Keys { flip_negative: 0x7FFF, flip: 0x8000, infinity: 0x7C00 };
        for count in [0, 1, 7, 15, 16, 31] {
            let mut entries = Entries { limits: [0xFFFF; 32], codes: std::array::from_fn(|i| i as u8), count };
            entries.limits[..count].iter_mut().for_each(|limit| *limit = next() as u16);
            entries.limits.sort_unstable();
            let (src, got) = (a.place(side, &src), b.place(side, &vec![99u8; len]));
            let mut want = vec![0; len];
            let odd = scalar().nearest_centroid_u16(src, keys, &entries, &mut want);
            assert_eq!(kernels.nearest_centroid_u16(src, keys, &entries, got), odd);
            assert_eq!(got, want, "{:?}, {side:?}, {len}, {count} limits", kernels.isa());
        }
    });
}

#[test]
fn splits_of_clusters() {
    everywhere(|kernels, side, len, fences| {
        if len < 2 {
            return;
        }
        let mut next = generator(len);
        let mut sums: [Vec<f64>; 4] = std::array::from_fn(|_| (0..len).map(|_| (next() % 1000) as f64).collect());
        for sums in &mut sums[1..] {
            sums.iter_mut().fold(0.0, |sum, term| {
                *term += sum;
                *term
            });
        }
        let [before, w, s, q] = std::array::from_fn(|i| sums[i].as_slice());
        let plain = Clusters { before, w, s, q };
        let [a, b, c, d] = fences;
        let fenced =
            Clusters { before: a.place(side, before), w: b.place(side, w), s: c.place(side, s), q: d.place(side, q) };
        let mut outs = [Fence::new(PAGE), Fence::new(PAGE)];
        let ranges = [(0, 0), (0, len - 2), (0, len - 1), (len / 2 - 1, len - 2), (len - 2, len - 1)];
        for (first, last) in ranges {
            let (low, context) = (first + 1, format!("{:?}, {side:?}, {len}, {first}..={last}", kernels.isa()));
            let want = scalar().kmeans_dp_pivot(&plain, low, first, last);
            assert_eq!(kernels.kmeans_dp_pivot(&fenced, low, first, last), want, "{context}");
            let columns = (len - low).min(Kernels::KMEANS_DP_COLS);
            let (mut after, mut choice) = (vec![0.0; columns], vec![9; columns]);
            scalar().kmeans_dp_leaf(&plain, low, first, last, &mut after, &mut choice);
            let [e, f] = &mut outs;
            let (got_after, got_choice) = (e.place(side, &vec![7.0; columns]), f.place(side, &vec![9u32; columns]));
            kernels.kmeans_dp_leaf(&fenced, low, first, last, got_after, got_choice);
            assert_eq!((&*got_after, &*got_choice), (&*after, &*choice), "{context}");
        }
    });
}

#[test]
fn tables_looked_up() {
    everywhere(|kernels, side, len, [a, b, ..]| {
        let mut next = generator(len);
        let context = format!("{:?}, {side:?}, {len}", kernels.isa());
        let (codes, table) = (bytes(len, &mut next), std::array::from_fn(|_| next() as u16));
        let few = std::array::from_fn(|i| table[i]);
        let got = b.place(side, &vec![7u16; len]);
        kernels.lookup_u16(a.place(side, &codes), &table, got);
        assert!(got.iter().zip(&codes).all(|(&item, &code)| item == table[usize::from(code)]), "{context}");
        // Bits of bfloat16: two to the power of the exponent, which stands above the mantissa.
        let powers =
            std::array::from_fn(|i| if i & 0x78 == 0 { 0 } else { (i as u16 & 0x7F) << 4 } | (i as u16 & 128) << 8);
        if let Some(floats) = kernels.float_table(&powers) {
            for stream in [false, true] {
                got.fill(7);
                assert!(kernels.float_values_u16(a.place(side, &codes), &floats, got, stream));
                assert!(got.iter().zip(&codes).all(|(&item, &code)| item == powers[usize::from(code)]), "{context}");
            }
        }
        let pairs = a.place(side, &codes[..len.div_ceil(2)]);
        kernels.lookup_nibbles_u16(pairs, &few, got);
        let code = |i: usize| usize::from(codes[i / 2] >> (i % 2 * 4) & 15);
        assert!(got.iter().enumerate().all(|(i, &item)| item == few[code(i)]), "{context}");
    });
}

#[test]
fn two_of_four_packed_at_once() {
    everywhere(|kernels, side, len, [a, b, c, _]| {
        if len > 32 {
            return;
        }
        let mut next = generator(len);
        let items: Vec<u16> = (0..64 * len).map(|_| if next().is_multiple_of(2) { 0 } else { next() as u16 }).collect();
        for order in [None, Some(Order { signed: false, mask: 0x7FFF, top: 0x7C00 })] {
            let (mut codes, mut slots) = (vec![7; 6 * len], vec![7; 32 * len]);
            let over = scalar().nm24_pack(&items, order, 0x7FFF, &mut codes, &mut slots);
            let (got_codes, got_slots) = (b.place(side, &vec![9u8; 6 * len]), c.place(side, &vec![9u16; 32 * len]));
            let got = kernels.nm24_pack(a.place(side, &items), order, 0x7FFF, got_codes, got_slots);
            assert_eq!(got, over, "{:?}, {side:?}, {len}", kernels.isa());
            assert!(over || (&*got_codes, &*got_slots) == (&*codes, &*slots), "{:?}, {side:?}, {len}", kernels.isa());
        }
    });
}
