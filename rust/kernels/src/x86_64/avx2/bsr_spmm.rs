//! Products of a row of blocks: the sums of one column stay in registers from block to block; more columns go by the
//! portable loop, which reads each row of `x` once for a block, whatever cache it is in.

use crate::args::bsr_spmm::Blocks;
use crate::args::strided::Strided;
use crate::prefetch::prefetch_ahead;
use crate::scalar::bsr_spmm;
use crate::scalar::csr::AHEAD;
use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_castps256_ps128,
    _mm256_cmpgt_epi32, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_ps, _mm256_set1_epi32,
    _mm256_setr_epi32, _mm256_setzero_ps,
};

/// Items of a register.
const LANES: usize = 8;

/// The first `len` lanes, or all.
#[inline]
#[target_feature(enable = "avx2")]
fn lanes(len: usize) -> __m256i {
    let len = _mm256_set1_epi32(len.min(LANES) as i32);
    _mm256_cmpgt_epi32(len, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

/// The first items; lanes behind the last hold zero.
#[inline]
#[target_feature(enable = "avx2")]
fn load(items: &[f32]) -> __m256 {
    let lanes = lanes(items.len());
    // SAFETY: lanes behind the last item are not read.
    unsafe { _mm256_maskload_ps(items.as_ptr(), lanes) }
}

/// Loads a whole register.
#[inline]
#[target_feature(enable = "avx2")]
fn load_whole(items: &[f32; LANES]) -> __m256 {
    // SAFETY: eight readable items, which the type says; the load needs no alignment.
    unsafe { _mm256_loadu_ps(items.as_ptr()) }
}

/// The sum of all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn sum(lanes: __m256) -> f32 {
    let fours = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
    let twos = _mm_add_ps(fours, _mm_movehl_ps(fours, fours));
    _mm_cvtss_f32(_mm_add_ss(twos, _mm_movehdup_ps(twos)))
}

/// The rows of a block from `row` on, as far as they count.
#[inline(always)]
fn rows<'a, const R: usize>(w: &Blocks<'_>, items: &'a [f32], row: usize) -> [&'a [f32]; R] {
    std::array::from_fn(|r| &items[(row + r) * w.across..][..w.depth])
}

/// One column: `R` rows of all blocks, from `row` on. Returns `R`.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn column<const R: usize>(w: &Blocks<'_>, row: usize, x: &[f32], sums: &mut [f32], stride: usize) -> usize {
    let mut all = [_mm256_setzero_ps(); R];
    for (items, &start) in w.items.chunks_exact(w.area).zip(w.starts) {
        prefetch_ahead(items, AHEAD);
        let (rows, x) = (rows::<R>(w, items, row), &x[start..][..w.depth]);
        let (whole, rest) = x.as_chunks::<LANES>();
        let cut = w.depth - rest.len();
        for (at, part) in whole.iter().enumerate() {
            let part = load_whole(part);
            for (all, row) in all.iter_mut().zip(&rows) {
                if let Some(items) = row[LANES * at..].first_chunk() {
                    *all = _mm256_fmadd_ps(load_whole(items), part, *all);
                }
            }
        }
        if !rest.is_empty() {
            let part = load(rest);
            for (all, row) in all.iter_mut().zip(&rows) {
                *all = _mm256_fmadd_ps(load(&row[cut..]), part, *all);
            }
        }
    }
    for (r, &all) in all.iter().enumerate() {
        sums[r * stride] += sum(all);
    }
    R
}

/// See [`crate::Kernels::bsr_spmm_row`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
pub(crate) fn bsr_spmm_row(w: &Blocks<'_>, x: &Strided<'_>, sums: &mut [f32], stride: usize) {
    if x.stride != 1 || x.width != 1 {
        return bsr_spmm::bsr_spmm_row::<true>(w, x, sums, stride);
    }
    let (x, mut row) = (&x.items[x.first..], 0);
    while row < w.rows {
        let sums = &mut sums[row * stride..];
        row += match w.rows - row {
            8.. => column::<8>(w, row, x, sums, stride),
            4.. => column::<4>(w, row, x, sums, stride),
            2.. => column::<2>(w, row, x, sums, stride),
            _ => column::<1>(w, row, x, sums, stride),
        };
    }
}
