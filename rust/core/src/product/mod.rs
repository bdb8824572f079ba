//! Products of packed matrices with float32, without the dense matrix: values are decoded in the first-level cache.
//!
//! `out = w @ x` for `x` (cols, k), all of it finite. Every row of `out` is summed by one thread, in an order that
//! depends on the row only, so any number of threads gives the same bits.

mod aligned;
mod amx_gemm;
mod bsr;
mod csr;
mod csr_panel;
mod csr_rows;
mod csr_spmm;
mod gemv;
mod integers;
mod masked;
mod masked_rows;
mod nm24_bf16;
mod panel;
mod plan;
mod shapes;
mod spmm_narrow;
mod values;

pub use bsr::bsr_matmul;
pub use csr::csr_matmul;
pub use masked::{bits_matmul, dense_matmul, nm_matmul};
pub use nm24_bf16::{nm24_bf16_is_fast, nm24_bf16_matmul};
pub use plan::{Kind, Plan, Stored, Task, Way, planned, taken};
pub use shapes::all_finite;
pub use values::{Coding, Values};
