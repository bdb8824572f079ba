//! Loops over slices: the innermost layer, and the only crate of this workspace that says `unsafe`.
//!
//! [`Kernels`] is a table of functions, one per instruction set. Its methods own every length check; the functions
//! behind them rely on slice lengths only, never on contents. Modules use what stands below them:
//!
//! ```text
//! tables/                     a table per family: length assertions and calls;  tables/dispatch.rs chooses
//! x86_64/ aarch64/ scalar/    the functions, a folder per instruction set
//! args/                       the types they take
//! ```

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod address_space;
mod affinity;
mod args;
mod prefetch;
mod scalar;
mod scoped_work;
mod spare_memory;
mod tables;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use address_space::has_address_space;
pub use affinity::{Narrowed, ThreadId, current_cpu};
pub use args::amx_gemm::{BlockSums, Extent, LeftRows, PairTile, TILE_DEPTH, TILE_ROWS, TILE_WIDTH};
pub use args::bsr_spmm::Blocks;
pub use args::csr_spmm::CsrRow;
pub use args::gguf::BlockKind;
pub use args::group_values::{Groups, Planes, SixteenRows};
pub use args::kmeans_dp::Clusters;
pub use args::lookup::FloatTable;
pub use args::merge::{
    MERGE_LANES, MERGE_MODELS, MERGE_SIDE, MERGE_TILE, MergeItems, MergeLanes, MergeShare, MergeStraight, MergeTile,
    MergeVoted, MergeVoter,
};
pub use args::nearest_centroid::{Entries, Keys};
pub use args::nm_code_table::NmCodeTable;
pub use args::nm24_bf16::{NM24_BF16_GROUPS, Nm24Bf16Rows, Pairs};
pub use args::nm24_gemv::Nm24Row;
pub use args::nontemporal::NonTemporal;
pub use args::panels::{DEPTH, DepthBits, Panel, PanelPositions, PanelRows, PanelValues};
pub use args::product::Chunk;
pub use args::radix::RadixTable;
pub use args::rank::RankTable;
pub use args::strided::Strided;
pub use args::topk::Order;
pub use prefetch::{prefetch, prefetch_ahead, prefetch_near};
pub use scoped_work::{ScopedWork, run_scoped, run_scoped_helping};
pub use spare_memory::SpareMemory;
pub use tables::amx_gemm::{TileSession, TileUnit};
pub use tables::isa::{Isa, UnknownIsa};
pub use tables::kernels::Kernels;
