//! Packed sparse weights: functions over borrowed arrays, threaded, checked.
//!
//! The caller allocates, the functions here fill. A function whose output size depends on the data comes with one that
//! counts. Items move by width ([`Item`]); what they mean is the caller's business.
#![forbid(unsafe_code)]

mod codebook;
mod csr;
mod error;
mod item;
mod kmeans;
pub mod par;
mod stream;

pub use codebook::{Real, Slot, assign, decode_lut, histogram, lookup};
pub use csr::{count_nonzero, dense_row_counts, dense_to_csr};
pub use error::{Error, Result};
pub use item::{Index, Item};
pub use kmeans::kmeans_fit;
pub use sparsefmt_kernels::{Isa, Kernels};
pub use stream::{pack_stream, stream_padding, unpack_stream};
