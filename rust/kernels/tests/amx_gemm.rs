//! Parts of numbers, and blocks of tiles, against plain sums. What multiplies here is the model and, where the CPU has
//! them, the instructions.
#![cfg(unix)]

mod common;
mod fence;

use common::{agree, generator, scalar, tables};
use fence::{Fence, PAGE, Side, bytes, everywhere};
use half::{bf16, f16};
use sparsefmt_kernels::{BlockSums, LeftRows, PairTile, TILE_DEPTH, TILE_ROWS, TILE_WIDTH, TileUnit};

/// The parts of numbers, and whether the last one left something over.
fn parts(items: &[f32], count: usize) -> (Vec<Vec<u16>>, bool) {
    let mut left = items.to_vec();
    let mut found = vec![vec![0; items.len()]; count];
    let over = found.iter_mut().map(|part| scalar().cut_part(&mut left, part)).last();
    (found, over == Some(true))
}

fn sum(parts: &[Vec<u16>], at: usize) -> f64 {
    parts.iter().map(|part| f64::from(bf16::from_bits(part[at]).to_f32())).sum()
}

#[test]
fn every_float16_is_two_parts() {
    for bits in 0..=u16::MAX {
        let number = f16::from_bits(bits);
        let (found, over) = parts(&[number.to_f32()], 2);
        assert_eq!(over, !number.is_finite(), "{bits:#06x}");
        if number.is_finite() {
            assert_eq!(sum(&found, 0), number.to_f64(), "{bits:#06x}");
            assert!(found.iter().all(|part| !bf16::from_bits(part[0]).to_f32().is_subnormal()), "{bits:#06x}");
        }
    }
}

/// Every significand, for some exponents from the least one on for which `tiles` promises it.
#[test]
fn every_float32_is_three_parts() {
    for exponent in [-103, -79, -1, 0, 100, 126] {
        for sign in [0, 1 << 31] {
            let numbers: Vec<f32> = (0..1 << 23)
                .step_by(if sign == 0 { 1 } else { 61 })
                .map(|bits| f32::from_bits(((exponent + 127) as u32) << 23 | bits | sign))
                .collect();
            let (found, over) = parts(&numbers, 3);
            assert!(!over, "2^{exponent}");
            for (at, &number) in numbers.iter().enumerate() {
                let size = f64::from(number.abs());
                let [_, middle, last] = [0, 1, 2].map(|p| bf16::from_bits(found[p][at]).to_f32());
                assert_eq!(sum(&found, at), f64::from(number));
                assert!(f64::from(middle.abs()) <= size / 256.0 && f64::from(last.abs()) <= size / 65536.0, "{number}");
                assert!(!middle.is_subnormal() && !last.is_subnormal(), "{number}");
            }
        }
    }
}

#[test]
fn halves_are_spread_as_their_parts() {
    everywhere(|kernels, side, len, [a, b, c, d]| {
        let mut next = generator(len);
        // More items than places, as many, and fewer.
        for items in [len, 4 * len, len / 2] {
            let bits = bytes(len / 32 * 4, &mut next);
            let items: Vec<u16> = (0..items).map(|_| next() as u16).map(|item| item & 0xFBFF).collect();
            let mut places = vec![0.0; 8 * bits.len()];
            let is_set = |at: usize| bits[at / 8] >> (at % 8) & 1 != 0;
            let set = (0..places.len()).filter(|&at| is_set(at)).zip(&items);
            set.for_each(|(at, &item)| places[at] = f16::from_bits(item).to_f32());
            let want_most = places.iter().map(|place| f16::from_f32(place.abs()).to_bits()).max().unwrap_or(0);
            let (want, _) = parts(&places, 2);
            let (high, low) = (c.place(side, &vec![7; places.len()]), d.place(side, &vec![7; places.len()]));
            let most = kernels.split_f16(a.place(side, &items), b.place(side, &bits), high, low);
            assert_eq!((most, &*high, &*low), (want_most, &want[0][..], &want[1][..]), "{} items", items.len());
        }
        let bits = [1, 0, 0, 0x80];
        for special in [f16::NAN, f16::INFINITY, f16::NEG_INFINITY] {
            let most = kernels.split_f16(&[0x3C00, special.to_bits()], &bits, &mut [0; 32], &mut [0; 32]);
            assert!(most >= 0x7C00, "{special}");
            assert_eq!(kernels.split_f16(&[0x3C00, 0, special.to_bits()], &bits, &mut [0; 32], &mut [0; 32]), 0x3C00);
        }
    });
}

#[test]
fn what_parts_cannot_hold_is_left_over() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40, f32::from_bits(1)] {
        assert!(parts(&[1.0, number, 2.0], 3).1 || number.is_subnormal(), "{number}");
    }
    assert!(parts(&[1.001 + f32::EPSILON], 2).1 && parts(&[257.0], 1).1);
    assert!(!parts(&[0.0, -0.0, 256.0, -1.5], 1).1 && !parts(&[], 1).1);
}

#[test]
fn extents() {
    for len in (0..200).chain([1023, 1024, 1025]) {
        let mut next = generator(len);
        let items: Vec<f32> = (0..len).map(|_| f32::from_bits((next() >> 16) as u32)).collect();
        let items: Vec<f32> = items.iter().map(|&x| if next().is_multiple_of(3) { 0.0 } else { x }).collect();
        let bf16_lanes: Vec<u16> = items.iter().map(|x| (x.to_bits() >> 16) as u16).collect();
        let wide: Vec<f32> = bf16_lanes.iter().map(|&bits| f32::from_bits(u32::from(bits) << 16)).collect();
        agree(&format!("{len} items"), |kernels| kernels.extent(&items));
        agree(&format!("{len} items"), |kernels| kernels.extent_bf16(&bf16_lanes));
        let found = scalar().extent(&items);
        let sizes = items.iter().map(|x| x.to_bits() & 0x7FFF_FFFF);
        assert_eq!(found.least(), sizes.clone().filter(|&size| size > 0).min());
        assert_eq!(found.most, sizes.clone().max().unwrap_or(0));
        assert_eq!(found.bits, sizes.fold(0, |all, size| all | size));
        assert_eq!(scalar().extent_bf16(&bf16_lanes), scalar().extent(&wide));
    }
}

#[test]
fn parts_and_pairs_between_guard_pages() {
    everywhere(|kernels, side, len, [a, b, c, d]| {
        let mut next = generator(len);
        let items: Vec<f32> = (0..len).map(|_| f32::from_bits((next() >> 16) as u32)).collect();
        let bf16_lanes: Vec<u16> =
            bytes(2 * len, &mut next).as_chunks().0.iter().map(|&b| u16::from_le_bytes(b)).collect();
        assert_eq!(kernels.extent(a.place(side, &items)), scalar().extent(&items));
        assert_eq!(kernels.extent_bf16(b.place(side, &bf16_lanes)), scalar().extent_bf16(&bf16_lanes));
        let (mut left, mut part) = (items.clone(), vec![0; len]);
        let (left_at, part_at) = (a.place(side, &left), b.place(side, &part));
        assert_eq!(kernels.cut_part(left_at, part_at), scalar().cut_part(&mut left, &mut part));
        assert_eq!(part_at, part);
        assert!(left_at.iter().zip(&left).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()));
        if len == 0 {
            let rows: [[u16; TILE_WIDTH]; TILE_DEPTH] = std::array::from_fn(|_| std::array::from_fn(|_| next() as u16));
            let mut tile = PairTile::ZERO;
            scalar().pair_rows(&rows, &mut tile);
            for (row, column) in (0..TILE_DEPTH).flat_map(|row| (0..TILE_WIDTH).map(move |column| (row, column))) {
                assert_eq!((tile.0[row / 2][column] >> (16 * (row % 2))) as u16, rows[row][column]);
            }
            let (rows, tiles) = (c.place(side, &[rows]), d.place(side, &[PairTile::ZERO]));
            kernels.pair_rows(&rows[0], &mut tiles[0]);
            assert_eq!(tiles[0].0, tile.0);
        }
    });
}

fn units() -> Vec<TileUnit> {
    let mut units = vec![TileUnit::Model];
    units.extend(tables().filter_map(|kernels| kernels.tiles()));
    units
}

/// A small integer of bfloat16.
fn small(next: &mut impl FnMut() -> u64) -> u16 {
    bf16::from_f32((next() >> 20) as f32 % 8.0 - 3.0).to_bits()
}

#[test]
fn blocks_of_integers_between_guard_pages() {
    let (mut a, mut b) = (Fence::new(PAGE), Fence::new(PAGE));
    for unit in units() {
        for (left_parts, right_parts) in (1..=3).flat_map(|l| (1..=3).map(move |r| (l, r))) {
            for (steps, across) in [(1, 1), (1, 2), (2, 2), (3, 1), (4, 2)] {
                for side in [Side::Start, Side::End] {
                    let mut next = generator(steps + left_parts);
                    let mut left = LeftRows::new(left_parts);
                    for (part, row) in (0..left_parts).flat_map(|p| (0..TILE_ROWS).map(move |row| (p, row))) {
                        left.row_mut(part, row).fill_with(|| small(&mut next));
                    }
                    let mut right = vec![PairTile::ZERO; steps * right_parts * across];
                    right.iter_mut().flat_map(|tile| tile.0.as_flattened_mut()).for_each(|pair| {
                        *pair = u32::from(small(&mut next)) | u32::from(small(&mut next)) << 16;
                    });
                    let mut want = BlockSums([[0.5; 2 * TILE_WIDTH]; TILE_ROWS]);
                    let sums = &mut a.place(side, &[want])[0];
                    for (row, j) in (0..TILE_ROWS).flat_map(|row| (0..across * TILE_WIDTH).map(move |j| (row, j))) {
                        want.0[row][j] = 0.0;
                        for (step, k) in (0..steps).flat_map(|step| (0..TILE_DEPTH).map(move |k| (step, k))) {
                            for (p, q) in (0..left_parts).flat_map(|p| (0..right_parts).map(move |q| (p, q))) {
                                let tile = &right[(step * right_parts + q) * across + j / TILE_WIDTH];
                                let x = (tile.0[k / 2][j % TILE_WIDTH] >> (16 * (k % 2))) as u16;
                                let w = left.row_mut(p, row)[step * TILE_DEPTH + k];
                                let product = bf16::from_bits(w).to_f32() * bf16::from_bits(x).to_f32();
                                want.0[row][j] += if p + q <= 2 { product } else { 0.0 };
                            }
                        }
                    }
                    unit.begin().multiply(&left, (b.place(side, &right), right_parts, steps), sums);
                    let context = format!("{left_parts} and {right_parts} parts, {steps} steps, {across} tiles");
                    assert_eq!(sums.0, want.0, "{unit:?}, {side:?}, {context}");
                }
            }
        }
    }
}

#[test]
fn sums_between_guard_pages() {
    let (mut a, mut b) = (Fence::new(PAGE), Fence::new(PAGE));
    let block = BlockSums(std::array::from_fn(|row| std::array::from_fn(|j| (row * 100 + j) as f32)));
    for kernels in tables() {
        for (rows, width) in (0..=TILE_ROWS).flat_map(|rows| [0, 1, 5, 15, 16, 17, 31, 32].map(|width| (rows, width))) {
            for (stride, side) in [(width, Side::Start), (width, Side::End), (width + 3, Side::End)] {
                let before: Vec<f32> = (0..(rows.max(1) - 1) * stride + width).map(|i| i as f32).collect();
                for first in [false, true] {
                    let sums = a.place(side, &before);
                    let block = &b.place(side, &[block])[0];
                    kernels.add_sums(block, (sums, stride), (rows, width), first);
                    for (at, (&sum, &before)) in sums.iter().zip(&before).enumerate() {
                        let (row, j) = (at / stride, at % stride);
                        let inside = row < rows && j < width;
                        let want =
                            if inside { block.0[row][j] } else { 0.0 } + if inside && first { 0.0 } else { before };
                        assert_eq!(sum, want, "{:?}, {rows} x {width}, {side:?}, {at}", kernels.isa());
                    }
                }
            }
        }
    }
}
