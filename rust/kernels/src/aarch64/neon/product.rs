//! Products: one column and a few columns by their own kernels, the rest by the portable loops with fused multiplications.

use super::compress::SPREAD_U32;
use super::registers::{load_f32, load_u8};
use super::{bitmask_dot, csr, nm24_gemv};
use crate::args::bsr_spmm::Blocks;
use crate::args::nm24_bf16::Nm24Bf16Table;
use crate::args::nm24_gemv::Nm24GemvTable;
use crate::args::product::{Chunk, Table};
use crate::args::strided::Strided;
use crate::scalar::bit_positions::count;
use crate::scalar::{bsr_spmm, csr as portable, nm24_bf16, product as plain};
use std::arch::aarch64::{
    float32x4_t, uint8x16x2_t, vaddvq_f32, vdupq_n_f32, vfmaq_f32, vqtbl2q_u8, vreinterpretq_f32_u8,
    vreinterpretq_u8_f32,
};

pub(crate) const TABLE: Table = Table {
    dot_f32: bitmask_dot::dot_f32,
    dot_f16: Some(bitmask_dot::dot_f16),
    dot_bf16: Some(bitmask_dot::dot_bf16),
    dot_codes: Some([bitmask_dot::dot_bytes, bitmask_dot::dot_nibbles]),
    dot_integers: [bitmask_dot::integers_of_bytes, bitmask_dot::integers_of_nibbles],
    fours: Some(FOURS),
    dots_4,
    dots_8,
    dots_16,
    pairs: Nm24Bf16Table { pack: nm24_bf16::pack, add: nm24_bf16::add, are_finite: nm24_bf16::are_finite },
    csr_dot_i32: csr::csr_dot_i32,
    csr_dot_i64,
    csr_row_i32: plain::csr_row::<i32, true>,
    csr_row_i64: plain::csr_row::<i64, true>,
    csr_spmm_i32: csr::csr_spmm_table(),
    csr_spmm_i64: csr::csr_spmm_table(),
    bsr_spmm_row,
    all_finite: plain::all_finite,
};

/// Where the CPU has `sdot`.
pub(crate) const DOTPROD: Table = Table {
    dot_integers: [bitmask_dot::integers_of_bytes_dotprod, bitmask_dot::integers_of_nibbles_dotprod],
    fours: Some(Nm24GemvTable {
        integers: [nm24_gemv::integers_of_bytes_dotprod, nm24_gemv::integers_of_nibbles_dotprod],
        ..FOURS
    }),
    ..TABLE
};

const FOURS: Nm24GemvTable = Nm24GemvTable {
    nm24_dot_f32: nm24_gemv::nm24_dot_f32,
    nm24_dot_f16: nm24_gemv::nm24_dot_f16,
    nm24_dot_bf16: nm24_gemv::nm24_dot_bf16,
    codes: [nm24_gemv::fours_bytes, nm24_gemv::fours_nibbles],
    integers: [nm24_gemv::integers_of_bytes, nm24_gemv::integers_of_nibbles],
};

/// 16 values where their bits are, and zeros between them.
#[inline]
#[target_feature(enable = "neon")]
fn spread(values: &[f32; 16], bits: [u8; 2]) -> [float32x4_t; 4] {
    let half = |first: usize, byte: u8| {
        let part = values[first..].first_chunk::<8>().unwrap_or(&[0.0; 8]);
        let [a, b] = [0, 1].map(|at| vreinterpretq_u8_f32(load_f32(&part.as_chunks().0[at])));
        let places = SPREAD_U32[usize::from(byte)].as_chunks::<16>().0;
        [0, 1].map(|at| vreinterpretq_f32_u8(vqtbl2q_u8(uint8x16x2_t(a, b), load_u8(&places[at]))))
    };
    let ([a, b], [c, d]) = (half(0, bits[0]), half(count(bits[0]), bits[1]));
    [a, b, c, d]
}

/// Set bits in 16 columns that are shorter one by one.
const FEW: usize = 2;

/// `P` of the columns, from `first` on: as many as have their sums in registers.
#[inline]
#[target_feature(enable = "neon")]
fn some<const J: usize, const P: usize>(
    values: &[f32],
    bits: &[u8],
    x: &[Chunk<J>],
    sums: &mut [f32; J],
    first: usize,
) {
    let (mut all, mut used) = ([vdupq_n_f32(0.0); P], 0);
    let (Some(sums), bits) = (sums[first..].first_chunk_mut::<P>(), bits.as_chunks::<2>().0) else { return };
    for (chunk, bits) in x.iter().zip(bits) {
        let Some(x) = chunk.0[first..].first_chunk::<P>() else { return };
        let rest = values.get(used..).unwrap_or_default();
        let found = count(bits[0]) + count(bits[1]);
        match rest.first_chunk() {
            Some(values) if found > FEW => {
                let values = spread(values, *bits);
                for (sum, x) in all.iter_mut().zip(x) {
                    for (&values, x) in values.iter().zip(x.as_chunks::<4>().0) {
                        *sum = vfmaq_f32(*sum, values, load_f32(x));
                    }
                }
            }
            _ => {
                let mut left = u16::from_le_bytes(*bits);
                for &value in &rest[..found.min(rest.len())] {
                    let lane = left.trailing_zeros() as usize % 16;
                    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum = value.mul_add(x[lane], *sum));
                    left &= left.wrapping_sub(1);
                }
            }
        }
        used += found;
    }
    sums.iter_mut().zip(all).for_each(|(sum, all)| *sum += vaddvq_f32(all));
}

macro_rules! few_columns {
    ($name:ident, $j:literal, $at_once:literal) => {
        /// See [`crate::Kernels::dots_8`].
        #[target_feature(enable = "neon")]
        fn $name(values: &[f32], bits: &[u8], x: &[Chunk<$j>], sums: &mut [f32; $j]) {
            for first in (0..$j).step_by($at_once) {
                some::<$j, $at_once>(values, bits, x, sums, first);
            }
        }
    };
}
few_columns!(dots_4, 4, 4);
few_columns!(dots_8, 8, 8);
few_columns!(dots_16, 16, 8);

/// See [`crate::Kernels::csr_dot_i64`].
#[target_feature(enable = "neon")]
fn csr_dot_i64(indices: &[i64], values: &[f32], x: &[f32]) -> Result<f32, usize> {
    portable::dot::<i64, true>(indices, values, x)
}

/// See [`crate::Kernels::bsr_spmm_row`].
#[target_feature(enable = "neon")]
fn bsr_spmm_row(w: &Blocks<'_>, x: &Strided<'_>, sums: &mut [f32], stride: usize) {
    bsr_spmm::bsr_spmm_row::<true>(w, x, sums, stride);
}
