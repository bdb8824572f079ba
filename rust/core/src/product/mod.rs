//! Products of packed matrices with float32, without the dense matrix: values are decoded in the first-level cache.
//!
//! `out = w @ x` for `x` (cols, k), all of it finite. Every row of `out` is summed by one thread, in an order that
//! depends on the row only, so any number of threads gives the same bits.

mod amx_gemm;
mod bsr;
mod csr;
mod csr_panel;
mod csr_spmm;
mod gemv;
mod integers;
mod masked;
mod nm24_bf16;
mod panel;
mod spmm_narrow;
mod values;

pub use bsr::bsr_matmul;
pub use csr::csr_matmul;
pub use masked::{bits_matmul, dense_matmul, nm_matmul};
pub use nm24_bf16::{nm24_bf16_is_fast, nm24_bf16_matmul};
pub use values::{Coding, Values};

use crate::{Error, Kernels, Matrix, MatrixMut, Result, par};

/// The widest matrix that is taken: working space is a row.
const MAX_COLS_NARROW: usize = 1 << 18;

/// Checks the shapes of `x` and `out` for a matrix of that shape.
fn check(x: &Matrix<'_, f32>, out: &MatrixMut<'_, f32>, shape: (usize, usize)) -> Result<()> {
    let wants = [
        ("rows of x", x.rows(), shape.1),
        ("rows of out", out.rows(), shape.0),
        ("columns of out", out.cols(), x.cols()),
    ];
    for (name, got, want) in wants {
        if got != want {
            return Err(Error::Length { name, got, want });
        }
    }
    Ok(())
}

/// A copy that starts at a multiple of 64 bytes: loads of whole registers that cross lines cost twice as much.
struct Aligned {
    items: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    fn new(source: &[f32]) -> Self {
        let mut made = Self::zeros(source.len());
        made.items_mut().copy_from_slice(source);
        made
    }

    fn zeros(len: usize) -> Self {
        let items = vec![0.0; len + 16];
        let start = items.as_ptr().align_offset(64).min(16);
        Self { items, start, len }
    }

    fn items_mut(&mut self) -> &mut [f32] {
        &mut self.items[self.start..self.start + self.len]
    }

    fn items(&self) -> &[f32] {
        &self.items[self.start..self.start + self.len]
    }
}

/// Whether no item is NaN or infinite. A product that leaves zeros out has a meaning for finite items only.
#[must_use]
pub fn all_finite(items: &[f32]) -> bool {
    let ranges = par::cut(items.len(), 64, size_of_val(items) / 4);
    par::map(ranges, |range| Kernels::active().all_finite(&items[range])).into_iter().all(|finite| finite)
}
