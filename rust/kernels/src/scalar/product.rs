//! Products, written so that the compiler vectorises them for whatever instruction set they are inlined into.

use crate::args::product::Chunk;
use crate::args::strided::Strided;

/// `a * b + c`, rounded once where the CPU does that (`F`).
#[inline(always)]
pub(super) fn fma<const F: bool>(a: f32, b: f32, c: f32) -> f32 {
    if F { a.mul_add(b, c) } else { a * b + c }
}

/// An index of int32 or int64.
pub(crate) trait Index: Copy {
    /// As a row; a negative one becomes larger than any number of rows.
    fn row(self) -> usize;
}

impl Index for i32 {
    #[inline(always)]
    fn row(self) -> usize {
        self as usize
    }
}

impl Index for i64 {
    #[inline(always)]
    fn row(self) -> usize {
        self as usize
    }
}

/// See [`crate::Kernels::dot_f32`].
#[inline(always)]
pub(crate) fn dot_f32<const F: bool>(values: &[f32], bits: &[u8], x: &[f32]) -> (f32, usize) {
    let (mut sums, mut used) = ([0.0f32; 8], 0);
    for (&byte, x) in bits.iter().zip(x.chunks(8)) {
        let mask = byte & (0xFF >> (8 - x.len()));
        let count = mask.count_ones() as usize;
        let rest = values.get(used..).unwrap_or_default();
        if mask == 0xFF && rest.len() >= 8 {
            sums.iter_mut().zip(rest).zip(x).for_each(|((sum, &value), &x)| *sum = fma::<F>(value, x, *sum));
        } else {
            let mut left = mask;
            for &value in &rest[..count.min(rest.len())] {
                let at = left.trailing_zeros() as usize;
                sums[at & 7] = fma::<F>(value, x[at], sums[at & 7]);
                left &= left.wrapping_sub(1);
            }
        }
        used += count;
    }
    (sums.iter().sum(), used)
}

/// Code `at` of a stream of signed ones of `B` bits, 8 or 4, if it is there.
#[inline(always)]
pub(crate) fn code<const B: usize>(stream: &[u8], at: usize) -> Option<i8> {
    match B {
        8 => stream.get(at).map(|&code| code as i8),
        _ => stream.get(at / 2).map(|&pair| (pair >> (at % 2 * 4) << 4) as i8 >> 4),
    }
}

/// See [`crate::Kernels::dot_integers`]; codes of `B` bits, 8 or 4.
#[inline(always)]
pub(crate) fn dot_integers<const B: usize>(
    stream: &[u8],
    start: usize,
    bits: &[u8],
    x: &[u8],
    scale: &[f32],
) -> (f32, usize) {
    let (mut sum, mut used) = (0.0, 0);
    for ((x, bits), &scale) in x.chunks(64).zip(bits.chunks(8)).zip(scale) {
        let mut whole = 0i32;
        for (i, &x) in x.iter().enumerate() {
            if bits[i / 8] >> (i % 8) & 1 == 1 {
                whole += i32::from(code::<B>(stream, start + used).unwrap_or(0)) * (i32::from(x) - 128);
                used += 1;
            }
        }
        sum += whole as f32 * scale;
    }
    (sum, used)
}

/// See [`crate::Kernels::dot_codes`]; codes of `B` bits, one by one: what the kernels leave at the end.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[cold]
#[inline(never)]
pub(crate) fn codes_left<const B: usize>(
    stream: &[u8],
    start: usize,
    bits: &[u8],
    x: &[f32],
    scale: &[f32],
) -> (f32, usize) {
    let (mut sum, mut used) = (0.0, 0);
    for (i, &x) in x.iter().enumerate() {
        if bits[i / 8] >> (i % 8) & 1 == 1 {
            let code = code::<B>(stream, start + used);
            sum += code.map_or(0.0, |code| f32::from(code) * scale[i / 64] * x);
            used += 1;
        }
    }
    (sum, used)
}

/// See [`crate::Kernels::dots_8`].
#[inline(always)]
pub(crate) fn dots<const J: usize, const F: bool>(values: &[f32], bits: &[u8], x: &[Chunk<J>], sums: &mut [f32; J]) {
    let mut rest = values.iter();
    for (chunk, bits) in x.iter().zip(bits.as_chunks::<2>().0) {
        let mut left = u16::from_le_bytes(*bits);
        while left != 0 {
            let Some(&value) = rest.next() else { return };
            let lane = left.trailing_zeros() as usize % 16;
            for (sum, x) in sums.iter_mut().zip(&chunk.0) {
                *sum = fma::<F>(value, x[lane], *sum);
            }
            left &= left - 1;
        }
    }
}

/// See [`crate::Kernels::csr_row_i32`].
#[inline(always)]
pub(crate) fn csr_row<I: Index, const F: bool>(
    indices: &[I],
    values: &[f32],
    x: &Strided<'_>,
    sums: &mut [f32],
) -> Result<(), usize> {
    for (i, (index, &value)) in indices.iter().zip(values).enumerate() {
        if index.row() >= x.rows {
            return Err(i);
        }
        let row = &x.items[index.row() * x.stride + x.first..][..x.width];
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum = fma::<F>(value, x, *sum));
    }
    Ok(())
}

/// See [`crate::Kernels::all_finite`].
#[inline(always)]
pub(crate) fn all_finite(items: &[f32]) -> bool {
    const INFINITY: u32 = f32::INFINITY.to_bits();
    let largest = items.iter().fold(0, |most, item| most.max(item.to_bits() & (u32::MAX >> 1)));
    largest < INFINITY
}
