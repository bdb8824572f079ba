//! Block-sparse rows: blocks of r rows and c columns, row-major inside, completed by zeros at the ragged edges.

mod block;
mod blocks;
mod csr;
mod dense;
mod set;

pub use block::Block;
pub use blocks::Blocks;
pub use csr::{csr_block_counts, from_csr, row_counts, to_csr};
pub(crate) use dense::row_ranges;
pub use dense::{block_counts, from_dense, from_dense_within, to_dense};
