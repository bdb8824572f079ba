//! Loops over slices: the innermost layer, and the only crate of this workspace that says `unsafe`.
//!
//! [`Kernels`] is a table of functions, one per instruction set. Its methods own every length check; the functions
//! behind them rely on slice lengths only, never on contents.

mod affine;
mod affinity;
mod amx_gemm;
mod bsr_spmm;
mod compress;
mod csr;
mod dispatch;
mod lookup;
mod nearest_centroid;
mod nm24_bf16;
mod nm24_gemv;
mod nm24_pack;
mod nm_code_table;
mod nontemporal;
mod panels;
mod prefetch;
mod product;
mod quantize_f16;
mod rank32;
mod scalar;
mod scatter;
mod scoped_work;
mod slots;
mod topk;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use affinity::{Affinity, here};
pub use amx_gemm::{BlockSums, Extent, LeftRows, PairTile, TILE_DEPTH, TILE_ROWS, TILE_WIDTH, TileSession, TileUnit};
pub use bsr_spmm::Blocks;
pub use csr::CsrRow;
pub use dispatch::{Clusters, Isa, Kernels, UnknownIsa};
pub use nearest_centroid::{Entries, Keys};
pub use nm_code_table::NmCodeTable;
pub use nm24_bf16::{NM24_BF16_GROUPS, Nm24Bf16Rows, Pairs};
pub use nm24_gemv::Nm24Row;
pub use nontemporal::NonTemporal;
pub use panels::{DEPTH, DepthBits, Panel, PanelPositions, PanelRows, PanelValues};
pub use prefetch::{prefetch, prefetch_ahead, prefetch_near};
pub use product::{Chunk, Strided};
pub use rank32::RankTable;
pub use scoped_work::{ScopedWork, run_scoped};
pub use topk::Order;
