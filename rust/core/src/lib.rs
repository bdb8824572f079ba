//! Packed sparse weights: functions over borrowed arrays, threaded, checked.
//!
//! The caller allocates, the functions here fill. A function whose output size depends on the data comes with one that
//! counts. Items move by width ([`Item`]); what they mean is the caller's business.
#![forbid(unsafe_code)]

pub mod bsr;
mod csr;
mod error;
mod item;
mod matrix;
pub mod nm;
pub mod par;

pub use csr::{count_nonzero, dense_row_counts, dense_to_csr};
pub use error::{Error, Result};
pub use item::{Index, Item};
pub use matrix::{Matrix, MatrixMut};
pub use sparsefmt_kernels::{Isa, Kernels};
