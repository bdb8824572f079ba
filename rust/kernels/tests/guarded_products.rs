//! Kernels of products, as `guarded` has those for items. What they give is checked in `product`; here it must be the
//! same as far from any guard page.
#![cfg(unix)]

mod common;
mod fence;

use common::{generator, scalar};
use fence::{Fence, PAGE, bytes, everywhere};
use sparsefmt_kernels::{Blocks, Chunk, NM24_BF16_GROUPS, Nm24Bf16Rows, Nm24Row, Pairs, Strided};

#[test]
fn dots_with_bits() {
    assert!(scalar().all_finite(&[]));
    let mut fifth = Fence::new(PAGE);
    everywhere(|kernels, side, len, [a, b, c, d]| {
        let mut next = generator(len);
        let context = format!("{:?}, {side:?}, {len}", kernels.isa());
        let bits = bytes(len.div_ceil(8), &mut next);
        let x: Vec<f32> = (0..len).map(|_| (next() % 2001) as f32 / 1000.0 - 1.0).collect();
        let (whole, scale) = (bytes(len, &mut next), x[..len.div_ceil(64)].to_vec());
        let count = (0..len).filter(|i| bits[i / 8] >> (i % 8) & 1 == 1).count();
        for given in [count, count / 2, count + 1] {
            let values: Vec<f32> = (0..given).map(|_| (next() % 999) as f32).collect();
            let halves: Vec<u16> = (0..given).map(|_| (next() as u16 & 0x83FF) | 0x3800).collect();
            let (bits_at, x_at) = (b.place(side, &bits), c.place(side, &x));
            assert_eq!(kernels.dot_f32(a.place(side, &values), bits_at, x_at), kernels.dot_f32(&values, &bits, &x));
            let (got, want) = (a.place(side, &halves), &halves);
            assert_eq!(kernels.dot_f16(got, bits_at, x_at), kernels.dot_f16(want, &bits, &x), "{context}");
            assert_eq!(kernels.dot_bf16(got, bits_at, x_at), kernels.dot_bf16(want, &bits, &x), "{context}");
        }
        let (bits_at, scale_at) = (b.place(side, &bits), d.place(side, &scale));
        for (width, start) in [(8, 0), (8, 3), (4, 0), (4, 1)] {
            for given in [count, count / 2] {
                let stream = bytes(((start + given) * width).div_ceil(8), &mut next);
                let (stream_at, x_at) = (a.place(side, &stream), c.place(side, &x));
                let got = kernels.dot_codes((stream_at, width, start), bits_at, x_at, scale_at);
                assert_eq!(got, kernels.dot_codes((&stream, width, start), &bits, &x, &scale), "{context}");
                let whole_at = fifth.place(side, &whole);
                let got = kernels.dot_integers((stream_at, width, start), bits_at, whole_at, scale_at);
                assert_eq!(got, kernels.dot_integers((&stream, width, start), &bits, &whole, &scale), "{context}");
            }
        }
        assert_eq!(kernels.all_finite(a.place(side, &x)), kernels.all_finite(&x), "{context}");
    });
}

#[test]
fn rows_of_csr() {
    everywhere(|kernels, side, len, [a, b, c, d]| {
        let mut next = generator(len);
        let context = format!("{:?}, {side:?}, {len}", kernels.isa());
        let values: Vec<f32> = (0..len).map(|_| (next() % 2001) as f32 / 1000.0 - 1.0).collect();
        for (rows, width) in [(1, 1), (7, 8), (40, 33), (50, 64)] {
            let short: Vec<i32> = (0..len).map(|_| (next() % rows) as i32).collect();
            let long: Vec<i64> = short.iter().map(|&i| i64::from(i)).collect();
            let x: Vec<f32> = (0..rows as usize * width).map(|_| (next() % 99) as f32).collect();
            let values_at = a.place(side, &values);
            let x_at = &*c.place(side, &x);
            let short_at = b.place(side, &short);
            let one = &x_at[..rows as usize];
            assert_eq!(
                kernels.csr_dot_i32(short_at, values_at, one),
                kernels.csr_dot_i32(&short, &values, &x[..rows as usize])
            );
            let strided = |items| Strided { items, rows: rows as usize, stride: width, first: 0, width };
            let mut want = vec![0.5; width];
            let sums = d.place(side, &want);
            assert!(kernels.csr_row_i32(&short, &values, &strided(&x), &mut want).is_ok());
            assert!(kernels.csr_row_i32(short_at, values_at, &strided(x_at), sums).is_ok());
            assert_eq!(sums, want, "{context}, {rows} x {width}");
            let long_at = b.place(side, &long);
            assert_eq!(
                kernels.csr_dot_i64(long_at, values_at, one),
                kernels.csr_dot_i64(&long, &values, &x[..rows as usize])
            );
            assert!(kernels.csr_row_i64(&long, &values, &strided(&x), &mut want).is_ok());
            assert!(kernels.csr_row_i64(long_at, values_at, &strided(x_at), sums).is_ok());
            assert_eq!(sums, want, "{context}, {rows} x {width}");
        }
    });
}

#[test]
fn chunks_and_blocks() {
    everywhere(|kernels, side, len, [a, b, c, d]| {
        if len > 200 {
            return;
        }
        let mut next = generator(len);
        let context = format!("{:?}, {side:?}, {len}", kernels.isa());
        let bits = bytes(2 * len, &mut next);
        let count: usize = bits.iter().map(|byte| byte.count_ones() as usize).sum();
        let values: Vec<f32> = (0..count).map(|_| (next() % 2001) as f32 / 1000.0 - 1.0).collect();
        let mut x = vec![Chunk::<4>::ZERO; len];
        x.iter_mut().flat_map(|x| &mut x.0).flatten().for_each(|x| *x = (next() % 99) as f32);
        let (mut want, mut sums) = ([0.5; 4], [0.5; 4]);
        kernels.dots_4(&values, &bits, &x, &mut want);
        kernels.dots_4(a.place(side, &values), b.place(side, &bits), c.place(side, &x), &mut sums);
        assert_eq!(sums, want, "{context}");

        for (across, depth, width) in [(1, 1, 1), (4, 4, 5), (16, 16, 16), (20, 17, 1), (16, 13, 40), (3, 3, 64)] {
            let (count, rows) = (len / 7 % 4, len % 7);
            let area = (rows + 1) * across;
            let items: Vec<f32> = (0..count * area).map(|_| (next() % 99) as f32).collect();
            let x: Vec<f32> = (0..(depth + 5) * width).map(|_| (next() % 99) as f32).collect();
            let starts: Vec<usize> = (0..count).map(|_| next() as usize % 6).collect();
            let strided = |items| Strided { items, rows: depth + 5, stride: width, first: 0, width };
            let blocks = |items, starts| Blocks { items, area, across, depth, rows, starts };
            let mut want = vec![0.5; rows * width];
            let sums = d.place(side, &want);
            kernels.bsr_spmm_row(&blocks(&items, &starts), &strided(&x), &mut want, width);
            let (items, starts) = (&*a.place(side, &items), &*b.place(side, &starts));
            kernels.bsr_spmm_row(&blocks(items, starts), &strided(c.place(side, &x)), sums, width);
            assert_eq!(sums, want, "{context}, {rows} x {across}, {width} columns");
        }
    });
}

/// The two rows of each of `codes`, `values` and `scale`, half of it each.
fn halves<'a, T>(codes: &'a [u8], values: &'a [T], scale: &'a [f32]) -> [Nm24Row<'a, T>; 2] {
    let ((a, b), (c, d), (e, f)) =
        (codes.split_at(codes.len() / 2), values.split_at(values.len() / 2), scale.split_at(scale.len() / 2));
    [Nm24Row { codes: a, values: c, scale: e }, Nm24Row { codes: b, values: d, scale: f }]
}

#[test]
fn rows_of_2_4() {
    everywhere(|kernels, side, cols, [a, b, c, d]| {
        let mut next = generator(cols);
        let context = format!("{:?}, {side:?}, {cols}", kernels.isa());
        let groups = cols.div_ceil(4);
        let mut codes = vec![0; 2 * (3 * groups).div_ceil(8)];
        for (row, codes) in codes.chunks_mut((3 * groups).div_ceil(8).max(1)).enumerate() {
            for bit in (0..groups).flat_map(|group| {
                let code = (next() as usize + row) % 6;
                (0..3).filter(move |bit| code >> bit & 1 == 1).map(move |bit| 3 * group + bit)
            }) {
                codes[bit / 8] |= 1 << (bit % 8);
            }
        }
        let x: Vec<f32> = (0..cols).map(|_| (next() % 2001) as f32 / 1000.0 - 1.0).collect();
        let whole = bytes(cols, &mut next);
        let scale: Vec<f32> = (0..2 * cols.div_ceil(64)).map(|_| (next() % 99) as f32).collect();
        let (codes_at, x_at, scale_at) = (&*a.place(side, &codes), &*c.place(side, &x), &*d.place(side, &scale));

        let values: Vec<f32> = (0..4 * groups).map(|_| (next() % 99) as f32).collect();
        let got = kernels.nm24_dot_f32(&halves(codes_at, b.place(side, &values), &[]), x_at);
        assert_eq!(got, kernels.nm24_dot_f32(&halves(&codes, &values, &[]), &x), "{context}");
        let values: Vec<u16> = (0..4 * groups).map(|_| next() as u16 & 0x3FFF).collect();
        let (rows, rows_at) = (halves(&codes, &values, &[]), halves(codes_at, &*b.place(side, &values), &[]));
        assert_eq!(kernels.nm24_dot_f16(&rows_at, x_at), kernels.nm24_dot_f16(&rows, &x), "{context}");
        assert_eq!(kernels.nm24_dot_bf16(&rows_at, x_at), kernels.nm24_dot_bf16(&rows, &x), "{context}");
        let mut whole_fence = Fence::new(PAGE);
        let whole_at = whole_fence.place(side, &whole);
        for width in [8, 4] {
            let values = bytes(2 * (2 * groups * width / 8), &mut next);
            let (rows, rows_at) =
                (halves(&codes, &values, &scale), halves(codes_at, &*b.place(side, &values), scale_at));
            let got = kernels.nm24_dot_codes(&rows_at, width, x_at);
            assert_eq!(got, kernels.nm24_dot_codes(&rows, width, &x), "{context}");
            let got = kernels.nm24_dot_integers(&rows_at, width, whole_at);
            assert_eq!(got, kernels.nm24_dot_integers(&rows, width, &whole), "{context}");
        }
    });
}

macro_rules! wide {
    ($kernels:ident, $side:ident, $w:literal, $name:ident, $indices:expr, $values:expr, $x:expr, $fences:expr) => {{
        let [a, b, c] = $fences;
        let x: Vec<[f32; $w]> = $x.iter().map(|&x| std::array::from_fn(|i| x + i as f32)).collect();
        let (mut want, mut sums) = ([0.5; $w], [0.5; $w]);
        let done = $kernels.$name(($indices, $values), &x, &mut want, true);
        let at = (&*a.place($side, $indices), &*b.place($side, $values));
        assert_eq!($kernels.$name(at, c.place($side, &x), &mut sums, true), done);
        assert_eq!(sums, want, "{:?}, {:?}, {} slots", $kernels.isa(), $side, $values.len());
    }};
}

#[test]
fn compressed_rows_by_wide_ones() {
    everywhere(|kernels, side, len, [a, b, c, _]| {
        let mut next = generator(len);
        let values: Vec<f32> = (0..len).map(|_| (next() % 2001) as f32 / 1000.0 - 1.0).collect();
        let x: Vec<f32> = (0..30).map(|_| (next() % 99) as f32).collect();
        let short: Vec<i32> = (0..len).map(|_| (next() % 30) as i32).collect();
        let long: Vec<i64> = short.iter().map(|&i| i64::from(i)).collect();
        wide!(kernels, side, 8, csr_spmm_8_i32, &short[..], &values[..], x, [&mut *a, &mut *b, &mut *c]);
        wide!(kernels, side, 16, csr_spmm_16_i32, &short[..], &values[..], x, [&mut *a, &mut *b, &mut *c]);
        wide!(kernels, side, 32, csr_spmm_32_i32, &short[..], &values[..], x, [&mut *a, &mut *b, &mut *c]);
        wide!(kernels, side, 8, csr_spmm_8_i64, &long[..], &values[..], x, [&mut *a, &mut *b, &mut *c]);
        wide!(kernels, side, 16, csr_spmm_16_i64, &long[..], &values[..], x, [&mut *a, &mut *b, &mut *c]);
        wide!(kernels, side, 32, csr_spmm_32_i64, &long[..], &values[..], x, [&mut *a, &mut *b, &mut *c]);
    });
}

#[test]
fn pairs_of_bfloat16() {
    let mut pairs = Box::new(Pairs::ZERO);
    everywhere(|kernels, side, len, [a, b, c, d]| {
        if len > 200 {
            return;
        }
        let mut next = generator(len);
        let mut bf16_lanes = |len: usize| (0..len).map(|_| (next() as u16 & 0x80FF) | 0x3F00).collect::<Vec<_>>();
        let (rows, width, stride) = (len % 13, 1 + len % 64, 1 + len % 64 + len % 3);
        let strides = (6 + len % 5, 2 * NM24_BF16_GROUPS + len % 7);
        let end = |stride: usize, last: usize| rows.checked_sub(1).map_or(0, |rows| rows * stride + last);
        let (x, values) = (bf16_lanes(64 * 4 * NM24_BF16_GROUPS), bf16_lanes(end(strides.1, 2 * NM24_BF16_GROUPS)));
        let codes = bytes(end(strides.0, 8), &mut next);
        let x_at = c.place(side, &x).as_chunks().0.first_chunk().expect("as many");
        kernels.nm24_bf16_pack(x_at, &mut pairs);
        assert_eq!(kernels.bf16_all_finite(&x), kernels.bf16_all_finite(x_at.as_flattened()));
        let w = Nm24Bf16Rows { codes: &codes, values: &values, strides, rows, to_come: (&[], &[]) };
        let (codes_at, values_at) = (&*a.place(side, &codes), &*b.place(side, &values));
        let w_at = Nm24Bf16Rows { codes: codes_at, values: values_at, to_come: (codes_at, values_at), ..w };
        let mut want = vec![0.5; end(stride, width)];
        let sums = d.place(side, &want);
        for first in [false, true] {
            kernels.nm24_bf16_add(&w, &pairs, &mut want, (stride, width), first);
            kernels.nm24_bf16_add(&w_at, &pairs, sums, (stride, width), first);
            assert_eq!(sums, want, "{:?}, {side:?}, {len}", kernels.isa());
        }
    });
}
