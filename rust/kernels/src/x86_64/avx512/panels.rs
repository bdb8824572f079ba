//! Products with many columns: 16 of them to a register, a step per stored value and none for zeros.
//!
//! What limits them is loads: two registers a cycle, which a multiplication takes for a row of `x`. So nothing else is
//! loaded for a value. Values are spread from a register by shuffles, and offsets of rows, which mask registers made of
//! bits, come four to a word.

use super::registers::{Columns, load_f32, store_f32};
use crate::args::panels::{AHEAD, DEPTH, Panel, PanelPositions, PanelRows, PanelValues, Table};
use crate::prefetch::prefetch_line;
use crate::scalar::panels as plain;
use std::arch::asm;
use std::arch::x86_64::{
    __m256i, __m512, __m512i, _mm_cvtsi32_si128, _mm256_loadu_si256, _mm256_storeu_si256, _mm512_add_epi16,
    _mm512_add_ps, _mm512_castsi512_ps, _mm512_cmplt_epu32_mask, _mm512_cvtepi32_epi16, _mm512_cvtepu16_epi32,
    _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_maskz_compress_epi16,
    _mm512_maskz_mov_ps, _mm512_mullo_epi16, _mm512_permute_ps, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_sll_epi32, _mm512_slli_epi32, _mm512_storeu_si512,
    _mm512_sub_epi32,
};

pub(crate) const TABLE: Table = Table { narrowest: 16, add: &[add::<1, 4>, add::<2, 4>, add::<4, 2>, add::<8, 1>] };

/// Rows whose offsets are made before the first of them is multiplied, so that none waits for its own.
const TOGETHER: usize = 8;

/// Offsets of rows of a panel, in bytes, and room to store behind them.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Offsets([u64; (DEPTH + 32) / 4]);

/// The numbers of 32 lanes.
static LANES: [u16; 32] = {
    let mut lanes = [0; 32];
    let mut i = 0;
    while i < 32 {
        lanes[i] = i as u16;
        i += 1;
    }
    lanes
};

/// A register that shuffles spread.
///
/// The empty assembly keeps the compiler from loading each item again instead.
#[inline]
#[target_feature(enable = "avx512f")]
fn apart(mut values: __m512) -> __m512 {
    // SAFETY: it does nothing.
    unsafe { asm!("/* {0} */", inout(zmm_reg) values, options(pure, nomem, nostack, preserves_flags)) };
    values
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_halves(items: &[u16; 16]) -> __m256i {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(items.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_shorts(items: &[u16; 32]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

/// Stores offsets behind `before` others.
#[inline]
#[target_feature(enable = "avx512f")]
fn put(room: &mut Offsets, before: u32, offsets: __m512i) {
    let to = room.0.as_mut_ptr().cast::<u16>().wrapping_add(before.min(32) as usize);
    // SAFETY: behind at most 32 items of 2 bytes there is room for 32; the store needs no alignment.
    unsafe { _mm512_storeu_si512(to.cast(), offsets) };
}

/// Writes the offsets of the rows of a panel, of `V` registers each, whose bits are set; returns their number.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
fn place<const V: usize>(bits: u64, room: &mut Offsets) -> usize {
    let bytes = _mm512_set1_epi16(64 * V as i16);
    let lanes = _mm512_mullo_epi16(load_shorts(&LANES), bytes);
    let half = _mm512_set1_epi16(32 * 64 * V as i16);
    let (low, high) = (bits as u32, (bits >> 32) as u32);
    put(room, 0, _mm512_maskz_compress_epi16(low, lanes));
    put(room, low.count_ones(), _mm512_maskz_compress_epi16(high, _mm512_add_epi16(lanes, half)));
    bits.count_ones() as usize
}

/// The same for the indices of items from number `start` on, as far as they are less than [`DEPTH`] above `first`.
/// Where there are not [`DEPTH`] of them, the portable loop looks at them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn place_near<const V: usize>(indices: &[i32], start: usize, first: usize, room: &mut Offsets) -> usize {
    let Some(some) = indices.get(start..).and_then(|rest| rest.first_chunk::<DEPTH>()) else {
        return place_each::<V>(indices, start, first, room);
    };
    let shift = _mm_cvtsi32_si128((64 * V).trailing_zeros() as i32);
    let (first, depth) = (_mm512_set1_epi32(first as i32), _mm512_set1_epi32(DEPTH as i32));
    let mut near = 0u64;
    for (q, some) in some.as_chunks::<16>().0.iter().enumerate() {
        // SAFETY: 64 readable bytes; the load needs no alignment.
        let at = _mm512_sub_epi32(unsafe { _mm512_loadu_si512(some.as_ptr().cast()) }, first);
        near |= u64::from(_mm512_cmplt_epu32_mask(at, depth)) << (16 * q);
        let bytes = _mm512_cvtepi32_epi16(_mm512_sll_epi32(at, shift));
        let words = room.0.as_mut_ptr().wrapping_add(4 * q).cast();
        // SAFETY: `q` is less than 4, and there is room for as many times 32 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(words, bytes) };
    }
    near.trailing_ones() as usize
}

/// The same one by one, for the last rows of the matrix.
#[inline(never)]
fn place_each<const V: usize>(indices: &[i32], start: usize, first: usize, room: &mut Offsets) -> usize {
    let mut places = [0; DEPTH];
    let count = plain::near(indices, start, first, &mut places);
    for (word, places) in room.0.iter_mut().zip(places.as_chunks::<4>().0) {
        *word = places.iter().rev().fold(0, |word, &place| (word << 16) | (u64::from(place) * 64 * V as u64));
    }
    count
}

/// 16 items of a panel.
#[inline]
#[target_feature(enable = "avx512f")]
fn part<const V: usize>(x: &Panel, offset: u16, q: usize) -> __m512 {
    const { assert!(64 * V + (1 << 16) <= size_of::<Panel>()) };
    let start = x.0.as_ptr().wrapping_byte_add(usize::from(offset) + 64 * (q % V));
    // SAFETY: whatever the offset, `V` registers from it on are inside; the load needs no alignment.
    unsafe { _mm512_loadu_ps(start) }
}

/// Adds the products of at most 4 values, the same in each quarter of the register, with the rows at these
/// offsets.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_four<const V: usize, const C: usize>(values: __m512, word: u64, x: &Panel, all: &mut [[__m512; V]; C]) {
    macro_rules! add {
        ($i:literal, $lane:literal) => {
            let value = _mm512_permute_ps::<$lane>(values);
            for (q, sum) in all[$i % C].iter_mut().enumerate() {
                *sum = _mm512_fmadd_ps(value, part::<V>(x, (word >> (16 * $i)) as u16, q), *sum);
            }
        };
    }
    add!(0, 0x00);
    add!(1, 0x55);
    add!(2, 0xAA);
    add!(3, 0xFF);
}

/// Adds the products of the first `count` of 16 values; the others are zeros.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_some<const V: usize, const C: usize>(
    values: __m512,
    offsets: &[u64; 4],
    count: usize,
    x: &Panel,
    all: &mut [[__m512; V]; C],
) {
    add_four(_mm512_shuffle_f32x4::<0x00>(values, values), offsets[0], x, all);
    if count > 4 {
        add_four(_mm512_shuffle_f32x4::<0x55>(values, values), offsets[1], x, all);
    }
    if count > 8 {
        add_four(_mm512_shuffle_f32x4::<0xAA>(values, values), offsets[2], x, all);
    }
    if count > 12 {
        add_four(_mm512_shuffle_f32x4::<0xFF>(values, values), offsets[3], x, all);
    }
}

/// The row of sums. Registers without columns are left out: a load without lanes from nowhere is slow.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_sums<const V: usize>(sums: &[f32]) -> [__m512; V] {
    let mut all = [_mm512_setzero_ps(); V];
    if sums.len() == 16 * V {
        all.iter_mut().zip(sums.as_chunks().0).for_each(|(all, sums)| *all = load_f32(sums));
    } else {
        let (columns, of) = (Columns::new(sums.len()), sums.len().div_ceil(16));
        all.iter_mut().enumerate().take(of).for_each(|(q, all)| *all = columns.load(sums, q, of));
    }
    all
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_sums<const V: usize>(sums: &mut [f32], all: [__m512; V]) {
    if sums.len() == 16 * V {
        sums.as_chunks_mut().0.iter_mut().zip(all).for_each(|(sums, all)| store_f32(sums, all));
    } else {
        let (columns, of) = (Columns::new(sums.len()), sums.len().div_ceil(16));
        all.into_iter().enumerate().take(of).for_each(|(q, all)| columns.store(sums, q, of, all));
    }
}

/// Asks for items from number `at` on: three quarters of [`DEPTH`], which is what is loaded of a row that is half
/// full, or all if there may be as many.
#[inline]
#[target_feature(enable = "avx512f")]
fn ask<T>(items: &[T], at: usize, count: usize) {
    let line = 64 / size_of::<T>();
    for ahead in 0..=(DEPTH * 3 / 4).div_ceil(line) {
        prefetch_line(items, at.wrapping_add(ahead * line));
    }
    if count > DEPTH * 5 / 8 {
        prefetch_line(items, at.wrapping_add(DEPTH));
    }
}

/// The rows, whose items `wide` makes float32, 16 at a time.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi1,bmi2,popcnt")]
fn rows<const V: usize, const C: usize, T: Copy + Default>(
    w: &PanelRows<'_>,
    items: &[T],
    cursors: &mut [usize],
    x: &Panel,
    sums: &mut [f32],
    wide: impl Fn(&[T; 16]) -> __m512,
) {
    let (mut offsets, mut counts) = ([Offsets([0; (DEPTH + 32) / 4]); TOGETHER], [0; TOGETHER]);
    let mut room = [T::default(); DEPTH];
    for first in (0..cursors.len()).step_by(TOGETHER) {
        let some = first..cursors.len().min(first + TOGETHER);
        for ((row, offsets), count) in some.clone().zip(&mut offsets).zip(&mut counts) {
            *count = match w.places {
                PanelPositions::Bits(bits) => place::<V>(u64::from_le_bytes(bits[row]), offsets),
                PanelPositions::Indices(indices, column, ends) => {
                    if let Some(&to_come) = cursors.get(row + AHEAD) {
                        ask(indices, to_come, DEPTH);
                    }
                    place_near::<V>(indices, cursors[row], column, offsets).min(ends[row].saturating_sub(cursors[row]))
                }
            };
        }
        for ((row, offsets), &count) in some.zip(&offsets).zip(&counts) {
            if let Some(&to_come) = cursors.get(row + AHEAD) {
                ask(items, to_come, count);
            }
            let rest = items.get(cursors[row]..).unwrap_or_default();
            cursors[row] = cursors[row].wrapping_add(count);
            let (values, count) = match rest.first_chunk::<DEPTH>() {
                Some(values) => (values, count),
                None => {
                    room[..rest.len()].copy_from_slice(rest);
                    (&room, count.min(rest.len()))
                }
            };
            let sums = &mut sums[row * w.stride..][..w.width];
            let mut all = [[_mm512_setzero_ps(); V]; C];
            if !w.first {
                all[0] = load_sums(sums);
            }
            let mut parts = values.as_chunks::<16>().0.iter().zip(offsets.0.as_chunks::<4>().0);
            for (values, offsets) in parts.by_ref().take(count / 16) {
                add_some(wide(values), offsets, 16, x, &mut all);
            }
            if let Some((values, offsets)) = parts.next().filter(|_| count % 16 > 0) {
                let values = _mm512_maskz_mov_ps((1 << (count % 16)) - 1, wide(values));
                add_some(values, offsets, count % 16, x, &mut all);
            }
            let mut total = all[0];
            for more in &all[1..] {
                total.iter_mut().zip(more).for_each(|(total, &more)| *total = _mm512_add_ps(*total, more));
            }
            store_sums(sums, total);
        }
    }
}

/// See [`crate::Kernels::add_panel`]: `V` registers of columns, summed `C` times by turns, so that additions need not
/// wait for each other.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi1,bmi2,popcnt")]
fn add<const V: usize, const C: usize>(w: &PanelRows<'_>, cursors: &mut [usize], x: &Panel, sums: &mut [f32]) {
    match w.values {
        PanelValues::F32(items) => rows::<V, C, _>(w, items, cursors, x, sums, |items| apart(load_f32(items))),
        PanelValues::F16(items) => {
            rows::<V, C, _>(w, items, cursors, x, sums, |items| apart(_mm512_cvtph_ps(load_halves(items))));
        }
        PanelValues::Bf16(items) => rows::<V, C, _>(w, items, cursors, x, sums, |items| {
            let wide = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(load_halves(items)));
            apart(_mm512_castsi512_ps(wide))
        }),
    }
}
