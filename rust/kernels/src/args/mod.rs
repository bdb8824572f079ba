//! What kernels take: types of arguments, and the signatures of each family as a table of functions.

pub(crate) mod affine;
pub(crate) mod amx_gemm;
pub(crate) mod bsr_spmm;
pub(crate) mod compress;
pub(crate) mod csr_spmm;
pub(crate) mod gguf;
pub(crate) mod group_values;
pub(crate) mod kmeans_dp;
pub(crate) mod lookup;
pub(crate) mod merge;
pub(crate) mod nearest_centroid;
pub(crate) mod nm24_bf16;
pub(crate) mod nm24_gemv;
pub(crate) mod nm24_pack;
pub(crate) mod nm_code_table;
pub(crate) mod nontemporal;
pub(crate) mod nonzero_bits;
pub(crate) mod panels;
pub(crate) mod philox;
pub(crate) mod product;
pub(crate) mod quantize_f16;
pub(crate) mod rank;
pub(crate) mod scatter;
pub(crate) mod slots;
pub(crate) mod strided;
pub(crate) mod topk;
