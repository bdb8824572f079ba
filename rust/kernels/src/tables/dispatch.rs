//! The table of each instruction set, and the choice among them.

#[cfg(target_arch = "aarch64")]
use crate::aarch64::neon;
use crate::tables::isa::Isa;
use crate::tables::kernels::Kernels;
use crate::tables::{
    affine, amx_gemm, compress, gguf, group_values, kmeans_dp, lookup, merge, nearest_centroid, nm_code_table,
    nm24_pack, nm24_radix, nonzero_bits, panels, philox, product, quantize_f16, radix, rank, scatter, slots, topk,
};
#[cfg(target_arch = "x86_64")]
use crate::x86_64::{avx2, avx512};
use once_cell::race::OnceRef;

const SCALAR: Kernels = Kernels {
    isa: Isa::Scalar,
    affine: affine::SCALAR,
    amx_gemm: amx_gemm::SCALAR,
    compress: compress::SCALAR,
    gguf: gguf::SCALAR,
    group_values: group_values::SCALAR,
    kmeans_dp: kmeans_dp::SCALAR,
    lookup: lookup::SCALAR,
    merge: merge::SCALAR,
    nearest_centroid: nearest_centroid::SCALAR,
    nm24_pack: nm24_pack::SCALAR,
    nm24_radix: nm24_radix::SCALAR,
    nm_code_table: nm_code_table::SCALAR,
    nonzero_bits: nonzero_bits::SCALAR,
    panels: panels::SCALAR,
    philox: philox::SCALAR,
    product: product::SCALAR,
    quantize_f16: quantize_f16::SCALAR,
    radix: radix::SCALAR,
    rank: rank::SCALAR,
    scatter: scatter::SCALAR,
    slots: slots::SCALAR,
    topk: topk::SCALAR,
};

#[cfg(target_arch = "aarch64")]
const NEON: Kernels = Kernels {
    isa: Isa::Neon,
    affine: neon::affine::TABLE,
    compress: compress::NEON,
    lookup: neon::lookup::TABLE,
    nm24_pack: nm24_pack::NEON,
    nm_code_table: nm_code_table::NEON,
    nonzero_bits: nonzero_bits::NEON,
    panels: neon::panels::TABLE,
    product: neon::product::TABLE,
    quantize_f16: neon::quantize_f16::TABLE,
    slots: slots::NEON,
    topk: topk::NEON,
    ..SCALAR
};

/// The same where the CPU has `sdot`.
#[cfg(target_arch = "aarch64")]
const NEON_DOTPROD: Kernels = Kernels { product: neon::product::DOTPROD, ..NEON };

#[cfg(target_arch = "x86_64")]
const AVX2: Kernels = Kernels {
    isa: Isa::Avx2,
    affine: avx2::affine::TABLE,
    amx_gemm: amx_gemm::SCALAR,
    compress: compress::AVX2,
    gguf: avx2::gguf::TABLE,
    group_values: avx2::group_values::TABLE,
    kmeans_dp: kmeans_dp::AVX2,
    lookup: avx2::lookup::TABLE,
    merge: avx2::merge::TABLE,
    nearest_centroid: avx2::nearest_centroid::TABLE,
    nm24_pack: nm24_pack::AVX2,
    nm24_radix: nm24_radix::AVX2,
    nm_code_table: nm_code_table::AVX2,
    nonzero_bits: nonzero_bits::AVX2,
    panels: avx2::panels::TABLE,
    philox: avx2::philox::TABLE,
    product: avx2::product::TABLE,
    quantize_f16: avx2::quantize_f16::TABLE,
    radix: radix::AVX2,
    rank: rank::AVX2,
    scatter: scatter::SCALAR,
    slots: slots::AVX2,
    topk: topk::AVX2,
};

#[cfg(target_arch = "x86_64")]
const AVX512: Kernels = Kernels {
    isa: Isa::Avx512,
    affine: avx512::affine::TABLE,
    amx_gemm: avx512::amx_gemm::TABLE,
    compress: compress::AVX512,
    gguf: avx2::gguf::TABLE,
    group_values: avx512::columns::TABLE,
    kmeans_dp: kmeans_dp::AVX512,
    lookup: avx512::lookup::TABLE,
    merge: avx512::merge::TABLE,
    nearest_centroid: avx512::nearest_centroid::TABLE,
    nm24_pack: nm24_pack::AVX512,
    nm24_radix: nm24_radix::AVX512,
    nm_code_table: nm_code_table::AVX512,
    nonzero_bits: nonzero_bits::AVX512,
    panels: avx512::panels::TABLE,
    philox: avx512::philox::TABLE,
    product: avx512::product::TABLE,
    quantize_f16: avx512::quantize_f16::TABLE,
    radix: radix::AVX512,
    rank: rank::AVX512,
    scatter: scatter::AVX512,
    slots: slots::AVX512,
    topk: topk::AVX512,
};

#[cfg(target_arch = "x86_64")]
const AMX: Kernels = Kernels { isa: Isa::Amx, ..AVX512 };

impl Kernels {
    /// The table of `isa`, if this CPU has it.
    #[must_use]
    pub fn for_isa(isa: Isa) -> Option<&'static Self> {
        isa.is_available().then_some(match isa {
            Isa::Scalar => &SCALAR,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => &AVX2,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => &AVX512,
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => &AMX,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon if std::arch::is_aarch64_feature_detected!("dotprod") => &NEON_DOTPROD,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => &NEON,
            _ => &SCALAR,
        })
    }

    /// The table for this process, chosen once by [`Isa::from_env`]; scalar if that fails.
    #[must_use]
    pub fn active() -> &'static Self {
        static ACTIVE: OnceRef<Kernels> = OnceRef::new();
        ACTIVE.get_or_init(|| Isa::from_env().ok().and_then(Self::for_isa).unwrap_or(&SCALAR))
    }
}
