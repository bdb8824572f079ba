//! Every kernel on every instruction set, between guard pages: arrays end right before memory that cannot be touched, or
//! start right behind it, so that an access beyond them is a fault. At the end they start at any address.
#![cfg(unix)]

mod common;
mod fence;

use common::{generator, scalar};
use fence::{Fence, PAGE, Side, bytes, everywhere};
use sparsefmt_kernels::{Kernels, NmCodeTable, Order, RadixTable, RankTable};

macro_rules! items {
    (
        $test:ident, $t:ty, $nonzero:ident, $compress:ident, $expand:ident, $drain:ident, $pack:ident,
        $keep:ident, $top:ident
    ) => {
        #[test]
        fn $test() {
            everywhere(|kernels, side, len, [a, b, c, d]| {
                let mut next = generator(len);
                let src: Vec<$t> = (0..len).map(|_| if next() % 3 == 0 { 0 } else { next() as $t }).collect();
                let bits = bytes(len.div_ceil(8), &mut next);
                let context = format!("{:?}, {side:?}, {len} items", kernels.isa());
                let mut want_bits = vec![0; bits.len()];
                let count = scalar().$nonzero(&src, <$t>::MAX >> 1, &mut want_bits);
                let got = b.place(side, &bits);
                assert_eq!(kernels.$nonzero(a.place(side, &src), <$t>::MAX >> 1, got), count, "{context}");
                assert_eq!(got, want_bits, "{context}");

                let mut want = vec![0; len];
                let count = scalar().$compress(&src, &bits, &mut want);
                for room in [count, count / 2, len] {
                    let dst = c.place(side, &vec![7; room]);
                    assert_eq!(kernels.$compress(a.place(side, &src), b.place(side, &bits), dst), count, "{context}");
                    let kept = count.min(room);
                    assert_eq!(dst[..kept], want[..kept], "{context}");
                }

                for (stream, given) in [(false, len), (true, count), (false, count / 2)] {
                    let given = &src[..given.min(len)];
                    let read = scalar().$expand(given, &bits, &mut want, stream);
                    let dst = c.place(side, &vec![7; len]);
                    let got = kernels.$expand(a.place(side, given), b.place(side, &bits), dst, stream);
                    assert_eq!((got, &*dst), (read, &*want), "{context}");
                }

                let (buffer, dst) = (a.place(side, &src), c.place(side, &vec![7; len]));
                kernels.$drain(buffer, dst);
                assert_eq!(dst, src, "{context}");
                assert!(buffer.iter().all(|&item| item == 0), "{context}");

                let full: Vec<u8> = bits.iter().zip(&want_bits).map(|(a, b)| a | b).collect();
                let count = scalar().$pack(&src, &want_bits, &full, &mut want);
                for room in [count, count / 2, len] {
                    let dst = c.place(side, &vec![7; room]);
                    let (keep, full) = (b.place(side, &want_bits), d.place(side, &full));
                    assert_eq!(kernels.$pack(a.place(side, &src), keep, full, dst), count, "{context}");
                    let kept = count.min(room);
                    assert_eq!(dst[..kept], want[..kept], "{context}");
                }

                scalar().$keep(&src, &bits, &mut want);
                let dst = c.place(side, &vec![7; len]);
                kernels.$keep(a.place(side, &src), b.place(side, &bits), dst);
                assert_eq!(dst, want, "{context}");

                for (n, m) in [(2, 4), (1, 4), (4, 8), (8, 16), (16, 32), (3, 7), (20, 32), (1, 2)] {
                    let order = Order { signed: false, mask: <$t>::MAX >> 1, top: <$t>::MAX >> 2 };
                    scalar().$top(&src, order, (n, m), &mut want_bits);
                    let got = b.place(side, &bits);
                    kernels.$top(a.place(side, &src), order, (n, m), got);
                    assert_eq!(got, want_bits, "{context}, {n} of {m}");
                }
            });
        }
    };
}

items!(
    items_of_1_byte,
    u8,
    nonzero_bits_u8,
    compress_u8,
    expand_u8,
    drain_u8,
    pack_slots_u8,
    keep_slots_u8,
    topk_bits_u8
);
items!(
    items_of_2_bytes,
    u16,
    nonzero_bits_u16,
    compress_u16,
    expand_u16,
    drain_u16,
    pack_slots_u16,
    keep_slots_u16,
    topk_bits_u16
);
items!(
    items_of_4_bytes,
    u32,
    nonzero_bits_u32,
    compress_u32,
    expand_u32,
    drain_u32,
    pack_slots_u32,
    keep_slots_u32,
    topk_bits_u32
);
items!(
    items_of_8_bytes,
    u64,
    nonzero_bits_u64,
    compress_u64,
    expand_u64,
    drain_u64,
    pack_slots_u64,
    keep_slots_u64,
    topk_bits_u64
);

#[test]
fn items_of_16_bytes() {
    everywhere(|kernels, side, len, [a, b, c, _]| {
        let mut next = generator(len);
        let src: Vec<[u64; 2]> = (0..len).map(|_| [next(), next()]).collect();
        let bits = bytes(len.div_ceil(8), &mut next);
        let mut want = vec![[0; 2]; len];
        let count = scalar().compress_pair(&src, &bits, &mut want);
        let dst = c.place(side, &vec![[7; 2]; count]);
        assert_eq!(kernels.compress_pair(a.place(side, &src), b.place(side, &bits), dst), count);
        assert_eq!(dst, &want[..count], "{:?}, {side:?}, {len}", kernels.isa());
        scalar().expand_pair(&src, &bits, &mut want, false);
        let dst = c.place(side, &vec![[7; 2]; len]);
        kernels.expand_pair(a.place(side, &src), b.place(side, &bits), dst, true);
        assert_eq!(dst, want, "{:?}, {side:?}, {len}", kernels.isa());
        let (buffer, dst) = (a.place(side, &src), c.place(side, &want));
        kernels.drain_pair(buffer, dst);
        assert_eq!(dst, src, "{:?}, {side:?}, {len}", kernels.isa());
    });
}

#[test]
fn bits_and_their_places() {
    everywhere(|kernels, side, len, [a, b, ..]| {
        let bits = bytes(len, &mut generator(len));
        let context = format!("{:?}, {side:?}, {len} bytes", kernels.isa());
        assert_eq!(kernels.count_bits(a.place(side, &bits)), scalar().count_bits(&bits), "{context}");
        let (mut narrow, mut wide) = (vec![0; 8 * len], vec![0; 8 * len]);
        let count = scalar().positions_i32(&bits, 9, &mut narrow);
        assert_eq!(scalar().positions_i64(&bits, 9, &mut wide), count);
        for room in [count, count / 2] {
            let dst = b.place(side, &vec![7; room]);
            assert_eq!(kernels.positions_i32(a.place(side, &bits), 9, dst), count, "{context}");
            assert_eq!(dst, &narrow[..room], "{context}");
            let dst = b.place(side, &vec![7; room.min(PAGE / 8)]);
            assert_eq!(kernels.positions_i64(a.place(side, &bits), 9, dst), count, "{context}");
            assert_eq!(dst, &wide[..dst.len()], "{context}");
        }
    });
}

macro_rules! places {
    ($test:ident, $t:ty, $item:expr, $place:ident) => {
        #[test]
        fn $test() {
            everywhere(|kernels, side, len, [a, b, c, _]| {
                for one_in in [1, 2, 5, 40] {
                    let mut next = generator(len + one_in);
                    let indices: Vec<i32> = (0..len as i32).filter(|_| next() % one_in as u64 == 0).collect();
                    let src: Vec<$t> = indices.iter().map(|_| $item(next())).collect();
                    let context = format!("{:?}, {side:?}, {len} items, one in {one_in}", kernels.isa());
                    let mut want = vec![<$t>::default(); len];
                    assert!(scalar().$place(&indices, &src, &mut want, false), "{context}");
                    // Shorter at its start by what makes addresses of another kind.
                    for (stream, skip) in [(false, 0), (true, 0), (true, 1)] {
                        let skip = if indices.first().is_none_or(|&first| first >= skip) { skip as usize } else { 0 };
                        let moved: Vec<i32> = indices.iter().map(|&index| index - skip as i32).collect();
                        let dst = c.place(side, &vec![$item(7); len - skip.min(len)]);
                        let (indices, src) = (a.place(side, &moved), b.place(side, &src));
                        assert!(kernels.$place(indices, src, dst, stream), "{context}");
                        assert_eq!(dst, &want[skip.min(len)..], "{context}");
                    }
                    // Whatever the indices are, nothing else is touched.
                    let wild: Vec<i32> = indices.iter().map(|_| next() as i32 % (2 * len as i32 + 2)).collect();
                    let (dst, wild) = (c.place(side, &want), a.place(side, &wild));
                    let ascending = wild.is_sorted_by(|a, b| a < b) && wild.iter().all(|&i| 0 <= i && i < len as i32);
                    assert_eq!(kernels.$place(wild, b.place(side, &src), dst, true), ascending, "{context}");
                }
            });
        }
    };
}

places!(places_of_1_byte, u8, |v: u64| v as u8, scatter_u8);
places!(places_of_2_bytes, u16, |v: u64| v as u16, scatter_u16);
places!(places_of_4_bytes, u32, |v: u64| v as u32, scatter_u32);
places!(places_of_8_bytes, u64, |v: u64| v, scatter_u64);
places!(places_of_16_bytes, [u64; 2], |v: u64| [v, !v], scatter_pair);

fn binomial(m: usize, n: usize) -> usize {
    (0..n).fold(1, |value, i| value * (m - i) / (i + 1))
}

#[test]
fn ranks_and_codes() {
    let tables: Vec<_> = [(2, 4), (8, 16), (16, 32), (3, 11)].map(|(n, m)| (n, m, RankTable::new(n, m))).into();
    everywhere(|kernels, side, len, [a, b, c, _]| {
        let mut next = generator(len);
        for (n, m, table) in &tables {
            let mut masks: Vec<u32> = (0..len).map(|_| (next() & next()) as u32 & (u32::MAX >> (32 - m))).collect();
            masks.iter_mut().for_each(|mask| {
                while mask.count_ones() as usize > *n {
                    *mask &= *mask - 1;
                }
            });
            let context = format!("{:?}, {side:?}, {n} of {m}, {len}", kernels.isa());
            let mut want = masks.clone();
            assert!(!scalar().complete_words(&mut want, (*n, *m)));
            let got = a.place(side, &masks);
            assert!(!kernels.complete_words(got, (*n, *m)));
            assert_eq!(got, want, "{context}");
            let codes = b.place(side, &masks);
            if kernels.rank_words(got, table, codes) {
                let back = c.place(side, &masks);
                assert!(kernels.unrank_words(codes, table, back));
                assert_eq!(back, want, "{context}");
            }
            let width = (1..).find(|bits| binomial(*m, *n) <= 1 << bits).unwrap_or(0);
            let stream = b.place(side, &vec![7; (masks.len() * width).div_ceil(8)]);
            if kernels.rank_codes(got, table, stream) {
                let back = c.place(side, &masks);
                assert!(kernels.unrank_codes(stream, table, back));
                assert_eq!(back, want, "{context}");
            }
        }
        let table = NmCodeTable::new(
            std::array::from_fn(|i| i as u8 | 1),
            std::array::from_fn(|i| i as u8 % 64),
            std::array::from_fn(|i| i as u8 + 1),
            6,
        );
        let keep = bytes(len * 8, &mut next);
        let (mut full, mut codes) = (vec![0; keep.len()], vec![0; len * 6]);
        assert!(!scalar().pack_nm_codes(&keep, &table, &mut full, &mut codes));
        let (got_full, got_codes) = (b.place(side, &keep), c.place(side, &vec![7; codes.len()]));
        assert!(!kernels.pack_nm_codes(a.place(side, &keep), &table, got_full, got_codes));
        assert_eq!((&*got_full, &*got_codes), (&*full, &*codes), "{:?}, {side:?}, {len}", kernels.isa());
        let mut want = vec![0; keep.len()];
        assert!(!scalar().unpack_nm_codes(&codes, &table, &mut want));
        assert!(!kernels.unpack_nm_codes(got_codes, &table, got_full));
        assert_eq!(got_full, want, "{:?}, {side:?}, {len}", kernels.isa());
    });
}

#[test]
fn words_of_mixed_radix() {
    everywhere(|kernels, side, len, [a, b, c, _]| {
        let blocks = len % 40;
        let words = bytes(blocks * Kernels::RADIX_WORDS, &mut generator(len));
        let (mut codes, mut back) = (vec![0; blocks * Kernels::RADIX_CODES], vec![0; words.len()]);
        scalar().nm24_radix_unpack(&words, &mut codes);
        scalar().nm24_radix_pack(&codes, &mut back);
        let (got, got_back) = (b.place(side, &vec![7; codes.len()]), c.place(side, &vec![7; words.len()]));
        kernels.nm24_radix_unpack(a.place(side, &words), got);
        assert_eq!(got, codes, "{:?}, {side:?}, {blocks} blocks", kernels.isa());
        kernels.nm24_radix_pack(got, got_back);
        assert_eq!(got_back, back, "{:?}, {side:?}, {blocks} blocks", kernels.isa());
    });
}

#[test]
fn words_of_mixed_radix_of_any_pattern() {
    for table in [(70, 7), (12870, 3), (3, 5), (31, 10)].map(|(count, groups)| RadixTable::new(count, groups)) {
        let table = table.expect("fits");
        everywhere(|kernels, side, len, [a, b, c, _]| {
            let blocks = len % 10;
            let words = bytes(blocks * table.block_words(), &mut generator(len));
            let (mut codes, mut back) = (vec![0; blocks * table.block_codes()], vec![0; words.len()]);
            scalar().radix_unpack(&table, &words, &mut codes);
            scalar().radix_pack(&table, &codes, &mut back);
            let (got, got_back) = (b.place(side, &vec![7; codes.len()]), c.place(side, &vec![7; words.len()]));
            kernels.radix_unpack(&table, a.place(side, &words), got);
            assert_eq!(got, codes, "{:?}, {side:?}, {blocks} blocks", kernels.isa());
            kernels.radix_pack(&table, got, got_back);
            assert_eq!(got_back, back, "{:?}, {side:?}, {blocks} blocks", kernels.isa());
        });
    }
}

#[test]
fn affine_codes() {
    everywhere(|kernels, side, len, [a, b, c, d]| {
        let mut next = generator(len);
        let context = format!("{:?}, {side:?}, {len}", kernels.isa());
        let x: Vec<f32> = (0..len).map(|_| (next() % 2001) as f32 / 100.0 - 10.0).collect();
        let (scale, low) = (vec![0.25f32; len], vec![-7.0f32; len]);
        let mut codes = vec![0; len];
        scalar().quantize_f32(&x, &scale, &low, 14.0, &mut codes);
        let got = d.place(side, &vec![7u8; len]);
        kernels.quantize_f32(a.place(side, &x), b.place(side, &scale), c.place(side, &low), 14.0, got);
        assert_eq!(got, codes, "{context}");
        let zeros = vec![3u8; len];
        let mut want = vec![0f32; len];
        scalar().dequantize_f32(&codes, &zeros, &scale, (-9.0, 9.0), &mut want);
        let out = c.place(side, &vec![7f32; len]);
        let (codes_in, zeros_in) = (a.place(side, &codes), d.place(side, &zeros));
        kernels.dequantize_f32(codes_in, zeros_in, b.place(side, &scale), (-9.0, 9.0), out);
        assert_eq!(out, want, "{context}");
        for group in [1, 4, 32, 128] {
            let groups = len.div_ceil(group);
            let (mut low, mut high) = (vec![0f32; groups], vec![0f32; groups]);
            scalar().extremes_f32(&x, group, &mut low, &mut high);
            let (got_low, got_high) = (b.place(side, &vec![7f32; groups]), c.place(side, &vec![7f32; groups]));
            kernels.extremes_f32(a.place(side, &x), group, got_low, got_high);
            assert_eq!((&*got_low, &*got_high), (&*low, &*high), "{context}, groups of {group}");
        }
        let nibbles: Vec<u8> = codes.iter().map(|code| code & 15).collect();
        let mut want = vec![0; len.div_ceil(2)];
        scalar().pack_nibbles(&nibbles, &mut want);
        let packed = b.place(side, &vec![7; want.len()]);
        kernels.pack_nibbles(a.place(side, &nibbles), packed);
        assert_eq!(packed, want, "{context}");
        let back = c.place(side, &vec![7; len]);
        kernels.unpack_nibbles(packed, back);
        let mut want = vec![0; len];
        scalar().unpack_nibbles(packed, &mut want);
        assert_eq!(back, want, "{context}");
    });
}

#[test]
fn the_fence_bites() {
    const ASKED: &str = "SPARSEFMT_TEST_TOUCHES_THE_FENCE";
    let mut fence = Fence::new(8);
    let end = fence.place(Side::End, &[0u8; 8]).as_mut_ptr().wrapping_add(8);
    if std::env::var_os(ASKED).is_some() {
        // SAFETY: none; this process is here to die.
        unsafe { end.write_volatile(1) };
        return;
    }
    let me = std::env::current_exe().expect("a path");
    let died = std::process::Command::new(me).args(["--exact", "the_fence_bites"]).env(ASKED, "1").output();
    assert!(!died.expect("it starts").status.success());
}
