//! One table of functions per instruction set.

use crate::args::{
    affine, amx_gemm, compress, gguf, group_values, kmeans_dp, lookup, merge, nearest_centroid, nm_code_table,
    nm24_pack, nm24_radix, nonzero_bits, panels, philox, product, quantize_f16, radix, rank, scatter, slots, topk,
};
use crate::tables::isa::Isa;

/// A table of functions. Get one with [`Kernels::active`] or, in tests, [`Kernels::for_isa`].
pub struct Kernels {
    pub(crate) isa: Isa,
    pub(crate) affine: affine::Table,
    pub(crate) amx_gemm: amx_gemm::Table,
    pub(crate) compress: compress::Table,
    pub(crate) gguf: gguf::Table,
    pub(crate) group_values: group_values::Table,
    pub(crate) kmeans_dp: kmeans_dp::Table,
    pub(crate) lookup: lookup::Table,
    pub(crate) merge: merge::Table,
    pub(crate) nearest_centroid: nearest_centroid::Table,
    pub(crate) nm24_pack: nm24_pack::Table,
    pub(crate) nm24_radix: nm24_radix::Table,
    pub(crate) nm_code_table: nm_code_table::Table,
    pub(crate) nonzero_bits: nonzero_bits::Table,
    pub(crate) panels: panels::Table,
    pub(crate) philox: philox::Table,
    pub(crate) product: product::Table,
    pub(crate) quantize_f16: quantize_f16::Table,
    pub(crate) radix: radix::Table,
    pub(crate) rank: rank::Table,
    pub(crate) scatter: scatter::Table,
    pub(crate) slots: slots::Table,
    pub(crate) topk: topk::Table,
}

impl Kernels {
    /// The instruction set of this table.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }
}
