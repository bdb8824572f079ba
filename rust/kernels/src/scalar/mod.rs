//! Portable kernels: the meaning in Rust, and what every faster table falls back to.

pub(crate) mod affine;
pub(crate) mod amx_gemm;
pub(crate) mod bit_positions;
pub(crate) mod bsr_spmm;
pub(crate) mod compress;
pub(crate) mod csr;
pub(crate) mod gguf;
pub(crate) mod gguf_k;
pub(crate) mod group_values;
pub(crate) mod kmeans_dp;
pub(crate) mod lookup;
pub(crate) mod merge;
mod merge_straight;
pub(crate) mod nearest_centroid;
pub(crate) mod nm24_bf16;
pub(crate) mod nm24_pack;
pub(crate) mod nm24_radix;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod nm24_steps;
pub(crate) mod nm_code_table;
pub(crate) mod nonzero_bits;
pub(crate) mod panels;
pub(crate) mod philox;
pub(crate) mod product;
pub(crate) mod quantize_f16;
pub(crate) mod radix;
pub(crate) mod rank32;
pub(crate) mod slots;
pub(crate) mod topk;
