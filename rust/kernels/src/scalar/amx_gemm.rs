//! Products in tiles: parts of numbers, and a model of the registers.

use crate::args::amx_gemm::{BlockSums, Extent, PairTile, Registers, TILE_DEPTH, TILE_WIDTH, TileItem, holds_tile};
use half::f16;

/// See [`crate::Kernels::extent`].
#[inline(always)]
pub(crate) fn extent(items: &[f32]) -> Extent {
    items.iter().fold(Extent::NONE, |found, item| add(found, item.to_bits() & 0x7FFF_FFFF))
}

/// See [`crate::Kernels::extent_bf16`].
#[inline(always)]
pub(crate) fn extent_bf16(items: &[u16]) -> Extent {
    items.iter().fold(Extent::NONE, |found, &item| add(found, u32::from(item & 0x7FFF) << 16))
}

#[inline(always)]
fn add(found: Extent, bits: u32) -> Extent {
    found.and(Extent { below: bits.wrapping_sub(1), most: bits, bits })
}

/// See [`crate::Kernels::cut_part`].
#[inline(always)]
pub(crate) fn cut_part(items: &mut [f32], part: &mut [u16]) -> bool {
    let mut left = 0;
    for (item, part) in items.iter_mut().zip(part) {
        let nearest = item.to_bits().wrapping_add(0x8000) & 0xFFFF_0000;
        *part = (nearest >> 16) as u16;
        *item -= f32::from_bits(nearest);
        left |= item.to_bits() & 0x7FFF_FFFF;
    }
    left != 0
}

/// See [`crate::Kernels::split_f16`].
pub(crate) fn split_f16(items: &[u16], bits: &[u8], high: &mut [u16], low: &mut [u16]) -> u16 {
    let (mut items, mut most) = (items.iter(), 0);
    for (at, (high, low)) in high.iter_mut().zip(low).enumerate() {
        let is_set = bits[at / 8] >> (at % 8) & 1 != 0;
        let item = if is_set { items.next().copied().unwrap_or_default() } else { 0 };
        most = most.max(item & 0x7FFF);
        let mut value = [f16::from_bits(item).to_f32()];
        for part in [high, low] {
            let _ = cut_part(&mut value, std::slice::from_mut(part));
        }
    }
    most
}

/// See [`crate::Kernels::pair_rows`].
#[inline(always)]
pub(crate) fn pair_rows(rows: &[[u16; TILE_WIDTH]; TILE_DEPTH], tile: &mut PairTile) {
    for (pair, to) in rows.as_chunks::<2>().0.iter().zip(&mut tile.0) {
        for ((to, &low), &high) in to.iter_mut().zip(&pair[0]).zip(&pair[1]) {
            *to = u32::from(low) | u32::from(high) << 16;
        }
    }
}

/// See [`crate::Kernels::add_sums`].
#[inline(always)]
pub(crate) fn add_sums(block: &BlockSums, (sums, stride): (&mut [f32], usize), shape: (usize, usize), first: bool) {
    for (row, from) in block.0[..shape.0].iter().enumerate() {
        let to = &mut sums[row * stride..][..shape.1];
        match (first, <&mut [f32; 2 * TILE_WIDTH]>::try_from(&mut *to)) {
            (true, Ok(to)) => *to = *from,
            (false, Ok(to)) => to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
            (true, _) => to.copy_from_slice(&from[..shape.1]),
            (false, _) => to.iter_mut().zip(from).for_each(|(to, from)| *to += from),
        }
    }
}

/// Eight tiles.
#[derive(Debug, Default)]
pub(crate) struct Model([[[u32; 16]; 16]; 8]);

impl Registers for Model {
    fn zero<const T: usize>(&mut self) {
        self.0[T] = [[0; 16]; 16];
    }

    fn load<const T: usize, I: TileItem>(&mut self, items: &[I], stride: usize) {
        assert!(holds_tile(items.len(), stride, I::LANES), "rows of a tile");
        self.0[T] = std::array::from_fn(|row| I::words(&items[row * stride..][..I::LANES]));
    }

    fn store<const T: usize>(&mut self, items: &mut [f32], stride: usize) {
        assert!(holds_tile(items.len(), stride, 16), "rows of a tile");
        for (row, words) in self.0[T].iter().enumerate() {
            for (to, &word) in items[row * stride..].iter_mut().zip(words) {
                *to = f32::from_bits(word);
            }
        }
    }

    fn add_product<const C: usize, const A: usize, const B: usize>(&mut self) {
        let (a, b) = (self.0[A], self.0[B]);
        for (sums, a) in self.0[C].iter_mut().zip(&a) {
            add_row(sums, a, &b);
        }
    }
}

/// A row of `TDPBF16PS` (Intel's manual, volume 2): the lower halves of pairs are summed on their own, as are the upper
/// ones, in order; then both sums are added, and the result is added to the sum that was there. Subnormal numbers count
/// as zeros at every step, and rounding is to nearest, ties to even.
///
/// Unlike there, a result that rounds up to the least normal number is kept where it lies below it by less than half of
/// its last bit: no product that is asked of tiles comes near.
pub(crate) fn add_row(sums: &mut [u32; 16], a: &[u32; 16], b: &[[u32; 16]; 16]) {
    for (n, sum) in sums.iter_mut().enumerate() {
        let (mut low, mut high) = (0.0, 0.0);
        for (&a, b) in a.iter().zip(b) {
            low = fused(wide(a << 16), wide(b[n] << 16), low);
            high = fused(wide(a & 0xFFFF_0000), wide(b[n] & 0xFFFF_0000), high);
        }
        *sum = flushed(wide(*sum) + flushed(low + high)).to_bits();
    }
}

fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0.0f32.copysign(x) } else { x }
}

fn wide(bits: u32) -> f32 {
    flushed(f32::from_bits(bits))
}

/// `a * b + c`, rounded once. The product of two numbers of bfloat16 is exact where it is normal.
fn fused(a: f32, b: f32, c: f32) -> f32 {
    let product = a * b;
    flushed(if product.is_normal() || a == 0.0 || b == 0.0 { product + c } else { a.mul_add(b, c) })
}
