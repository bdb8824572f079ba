//! Kernels for AVX2 with BMI2 (Haswell, Zen 1 and later).

pub(crate) mod affine;
pub(crate) mod bitmask_dot;
pub(crate) mod bsr_spmm;
mod columns;
pub(crate) mod compress;
pub(crate) mod csr;
pub(crate) mod gguf;
pub(crate) mod group_rows;
pub(crate) mod group_values;
pub(crate) mod kmeans_dp;
pub(crate) mod lookup;
pub(crate) mod merge;
pub(crate) mod merge_straight;
pub(crate) mod merge_voted;
pub(crate) mod nearest_centroid;
pub(crate) mod nm24_gemv;
pub(crate) mod nm24_pack;
pub(crate) mod nm24_unpack;
pub(crate) mod nm_code_table;
pub(crate) mod nonzero_bits;
pub(crate) mod panels;
pub(crate) mod philox;
pub(crate) mod product;
pub(crate) mod quantize_f16;
pub(crate) mod rank32;
pub(crate) mod slots;
pub(crate) mod topk;
