//! The Python extension `sparsefmt._native`: borrow arrays, detach from the interpreter, translate errors.
//!
//! Every function has the name and the arguments of its NumPy definition in `sparsefmt.kernels`.

mod affine;
mod affine_rows;
mod affine_segments;
mod arrays;
mod bitmask;
mod blake3;
mod borrow;
mod bsr;
mod checksum;
mod clustered;
mod codebook;
mod coo;
mod csc;
mod csr;
mod delta;
mod equal;
mod exit;
mod gap;
mod gap_items;
mod gguf;
mod grid;
mod header;
mod header_text;
mod kmeans;
mod marlin24;
mod matrix_market;
mod memory;
mod merge;
mod nm;
mod nm_radix;
mod nm_rans;
mod packing;
mod philox;
mod plan;
mod product;
mod scaled_floats;
mod settings;
mod stream;
mod transposable;
mod word_columns;
mod words;

use pyo3::prelude::*;

/// Functions that replace the NumPy definitions of the same name.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::affine::{affine_dequantize, affine_extremes, affine_quantize};
    #[pymodule_export]
    use super::affine_rows::{
        bits_affine_decode, bits_affine_encode, csr_affine_decode, csr_affine_encode, nm_affine_decode,
        nm_affine_encode,
    };
    #[pymodule_export]
    use super::affine_segments::{bits_segments, csr_segments, segment_dequantize, segment_extremes, segment_quantize};
    #[pymodule_export]
    use super::bitmask::{
        bits_check, bits_gather, bits_to_dense, bits_to_indices, csr_to_bits, dense_to_bits, dense_to_bits_within,
    };
    #[pymodule_export]
    use super::blake3::blake3_hash;
    #[pymodule_export]
    use super::bsr::{
        bsr_block_counts, bsr_row_counts, bsr_to_csr, bsr_to_dense, csr_block_counts, csr_to_bsr, dense_to_bsr,
        dense_to_bsr_within,
    };
    #[pymodule_export]
    use super::checksum::{xxh3_128, xxh3_blocks, xxh3_rows, xxh3_spans};
    #[pymodule_export]
    use super::clustered::{nm_lut_decode, nm_nearest_encode};
    #[pymodule_export]
    use super::codebook::{assign, decode_lut, lookup, nearest16};
    #[pymodule_export]
    use super::coo::{compress_rows, coo_check, coo_order, coo_to_csr, coo_to_dense, expand_indptr};
    #[pymodule_export]
    use super::csc::{count_indices, csc_to_dense, csr_transpose, dense_col_counts, dense_to_csc};
    #[pymodule_export]
    use super::csr::{
        count_nonzero, csr_check, csr_to_dense, dense_row_counts, dense_sample, dense_to_csr, dense_to_csr_new,
        dense_to_csr_within,
    };
    #[pymodule_export]
    use super::delta::{add_gaps, add_steps, delta_gaps, delta_steps};
    #[pymodule_export]
    use super::equal::{bits_equal, csr_equal, nm_equal};
    #[pymodule_export]
    use super::exit::interpreter_ends;
    #[pymodule_export]
    use super::gap::{
        csr_gap_counts, csr_to_gaps, dense_gap_counts, dense_to_gaps, gap_check, gaps_to_dense, gaps_to_indices,
    };
    #[pymodule_export]
    use super::gap_items::{gaps_put, gaps_take};
    #[pymodule_export]
    use super::gguf::{gguf_decode, gguf_q4_0_codes, gguf_q8_0_codes};
    #[pymodule_export]
    use super::grid::grid_decode;
    #[pymodule_export]
    use super::header::parse_header;
    #[pymodule_export]
    use super::kmeans::{histogram16, kmeans_fit, range_sums, sort_f32};
    #[pymodule_export]
    use super::marlin24::{marlin24_codes, marlin24_meta};
    #[pymodule_export]
    use super::matrix_market::{matrix_market_entries, matrix_market_text, matrix_market_values};
    #[pymodule_export]
    use super::merge::{merge_between, merge_finite, merge_gram, merge_histogram, merge_mix, merge_norms};
    #[pymodule_export]
    use super::nm::{
        csr_to_nm, nm_check, nm_decode, nm_encode, nm_prune, nm_prune_encode, nm_row_counts, nm_select, nm_to_csr,
        nm_update, nm24_from_mask,
    };
    #[pymodule_export]
    use super::nm_radix::{
        nm_radix_check, nm_radix_decode, nm_radix_encode, nm_radix_pack, nm_radix_prune_encode, nm_radix_unpack,
    };
    #[pymodule_export]
    use super::nm_rans::{nm_rans_check, nm_rans_count, nm_rans_pack, nm_rans_unpack};
    #[pymodule_export]
    use super::packing::{adaptive_decode, adaptive_encode, zstd_compress, zstd_decompress};
    #[pymodule_export]
    use super::philox::philox_words;
    #[pymodule_export]
    use super::plan::{product_plan, product_ways_taken};
    #[pymodule_export]
    use super::product::{bits_matmul, bsr_matmul, csr_matmul, dense_matmul, nm_matmul, nm24_bf16_matmul};
    #[pymodule_export]
    use super::scaled_floats::{blocks_lut, nibbles_lut};
    #[pymodule_export]
    use super::settings::{cpu_features, get_num_threads, set_alone, set_num_threads};
    #[pymodule_export]
    use super::stream::{pack_stream, stream_padding, unpack_stream};
    #[pymodule_export]
    use super::transposable::transposable_blocks;
    #[pymodule_export]
    use super::word_columns::word_columns_decode;
    #[pymodule_export]
    use super::words::{awq_turn, bytes_flip, words_turn, words_unpack};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let wrong = |e: &dyn std::fmt::Display| pyo3::exceptions::PyImportError::new_err(e.to_string());
        sparsefmt::Isa::from_env().map_err(|e| wrong(&e))?;
        sparsefmt::par::from_env().map_err(|e| wrong(&e))?;
        super::arrays::settle(module.py())
    }
}
