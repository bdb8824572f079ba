//! Packed sparse weights: functions over borrowed arrays, threaded, checked.
//!
//! The caller allocates, the functions here fill. A function whose output size depends on the data comes with one that
//! counts. Items move by width ([`Item`]); what they mean is the caller's business.
#![forbid(unsafe_code)]

pub mod affine;
pub mod affine_rows;
pub mod affine_segments;
mod bitmask;
mod bits;
mod blake3;
pub mod bsr;
mod caches;
mod check;
mod checksum;
mod choices;
mod clustered;
mod codebook;
mod coo;
mod coo_sort;
mod count;
mod csc;
mod csr;
mod delta;
mod equal;
mod error;
mod gap;
mod gap_columns;
mod gap_items;
mod gguf;
pub mod grid;
mod item;
mod kmeans;
mod marlin24;
mod matrix;
pub mod matrix_market;
pub mod merge;
mod nearest;
pub mod nm;
pub mod nm_radix;
pub mod nm_rans;
mod packing;
pub mod par;
mod philox;
pub mod product;
mod radix;
mod room;
mod scaled_floats;
mod single_pass;
mod sort_f32;
mod stop;
mod stream;
mod transposable;
mod triplets;
pub mod views;
mod word_columns;
mod words;

/// The most columns of a row that are worked on at once: their bits and items stay in the first-level cache. A multiple
/// of 8, so that every tile starts on a byte of bits.
pub(crate) const TILE: usize = 2048;

pub use bitmask::{bits_gather, bits_to_dense, bits_to_indices, csr_to_bits, dense_to_bits, dense_to_bits_within};
pub use blake3::blake3_hash;
pub use check::{Fault, Finding, bits_check, coo_check, csr_check};
pub use checksum::{xxh3_128, xxh3_blocks, xxh3_rows, xxh3_spans};
pub use clustered::{Found, Nearest, nm_lut_decode, nm_nearest_encode};
pub use codebook::{Real, Slot, assign, decode_lut, histogram, lookup};
pub use coo::{compress_rows, coo_order, coo_to_csr, coo_to_dense, expand_indptr};
pub use count::count_indices;
pub use csc::{csc_to_dense, csr_transpose, dense_col_counts, dense_to_csc};
pub use csr::{count_nonzero, csr_to_dense, dense_row_counts, dense_to_csr};
pub use delta::{Keyed, ROW_SUMS, Summed, add_gaps, add_steps, delta_gaps, delta_steps};
pub use equal::{bits_equal, csr_equal, nm_equal};
pub use error::{Error, Result};
pub use gap::{
    csr_gap_counts, csr_to_gaps, dense_gap_counts, dense_to_gaps, gap_check, gaps_to_dense, gaps_to_indices,
};
pub use gap_items::{gaps_put, gaps_take};
pub use gguf::{gguf_decode, gguf_q4_0_codes, gguf_q8_0_codes};
pub use grid::grid_decode;
pub use item::{Index, Item, Word};
pub use kmeans::kmeans_fit;
pub use marlin24::{marlin24_codes, marlin24_meta};
pub use matrix::{Matrix, MatrixMut};
pub use nearest::nearest16;
pub use packing::{adaptive_decode, adaptive_encode, zstd_compress, zstd_decompress};
pub use philox::philox_words;
pub use scaled_floats::{blocks_lut, nibbles_lut};
pub use single_pass::{dense_sample, dense_to_csr_within};
pub use sort_f32::{range_sums, sort_f32};
pub use sparsefmt_kernels::{Isa, Kernels, SpareMemory};
pub use stop::Stop;
pub use stream::{pack_stream, stream_padding, unpack_stream};
pub use transposable::transposable_blocks;
pub use views::{BitRows, Coo, Csr};
pub use word_columns::word_columns_decode;
pub use words::{awq_turn, bytes_flip, words_turn, words_unpack};
