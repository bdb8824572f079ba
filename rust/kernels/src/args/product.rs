//! Arguments of products with few columns, and their signatures.

use crate::args::bsr_spmm::BlockRow;
use crate::args::csr_spmm::CsrSpmmTable;
use crate::args::nm24_bf16::Nm24Bf16Table;
use crate::args::nm24_gemv::Nm24GemvTable;
use crate::args::strided::Strided;

/// 16 rows of a block of the right factor, `J` columns of them one behind the other.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Chunk<const J: usize>(pub [[f32; 16]; J]);

impl<const J: usize> Chunk<J> {
    /// All zeros.
    pub const ZERO: Self = Self([[0.0; 16]; J]);
}

pub(crate) type Dot<T> = unsafe fn(&[T], &[u8], &[f32]) -> (f32, usize);
pub(crate) type DotCodes = unsafe fn(&[u8], usize, &[u8], &[f32], &[f32]) -> (f32, usize);
pub(crate) type DotIntegers = unsafe fn(&[u8], usize, &[u8], &[u8], &[f32]) -> (f32, usize);
pub(crate) type Dots<const J: usize> = unsafe fn(&[f32], &[u8], &[Chunk<J>], &mut [f32; J]);
pub(crate) type CsrDot<I> = unsafe fn(&[I], &[f32], &[f32]) -> Result<f32, usize>;
pub(crate) type CsrRow<I> = unsafe fn(&[I], &[f32], &Strided<'_>, &mut [f32]) -> Result<(), usize>;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) dot_f32: Dot<f32>,
    /// Where they beat widening first.
    pub(crate) dot_f16: Option<Dot<u16>>,
    pub(crate) dot_bf16: Option<Dot<u16>>,
    /// int8 and int4.
    pub(crate) dot_codes: Option<[DotCodes; 2]>,
    pub(crate) dot_integers: [DotIntegers; 2],
    /// Where they beat the same with a bit for each column.
    pub(crate) fours: Option<Nm24GemvTable>,
    pub(crate) dots_4: Dots<4>,
    pub(crate) dots_8: Dots<8>,
    pub(crate) dots_16: Dots<16>,
    pub(crate) pairs: Nm24Bf16Table,
    pub(crate) csr_dot_i32: CsrDot<i32>,
    pub(crate) csr_dot_i64: CsrDot<i64>,
    pub(crate) csr_row_i32: CsrRow<i32>,
    pub(crate) csr_row_i64: CsrRow<i64>,
    pub(crate) csr_spmm_i32: CsrSpmmTable<i32>,
    pub(crate) csr_spmm_i64: CsrSpmmTable<i64>,
    pub(crate) bsr_spmm_row: BlockRow,
    pub(crate) all_finite: unsafe fn(&[f32]) -> bool,
}
