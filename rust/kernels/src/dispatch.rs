//! One table of functions per instruction set, the choice among them, and every length assertion.

#[cfg(target_arch = "x86_64")]
use crate::x86_64::{amx, avx2, avx512};
use crate::{
    affine, amx_gemm, compress, lookup, nearest_centroid, nm_code_table, nm24_pack, panels, product, quantize_f16,
    rank32, scalar, scatter, slots, topk,
};
use std::fmt;
use std::sync::OnceLock;

/// An instruction set that kernels are written for. Later ones inherit from earlier ones what they do not beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Portable Rust.
    Scalar,
    /// x86-64 with AVX2, FMA, BMI1, BMI2, POPCNT and F16C (Haswell, Zen 1 and later).
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL, VBMI, VBMI2, VNNI and VPOPCNTDQ (Ice Lake, Zen 4 and later).
    Avx512,
    /// The same with AMX-TILE and AMX-BF16 (Sapphire Rapids and later), where the system lets the process use them.
    Amx,
}

/// `SPARSEFMT_ISA` names no instruction set, or one that this CPU does not have.
#[derive(Debug)]
pub struct UnknownIsa(String);

impl fmt::Display for UnknownIsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let have: Vec<_> = Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(Isa::name).collect();
        write!(f, "SPARSEFMT_ISA={} is not available; this CPU has {}", self.0, have.join(", "))
    }
}

impl std::error::Error for UnknownIsa {}

impl Isa {
    /// All, slowest first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Amx];

    /// The name that `SPARSEFMT_ISA` uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }

    /// Whether this CPU runs it.
    #[cfg(target_arch = "x86_64")]
    #[must_use]
    pub fn is_available(self) -> bool {
        let avx2 = || {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("f16c")
        };
        match self {
            Self::Scalar => true,
            Self::Avx2 => avx2(),
            Self::Avx512 => {
                avx2()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
                    && is_x86_feature_detected!("avx512vnni")
                    && is_x86_feature_detected!("avx512vpopcntdq")
            }
            Self::Amx => Self::Avx512.is_available() && amx::permit().is_some(),
        }
    }

    /// Whether this CPU runs it.
    #[cfg(not(target_arch = "x86_64"))]
    #[must_use]
    pub fn is_available(self) -> bool {
        self == Self::Scalar
    }

    /// The one to use: what `SPARSEFMT_ISA` names, else the best that this CPU has.
    ///
    /// # Errors
    /// `SPARSEFMT_ISA` is set to something that is unknown or not available.
    pub fn from_env() -> Result<Self, UnknownIsa> {
        match std::env::var("SPARSEFMT_ISA") {
            Err(_) => Ok(Self::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Self::Scalar)),
            Ok(name) => {
                Self::ALL.into_iter().find(|isa| isa.name() == name && isa.is_available()).ok_or(UnknownIsa(name))
            }
        }
    }
}

type NonzeroBits<T> = unsafe fn(&[T], T, &mut [u8]) -> usize;

/// What one more cluster is added to: costs and sums of the first `i` values, at `i` (equal lengths).
#[derive(Clone, Copy, Debug)]
pub struct Clusters<'a> {
    /// The least cost with the clusters so far.
    pub before: &'a [f64],
    /// Sums of weights.
    pub w: &'a [f64],
    /// Sums of weights times values.
    pub s: &'a [f64],
    /// Sums of weights times squared values.
    pub q: &'a [f64],
}

type KmeansLeaf = unsafe fn(&Clusters<'_>, usize, usize, usize, &mut [f64], &mut [u32]);
type KmeansPivot = unsafe fn(&Clusters<'_>, usize, usize, usize) -> (f64, usize);

/// A table of functions. Get one with [`Kernels::active`] or, in tests, [`Kernels::for_isa`].
pub struct Kernels {
    isa: Isa,
    nonzero_bits_u8: NonzeroBits<u8>,
    nonzero_bits_u16: NonzeroBits<u16>,
    nonzero_bits_u32: NonzeroBits<u32>,
    nonzero_bits_u64: NonzeroBits<u64>,
    pub(crate) compress: compress::Table,
    pub(crate) affine: affine::Affine,
    pub(crate) halves: quantize_f16::Halves,
    pub(crate) lookup: lookup::Table,
    pub(crate) nearest: nearest_centroid::Table,
    pub(crate) places: scatter::Table,
    pub(crate) panels: panels::PanelTable,
    pub(crate) product: product::Product,
    pub(crate) ranks: rank32::Ranks,
    pub(crate) slots: slots::Slots,
    pub(crate) tiles: amx_gemm::Table,
    kmeans_dp_leaf: KmeansLeaf,
    kmeans_dp_pivot: KmeansPivot,
    pub(crate) tops: topk::Tops,
    pub(crate) nm24_pack: nm24_pack::Table,
    pub(crate) units: nm_code_table::Units,
}

const SCALAR: Kernels = Kernels {
    isa: Isa::Scalar,
    nonzero_bits_u8: scalar::mask::nonzero_bits::<u8>,
    nonzero_bits_u16: scalar::mask::nonzero_bits::<u16>,
    nonzero_bits_u32: scalar::mask::nonzero_bits::<u32>,
    nonzero_bits_u64: scalar::mask::nonzero_bits::<u64>,
    compress: compress::SCALAR,
    affine: affine::SCALAR,
    halves: quantize_f16::SCALAR,
    lookup: lookup::SCALAR,
    nearest: nearest_centroid::SCALAR,
    places: scatter::SCALAR,
    panels: panels::SCALAR,
    product: product::SCALAR,
    ranks: rank32::SCALAR,
    slots: slots::SCALAR,
    tiles: amx_gemm::SCALAR,
    kmeans_dp_leaf: scalar::kmeans_dp::leaf,
    kmeans_dp_pivot: scalar::kmeans_dp::pivot,
    tops: topk::SCALAR,
    nm24_pack: nm24_pack::SCALAR,
    units: nm_code_table::SCALAR,
};

#[cfg(target_arch = "x86_64")]
const AVX2: Kernels = Kernels {
    isa: Isa::Avx2,
    nonzero_bits_u8: avx2::mask::nonzero_bits_u8,
    nonzero_bits_u16: avx2::mask::nonzero_bits_u16,
    nonzero_bits_u32: avx2::mask::nonzero_bits_u32,
    nonzero_bits_u64: avx2::mask::nonzero_bits_u64,
    compress: compress::AVX2,
    affine: avx2::affine::TABLE,
    halves: avx2::quantize_f16::TABLE,
    lookup: avx2::lookup::TABLE,
    nearest: avx2::nearest_centroid::TABLE,
    places: scatter::SCALAR,
    panels: avx2::panels::TABLE,
    product: avx2::product::TABLE,
    ranks: rank32::AVX2,
    slots: slots::AVX2,
    tiles: amx_gemm::SCALAR,
    kmeans_dp_leaf: avx2::kmeans_dp::leaf,
    kmeans_dp_pivot: avx2::kmeans_dp::pivot,
    tops: topk::AVX2,
    nm24_pack: nm24_pack::AVX2,
    units: nm_code_table::AVX2,
};

#[cfg(target_arch = "x86_64")]
const AVX512: Kernels = Kernels {
    isa: Isa::Avx512,
    nonzero_bits_u8: avx512::mask::nonzero_bits_u8,
    nonzero_bits_u16: avx512::mask::nonzero_bits_u16,
    nonzero_bits_u32: avx512::mask::nonzero_bits_u32,
    nonzero_bits_u64: avx512::mask::nonzero_bits_u64,
    compress: compress::AVX512,
    affine: avx512::affine::TABLE,
    halves: avx512::quantize_f16::TABLE,
    lookup: avx512::lookup::TABLE,
    kmeans_dp_leaf: avx512::kmeans_dp::leaf,
    kmeans_dp_pivot: avx512::kmeans_dp::pivot,
    nearest: avx512::nearest_centroid::TABLE,
    places: scatter::AVX512,
    panels: avx512::panels::TABLE,
    product: avx512::product::TABLE,
    ranks: rank32::AVX512,
    slots: slots::AVX512,
    tiles: avx512::amx_gemm::TABLE,
    tops: topk::AVX512,
    nm24_pack: nm24_pack::AVX512,
    units: nm_code_table::AVX512,
};

#[cfg(target_arch = "x86_64")]
const AMX: Kernels = Kernels { isa: Isa::Amx, ..AVX512 };

macro_rules! nonzero_bits {
    ($name:ident, $t:ty) => {
        /// Writes one bit per item, LSB first: set where `item & zero != 0`. The last byte is completed by zeros.
        /// Gives the number of set bits.
        ///
        /// # Panics
        /// `bits` is not `ceil(src.len() / 8)` long.
        #[must_use]
        pub fn $name(&self, src: &[$t], zero: $t, bits: &mut [u8]) -> usize {
            assert_eq!(bits.len(), src.len().div_ceil(8), "bytes of bits");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.$name)(src, zero, bits) }
        }
    };
}

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
            #[cfg(not(target_arch = "x86_64"))]
            _ => &SCALAR,
        })
    }

    /// The table for this process, chosen once by [`Isa::from_env`]; scalar if that fails.
    #[must_use]
    pub fn active() -> &'static Self {
        static ACTIVE: OnceLock<&'static Kernels> = OnceLock::new();
        ACTIVE.get_or_init(|| Isa::from_env().ok().and_then(Self::for_isa).unwrap_or(&SCALAR))
    }

    /// The instruction set of this table.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    nonzero_bits!(nonzero_bits_u8, u8);
    nonzero_bits!(nonzero_bits_u16, u16);
    nonzero_bits!(nonzero_bits_u32, u32);
    nonzero_bits!(nonzero_bits_u64, u64);

    /// The columns that [`Kernels::kmeans_dp_leaf`] takes at most.
    pub const KMEANS_DP_COLS: usize = scalar::kmeans_dp::LANES;

    /// For each column `j` from `low` on, one per item of `after`: the least over `i` in `first..=last`, `i < j`, of
    /// `before[i] + max(0, (q[j] - q[i]) - (s[j] - s[i])^2 / (w[j] - w[i]))` into `after`, and the lowest such `i`
    /// into `choice`.
    ///
    /// # Panics
    /// The arrays of `clusters` differ in length or end before the last column; there are no columns, or more than
    /// [`Kernels::KMEANS_DP_COLS`]; `choice` has another length than `after`.
    pub fn kmeans_dp_leaf(
        &self,
        clusters: &Clusters<'_>,
        low: usize,
        first: usize,
        last: usize,
        after: &mut [f64],
        choice: &mut [u32],
    ) {
        let len = clusters.before.len();
        assert!([clusters.w, clusters.s, clusters.q].iter().all(|a| a.len() == len), "lengths of sums");
        assert!(after.len().wrapping_sub(1) < Self::KMEANS_DP_COLS && choice.len() == after.len(), "columns");
        assert!(low < len && after.len() <= len - low && last < len, "columns {low}.. of {len}");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.kmeans_dp_leaf)(clusters, low, first, last, after, choice) }
    }

    /// The same for the one column `j`.
    ///
    /// # Panics
    /// The arrays of `clusters` differ in length; `first <= last < len` or `first < j < len` does not hold.
    #[must_use]
    pub fn kmeans_dp_pivot(&self, clusters: &Clusters<'_>, j: usize, first: usize, last: usize) -> (f64, usize) {
        let len = clusters.before.len();
        assert!([clusters.w, clusters.s, clusters.q].iter().all(|a| a.len() == len), "lengths of sums");
        assert!(j < len && last < len && first <= last && first < j, "column {j}, {first}..={last} of {len}");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.kmeans_dp_pivot)(clusters, j, first, last) }
    }
}
