//! Kernels for AVX-512 with BW, VL and VBMI2 (Ice Lake, Zen 4 and later).

pub(crate) mod affine;
pub(crate) mod amx_gemm;
pub(crate) mod bitmask_dot;
pub(crate) mod bsr_spmm;
pub(crate) mod compress;
pub(crate) mod csr;
pub(crate) mod kmeans_dp;
pub(crate) mod lookup;
pub(crate) mod merge;
pub(crate) mod nearest_centroid;
pub(crate) mod nm24_bf16;
pub(crate) mod nm24_gemv;
pub(crate) mod nm24_pack;
mod nm24_permutations;
pub(crate) mod nm_code_table;
pub(crate) mod nonzero_bits;
pub(crate) mod panels;
pub(crate) mod philox;
pub(crate) mod product;
pub(crate) mod quantize_f16;
pub(crate) mod rank16;
pub(crate) mod rank32;
mod registers;
pub(crate) mod scatter;
pub(crate) mod slots;
pub(crate) mod topk;
pub(crate) mod topk_network;
