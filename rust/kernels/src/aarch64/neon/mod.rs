//! Kernels for NEON, which every 64-bit ARM has; products of bytes by `sdot` where the CPU has that (Armv8.2 dotprod).
//!
//! Conversions of float16 are part of NEON. Rust's types for it are younger than this crate's oldest compiler, so
//! those instructions are written as assembly, as are those of dotprod.

pub(crate) mod affine;
mod bitmask_dot;
pub(crate) mod compress;
mod csr;
pub(crate) mod lookup;
mod nm24_gemv;
pub(crate) mod nm24_pack;
pub(crate) mod nm_code_table;
pub(crate) mod nonzero_bits;
pub(crate) mod panels;
pub(crate) mod product;
pub(crate) mod quantize_f16;
mod registers;
pub(crate) mod slots;
pub(crate) mod topk;
